"""Listening: the loop of synccheck and webwxsync, and what ends it (weixin-web-protocol 9).

Never two of these requests at once. A message, and the key that acknowledges it, are durable (Checkpoint) before that
key is shown to WeChat.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

from wxcontroller.core.backoff import Backoff
from wxcontroller.core.errors import WeChatError
from wxcontroller.core.faultpoints import Point, reached
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.messages import N_, NOTHING, Text
from wxcontroller.core.model import Direction, Message, MessageKind
from wxcontroller.drivers.base import FriendAsked, LossReason, MessageArrived, Offline, Online
from wxcontroller.drivers.connection.failures import NoAnswer, TooLong
from wxcontroller.drivers.connection.pulse import Pulse, beside
from wxcontroller.drivers.connection.transport import LineResponse
from wxcontroller.drivers.web.decode import answers, messages
from wxcontroller.drivers.web.decode.answers import News
from wxcontroller.drivers.web.decode.failures import SESSION_OVER, TOO_FREQUENT, HostMoved, tried_again
from wxcontroller.drivers.web.session.guard import MediaLoop, SyncGuard
from wxcontroller.drivers.web.session.login import HOST_MOVES
from wxcontroller.drivers.web.session.poll_rate_limiter import PollRateLimiter
from wxcontroller.drivers.web.session.saved import ReportedIds, Saved
from wxcontroller.drivers.web.wire.calls import WebCalls, WebSession
from wxcontroller.drivers.web.wire.timing import WebTiming

log = logging.getLogger(__name__)
# Pages of news in a row: an endless stream is treated as a failure and retried after the usual pause.
NEWS_PAGES = 100
_REASONS = {1100: LossReason.LOGGED_OUT, 1101: LossReason.KICKED, 1102: LossReason.COOKIE}


@dataclass(frozen=True, slots=True)
class Lost:
    """The session is over. ``at_sync``: webwxsync reported it although synccheck had news (openwx-api 4.3).

    ``heard``: it answered at least once, if only without news.
    """

    reason: LossReason
    ret: int
    at_sync: bool = False
    heard: bool = True


Entry: TypeAlias = Message | messages.Notify | messages.IncomingFriendRequest
# As messages.message_of.
Reader: TypeAlias = Callable[[JsonObject, str, bool], Entry | None]


class People(Protocol):
    """The loop's reports about people; see Roster."""

    async def apply(self, changed: Iterable[JsonObject], gone: Iterable[str], profile: JsonObject) -> bool: ...

    async def identify(self, pairs: Iterable[tuple[str, str]]) -> None: ...

    def want(self, names: Iterable[str]) -> None: ...

    async def introduce(self, people: Iterable[tuple[str, str]]) -> None: ...

    def meet(self, person: str, message_id: str) -> None: ...


class Listener:
    """Listens to one session until it is lost."""

    def __init__(
        self,
        calls: WebCalls,
        session: WebSession,
        saved: Saved,
        roster: People,
        pulse: Pulse,
        timing: WebTiming,
        emoji_names: bool,
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
        self._read = read
        self._heard = time.monotonic()  # the last good answer
        self._trouble = NOTHING  # since then
        self._online = False
        self._ever = False  # at least one answer arrived
        self._backoff = Backoff(timing.check_retry, timing.retry_longest)
        self._frequent = Backoff(timing.frequent_first, timing.frequent_longest)
        self._frequent_since = 0.0
        self._silent = False  # Offline was emitted
        self._storing = False  # a checkpoint is under way
        self._odd = 0  # codes in a row that are inconclusive
        self._unknown = 0  # those of them that mean nothing to us
        self._reopened = False  # what the keys stand for is to be asked first
        self._notified = ReportedIds()  # the phone's own signals: they have ids too
        self._doubled = False  # the one repeat that a 1102 gets is used
        self._guard = SyncGuard(media_loop, timing)
        self._brought = False  # the last round had news
        self._moves = 0
        self._poll_limiter = PollRateLimiter(timing.check_spacing, timing.check_burst)
        self._is_doubtful = False  # a send was refused since the last sync
        self._poll_limit: asyncio.Timeout | None = None  # of the poll under way
        self._refused_sends = 0

    # -- what senders notice

    @property
    def paused(self) -> bool:
        """Whether WeChat wants less traffic at present (1205)."""
        return self._frequent_since > 0.0

    def sent(self, ret: int, media: bool = False) -> None:
        """Note how a send ended. 1101 may be the first sign of the session's end (5.7): the loop looks at once."""
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
        self._heard = time.monotonic()  # the time before was for the contacts
        return await beside(self._listen(), self._mind_silence())

    async def _listen(self) -> Lost:
        # Before the first check: the keys are those of the last process, and messages may have come since.
        lost = await self._sync_round(asked=False)
        while lost is None:
            brought, self._brought = self._brought, False
            await self._pulse.pause(self._poll_limiter.due(brought))
            lost = await self._check_round()
            if lost is None and (pause := self._guard.wait()):
                log.debug("WeChat announced messages but returned none; waiting %.0f s", pause)
                if self._guard.nudge():
                    await self._nudge()
                await self._pulse.pause(pause)
        return replace(lost, heard=self._ever)

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
            # The push server's quirk, taken as news (9.2). And a time-out, usual with proxies that allow no long
            # polls: webwxsync tells whether WeChat still answers.
            if problem.malformed or problem.timed_out:
                self._trouble = problem.full_text
                return await self._sync_round(asked=False)
            await self._silence(problem)
            return None
        except WeChatError as problem:
            await self._silence(problem)
            return None
        reached(Point.ACKNOWLEDGED)
        if check.retcode != 0:
            return await self._code(check.retcode, at_sync=False)
        if check.selector != 0:
            # Any selector means news, and only webwxsync shows whether they can be had (9.1).
            return await self._sync_round(asked=True)
        await self._good()
        self._guard.quiet()
        return None

    async def _poll(self) -> LineResponse:
        """Wait for synccheck's answer. Raises _Doubt as soon as a send was refused for the session's sake."""
        try:
            # Ended, the poll is over before the loop goes on: two requests at once bring messages twice (7.10).
            if not self._is_doubtful:
                async with asyncio.timeout(None) as self._poll_limit:
                    return await self._pulse.wait(self._calls.sync_check(self._session))
        except TimeoutError:
            pass  # sent has ended it: requests fail as NoAnswer
        finally:
            self._poll_limit = None
        self._is_doubtful = False
        raise _Doubt

    async def _sync_round(self, asked: bool, reopened: bool = False) -> Lost | None:
        """Fetch all news there are. ``reopened``: whether the session is well again is still to be seen."""
        brought, empty = False, True
        for _ in range(NEWS_PAGES):  # a server that never stops is not believed
            try:
                news = answers.news_of(await self._pulse.wait(self._calls.sync(self._session)))
            except TooLong as problem:
                await self._pass_over(problem)
                return None
            except WeChatError as problem:
                if problem.ret is None:
                    await self._silence(problem)
                    return None
                return await self._code(problem.ret, at_sync=asked)
            reached(Point.ACKNOWLEDGED)
            await self._good(well=not reopened)
            # First the messages, then the keys: the next request shows the
            # keys, and WeChat never repeats what they cover.
            fresh = await self._deliver(news)
            moved = self._move(news)
            if moved or not news.empty:
                await self._checkpoint()
            brought, empty = brought or fresh, empty and news.empty
            # A server that says "more" but brings nothing and moves no key would be asked without end.
            if not news.more or not (fresh or moved):
                break
        self._brought = brought
        if brought:
            self._guard.quiet()
        elif asked:
            self._guard.vain(empty)
        return None

    async def _pass_over(self, problem: TooLong) -> None:
        """Skip an answer that is too large to read: repeating it would return the same."""
        session = self._session
        try:
            init = answers.init_of(await self._pulse.wait(self._calls.init(session)))
        except WeChatError as other:
            await self._silence(other)
            return
        if init.sync_key in ((), session.sync_key):  # it leads nowhere else
            await self._silence(problem)
            return
        log.error("events from WeChat are lost: %s", problem.message)
        session.sync_key, session.check_key, session.skey = init.sync_key, (), init.skey or session.skey
        await self._checkpoint()

    # -- news

    async def _deliver(self, news: News) -> bool:
        """Report a sync's content. Returns whether any of it was new: a server may repeat itself forever."""
        fresh = await self._roster.apply(news.changed, news.gone, news.profile)
        me, found = self._session.me, []
        for raw in news.messages:
            entry = self._read(raw, me, self._emoji_names)
            if isinstance(entry, messages.Notify):
                fresh = self._notified.first(messages.id_of(raw)) or fresh
                await self._roster.identify(entry.real)
                self._roster.want(entry.names)
            elif entry is not None and entry.id not in self._saved.memory.seen:
                found.append(entry)
        # Before the messages: their reports have names of people and groups.
        await self._roster.introduce(
            (entry.chat, entry.sender if entry.is_group else "") for entry in found if isinstance(entry, Message)
        )
        for entry in found:
            await self._tell(entry)
        return fresh or bool(found)

    async def _tell(self, entry: Message | messages.IncomingFriendRequest) -> None:
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
        # After the event was taken: should taking it fail, the message is not lost.
        memory.seen.add(entry.id)

    def _move(self, news: News) -> bool:
        """Take over the keys of an answer; return whether they are others."""
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
            self._heard = time.monotonic()  # a slow disk is not WeChat's silence

    # -- good and bad answers

    async def _good(self, well: bool = True) -> None:
        """Note that WeChat has answered as it should."""
        self._heard, self._trouble = time.monotonic(), NOTHING
        if well:
            self._backoff.reset()
            self._odd = self._unknown = 0
        self._moves = 0
        self._doubled = False
        if self._frequent_since:
            self._frequent_since = 0.0
            self._frequent.reset()
        await self._pulse.progress(heard=True)
        self._ever, self._silent = True, False
        if not self._online:
            self._online = True
            await self._pulse.emit(Online())

    async def _mind_silence(self) -> None:
        """Report the account as offline once WeChat has been silent for too long, whatever the loop waits for."""
        while True:
            silent = 0.0 if self._storing else time.monotonic() - self._heard
            if silent < self._timing.offline_after:
                await asyncio.sleep(self._timing.offline_after - silent)
                continue
            if not self._silent:
                what = self._trouble or Text("no answer for {silent} s", silent=f"{silent:.0f}")
                log.warning("WeChat has not responded for %.0f s (%s); retrying", silent, what)
                await self._offline(what)
            await asyncio.sleep(self._timing.offline_after)

    async def _silence(self, problem: WeChatError, pause: bool = True) -> None:
        """Record a failure, and wait before the next attempt."""
        log.debug("%s", problem.message)
        if isinstance(problem, HostMoved) and self._moves < HOST_MOVES and self._saved.memory.move(problem.domain):
            self._moves += 1
            return
        self._trouble = problem.full_text
        await self._pulse.progress()
        if pause:
            await self._pulse.pause(self._backoff.next())

    async def _offline(self, why: Text) -> None:
        self._online, self._silent = False, True
        await self._pulse.emit(Offline(tried_again(why)))

    async def _code(self, ret: int, at_sync: bool) -> Lost | None:
        """Act on a code other than 0 from synccheck or webwxsync (9.3, 10)."""
        if ret in SESSION_OVER:
            # A cookie may have been missing from one request (9.3): it is tried once more before a scan is needed.
            if ret == 1102 and not self._doubled:
                self._doubled = True
                await self._pulse.pause(self._timing.retry_first / 4)
                return None
            return Lost(_REASONS[ret], ret, at_sync)
        if ret == TOO_FREQUENT:
            now = time.monotonic()
            self._frequent_since = self._frequent_since or now
            # After an hour of pauses (9.3) the session itself is the trouble.
            if now - self._frequent_since > self._timing.frequent_limit:
                return Lost(LossReason.TOO_FREQUENT, ret)
            log.warning("WeChat reports too many requests; pausing")
            if not self._silent:
                await self._offline(Text("WeChat reports too many requests"))
            await self._silence(WeChatError(N_("WeChat answered {number}"), ret=ret, number=ret), pause=False)
            await self._pulse.pause(self._frequent.next())
            return None
        self._odd += 1
        if ret != -1:
            self._unknown += 1
            log.info("WeChat returned an unknown code: %d", ret)
        if self._unknown >= 2 * self._timing.unknown_codes:
            return Lost(LossReason.ERRORS, ret)
        if self._odd % self._timing.unknown_codes == 0:
            over = await self._reopen()
            if over:
                return Lost(_REASONS[over], over, at_sync)
        await self._silence(WeChatError(N_("WeChat answered {number}"), ret=ret, number=ret))
        return None

    async def _reopen(self) -> int:
        """Open the session once more, as a page does that is reloaded: it may have got stuck. Return the code that
        says it is over, 0 when it is not."""
        log.info("WeChat repeatedly announced messages without returning any; reopening the session")
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
