"""The send queue: one per account, paced, on disk, with retries that cannot deliver twice.

A message is in the store before it is queued, and noted there before it is handed to WeChat; its result is stored
together with its report. So nothing that was queued is lost, and a retry, also that of the next process, has the same
client id: WeChat drops it if the first attempt had arrived.

``states`` has what a send can go through, ``order`` which one is next, ``policy`` the rules of the route. This module
does what they say. A decision about a send is its step, which changes without an await between; what follows, its
report and the answer to its caller, comes once the step is on disk.

- A message that WeChat did not accept goes behind all others, with its other parts, unless some of these were sent.
  One whose response was lost is repeated first, while WeChat still remembers its client id.
- Only attempts that had a connection count. While WeChat is unreachable, or nobody is logged in, sends wait, as long
  as the policy says.
- Ids of people are valid for one login: sends queued in another are reported as not sent.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING

from wxcontroller.client.sends import order
from wxcontroller.client.sends.backoff import SendBackoff
from wxcontroller.client.sends.model import Media, Request, Send, answer_of
from wxcontroller.client.sends.outcomes import (
    FAILED,
    MOVED,
    NOT_SENT,
    OTHER_ROUTE,
    TAKEN,
    TOO_MANY_TODAY,
    Hold,
    Outcome,
    Refusal,
    failed_by,
    refused,
    sent_as,
    unknown,
)
from wxcontroller.client.sends.pacer import Pacer, today
from wxcontroller.client.sends.policy import RoutePolicy
from wxcontroller.client.sends.preparing import BadMedia, MediaPreparer
from wxcontroller.client.sends.sender import Sender
from wxcontroller.client.sends.states import CANCELLABLE, IN_DOUBT, WITH_WECHAT, QueuedSends, SendStep
from wxcontroller.client.store.sends import LeftoverSends, SendStore, StoredSends
from wxcontroller.client.store.writer import Unavailable
from wxcontroller.client.tasks import Tasks
from wxcontroller.core.errors import FailureHandling, Unsupported, WeChatError, reason_of
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.messages import NOTHING, Text
from wxcontroller.core.model import MessageKind
from wxcontroller.drivers.base import ServiceState

if TYPE_CHECKING:
    from wxcontroller.client.sends.window import Windows

log = logging.getLogger(__name__)
MAX_WAITING = 10_000
# A send's result is on disk before its caller gets it, unless the disk takes longer than this.
_TELL_SECONDS = 5.0
# Attempts in a row without a connection after which WeChat counts as unreachable. They take a quarter of a minute.
_UNREACHED = 5
# A moment without a connection ends no send, whatever ``keep_seconds`` is.
_SHORT_OUTAGE = 15.0
_TOO_LATE = "it got no answer, and that was too long ago to try it again"
_NO_WINDOW = "it got no answer, and the reply window does not allow to try it again"
# Wait briefly for more messages of the person before held sends are sent.
_RELEASE_SECONDS = 1.0
_NOBODY = "the chat is not known (any more)"
_OTHER_LOGIN = "the account has logged in again, and all ids have changed since"
_REFUSALS = {
    **{_NOBODY: Refusal.NO_PEER, _OTHER_LOGIN: Refusal.OTHER_USER},
    **{OTHER_ROUTE: Refusal.OTHER_ROUTE, MOVED: Refusal.MOVED},
}


class _Phase(Enum):
    OPEN = 0
    STOPPING = 1  # nothing more is accepted
    STOPPED = 2  # nothing is sent any more


@dataclass(frozen=True, slots=True)
class Stall:
    """Why no send goes out: what they wait for, the reason, and when they are reported as not sent."""

    wait: str
    why: Text
    until: float


@dataclass(slots=True)
class SendQueue:
    """Sends one message at a time, as ``pacer``, ``backoff`` and ``policy`` allow, while one is logged in.

    ``limit``: how many may wait. ``now`` returns the time of day.
    """

    pacer: Pacer
    sender: Sender
    preparer: MediaPreparer
    store: SendStore
    tasks: Tasks
    backoff: SendBackoff
    policy: RoutePolicy
    limit: int = MAX_WAITING
    now: Callable[[], float] = time.time
    last_sent: int = 0  # time of the last message that WeChat accepted, in seconds since 1970
    last_error: Text = NOTHING  # reason why the last attempt failed; empty if it succeeded
    sent: Counter[MessageKind] = field(default_factory=Counter)  # accepted by WeChat since the process started
    not_sent: int = 0  # not accepted, or unknown
    _sends: QueuedSends = field(default_factory=QueuedSends)
    _phase: _Phase = _Phase.OPEN
    _login: str = ""  # the account's own id while sends can go out
    _over: str = ""  # why sends of the last login can never go out, or ""
    _service: ServiceState = ServiceState()
    _unreached: int = 0  # attempts in a row without a connection
    _since: float = 0.0  # since when nobody is logged in, or WeChat is unreachable
    _preparing: set[Media] = field(default_factory=set)
    _uploading: "tuple[Send, asyncio.Future[None]] | None" = None
    _recording: "asyncio.Task[asyncio.Future[object]] | None" = None  # of the last send that ended
    _taken_up: asyncio.Event = field(default_factory=asyncio.Event)
    _empty: asyncio.Event = field(default_factory=asyncio.Event)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._since = self.now()

    def __len__(self) -> int:
        return len(self._sends)

    # -- status

    def refusal(self, number: int = 1) -> str:
        """Return why ``number`` more sends are not accepted, as a text for the sender; "" if they are."""
        return "the account is stopping, nothing more is sent" if self.closing else self.no_room(number)

    def no_room(self, number: int) -> str:
        """Return why ``number`` more sends are too many, "" when they are not."""
        if len(self) + self._sends.at(SendStep.STORING) + number <= self.limit:
            return ""
        if number == 1:
            return f"{len(self)} sends wait already, try again later"
        return f"{len(self)} sends wait already and {number} more are too many, try again later"

    @property
    def closing(self) -> bool:
        """Whether nothing more is accepted, because the account is stopping."""
        return self._phase is not _Phase.OPEN

    @property
    def held(self) -> bool:
        """Whether sends wait for a login."""
        return not self._login

    @property
    def stall(self) -> Stall | None:
        """Why no send goes out at present, None if they do."""
        if self._login and not self._unreached:
            return None
        until = min((self._waits_until(send) for send in self._sends), default=math.inf)
        if not self._login:
            return Stall("for the account to be logged in", Text(Hold.OFFLINE.words), until)
        return Stall("until WeChat can be reached", self.last_error, until)

    def _waits_until(self, send: Send) -> float:
        """Return until when a send waits for a login, or for WeChat."""
        until = self.policy.waits_until(send, self._since)
        return max(until, self._since + _SHORT_OUTAGE) if self._login else until

    @property
    def _blocked(self) -> Hold | None:
        """The reason why no send is sent, or None. While WeChat is unreachable, one at a time finds out."""
        if not self._login:
            return Hold.OFFLINE
        if self._service.confirming:
            return Hold.CONFIRMING
        return Hold.UNREACHABLE if self._unreached >= _UNREACHED else None

    @property
    def is_silent(self) -> bool:
        """Whether WeChat throttles the account on a route with reply windows: no calls may be made."""
        return self.policy.is_silent

    @property
    def windows(self) -> "Windows | None":
        """The reply windows, None on a route without."""
        return self.policy.windows

    @property
    def in_flight(self) -> int:
        """The number of queued sends that are being passed to WeChat: one or none."""
        return self._sends.at(SendStep.UPLOADING, *WITH_WECHAT)

    @property
    def oldest_since(self) -> float | None:
        """When the oldest waiting send was queued, seconds since 1970."""
        return min((send.queued_at for send in self._sends), default=None)

    @property
    def next_at(self) -> float | None:
        """When pacing allows the next send, seconds since 1970; None if none waits or can go."""
        waits = any(send.ready and send.step in (SendStep.QUEUED, SendStep.LOST) for send in self._sends)
        if not waits or self._blocked:
            return None
        # The pause begins when the one under way is done.
        return self.now() + (self.pacer.interval if self.in_flight else max(0.0, self.pacer.pause()))

    @property
    def due_in(self) -> float:
        """The seconds until the next send can go out, 0 if one is under way."""
        if self.in_flight:
            return 0.0
        return math.inf if self._blocked or self._next() is None else max(0.0, self.pacer.pause())

    def waiting(self) -> list[Send]:
        """Return the sends that have not ended, in order."""
        return list(self._sends)

    def unsettled(self) -> list[Send]:
        """Return the sends whose end is not stored, in order."""
        return self._sends.unsettled()

    def gauge(self) -> JsonObject:
        """Return the reply windows' status as JSON, nothing on a route without windows."""
        return self.policy.gauge(self._sends, self._service)

    async def drain(self, seconds: float) -> None:
        """Wait until the queue is empty, at most ``seconds``."""
        if not len(self):
            return
        self._empty.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._empty.wait()

    async def until_taken_up(self) -> None:
        """Wait until the sends of an earlier process are in the queue."""
        await self._taken_up.wait()

    # -- accepting sends

    def place(
        self, sends: Sequence[Send], request: Request | None = None, reply_to: int = 0, login: str = ""
    ) -> "asyncio.Future[StoredSends]":
        """Queue messages, all or none, once stored; the result tells whether they are stored.

        Args:
            request: the request with an idempotency key that they are made for.
            reply_to: the sequence of the event they answer, 0 for none.
            login: one's own id in the login to which the receivers' ids belong, "" for the present one.
        """
        sends = self._assign_ids(sends, request, login)
        day = ""
        if self._can_send_now(sends[0]):  # one wait for the disk less
            self._note_attempt(sends[0])
            day = today()
        for send in sends:
            self._sends.add(send)
        stored = self.store.add(sends, [self.sender.sides(send) for send in sends], request, reply_to, day)
        stored.add_done_callback(partial(self._placed, sends))
        return stored

    def refuse(self, sends: Sequence[Send], info: str, login: str = "") -> None:
        """Report messages that were never queued as failed sends."""
        # They get ids although they never wait: each send has exactly one report, which names it.
        for send in self._assign_ids(sends, None, login):
            self._sends.add(send)
            self._sends.move(send, SendStep.QUEUED)
            self._end(send, refused(FAILED, info))

    def stop_accepting(self) -> None:
        """Accept nothing more; what waits is still sent."""
        self._phase = max(self._phase, _Phase.STOPPING, key=lambda phase: phase.value)

    def _assign_ids(self, sends: Sequence[Send], request: Request | None, login: str) -> list[Send]:
        for send in sends:
            send.login = login or self.sender.roster.login
            send.client_id = send.client_id or self.sender.driver.new_client_id()
            send.request = request.key if request else ""
            send.attempts_left = self.policy.tries
            self.policy.limit(send)
        return order.bundled(sends)

    def _can_send_now(self, send: Send) -> bool:
        """Whether a message is passed to WeChat as soon as it is stored."""
        idle = not len(self) and not self._sends.at(SendStep.STORING) and not self._unreached
        may = idle and self.pacer.pause() <= 0 and not self.pacer.refusal and self.policy.may_go(send)
        return may and not self._blocked and send.login == self._login and send.media is None

    def _placed(self, sends: Sequence[Send], stored: "asyncio.Future[StoredSends]") -> None:
        added = StoredSends() if stored.cancelled() or stored.exception() else stored.result()
        if not added.seqs:
            for send in sends:
                self._sends.move(send, SendStep.NOT_ACCEPTED)
                if send.media is not None:
                    send.media.discard()
            return
        for send, seq, number in zip(sends, added.seqs, added.media, strict=True):
            send.seq = seq
            if send.media is not None:
                send.media.id = number
            # One that was counted when it was placed is noted as handed over by its row.
            self._sends.move(send, SendStep.NOTED if send.tried else SendStep.QUEUED)
        self._entered(sends)
        if self._phase is _Phase.STOPPED:
            for send in sends:
                send.tell(None)

    def _take_up(self, left: LeftoverSends) -> None:
        """Queue the sends of an earlier process again."""
        self.pacer.restore(left.days)
        self.policy.restore(left.windows)
        # Sends wait since the last sign of the earlier process: they do while none runs.
        self._since = min(self.now(), left.alive or self.now())
        if not (found := left.sends()):
            return
        log.info("%d sends of the previous run are queued again", len(found))
        self.pacer.sent()  # regardless of its age
        self._sends.add_first([send for send, _ in found])
        for send, why in found:
            if why:
                self._not_sent(send, why)
        self._entered([send for send, why in found if not why])

    def _entered(self, sends: Iterable[Send]) -> None:
        """Take note of stored messages; media that are not ready are prepared meanwhile."""
        for send in sends:
            if (media := send.media) is not None:
                media.hold()
                if not media.ready and media not in self._preparing:
                    self._preparing.add(media)
                    self.tasks.leave(self._prepare(media))
        self._end_unsendable(sends)
        self._news.set()

    async def _prepare(self, media: Media) -> None:
        """Prepare a send's media; sends that wait for it then go out or fail."""
        try:
            await self.preparer.prepare(media)
        except Exception as problem:
            if not isinstance(problem, BadMedia):  # a bug must not keep a caller waiting forever
                log.exception("finding the content of a send failed")
                problem = BadMedia("internal error, see the journal of this account", "", media.facts)
            media.facts = problem.facts
            failed = refused(FAILED, problem.message, refusal=Refusal.MEDIA_FAILED)
            for send in [send for send in self._sends if send.media is media]:
                self._end(send, failed, reason=problem.reason)
        else:
            if any(send.media is media for send in self._sends):
                self.store.note_media(media)
            else:  # cancelled meanwhile
                media.discard()
        finally:
            self._preparing.discard(media)
            self._news.set()

    # -- what happens around it

    async def cancel(self, client_id: str) -> bool:
        """Cancel a send that WeChat does not have; return whether there was one.

        Its end is then on disk, unless the disk takes longer than some seconds. Raises Unavailable if it cannot be
        written any more: the next process may send it.
        """
        for send in self._sends:
            if send.client_id == client_id and send.step in CANCELLABLE:
                self._end(send, refused(NOT_SENT, "cancelled", refusal=Refusal.CANCELLED))
                recording = self._recording
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_TELL_SECONDS):
                        if recording is not None:
                            await asyncio.shield(await asyncio.shield(recording))
                return True
        return False

    def login(self, own: str) -> None:
        """Sends can go out: the account is logged in, with this id."""
        if own != self._login:
            self._login, self._over, self._unreached = own, "", 0
            self._end_unsendable(self.waiting())
            self._news.set()

    def logged_in_again(self) -> None:
        """A new login replaced the one before."""
        self.policy.login_changed()
        self._policy_changed()

    def logged_out(self) -> None:
        """Nobody is logged in; sends wait for the next login of the same owner."""
        if self._login:
            self._since = self._since if self._unreached else self.now()
            self._login, self._unreached = "", 0
            self._news.set()

    def over(self, why: str) -> None:
        """The login has ended, and with it the ids that sends are addressed to."""
        self.logged_out()
        self._over = why
        self._end_unsendable(self.waiting())
        self._news.set()

    def heard(self, peer: str) -> None:
        """A person wrote: release the sends that are held for them, in their order."""
        if self.policy.heard(peer, self._sends):
            # People often write several short messages in a row; held sends follow the last of them.
            self.pacer.sent(_RELEASE_SECONDS)
        self._policy_changed()

    def note_service(self, state: ServiceState) -> None:
        """Update whether WeChat's service is usable. While a logout is being confirmed, nothing goes out."""
        self._service = state
        self._news.set()

    def _policy_changed(self) -> None:
        if kept := self.policy.as_bytes:
            self.store.note_windows(kept)
            self._news.set()

    def _end_unsendable(self, sends: Iterable[Send]) -> None:
        """Report those that can no longer go out as not sent."""
        for send in sends:
            if send.step not in WITH_WECHAT and not send.state.is_final and (why := self._never(send)):
                self._not_sent(send, why)

    def _never(self, send: Send) -> str:
        """Return why a send can no longer go out, or ""."""
        if not self._login:
            return self._over
        # A reply names oneself, as its report did; whose login it is may be another id (drivers.base.Profile).
        if send.login not in (self._login, self.sender.roster.own):
            return _OTHER_LOGIN
        # A reply to a report of an earlier run was accepted before the roster was loaded.
        return _NOBODY if send.origin == "code" and not self.sender.knows(send) else ""

    def _not_sent(self, send: Send, why: str) -> None:
        words = why if send.step in IN_DOUBT else f"not sent: {why}"
        self._end(send, refused(NOT_SENT, words, refusal=_REFUSALS.get(why, "")))

    # -- sending

    async def run(self, left: "asyncio.Future[LeftoverSends]") -> None:
        """Send messages of an earlier process and new ones until cancelled; the rest stays for the next process."""
        try:
            self._take_up(await left)
            self._taken_up.set()
            while True:
                # Before checking the queue: news that arrive meanwhile are found by the next ``_pause``.
                self._news.clear()
                self._review()
                # The pace of a send that is noted as handed over was applied then. The others are looked through
                # after the pause only: they may be thousands.
                if not self._sends.at(SendStep.NOTED) and (pause := self.pacer.pause()) > 0:
                    await self._pause(min(pause, self._patience()))
                elif (send := self._next()) is not None:
                    await self._attempt(send)
                else:
                    await self._pause(self._patience())
        finally:
            self._taken_up.set()
            # Also when cancelled: waiting callers must learn that their sends stay for the next start.
            await self._close()

    async def count_imported(self, imported: asyncio.Event) -> None:
        """Take up the day's count of 2.0.0 when it is ``imported``; the driver does not log in before that."""
        await imported.wait()
        self.pacer.restore(await self.store.days())

    def _next(self) -> Send | None:
        blocked = self._blocked
        probing = blocked is Hold.UNREACHABLE
        return self.policy.next(self._sends, probing) if blocked is None or probing else None

    def _review(self) -> None:
        """End sends that have waited too long, hold those that cannot go, and release those that can."""
        if (stall := self.stall) is not None and (now := self.now()) > stall.until:
            kept = self.policy.keep_seconds
            words = f"the account was not logged in for {kept:g} s"
            if self._login:
                words = f"WeChat could not be reached for {max(kept, _SHORT_OUTAGE):g} s"
            for send in self.waiting():
                if now > self._waits_until(send):
                    self._not_sent(send, words)
        for send, outcome in self.policy.review(self._sends, self._blocked):
            self._end(send, outcome)
        if self._blocked is None:
            for send in self.policy.new_sends(self._sends):
                self.place([send]).add_done_callback(partial(self._new_placed, send))

    def _new_placed(self, send: Send, stored: "asyncio.Future[StoredSends]") -> None:
        if stored.cancelled() or stored.exception():
            self.policy.not_placed(send)

    async def _attempt(self, send: Send) -> None:
        """Try to send a message, and handle the outcome."""
        if send.step is SendStep.LOST and (why := self._not_again(send)):
            self._end(send, unknown(why))
            return
        if send.step is not SendStep.NOTED and (refusal := self.pacer.refusal):
            self.last_error = refusal
            self._end(send, refused(TOO_MANY_TODAY, str(refusal)))
            return
        rest = 0.0
        try:
            if not await self._hand_over(send):
                return  # it has ended meanwhile
            message_id = await self.sender.send(send)
        except asyncio.CancelledError:
            if send.step in WITH_WECHAT:
                self._sends.move(send, SendStep.LOST)
            elif send.step is SendStep.UPLOADING:
                self._sends.move(send, SendStep.QUEUED)
            raise
        except Exception as problem:
            if send.state.is_final:
                log.debug("a send that had ended failed: %s", problem)
            elif isinstance(problem, WeChatError):
                rest = self._failed(send, problem)
            elif isinstance(problem, Unavailable):  # the note was not written: the account is stopping
                self._sends.move(send, SendStep.QUEUED)
                rest = _TELL_SECONDS
            elif isinstance(problem, Unsupported | OSError):
                self.last_error = reason_of(problem)
                self._end(send, refused(FAILED, str(problem)))
            else:
                raise
        else:
            self.last_sent, self.last_error, self._unreached = int(self.now()), NOTHING, 0
            self.backoff.reset()
            self._end(send, sent_as(message_id))
            for other, outcome in self.policy.overtaken(send, self._sends):
                self._end(other, outcome)
        finally:
            self.pacer.sent(rest)
        self._end_unsendable([send])

    def _not_again(self, send: Send) -> str:
        """Return why a send whose answer was lost is not repeated, "" if it can be."""
        seconds = self.sender.driver.capabilities.repeat_seconds
        # ``abs``: a clock that was set back must not prolong the time in which WeChat knows the id.
        if send.attempts_left <= 0 or abs(self.now() - send.tried) > seconds:
            return _TOO_LATE
        return "" if self.policy.may_repeat(send) else _NO_WINDOW

    async def _hand_over(self, send: Send) -> bool:
        """Give WeChat the content, and note on disk that the message follows; return whether it does.

        Raises as Sender.upload.
        """
        if send.is_at(SendStep.NOTED):
            self._sends.move(send, SendStep.HANDED_OVER)
            return True
        again = send.step is SendStep.LOST
        if not again:
            self._sends.move(send, SendStep.UPLOADING)
        if send.media is not None and send.media.uploaded is None:
            await self._upload(send, send.media)
        if send.state.is_final:
            return False
        self._sends.move(send, SendStep.REPEATING if again else SendStep.NOTED)
        self._note_attempt(send)
        # Awaited, unlike other notes: without it, the next process would consider the message untried, and send it
        # however old it is.
        await self.store.handed(send, today(), self.policy.as_bytes)
        if send.is_at(SendStep.NOTED):
            self._sends.move(send, SendStep.HANDED_OVER)
        return send.is_at(*WITH_WECHAT)

    async def _upload(self, send: Send, media: Media) -> None:
        uploading = asyncio.ensure_future(self.sender.upload(media))
        self._uploading = send, uploading
        try:
            await uploading
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not send.state.is_final or (task is not None and task.cancelling()):
                raise
        except WeChatError as problem:
            if not problem.unreachable:
                send.attempts_left -= 1
            raise
        else:
            self.store.note_media(media)
        finally:
            self._uploading = None

    def _note_attempt(self, send: Send) -> None:
        """Note that a send is handed to WeChat: it is counted, and one of its tries is used up."""
        send.tried = send.tried or self.now()
        send.attempts_left -= 1
        self.pacer.count()
        self.policy.attempted(send, send.step is SendStep.REPEATING)

    def _failed(self, send: Send, problem: WeChatError) -> float:
        """Plan another attempt, or end the send; return the seconds for which the queue pauses."""
        self.last_error = problem.full_text
        if problem.unreachable:
            return self._no_connection(send, problem)
        self._unreached = 0
        handling, doubtful = problem.handling, send.step in IN_DOUBT
        kept = self.policy.keeps(send, problem)
        if kept is False or (kept and doubtful):
            self._end(send, failed_by(problem))
            return 0.0
        if kept:
            # WeChat has answered that it did not accept the send: it counts as untried, and has all its attempts in
            # the next window.
            send.tried, send.attempts_left = 0.0, self.policy.tries
            self._sends.move(send, SendStep.QUEUED)
            log.warning("a send is held: %s", problem)
            self.store.hold(send, self.policy.as_bytes)
            return 0.0
        pause = self.backoff.next_pause(handling, max(1, self.policy.tries - send.attempts_left))
        if handling is FailureHandling.WAIT:
            log.warning("WeChat reports too many sends; the queue pauses for %.0f s", pause)
        if handling is not FailureHandling.RETRY_SAME_ID or send.attempts_left <= 0:
            self._end(send, failed_by(problem))
            return pause if handling is FailureHandling.WAIT else 0.0
        log.warning("a send failed (%s), %d attempts left", problem, send.attempts_left)
        if doubtful or (problem.unsure and send.step is SendStep.HANDED_OVER):
            if send.step is not SendStep.LOST:
                self._sends.move(send, SendStep.LOST)
            return max(pause, self.policy.pause_after(send))
        send.tried = 0.0
        self._sends.move(send, SendStep.QUEUED)
        # Behind all others: a message that WeChat rejects must not delay the rest. The parts of one that has begun
        # stay together, where they are.
        if last := not send.begun:
            self._sends.put_last(self._bundle(send))
        self.store.put_back(send, last)
        return pause

    def _no_connection(self, send: Send, problem: WeChatError) -> float:
        """Let a send wait that could not be passed to WeChat; return the seconds for which the queue pauses."""
        if not self._unreached:
            self._since = self.now()
        self._unreached += 1
        if self._unreached == _UNREACHED:
            log.warning("WeChat cannot be reached (%s); %d sends wait", problem, len(self))
        if send.step in WITH_WECHAT:  # it was counted as handed over
            send.attempts_left += 1
            self.pacer.uncount()
            if send.step is SendStep.REPEATING:
                self.policy.not_attempted(send)
                self._sends.move(send, SendStep.LOST)
            else:
                send.tried = 0.0
                self._sends.move(send, SendStep.QUEUED)
            self.store.put_back(send, False, today())
        elif send.step is SendStep.UPLOADING:
            self._sends.move(send, SendStep.QUEUED)
        return self.backoff.next_pause(FailureHandling.RETRY_SAME_ID, self._unreached)

    # -- how it ends

    def _end(self, send: Send, outcome: Outcome, reason: str = "") -> None:
        """End a send, now; its report and the answer to its caller follow (``_record``)."""
        self._sends.move(send, SendStep.ENDED, outcome)
        if self._uploading is not None and self._uploading[0] is send:
            self._uploading[1].cancel()
        self.policy.ended(send)
        if send.state in TAKEN:
            for other in self._bundle(send):
                other.begun = True
        if not len(self):
            self._empty.set()
        if send.outcome is not None and send.outcome.code == 0:
            self.sent[send.kind] += 1
        else:
            self.not_sent += 1
        self._recording = self.tasks.begin(self._record(send, reason, self._recording))

    def _bundle(self, send: Send) -> list[Send]:
        """Return the parts of a send's message that are in the queue, in order."""
        return [other for other in self._sends if other.bundle == send.bundle]

    async def _record(
        self, send: Send, reason: str, previous: "asyncio.Task[asyncio.Future[object]] | None"
    ) -> "asyncio.Future[object]":
        """Have the end of a send written with its report, after that of the ``previous`` one; return the report's
        future.
        """
        assert send.outcome is not None
        facts = await self.sender.facts(send, send.outcome)
        sides = "" if self.sender.knows(send) else await self._sides(send)
        if previous is not None and not previous.done():
            await asyncio.wait({previous})
        result = send.result(send.outcome, facts, self.policy.verdicts)
        answer = answer_of(result, reason)
        stored = self.sender.report(send, result, sides, self.store.end(send, answer, self.policy.as_bytes))
        # If the disk does not accept writes, answer the caller after a timeout anyway: the message has been sent.
        timer = asyncio.get_running_loop().call_later(_TELL_SECONDS, send.tell, answer)
        stored.add_done_callback(partial(self._settled, send, answer, timer))
        return stored

    def _settled(
        self, send: Send, answer: JsonObject, timer: asyncio.TimerHandle, _: "asyncio.Future[object]"
    ) -> None:
        """The report is on disk, and the send is deleted."""
        timer.cancel()
        self._sends.move(send, SendStep.SETTLED)
        send.tell(answer)
        if send.media is not None:
            send.media.release()

    async def _sides(self, send: Send) -> str:
        try:
            return await self.store.sides(send)
        except Unavailable:
            return ""

    async def _close(self) -> None:
        self._phase = _Phase.STOPPED
        # keep_seconds=0: the operator wants nothing to be sent later.
        for send in self.waiting() if not self.policy.keep_seconds else ():
            words = "stopped while sending" if send.step in IN_DOUBT else "not sent: stopping"
            self._end(send, refused(NOT_SENT, words))
        if self._recording is not None:
            await asyncio.wait({self._recording}, timeout=_TELL_SECONDS)
        if len(self):
            log.info("%d sends remain queued for the next start", len(self))
        for send in self._sends:
            send.tell(None)

    def _patience(self) -> float:
        """Return for how many seconds nothing changes unless there are news."""
        now, times = self.now(), [math.inf]
        if (stall := self.stall) is not None:
            times.append(stall.until - now)
        if (change := self.policy.change_in(self._sends, self._blocked is not None)) is not None:
            times.append(change)
        return max(0.01, min(times))

    async def _pause(self, seconds: float) -> None:
        """Wait for something new, at most ``seconds``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if math.isinf(seconds) else seconds):
                await self._news.wait()
