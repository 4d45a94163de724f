"""The send queue: one per account, paced, on disk, with retries that cannot deliver twice.

A message is in the store before it is queued, and marked there before it is handed to WeChat; its result is stored
together with its report. So nothing that was queued is lost, and a retry, also that of the next process, has the same
client id: WeChat drops it if the first attempt had arrived.

- Order: messages go out as they were queued, urgent ones first (order.py). While media are still being fetched (from
  a slow web server), others overtake a message, which keeps its place. One that WeChat did not accept goes behind all
  others; one whose response was lost is retried first, while WeChat still remembers its client id.
- A send that has waited ``keep_seconds`` for the account to run and log in is reported as not sent.
- Ids of people are valid for one login: sends queued in another are reported as not sent.
- On a route with a reply window a send that cannot go now is held in its place until the person writes (holding.py);
  each person has their own order, and one person's window does not delay sends to others.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from wxcontroller.client.sends import order
from wxcontroller.client.sends.backoff import SendBackoff
from wxcontroller.client.sends.holding import Holding, held_of
from wxcontroller.client.sends.model import (
    FAILED,
    MOVED,
    NOT_SENT,
    OTHER_ROUTE,
    TOO_MANY_TODAY,
    Media,
    Outcome,
    Refusal,
    Request,
    Send,
    SendState,
    answer_of,
    failed_by,
    refused,
    sent_as,
    unknown,
)
from wxcontroller.client.sends.pacer import Pacer, today
from wxcontroller.client.sends.preparing import BadMedia, MediaPreparer
from wxcontroller.client.sends.sender import Sender
from wxcontroller.client.sends.window import Hold, Windows
from wxcontroller.client.store.sends import LeftoverSends, SendStore, StoredSends
from wxcontroller.client.store.writer import Unavailable
from wxcontroller.client.tasks import Tasks
from wxcontroller.core.errors import FailureHandling, Unsupported, WeChatError, reason_of
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.limits import DEFAULTS
from wxcontroller.core.messages import NOTHING, Text
from wxcontroller.core.model import MessageKind
from wxcontroller.drivers.base import ServiceState

log = logging.getLogger(__name__)
MAX_WAITING = 10_000
# A send's result is on disk before its caller gets it, unless the disk takes longer than this.
_TELL_SECONDS = 5.0
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


@dataclass(slots=True)
class SendQueue:
    """Sends one message at a time, as ``pacer`` and ``backoff`` allow, while one is logged in.

    ``tries`` are those of a message, ``limit`` how many may wait.
    """

    pacer: Pacer
    sender: Sender
    preparer: MediaPreparer
    store: SendStore
    tasks: Tasks
    keep_seconds: float
    backoff: SendBackoff
    tries: int = DEFAULTS.send_tries
    limit: int = MAX_WAITING
    holding: Holding = field(default_factory=Holding)
    closing: bool = False  # nothing more is accepted: the account is stopping
    last_sent: int = 0  # time of the last message that WeChat accepted, in seconds since 1970
    last_error: Text = NOTHING  # reason why the last attempt failed; empty if it succeeded
    sent: Counter[MessageKind] = field(default_factory=Counter)  # accepted by WeChat since the process started
    not_sent: int = 0  # not accepted, or unknown
    _waiting: OrderedDict[Send, None] = field(default_factory=OrderedDict)  # and the one being sent, in order
    _urgent: int = 0  # how many of them are urgent
    _ending: set[Send] = field(default_factory=set)  # ended, but the outcome is not stored yet
    _preparing: set[Media] = field(default_factory=set)
    _adding: int = 0
    _sending: Send | None = None
    _login: str = ""  # the account's own id while sends can go out
    _service: ServiceState = ServiceState()
    _lost: str = ""  # reason why waiting sends can never go out, or ""
    _since: float = field(default_factory=time.time)  # since when sends have waited for a login
    _look: bool = False  # whether some may never be able to go out
    _closed: bool = False
    _taken_up: asyncio.Event = field(default_factory=asyncio.Event)
    _empty: asyncio.Event = field(default_factory=asyncio.Event)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def __len__(self) -> int:
        return len(self._waiting)

    # -- status

    def refusal(self, number: int = 1) -> str:
        """Return why ``number`` more sends are not accepted, as a text for the sender; "" if they are."""
        return "the account is stopping, nothing more is sent" if self.closing else self.no_room(number)

    def no_room(self, number: int) -> str:
        """Return why ``number`` more sends are too many, "" when they are not."""
        # ``_adding``: on their way to the disk, and thus not in the queue yet.
        if len(self) + self._adding + number <= self.limit:
            return ""
        if number == 1:
            return f"{len(self)} sends wait already, try again later"
        return f"{len(self)} sends wait already and {number} more are too many, try again later"

    @property
    def held(self) -> bool:
        """Whether sends wait for a login."""
        return not self._login

    @property
    def _blocked(self) -> Hold | None:
        """The reason why no send is sent, or None."""
        if not self._login:
            return Hold.OFFLINE
        return Hold.CONFIRMING if self._service.confirming else None

    @property
    def is_silent(self) -> bool:
        """Whether WeChat throttles the account on a route with reply windows: no calls may be made."""
        return self.holding.is_silent

    @property
    def windows(self) -> Windows | None:
        """The reply windows, None on a route without."""
        return self.holding.windows

    @property
    def in_flight(self) -> int:
        """The number of queued sends that are being passed to WeChat: one or none."""
        return int(self._sending is not None and self._sending.state is SendState.SENDING)

    @property
    def oldest_since(self) -> float | None:
        """When the oldest waiting send was queued, seconds since 1970."""
        return min((send.queued_at for send in self._waiting), default=None)

    @property
    def next_at(self) -> float | None:
        """When pacing allows the next send, seconds since 1970; None if none waits or can go."""
        waits = any(send.ready and send.state is SendState.WAITING for send in self._waiting)
        if not waits or self._blocked:
            return None
        # The pause begins when the one under way is done.
        return time.time() + (self.pacer.interval if self.in_flight else max(0.0, self.pacer.pause()))

    @property
    def due_in(self) -> float:
        """The seconds until the next send can go out, 0 if one is under way."""
        if self._blocked or self._next() is None:
            return math.inf
        return 0.0 if self.in_flight else max(0.0, self.pacer.pause())

    def unsettled(self) -> list[Send]:
        """Return the sends whose end is not stored, those that wait in order."""
        return [*self._waiting, *self._ending]

    async def drain(self, seconds: float) -> None:
        """Wait until the queue is empty, at most ``seconds``."""
        if not self._waiting:
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
        self._assign_ids(sends, request, login)
        day = ""
        if self._can_send_now(sends[0]):  # one wait for the disk less
            self._record_attempt(sends[0])
            sends[0].marked, day = True, today()
        stored = self.store.add(sends, [self.sender.sides(send) for send in sends], request, reply_to, day)
        self._adding += len(sends)
        stored.add_done_callback(partial(self._placed, sends))
        return stored

    def refuse(self, sends: Sequence[Send], info: str, login: str = "") -> None:
        """Report messages that were never queued as failed sends."""
        # They get ids although they are not queued: each send has exactly one report, which names it.
        self._assign_ids(sends, None, login)
        for send in sends:
            send.outcome = refused(FAILED, info)
            _ = self.sender.report(send, send.result(send.outcome), "", lambda _, add: add())

    def heard(self, peer: str) -> None:
        """A person wrote: release the sends that are held for them, in their order."""
        if self.windows is not None:
            if self.holding.heard(peer, self._waiting):
                # People often write several short messages in a row; held sends follow the last of them.
                self.pacer.sent(_RELEASE_SECONDS)
            self._note_windows()

    def logged_in_again(self) -> None:
        """A new login replaced the one before: people have to write before they can be sent to."""
        if self.windows is not None:
            self.windows.login_changed()
            self._note_windows()

    def _note_windows(self) -> None:
        self.store.note_windows(self.holding.as_bytes)
        self._news.set()

    async def cancel(self, client_id: str) -> bool:
        """Cancel a waiting send; return whether there was one to cancel."""
        for send in self._waiting:
            if send.client_id == client_id and send.state in (SendState.WAITING, SendState.HELD) and not send.marked:
                await self._finish(send, refused(NOT_SENT, "cancelled", refusal=Refusal.CANCELLED))
                return True
        return False

    def waiting(self) -> list[Send]:
        """Return the sends that have not ended, in order."""
        return list(self._waiting)

    def gauge(self) -> JsonObject:
        """Return the reply windows' status as JSON, nothing on a route without windows."""
        return self.holding.gauge(held_of(self._waiting), self._service)

    def login(self, own: str) -> None:
        """Sends can go out: the account is logged in, with this id."""
        if own != self._login:
            self._login, self._lost, self._look = own, "", True
            self._news.set()

    def note_service(self, state: ServiceState) -> None:
        """Update whether WeChat's service is usable. While a logout is being confirmed, nothing goes out."""
        self._service = state
        self._news.set()

    def logged_out(self) -> None:
        """Nobody is logged in; sends wait for the next login of the same owner."""
        if self._login:
            self._login, self._since = "", time.time()
            self._news.set()

    def over(self, why: str) -> None:
        """The login has ended, and with it the ids that sends are addressed to."""
        if self._login:
            self._since = time.time()
        self._login, self._lost, self._look = "", why, True
        for send in self._waiting:
            send.never = send.never or why
        self._news.set()

    def _assign_ids(self, sends: Sequence[Send], request: Request | None, login: str) -> None:
        for send in sends:
            send.login = login or self.sender.roster.login
            send.client_id = send.client_id or self.sender.driver.new_client_id()
            send.request = request.key if request else ""
            send.attempts_left = self.tries
            self.holding.limit(send)

    def _can_send_now(self, send: Send) -> bool:
        """Whether a message is passed to WeChat as soon as it is stored."""
        idle = not self._waiting and not self._adding
        may = idle and self.pacer.pause() <= 0 and not self.pacer.refusal and not self.holding.why(send)
        return may and not self._blocked and send.login == self._login and send.media is None

    def _record_attempt(self, send: Send) -> None:
        """Note that a send is handed to WeChat: it is counted, and one of its tries is used up."""
        send.tried = send.tried or time.time()
        send.attempts_left -= 1
        self.pacer.count()
        self.holding.attempted(send)

    def _placed(self, sends: Sequence[Send], stored: "asyncio.Future[StoredSends]") -> None:
        self._adding -= len(sends)
        added = StoredSends() if stored.cancelled() or stored.exception() else stored.result()
        if not added.seqs:
            for send in sends:
                if send.media is not None:
                    send.media.discard()
            return
        for send, seq, number in zip(sends, added.seqs, added.media, strict=True):
            send.seq = seq
            if send.media is not None:
                send.media.id = number
            if self._closed:
                send.tell(None)
        if not self._closed:
            self._enter(sends)

    def _enter(self, sends: Iterable[Send]) -> None:
        """Take stored messages into the queue; media that are not ready are prepared meanwhile."""
        for send in sends:
            self._waiting[send] = None
            self._urgent += send.urgent
            self._look = self._look or send.login != self._login
            if (media := send.media) is not None:
                media.hold()
                if not media.ready and media not in self._preparing:
                    self._preparing.add(media)
                    self.tasks.leave(self._prepare(media))
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
            for send in [send for send in self._waiting if send.media is media]:
                failed = refused(FAILED, problem.message, refusal=Refusal.MEDIA_FAILED)
                await self._finish(send, failed, reason=problem.reason)
        else:
            if any(send.media is media for send in self._waiting):
                self.store.note_media(media)
            else:  # cancelled meanwhile
                media.discard()
        finally:
            self._preparing.discard(media)
            self._news.set()

    # -- sending

    async def run(self, left: "asyncio.Future[LeftoverSends]") -> None:
        """Send messages of an earlier process and new ones until cancelled; the rest stays for the next process."""
        try:
            self._requeue(await left)
            self._taken_up.set()
            while True:
                # Before checking the queue: news that arrive meanwhile are found by the next ``_pause``.
                self._news.clear()
                # First: their receivers' ids are no longer valid, and one of them could be the next to go.
                await self._refuse_unsendable()
                await self._check_windows()
                send = None if self._blocked else self._next()
                if send is None:
                    await self._pause(self._patience())
                # A marked send is already counted and recorded as handed over; the pace was applied when it was
                # marked.
                elif not send.marked and (pause := self.pacer.pause()) > 0:
                    await self._pause(pause)
                else:
                    self._sending = send
                    await self._attempt(send)
                    self._sending = None
        finally:
            self._taken_up.set()
            # Also when cancelled: waiting callers must learn that their sends stay for the next start.
            await self._close()

    async def count_imported(self, imported: asyncio.Event) -> None:
        """Take up the day's count of 2.0.0 when it is ``imported``; the driver does not log in before that."""
        await imported.wait()
        self.pacer.restore(await self.store.days())

    def _next(self) -> Send | None:
        ready = order.prepared(self._waiting, per_peer=self.windows is not None)
        # Usually none of thousands of waiting sends is urgent.
        return next(ready, None) if self.windows is None and not self._urgent else self.holding.following(ready)

    async def _check_windows(self) -> None:
        """Hold sends that cannot be sent now, release those that can, and ask people whose windows end to write."""
        if self.windows is None:
            return
        for send, outcome in self.holding.review([*self._waiting], self._blocked):
            await self._finish(send, outcome)
        if not self._blocked:
            for send in self.holding.reminders(held_of(self._waiting)):
                self.place([send]).add_done_callback(partial(self._reminder_stored, send.target))

    def _reminder_stored(self, peer: str, stored: "asyncio.Future[StoredSends]") -> None:
        if stored.cancelled() or stored.exception():
            self.holding.reminded(peer)

    def _requeue(self, left: LeftoverSends) -> None:
        """Queue the sends of an earlier process again."""
        self.pacer.restore(left.days)
        self.holding.restore(left.windows)
        # ``keep_seconds`` runs while no process does: since the last sign of the earlier one.
        self._since = min(time.time(), left.alive or time.time())
        if sends := left.sends():
            log.info("%d sends of the previous run are queued again", len(sends))
            self.pacer.sent()  # regardless of its age
            self._enter(sends)

    async def _attempt(self, send: Send) -> None:
        """Try to send a message, and handle the outcome."""
        if send.unsure and (why := self._not_again(send)):
            await self._finish(send, unknown(why))
            return
        if not send.marked and (refusal := self.pacer.refusal):
            self.last_error = refusal
            await self._finish(send, refused(TOO_MANY_TODAY, str(refusal)))
            return
        rest = 0.0
        try:
            if not send.marked:
                await self._hand_over(send)
            send.marked, send.state = False, SendState.SENDING
            message_id = await self.sender.send(send)
        except WeChatError as problem:
            rest = await self._failed(send, problem)
        except (Unsupported, OSError) as problem:
            self.last_error = reason_of(problem)
            await self._finish(send, refused(FAILED, str(problem)))
        else:
            self.last_sent, self.last_error = int(time.time()), NOTHING
            self.backoff.reset()
            await self._finish(send, sent_as(message_id))
            for other, outcome in self.holding.overtaken(send, self._waiting):
                await self._finish(other, outcome)
        finally:
            self.pacer.sent(rest)

    def _not_again(self, send: Send) -> str:
        """Return why a send whose answer was lost is not repeated, "" if it can be."""
        now, seconds = time.time(), self.sender.driver.capabilities.repeat_seconds
        # ``abs``: a clock that was set back must not prolong the time in which WeChat knows the id.
        if send.attempts_left <= 0 or abs(now - send.tried) > seconds:
            return _TOO_LATE
        return "" if self.holding.may_repeat(send) else _NO_WINDOW

    async def _hand_over(self, send: Send) -> None:
        """Give WeChat the content, and note on disk that the message follows. Raises as Sender.upload."""
        if send.media is not None and send.media.uploaded is None:
            try:
                await self.sender.upload(send.media)
            except WeChatError:
                send.attempts_left -= 1
                raise
            self.store.note_media(send.media)
        self._record_attempt(send)
        # Awaited, unlike other notes: without it, the next process would consider the message untried, and send it
        # however old it is.
        await self.store.handed(send, today(), self.holding.as_bytes)

    async def _failed(self, send: Send, problem: WeChatError) -> float:
        """Plan another attempt, or end the send; return the seconds for which the queue pauses."""
        send.unsure = send.unsure or (send.state is SendState.SENDING and problem.unsure)
        send.state = SendState.WAITING
        self.last_error = problem.full_text
        if self.windows is not None and problem.handling in (FailureHandling.WAIT, FailureHandling.WAIT_FOR_PEER):
            await self._wait_for_window(send, problem)
            return 0.0
        if self.windows is not None and not send.unsure and problem.ret is None:
            send.attempts_left += 1  # not passed to WeChat: it is not being tried, it waits
        if problem.handling is not FailureHandling.RETRY_SAME_ID or send.attempts_left <= 0:
            await self._finish(send, failed_by(problem))
            if problem.handling is not FailureHandling.WAIT:
                return 0.0
        else:
            log.warning("a send failed (%s), %d attempts left", problem, send.attempts_left)
            if send.unsure:
                self._waiting.move_to_end(send, last=False)  # while WeChat would know it again
            else:
                send.tried = 0.0
                # Behind all others: a message that WeChat rejects must not delay the rest.
                self._waiting.move_to_end(send)
                self.store.put_back(send)
        rest = self.backoff.next_pause(problem.handling, max(1, self.tries - send.attempts_left))
        if self.windows is not None and send.unsure:
            # On such a route, a send whose answer was lost is repeated once, after two seconds (19.2).
            rest = max(rest, self.windows.policy.again)
        if problem.handling is FailureHandling.WAIT:
            log.warning("WeChat reports too many sends; the queue pauses for %.0f s", rest)
        return rest

    async def _wait_for_window(self, send: Send, problem: WeChatError) -> None:
        """Keep a send that WeChat refused for a temporary reason, or until the person writes."""
        if not self.holding.keeps(send, problem):
            await self._finish(send, failed_by(problem))
            return
        # WeChat has answered that it did not accept the send: it counts as untried, and has all its attempts in the
        # next window.
        send.tried, send.attempts_left = 0.0, self.tries
        log.warning("a send is held: %s", problem)
        self.store.hold(send, self.holding.as_bytes)
        self._news.set()

    # -- how it ends

    async def _finish(self, send: Send, outcome: Outcome, reason: str = "") -> None:
        """End a message: remove and report it, and answer its caller."""
        # It may have ended while a caller awaited, for example by ``cancel``.
        if send.state.is_final:
            return
        # An earlier try may have arrived: "refused" would invite the caller to send it again.
        if send.unsure and outcome.state is SendState.REFUSED:
            outcome = unknown(outcome.info)
        send.state, send.outcome = outcome.state, outcome
        self.holding.ended(send, outcome)
        facts = await self.sender.facts(send, outcome)
        sides = "" if self.sender.knows(send) else await self._sides(send)
        result = send.result(outcome, facts, self.windows is not None)
        answer = answer_of(result, reason)
        # Nothing is awaited from here to ``report``, so the send is always either in the queue or among the ending
        # ones.
        del self._waiting[send]
        self._urgent -= send.urgent
        self._ending.add(send)
        if not self._waiting:
            self._empty.set()
        if outcome.code == 0:
            self.sent[send.kind] += 1
        else:
            self.not_sent += 1
        ended = self.store.end(send, answer, self.holding.as_bytes)
        stored = self.sender.report(send, result, sides, ended)
        # If the disk does not accept writes, answer the caller after a timeout anyway: the message has been sent.
        timer = asyncio.get_running_loop().call_later(_TELL_SECONDS, send.tell, answer)
        stored.add_done_callback(partial(self._ended, send, answer, timer))

    def _ended(self, send: Send, answer: JsonObject, timer: asyncio.TimerHandle, _: "asyncio.Future[object]") -> None:
        """The report is on disk, and the send is deleted."""
        timer.cancel()
        self._ending.discard(send)
        send.tell(answer)
        if send.media is not None:
            send.media.release()

    async def _sides(self, send: Send) -> str:
        try:
            return await self.store.sides(send)
        except Unavailable:
            return ""

    async def _refuse_unsendable(self) -> None:
        """Report sends that can no longer go out as not sent."""
        late = (
            self.windows is None  # on routes with windows, each send has its own deadline
            and not self._login
            and len(self) > 0
            and time.time() - self._since > self.keep_seconds
        )
        if not self._look and not late:
            return
        self._look = False
        for send in list(self._waiting):
            if why := send.never or self._never(send, late):
                words = why if send.unsure else f"not sent: {why}"
                await self._finish(send, refused(NOT_SENT, words, refusal=_REFUSALS.get(why, "")))

    def _never(self, send: Send, late: bool) -> str:
        """Return why a send can no longer go out, or ""."""
        if not self._login:
            return self._lost or (f"the account was not logged in for {self.keep_seconds:g} s" if late else "")
        # A reply names oneself, as its report did; whose login it is may be another id (drivers.base.Profile).
        if send.login not in (self._login, self.sender.roster.own):
            return _OTHER_LOGIN
        # A reply to a report of an earlier run was accepted before the roster was loaded.
        return _NOBODY if send.origin == "code" and not self.sender.knows(send) else ""

    async def _close(self) -> None:
        self._closed = True
        # keep_seconds=0: the operator wants nothing to be sent later.
        for send in list(self._waiting) if not self.keep_seconds else ():
            send.unsure = send.unsure or send.state is SendState.SENDING
            words = "stopped while sending" if send.unsure else "not sent: stopping"
            await self._finish(send, refused(NOT_SENT, words))
        if len(self):
            log.info("%d sends remain queued for the next start", len(self))
        for send in self._waiting:
            send.tell(None)

    def _patience(self) -> float | None:
        """Return how long queued sends may still wait for a login or a window, None if none does."""
        if self.windows is not None:
            return self.holding.change_in([*held_of(self._waiting)], self._blocked is not None)
        if self._login or not len(self):
            return None
        return max(0.01, self._since + self.keep_seconds - time.time())

    async def _pause(self, seconds: float | None) -> None:
        """Wait for something new, at most ``seconds``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
