"""The send queue: one per account, paced, on disk, with retries that cannot deliver twice.

A message is in the store before it is queued, noted there before it is handed to WeChat (``attempts``), and its
result is stored together with its report (``ending``). So nothing that was queued is lost.

``states`` has what a send can go through, ``order`` which one is next, ``policy`` the rules of the route, and
``availability`` whether any can go. A decision about a send is its step, which changes without an await between; what
follows, its report and the answer to its caller, comes once the step is on disk.

- While WeChat is unreachable, or nobody is logged in, sends wait, as long as the policy says.
- Ids of people are valid for one login: sends queued in another are reported as not sent.
"""

import asyncio
import contextlib
import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING

from wxcontroller.client.callertasks import Tasks
from wxcontroller.client.sends.attempts import Attempts
from wxcontroller.client.sends.content.preparing import BadMedia, MediaPreparer
from wxcontroller.client.sends.ending import TELL_SECONDS, Ending
from wxcontroller.client.sends.model import order
from wxcontroller.client.sends.model.send import Media, Request, Send
from wxcontroller.client.sends.model.sendstates import CANCELLABLE, IN_DOUBT, WITH_WECHAT, QueuedSends, SendStep
from wxcontroller.client.sends.rules.availability import Availability
from wxcontroller.client.sends.rules.pacer import Pacer
from wxcontroller.client.sends.rules.policy import RoutePolicy
from wxcontroller.client.sends.rules.sendbackoff import SendBackoff
from wxcontroller.client.sends.sender import Sender
from wxcontroller.client.store.sendstore import LeftoverSends, SendStore, StoredSends
from wxcontroller.core.condition.verdict import FAILED, Cause, SendState, Verdict
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.text.templates import N_, Text, verbatim
from wxcontroller.drivers.base import ServiceState

if TYPE_CHECKING:
    from wxcontroller.client.sends.rules.window import Windows

log = logging.getLogger(__name__)
MAX_WAITING = 10_000
# Wait briefly for more messages of the person before held sends are sent.
_RELEASE_SECONDS = 1.0


class _Phase(IntEnum):
    OPEN = 0
    STOPPING = 1  # nothing more is accepted
    STOPPED = 2  # nothing is sent any more


@dataclass(slots=True)
class SendQueue:
    """Sends one message at a time, as ``pacer``, ``backoff`` and ``policy`` allow, while one is logged in.

    ``limit``: how many may wait.
    """

    pacer: Pacer
    sender: Sender
    preparer: MediaPreparer
    store: SendStore
    tasks: Tasks
    backoff: SendBackoff
    policy: RoutePolicy
    limit: int = MAX_WAITING
    availability: Availability = field(init=False)
    ending: Ending = field(init=False)
    attempts: Attempts = field(init=False)
    _sends: QueuedSends = field(default_factory=QueuedSends)
    _phase: _Phase = _Phase.OPEN
    _taken_up: asyncio.Event = field(default_factory=asyncio.Event)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        sends, policy = self._sends, self.policy
        self.availability = Availability(policy, policy.now())
        self.ending = Ending(sends, self.sender, self.store, self.tasks, policy)
        self.attempts = Attempts(
            sends,
            self.sender,
            self.store,
            self.pacer,
            self.backoff,
            policy,
            self.availability,
            self.ending,
        )

    def __len__(self) -> int:
        return len(self._sends)

    # -- status

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
        return not self.availability.login

    @property
    def stall(self) -> Verdict | None:
        """The verdict on all sends if none goes out at present, None if they do."""
        return self.availability.stall(self._sends)

    def verdict(self, send: Send) -> Verdict:
        """Return the verdict on a send, with the cause if it waits because none goes out."""
        waits = send.state is SendState.WAITING
        return (waits and self.availability.stall([send])) or send.verdict

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
        if not waits or self.availability.blocked:
            return None
        # The pause begins when the one under way is done.
        return self.policy.now() + (self.pacer.interval if self.in_flight else max(0.0, self.pacer.pause()))

    @property
    def due_in(self) -> float:
        """The seconds until the next send can go out, 0 if one is under way."""
        if self.in_flight:
            return 0.0
        return math.inf if self.availability.blocked or self._next() is None else max(0.0, self.pacer.pause())

    def waiting(self) -> list[Send]:
        """Return the sends that have not ended, in order."""
        return list(self._sends)

    def unsettled(self) -> list[Send]:
        """Return the sends whose end is not stored, in order."""
        return list(self._sends.all)

    def gauge(self) -> JsonObject:
        """Return the reply windows' status as JSON, nothing on a route without windows."""
        return self.policy.gauge(self._sends, self.availability.service)

    async def drain(self, seconds: float) -> None:
        """Wait until a send has ended, at most ``seconds``."""
        self.ending.ended.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.ending.ended.wait()

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
        # One wait for the disk less.
        direct = all(send.ready for send in sends) and self._can_send_now(sends[0])
        day = self.attempts.note(sends[0]) if direct else ""
        for send in sends:
            self._sends.add(send)
        stored = self.store.add(sends, request, reply_to, day)
        stored.add_done_callback(partial(self._placed, sends))
        return stored

    def refuse(self, sends: Sequence[Send], info: str, login: str = "") -> None:
        """Report messages that were never queued as failed sends."""
        # They get ids although they never wait: each send has exactly one report, which names it.
        for send in self._assign_ids(sends, None, login):
            self._sends.add(send)
            self._sends.move(send, SendStep.QUEUED)
            self._end(send, Verdict(SendState.REFUSED, Cause.QUEUE_FULL, verbatim(info), code=FAILED, status=info))

    def stop_accepting(self) -> None:
        """Accept nothing more; what waits is still sent."""
        self._phase = max(self._phase, _Phase.STOPPING)

    def _assign_ids(self, sends: Sequence[Send], request: Request | None, login: str) -> list[Send]:
        for send in sends:
            send.login = login or self.sender.roster.login
            send.client_id = send.client_id or self.sender.driver.new_client_id()
            send.request = request.key if request else ""
            send.sides = self.sender.sides(send)
            send.attempts_left = self.policy.tries
            self.policy.limit(send)
        return order.bundled(sends)

    def _can_send_now(self, send: Send) -> bool:
        """Whether a message is passed to WeChat as soon as it is stored."""
        idle = self._taken_up.is_set() and not len(self) and not self._sends.at(SendStep.STORING)
        free = not self.availability.blocked and not self.availability.failures and not self.pacer.refusal
        may = send.media is None and send.login == self.availability.login and self.policy.may_go(send)
        return idle and free and may and self.pacer.pause() <= 0

    def _placed(self, sends: Sequence[Send], stored: "asyncio.Future[StoredSends]") -> None:
        added = StoredSends() if stored.cancelled() or stored.exception() else stored.result()
        if not added.seqs:
            if sends[0].tried:
                self.pacer.uncount()
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
        self.availability.since = min(self.availability.since, left.alive or math.inf)
        if not (found := left.sends()):
            return
        log.info("%d sends of the previous run are queued again", len(found))
        self.pacer.sent()  # regardless of its age
        self._sends.add_first([send for send, _ in found])
        for send, verdict in found:
            if verdict is not None:
                self._end(send, verdict)
        self._entered([send for send, verdict in found if verdict is None])

    def _entered(self, sends: Iterable[Send]) -> None:
        """Take note of stored messages; media that are not ready are prepared meanwhile."""
        for send in sends:
            if (media := send.media) is not None and media.hold() and not media.ready:
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
            why = verbatim(problem.reason or problem.message)
            failed = Verdict(SendState.REFUSED, problem.cause, why, status=problem.message)
            # Its text, too: a caller repeats a message that failed. A webhook's reply has no caller.
            whole = {send.bundle for send in self._sends if send.media is media and send.origin != "code"}
            for send in self.waiting():
                if send.media is media or (send.bundle in whole and send.step in CANCELLABLE):
                    self._end(send, failed)
        else:
            if any(send.media is media for send in self._sends):
                self.store.note_media(media)
            else:  # cancelled meanwhile
                media.discard()
        finally:
            self._news.set()

    # -- what happens around it

    async def cancel(self, client_id: str) -> bool:
        """Cancel a send that WeChat does not have; return whether there was one.

        Its end is then on disk, unless the disk takes longer than some seconds. Raises Unavailable if it cannot be
        written any more: the next process may send it.
        """
        for send in self._sends:
            if send.client_id == client_id and send.step in CANCELLABLE:
                self._end(send, Verdict(SendState.REFUSED, Cause.CANCELLED))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(TELL_SECONDS):
                        if (recording := self.ending.recording) is not None:
                            await asyncio.shield(await asyncio.shield(recording))
                return True
        return False

    def login(self, own: str) -> None:
        """Sends can go out: the account is logged in, with this id."""
        if own != self.availability.login:
            self.availability.log_in(own)
            self._end_unsendable(self.waiting())
            self._news.set()

    def logged_in_again(self) -> None:
        """A new login replaced the one before."""
        self.policy.login_changed()
        self._policy_changed()

    def logged_out(self) -> None:
        """Nobody is logged in; sends wait for the next login of the same owner."""
        self.over(None)

    def over(self, why: Cause | None) -> None:
        """The login has ended, and with it the ids that sends are addressed to; ``why`` is None if these last."""
        self.availability.log_out(why)
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
        self.availability.service = state
        self.policy.note_service(state)
        self._news.set()

    def _policy_changed(self) -> None:
        if kept := self.policy.as_bytes:
            self.store.note_windows(kept)
            self._news.set()

    def _end_unsendable(self, sends: Iterable[Send]) -> None:
        """Report those that can no longer go out as not sent."""
        for send in sends:
            if send.step not in WITH_WECHAT and not send.state.is_final and (why := self._never(send)):
                self._end(send, Verdict(SendState.REFUSED, why))

    def _never(self, send: Send) -> Cause | None:
        """Return why a send can no longer go out, None if it can."""
        if not self.availability.login:
            return self.availability.over
        # A reply names oneself, as its report did; whose login it is may be another id (drivers.base.Profile).
        if send.login not in (self.availability.login, self.sender.roster.own):
            return Cause.OTHER_USER
        # A reply to a report of an earlier run was accepted before the roster was loaded.
        return Cause.NO_PEER if send.origin == "code" and not self.sender.knows(send) else None

    # -- sending

    async def run(self, left: "asyncio.Future[LeftoverSends]") -> None:
        """Send messages of an earlier process and new ones until cancelled; the rest stays for the next process."""
        try:
            self.pacer.restore(await self.store.days())
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
                    await self.attempts.attempt(send)
                    self._end_unsendable([send])
                else:
                    await self._pause(self._patience())
        finally:
            self._taken_up.set()
            # Also when cancelled: waiting callers must learn that their sends stay for the next start.
            await self._close()

    def _next(self) -> Send | None:
        blocked = self.availability.blocked
        probing = blocked is Cause.UNREACHABLE
        return self.policy.next(self._sends, probing) if blocked is None or probing else None

    def _review(self) -> None:
        """End sends that have waited too long, hold those that cannot go, and release those that can."""
        if (stall := self.stall) is not None and (now := self.policy.now()) > stall.when:
            for send in self.waiting():
                if now > self.availability.waits_until(send):
                    self._end(send, Verdict(SendState.REFUSED, Cause.EXPIRED, self.availability.words))
        for send, verdict in self.policy.review(self._sends, self.availability.blocked):
            self._end(send, verdict)
        if self.availability.blocked is None:
            for send in self.policy.new_sends(self._sends):
                _ = self.place([send])

    def _end(self, send: Send, verdict: Verdict) -> None:
        self.attempts.interrupt(send)
        self.ending.end(send, verdict)

    async def _close(self) -> None:
        self._phase = _Phase.STOPPED
        # keep_seconds=0: the operator wants nothing to be sent later.
        for send in self.waiting() if not self.policy.keep_seconds else ():
            refused = Verdict(SendState.REFUSED, Cause.STOPPING, Text(N_("stopping")))
            stopped = Verdict(SendState.UNKNOWN, Cause.NO_ANSWER, Text(N_("stopped while sending")))
            self._end(send, stopped if send.step in IN_DOUBT else refused)
        if self.ending.recording is not None:
            await asyncio.wait({self.ending.recording}, timeout=TELL_SECONDS)
        if len(self):
            log.info("%d sends remain queued for the next start", len(self))
        for send in self._sends:
            send.tell(None)

    def _patience(self) -> float:
        """Return for how many seconds nothing changes unless there are news."""
        now, times = self.policy.now(), [math.inf]
        if (stall := self.stall) is not None:
            times.append(stall.when - now)
        if (change := self.policy.change_in(self._sends, self.availability.blocked is not None)) is not None:
            times.append(change)
        return max(0.01, min(times))

    async def _pause(self, seconds: float) -> None:
        """Wait for something new, at most ``seconds``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if math.isinf(seconds) else seconds):
                await self._news.wait()
