"""The sync loop: synccheck and webwxsync, and the reasons to end it (weixin-web-protocol 9).

Only one of these requests runs at a time. Messages, and the key that acknowledges them, are durable (Checkpoint)
before the key is sent to WeChat.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

from wxcontroller.core.backoff import Backoff
from wxcontroller.core.errors import WeChatError
from wxcontroller.core.jsontypes import JsonObject, text
from wxcontroller.core.model import Direction, Message, MessageKind
from wxcontroller.core.process.faultpoints import Point, reached
from wxcontroller.core.text.templates import N_, NOTHING, Text
from wxcontroller.drivers.base import FriendAsked, LossReason, MessageArrived, Offline, Online
from wxcontroller.drivers.connection.failures import NoAnswer, TooLong
from wxcontroller.drivers.connection.pulse import Pulse, run_beside
from wxcontroller.drivers.connection.transport import LineResponse
from wxcontroller.drivers.web.decode import answers, messages
from wxcontroller.drivers.web.decode.answers import News
from wxcontroller.drivers.web.decode.failures import SESSION_OVER, TOO_FREQUENT, HostMoved, tried_again
from wxcontroller.drivers.web.session.guard import MediaLoop, SyncGuard
from wxcontroller.drivers.web.session.login import HOST_MOVES
from wxcontroller.drivers.web.session.ownsends import OwnSends
from wxcontroller.drivers.web.session.poll_rate_limiter import PollRateLimiter
from wxcontroller.drivers.web.session.saved import ReportedIds, Saved
from wxcontroller.drivers.web.wire.calls import WebCalls, WebSession
from wxcontroller.drivers.web.wire.timing import WebTiming

log = logging.getLogger(__name__)
# Pages of events in a row: an endless stream is treated as a failure and retried after the usual pause.
NEWS_PAGES = 100
_REASONS = {1100: LossReason.LOGGED_OUT, 1101: LossReason.KICKED, 1102: LossReason.COOKIE}


@dataclass(frozen=True, slots=True)
class Lost:
    """The session is over. ``at_sync``: webwxsync reported it after synccheck had announced events (openwx-api 4.3).

    ``heard``: WeChat responded at least once in this session.
    """

    reason: LossReason
    ret: int
    at_sync: bool = False
    heard: bool = True


Entry: TypeAlias = Message | messages.Notify | messages.IncomingFriendRequest
# Like messages.message_of.
Reader: TypeAlias = Callable[[JsonObject, str, bool], Entry | None]


class People(Protocol):
    """Receives the loop's changes of contacts; see Roster."""

    async def apply(self, changed: Iterable[JsonObject], gone: Iterable[str], profile: JsonObject) -> bool: ...

    async def identify(self, pairs: Iterable[tuple[str, str]]) -> None: ...

    def want(self, names: Iterable[str]) -> None: ...

    async def introduce(self, people: Iterable[tuple[str, str]]) -> None: ...

    def meet(self, person: str, message_id: str) -> None: ...


class Listener:
    """Receives the events of one session until it ends."""

    def __init__(
        self,
        calls: WebCalls,
        session: WebSession,
        saved: Saved,
        roster: People,
        pulse: Pulse,
        timing: WebTiming,
        emoji_names: bool,
        own_sends: OwnSends,
        media_loop: MediaLoop = MediaLoop.WAIT,
        read: Reader = messages.message_of,
    ) -> None:
        self._calls = calls
        self._session = session
        self._saved = saved
        self._roster = roster
        self._pulse = pulse
        self._timing = timing
        self._emoji_names = emoji_names
        self._own_sends = own_sends
        self._read = read
        self._last_response = time.monotonic()  # time of the last response
        self._silence: asyncio.TimerHandle | None = None  # until WeChat has not responded for too long
        self._too_silent = asyncio.Event()
        self._last_failure = NOTHING  # since the last response
        self._online = False
        self._has_response = False  # whether WeChat has responded in this session
        self._backoff = Backoff(timing.check_retry, timing.retry_longest)
        self._frequent = Backoff(timing.frequent_first, timing.frequent_longest)
        self._frequent_since = 0.0
        self._is_silent = False  # Offline was emitted
        self._storing = False  # a checkpoint is under way
        self._inconclusive = 0  # inconclusive codes in a row
        self._unknown_codes = 0  # of these, codes that are not documented
        self._reopened = False  # sync before the next check: the session was reopened
        self._seen_signals = ReportedIds()  # ids of the phone's internal signals
        self._has_repeated = False  # a 1102 was already retried once
        self._guard = SyncGuard(media_loop, timing)
        self._had_events = False  # the last round returned events
        self._host_moves = 0
        self._poll_limiter = PollRateLimiter(timing.check_spacing, timing.check_burst)
        self._is_doubtful = False  # a send was refused since the last sync
        self._poll_limit: asyncio.Timeout | None = None  # of the poll under way
        self._refused_sends = 0

    # -- results of sends

    @property
    def paused(self) -> bool:
        """Whether WeChat wants less traffic at present (1205)."""
        return self._frequent_since > 0.0

    def sent(self, ret: int, media: bool = False) -> None:
        """Note the result of a send. 1101 may be the first sign of the session's end (5.7), so sync at once."""
        if ret == 0:
            self._guard.message(media)
        if ret != 1101:
            self._refused_sends = 0
            return
        self._refused_sends += 1
        if self._poll_limit is not None and not self._is_doubtful:
            self._poll_limit.reschedule(0.0)
        self._is_doubtful = True

    # -- the loop

    async def listen(self) -> Lost:
        """Run the loop. The first sync fetches messages that arrived while the client was down."""
        self._hear()  # loading the contacts does not count as silence
        try:
            return await run_beside(self._listen(), self._watch_for_silence())
        finally:
            if self._silence is not None:
                self._silence.cancel()

    async def _listen(self) -> Lost:
        # Sync before the first check: messages may have arrived since the keys were stored.
        lost = await self._sync_round(asked=False)
        while lost is None:
            had_events, self._had_events = self._had_events, False
            await self._pulse.pause(self._poll_limiter.due(had_events))
            lost = await self._check_round()
            if lost is None and (pause := self._guard.wait()):
                log.debug("WeChat announced messages but returned none; waiting %.0f s", pause)
                if self._guard.nudge():
                    await self._nudge()
                await self._pulse.pause(pause)
        return replace(lost, heard=self._has_response)

    async def _nudge(self) -> None:
        """Notify WeChat that the client is active (5.2). The answer does not matter."""
        try:
            answers.accepted(await self._pulse.wait(self._calls.status_notify(self._session, 3, self._session.me)))
        except WeChatError as problem:
            log.debug("%s", problem.message)

    async def _check_round(self) -> Lost | None:
        if self._reopened:
            self._reopened = False
            return await self._sync_round(asked=False, reopened=True)
        try:
            check = answers.check_of(await self._poll())
        except _Doubt:
            if self._refused_sends >= self._timing.refused_sends:
                return Lost(LossReason.KICKED, 1101)
            return await self._sync_round(asked=False)
        except NoAnswer as problem:
            # A malformed response is a quirk of the push server and counts as an announcement (9.2). Timeouts are
            # common with proxies that do not allow long polls. In both cases webwxsync shows whether WeChat responds.
            if problem.malformed or problem.timed_out:
                self._last_failure = problem.full_text
                return await self._sync_round(asked=False)
            await self._back_off(problem)
            return None
        except WeChatError as problem:
            await self._back_off(problem)
            return None
        reached(Point.ACKNOWLEDGED)
        if check.retcode != 0:
            return await self._handle_code(check.retcode, at_sync=False)
        if check.selector != 0:
            # Any selector announces events; only webwxsync shows whether there are any (9.1).
            return await self._sync_round(asked=True)
        await self._note_response()
        self._guard.quiet()
        return None

    async def _poll(self) -> LineResponse:
        """Wait for synccheck's response. Raises _Doubt when a send was refused with a code of an ended session."""
        try:
            # The poll ends before the next request, because concurrent requests return messages twice (7.10).
            if not self._is_doubtful:
                async with asyncio.timeout(None) as self._poll_limit:
                    return await self._pulse.wait(self._calls.sync_check(self._session))
        except TimeoutError:
            pass  # sent() ends the poll this way; a timeout of the request itself raises NoAnswer instead
        finally:
            self._poll_limit = None
        self._is_doubtful = False
        raise _Doubt

    async def _sync_round(self, asked: bool, reopened: bool = False) -> Lost | None:
        """Fetch all pending events. ``reopened``: a response does not yet prove that the session works again."""
        had_events, empty = False, True
        for _ in range(NEWS_PAGES):  # see NEWS_PAGES
            try:
                news = answers.news_of(await self._pulse.wait(self._calls.sync(self._session)))
            except TooLong as problem:
                await self._skip_oversized(problem)
                return None
            except WeChatError as problem:
                if problem.ret is None:
                    await self._back_off(problem)
                    return None
                return await self._handle_code(problem.ret, at_sync=asked)
            reached(Point.ACKNOWLEDGED)
            await self._note_response(conclusive=not reopened)
            # Messages before keys: the next request sends the keys, and WeChat never repeats acknowledged messages.
            fresh = await self._deliver(news)
            moved = self._take_keys(news)
            if moved or not news.empty:
                await self._checkpoint()
            had_events, empty = had_events or fresh, empty and news.empty
            # A server that announces more, but returns neither events nor new keys, would be queried forever.
            if not news.more or not (fresh or moved):
                break
        self._had_events = had_events
        if had_events:
            self._guard.quiet()
        elif asked:
            self._guard.note_empty(empty)
        return None

    async def _skip_oversized(self, problem: TooLong) -> None:
        """Skip an answer that is too large to read: repeating it would return the same."""
        session = self._session
        try:
            init = answers.init_of(await self._pulse.wait(self._calls.init(session)))
        except WeChatError as other:
            await self._back_off(other)
            return
        if init.sync_key in ((), session.sync_key):  # no newer position is available
            await self._back_off(problem)
            return
        log.error("events from WeChat are lost: %s", problem.message)
        session.sync_key, session.check_key, session.skey = init.sync_key, (), init.skey or session.skey
        await self._checkpoint()

    # -- events

    async def _deliver(self, news: News) -> bool:
        """Report a sync's content. Returns whether any of it was new: a server may repeat itself forever."""
        fresh = await self._roster.apply(news.changed, news.gone, news.profile)
        me, found, own = self._session.me, [], set()
        for raw in news.messages:
            entry = self._read(raw, me, self._emoji_names)
            if isinstance(entry, messages.Notify):
                fresh = self._seen_signals.first(messages.id_of(raw)) or fresh
                await self._roster.identify(entry.real)
                self._roster.want(entry.names)
            elif entry is not None and entry.id not in self._saved.memory.seen:
                found.append(entry)
                if text(raw.get("FromUserName")) in ("", me):
                    own.add(entry.id)
        # Before the messages: their reports have names of people and groups.
        await self._roster.introduce(
            (entry.chat, entry.sender if entry.is_group else "") for entry in found if isinstance(entry, Message)
        )
        for entry in found:
            if isinstance(entry, Message) and entry.id in own and await self._is_echo(entry):
                self._saved.memory.seen.add(entry.id)
            else:
                await self._report(entry)
        return fresh or bool(found)

    async def _is_echo(self, message: Message) -> bool:
        """Return whether an own message was sent by this program, once that is known."""
        while self._own_sends.awaits_id(message.chat):
            await self._pulse.wait(self._own_sends.changed())
        return message.id in self._saved.memory.seen or self._own_sends.took_echo(message.chat, message.text)

    async def _report(self, entry: Message | messages.IncomingFriendRequest) -> None:
        memory = self._saved.memory
        if entry.id in memory.seen:  # twice in one answer
            return
        if isinstance(entry, messages.IncomingFriendRequest):
            self._roster.meet(entry.request.id, entry.message_id)
            await self._pulse.emit(FriendAsked(entry.request))
        else:
            if entry.card is not None:
                self._roster.meet(entry.card.id, entry.id)
            if entry.kind is MessageKind.REVOKE and entry.revoked == "0":
                entry = replace(entry, revoked=memory.last_sent.get(entry.chat, ""))
            elif entry.direction is Direction.SENT_ELSEWHERE:
                memory.last_sent[entry.chat] = entry.id
            self._guard.message(entry.kind.is_media)
            await self._pulse.emit(MessageArrived(entry))
        # Only after the event was accepted, so that a failure before loses no message.
        memory.seen.add(entry.id)

    def _take_keys(self, news: News) -> bool:
        """Store the keys of a response; return whether they changed."""
        session = self._session
        before = (session.sync_key, session.check_key)
        # An empty key must never replace a good one; without a check key the other serves (4, 5.6).
        session.sync_key = news.sync_key or session.sync_key
        session.check_key = news.check_key or (() if news.sync_key else session.check_key)
        session.skey = news.skey or session.skey
        return before != (session.sync_key, session.check_key)

    async def _checkpoint(self) -> None:
        """Return when the emitted events are durable, and the keys that acknowledge them to the next request, too."""
        self._storing = True
        try:
            # The messages first: a crash in between leaves cookies that are a little older, but loses no message.
            await self._pulse.emit(self._saved.checkpoint())
            await self._saved.save()
        finally:
            self._storing = False
            self._hear()  # a slow disk is not WeChat's silence

    # -- responses and failures

    async def _note_response(self, conclusive: bool = True) -> None:
        """Note a valid response. ``conclusive``: it proves that the session works, so failures count from 0 again."""
        self._hear()
        self._last_failure = NOTHING
        if conclusive:
            self._backoff.reset()
            self._inconclusive = self._unknown_codes = 0
        self._host_moves = 0
        self._has_repeated = False
        if self._frequent_since:
            self._frequent_since = 0.0
            self._frequent.reset()
        await self._pulse.progress(heard=True)
        self._has_response, self._is_silent = True, False
        if not self._online:
            self._online = True
            await self._pulse.emit(Online())

    def _hear(self) -> None:
        """Count WeChat's silence from now on."""
        self._last_response = time.monotonic()
        self._too_silent.clear()
        # Moved by each response, so that it never wakes an account that gets them.
        if self._silence is not None:
            self._silence.cancel()
        self._silence = asyncio.get_running_loop().call_later(self._timing.offline_after, self._too_silent.set)

    async def _watch_for_silence(self) -> None:
        """Report the account as offline when WeChat has not responded for too long, independently of the loop."""
        while True:
            await self._too_silent.wait()
            self._too_silent.clear()
            # The end of a checkpoint counts as a response.
            if not self._storing and not self._is_silent:
                silent = f"{time.monotonic() - self._last_response:.0f}"
                what = self._last_failure or Text("no answer for {silent} s", silent=silent)
                log.warning("WeChat has not responded for %s s (%s); retrying", silent, what)
                await self._offline(what)

    async def _back_off(self, problem: WeChatError, pause: bool = True) -> None:
        """Record a failure, and wait before the next attempt."""
        log.debug("%s", problem.message)
        if (
            isinstance(problem, HostMoved)
            and self._host_moves < HOST_MOVES
            and self._saved.memory.move(problem.domain)
        ):
            self._host_moves += 1
            return
        self._last_failure = problem.full_text
        await self._pulse.progress()
        if pause:
            await self._pulse.pause(self._backoff.next())

    async def _offline(self, why: Text) -> None:
        self._online, self._is_silent = False, True
        await self._pulse.emit(Offline(tried_again(why)))

    async def _handle_code(self, ret: int, at_sync: bool) -> Lost | None:
        """Act on a code other than 0 from synccheck or webwxsync (9.3, 10)."""
        if ret in SESSION_OVER:
            # One request may have lacked a cookie (9.3): retry once before asking for a scan.
            if ret == 1102 and not self._has_repeated:
                self._has_repeated = True
                await self._pulse.pause(self._timing.retry_first / 4)
                return None
            return Lost(_REASONS[ret], ret, at_sync)
        if ret == TOO_FREQUENT:
            now = time.monotonic()
            self._frequent_since = self._frequent_since or now
            # After an hour of pauses (9.3), the session itself is assumed to be the cause.
            if now - self._frequent_since > self._timing.frequent_limit:
                return Lost(LossReason.TOO_FREQUENT, ret)
            log.warning("WeChat reports too many requests; pausing")
            if not self._is_silent:
                await self._offline(Text("WeChat reports too many requests"))
            await self._back_off(WeChatError(N_("WeChat answered {number}"), ret=ret, number=ret), pause=False)
            await self._pulse.pause(self._frequent.next())
            return None
        self._inconclusive += 1
        if ret != -1:
            self._unknown_codes += 1
            log.info("WeChat returned an unknown code: %d", ret)
        if self._unknown_codes >= 2 * self._timing.unknown_codes:
            return Lost(LossReason.ERRORS, ret)
        if self._inconclusive % self._timing.unknown_codes == 0:
            over = await self._reopen()
            if over:
                return Lost(_REASONS[over], over, at_sync)
        await self._back_off(WeChatError(N_("WeChat answered {number}"), ret=ret, number=ret))
        return None

    async def _reopen(self) -> int:
        """Reopen a session that may be stuck, as a reload of WeChat's page does.

        Return the code that says that the session is over, or 0.
        """
        log.info("WeChat keeps returning inconclusive codes; reopening the session")
        try:
            init = answers.init_of(await self._pulse.wait(self._calls.init(self._session)))
        except WeChatError as problem:
            log.debug("%s", problem.message)
            return problem.ret if problem.ret in SESSION_OVER else 0
        self._session.skey = init.skey or self._session.skey
        self._reopened = True
        return 0


class _Doubt(Exception):
    """A send was refused as if the session were over."""
