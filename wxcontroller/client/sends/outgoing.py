"""The send queue: one FIFO per account, paced, on disk, with retries that can't deliver twice."""

import asyncio
import contextlib
import logging
import math
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial

from wxcontroller.client.sends.carrier import Carrier
from wxcontroller.client.sends.job import Job, Order, job_of
from wxcontroller.client.sends.mediaout import BadMedia
from wxcontroller.client.sends.outcomes import FAILED, NOT_SENT, TOO_MANY_TODAY, UNKNOWN, End, end_of, told
from wxcontroller.client.sends.pacing import DailyLimit, Pacing
from wxcontroller.client.sends.parcel import Parcel, parcel_of
from wxcontroller.client.sends.rests import TRANSIENT, Resting
from wxcontroller.client.sends.sendstore import SendStore
from wxcontroller.client.sends.waiting import Waiting
from wxcontroller.client.store.sends import Added, Left, Replied, RequestRow
from wxcontroller.client.store.writer import Unavailable
from wxcontroller.client.tasks import Tasks
from wxcontroller.core.errors import Unsupported, WeChatError
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.model import MessageKind
from wxcontroller.openwx.media import MediaFacts

log = logging.getLogger(__name__)
MOST_WAITING = 10_000
# WeChat knows the ids of recent messages. One of which it is not known whether it arrived is not sent again later.
AGAIN_SECONDS = 300.0
# How a send ended is on disk before its caller hears of it, unless the disk takes longer than this.
_TELL_SECONDS = 5.0
_TOO_LATE = "it got no answer, and that was too long ago to try it again"
_NOBODY = "the chat is not known (any more)"
_OTHER_LOGIN = "the account has logged in anew, and everybody has another id since"


@dataclass(frozen=True, slots=True)
class Ticket:
    """An order that was given. ``jobs`` are its messages; they are queued once ``stored`` has them as Added."""

    jobs: tuple[Job, ...]
    stored: "asyncio.Future[Added | RequestRow | Replied]"


@dataclass(slots=True)
class Outgoing:
    """Sends one message at a time, as ``pacing`` allows, while one is logged in.

    A message is in the store before it is queued, and marked there before it is handed to WeChat; how it ended is
    stored together with its report. So nothing that was queued is lost, and a retry, also that of the next process,
    has the same client id: WeChat drops it if the first try had arrived after all. What can't be sent for
    ``keep_seconds``, because the account is stopped or not logged in, is reported as not sent.
    """

    pacing: Pacing
    carrier: Carrier
    store: SendStore
    tasks: Tasks
    keep_seconds: float
    resting: Resting
    most: int = MOST_WAITING  # that wait
    closing: bool = False  # nothing more is taken: the account is stopping
    last_sent: int = 0  # seconds since 1970 when WeChat took a message last
    last_error: str = ""  # why the last try failed, "" when it did not
    sent: Counter[MessageKind] = field(default_factory=Counter)  # messages that WeChat took since the process began
    not_sent: int = 0  # those it did not, or nobody knows
    _waiting: Waiting = field(default_factory=Waiting)
    _placing: int = 0
    _login: str = ""  # one's own id while sends can go out
    _lost: str = ""  # why those that wait never can, "" when they may
    _since: float = field(default_factory=time.time)  # they can't go out, when there is no login
    _look: bool = False  # whether there may be some that never can
    _closed: bool = False
    _taken_up: asyncio.Event = field(default_factory=asyncio.Event)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether so much waits that more would only wait for hours."""
        return len(self) + self._placing >= self.most

    @property
    def refusal(self) -> str:
        """Why nothing more is taken, in words for who sends; "" when more is."""
        if self.closing:
            return "the account is stopping, nothing more is sent"
        return f"{len(self)} sends wait already, try again later" if self.full else ""

    @property
    def held(self) -> bool:
        """Whether sends wait for a login."""
        return not self._login

    @property
    def in_flight(self) -> int:
        """How many of the queued are being handed to WeChat now: one or none."""
        return int(bool(self._waiting.line) and self._waiting.line[0].in_flight)

    @property
    def oldest_since(self) -> float | None:
        """When the one that has waited longest was queued, seconds since 1970."""
        return min((job.queued_at for job in self._waiting.all), default=None)

    @property
    def next_at(self) -> float | None:
        """When the next one goes out, seconds since 1970, as far as pacing tells; None when none waits or can."""
        if len(self._waiting.line) <= self.in_flight or self.held:
            return None
        # The pause begins when the one under way is done.
        return time.time() + (self.pacing.interval if self.in_flight else max(0.0, self.pacing.pause()))

    @property
    def due_in(self) -> float:
        """In how many seconds the next one can go out, 0 for one that is under way."""
        if self.held or not self._waiting.line:
            return math.inf
        return 0.0 if self.in_flight else max(0.0, self.pacing.pause())

    def of(self, request: str) -> list[Job]:
        """Return the messages of a keyed request whose end is not stored."""
        return self._waiting.of(request)

    # -- what comes in

    def place(self, order: Order) -> Ticket:
        """Queue messages. Media that are not ready are found first; others may pass them meanwhile."""
        jobs = self._jobs(order)
        parcel = next((job.parcel for job in jobs if job.parcel is not None), None)
        if self._at_once(jobs[0]):  # one wait for the disk less
            self._mark(jobs[0])
        stored = self.store.add(
            [job.row(self.carrier.sides(job)) for job in jobs],
            parcel.row() if parcel else None,
            order.request.row(jobs) if order.request else None,
            order.reply_to,
        )
        self._placing += len(jobs)
        stored.add_done_callback(partial(self._placed, jobs, parcel))
        return Ticket(jobs, stored)

    def refuse(self, order: Order, info: str) -> None:
        """Report messages that are not queued at all as sends that failed."""
        for job in self._jobs(order):
            _ = self.carrier.report(job.ended_as(End(FAILED, info)), "", lambda _, add: add())

    def login(self, own: str) -> None:
        """Sends can go out: one is logged in, with this id."""
        if own != self._login:
            self._login, self._lost, self._look = own, "", True
            self._news.set()

    def over(self, why: str) -> None:
        """The login is over for good, and the ids that sends are addressed to with it."""
        if self._login:
            self._since = time.time()
        self._login, self._lost, self._look = "", why, True
        for job in self._waiting.all:
            job.never = job.never or why
        self._news.set()

    async def drain(self, seconds: float) -> None:
        """Wait until nothing is queued any more, at most ``seconds``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._waiting.until_empty()

    # -- what goes out

    async def run(self, left: "asyncio.Future[Left]") -> None:
        """Send what an earlier process has left, and what is queued, until cancelled; the rest stays for the next."""
        try:
            self._take_up(await left)
            self._taken_up.set()
            while True:
                self._news.clear()
                await self._end_what_never_can()
                if not self._waiting.line or not self._login:
                    await self._pause(self._patience())
                elif (pause := self.pacing.pause()) > 0:
                    await self._pause(pause)
                else:
                    await self._attempt(self._waiting.line[0])
        finally:
            self._taken_up.set()
            await self._close()

    async def until_taken_up(self) -> None:
        """Wait until what an earlier process has left is in the queue."""
        await self._taken_up.wait()

    async def _attempt(self, job: Job) -> None:
        if job.unsure and (job.attempts_left <= 0 or abs(time.time() - job.tried) > AGAIN_SECONDS):
            await self._finish(job, End(UNKNOWN, _TOO_LATE))
            return
        try:
            self.pacing.claim()
        except DailyLimit as problem:
            self.last_error = str(problem)
            await self._finish(job, End(TOO_MANY_TODAY, self.last_error))
            return
        rest = 0.0
        try:
            if not job.marked:
                job.attempts_left -= 1
            if job.parcel is not None and job.parcel.uploaded is None:
                await self.carrier.upload(job.parcel)
                self.store.pack(job.parcel.row())
            if not job.marked:
                job.tried = job.tried or time.time()
                await self.store.handed(job)
            job.marked, job.in_flight = False, True
            message_id = await self.carrier.transmit(job)
        except WeChatError as problem:
            rest = self.resting.after(problem, job)
            await self._failed(job, problem)
        except (Unsupported, OSError) as problem:
            self.last_error = str(problem)
            await self._finish(job, End(FAILED, self.last_error))
        else:
            self.last_sent, self.last_error = int(time.time()), ""
            self.resting.taken()
            await self._finish(job, End(0, "success"), message_id)
        finally:
            self.pacing.sent(rest)

    async def _failed(self, job: Job, problem: WeChatError) -> None:
        job.unsure = job.unsure or (job.in_flight and problem.unsure)
        job.in_flight = False
        self.last_error = str(problem)
        if problem.ret not in (None, TRANSIENT) or job.attempts_left <= 0:
            await self._finish(job, end_of(problem))
        else:
            log.warning("a send did not get through (%s), %d tries left", problem, job.attempts_left)
            if not job.unsure:  # else it is tried again next, while WeChat would know it again
                job.tried = 0.0
                self._waiting.to_the_end(job)
                self.store.put_back(job)

    async def _finish(self, job: Job, end: End, message_id: str = "", reason: str = "") -> None:
        """End a job: it is forgotten, reported, and its caller told."""
        if job.ended:
            return
        job.ended = True
        if end.code != 0 and job.unsure:
            end = End(UNKNOWN, end.words)
        facts = None
        if job.parcel is not None:
            known, failed = job.parcel.facts, end.code != 0
            content = await self.carrier.content(job.parcel)
            facts = replace(
                known,
                id="" if failed else known.id,
                client_id=job.client_id,
                error=end.info if failed else "",
                data=content,
            )
        sides = "" if self.carrier.knows(job) else await self._sides(job)
        result = job.ended_as(end, message_id, facts)
        outcome = told(result, reason)
        self._waiting.remove(job)
        if end.code == 0:
            self.sent[job.kind] += 1
        else:
            self.not_sent += 1
        stored = self.carrier.report(result, sides, self.store.end(job, outcome))
        timer = asyncio.get_running_loop().call_later(_TELL_SECONDS, job.tell, outcome)
        stored.add_done_callback(partial(self._ended, job, outcome, timer))

    async def _sides(self, job: Job) -> str:
        try:
            return await self.store.sides(job)
        except Unavailable:
            return ""

    async def _end_what_never_can(self) -> None:
        """Report what can't go out any more as not sent."""
        late = not self._login and len(self) > 0 and time.time() - self._since > self.keep_seconds
        if not self._look and not late:
            return
        self._look = False
        for job in self._waiting.all:
            if why := job.never or self._never(job, late):
                await self._finish(job, End(NOT_SENT, why if job.unsure else f"not sent: {why}"))

    def _never(self, job: Job, late: bool) -> str:
        """Return why a job can't go out any more, "" when it can."""
        if not self._login:
            return self._lost or (f"the account was not logged in for {self.keep_seconds:g} s" if late else "")
        if job.login != self._login:
            return _OTHER_LOGIN
        # A reply to a report of an earlier run was taken before it was known who is there.
        return _NOBODY if job.origin == "code" and not self.carrier.knows(job) else ""

    # -- inside

    def _jobs(self, order: Order) -> tuple[Job, ...]:
        loop, login = asyncio.get_running_loop(), order.login or self.carrier.login()
        key, tries = order.request.key if order.request else "", self.resting.tries
        return tuple(
            Job(item, login, self.carrier.new_id(), loop.create_future(), order.origin, key, attempts_left=tries)
            for item in order.items
        )

    def _at_once(self, job: Job) -> bool:
        """Whether a message is handed to WeChat as soon as it is stored."""
        idle = not len(self) and not self._placing
        return idle and job.login == self._login and job.parcel is None and self.pacing.pause() <= 0

    def _mark(self, job: Job) -> None:
        job.tried, job.marked = time.time(), True
        job.attempts_left -= 1

    def _placed(
        self,
        jobs: tuple[Job, ...],
        parcel: Parcel | None,
        stored: "asyncio.Future[Added | RequestRow | Replied]",
    ) -> None:
        self._placing -= len(jobs)
        added = None if stored.cancelled() or stored.exception() else stored.result()
        if not isinstance(added, Added):
            if parcel is not None:
                parcel.hold()
                parcel.release()
            return
        if parcel is not None:
            parcel.id = added.parcel
        for job, seq in zip(jobs, added.seqs, strict=True):
            job.seq = seq
        if self._closed:
            for job in jobs:
                job.tell(None)
        else:
            self._queue(jobs)

    def _queue(self, jobs: Iterable[Job]) -> None:
        """Take stored jobs into the queue, those whose content is not found yet aside."""
        for job in jobs:
            if job.parcel is not None:
                job.parcel.hold()
            if self._waiting.add(job) and job.parcel is not None:
                self.tasks.leave(self._pack(job.parcel))
            self._look = self._look or job.login != self._login
        self._news.set()

    async def _pack(self, parcel: Parcel) -> None:
        """Find the content of a parcel, and queue who waits for it; or tell that there is none."""
        try:
            found = await self.carrier.pack(parcel)
        except Exception as problem:
            if not isinstance(problem, BadMedia):  # nobody is to wait for ever for a mistake of ours
                log.exception("finding the content of a send failed")
                problem = BadMedia("internal error, see the journal of this account", "", parcel.facts)
            parcel.facts = problem.facts
            for job in self._waiting.packing.get(parcel.id, []).copy():
                await self._finish(job, End(FAILED, problem.message), reason=problem.reason)
            return
        parcel.become(found)
        if not self._waiting.packed(parcel.id):  # given up meanwhile
            parcel.discard()
            return
        self.store.pack(parcel.row())
        self._news.set()

    def _take_up(self, left: Left) -> None:
        """Queue again what an earlier process has left."""
        parcels = {row.id: parcel_of(row) for row in left.parcels}
        self.carrier.tidy(frozenset(parcel.kept for parcel in parcels.values() if parcel.kept is not None))
        self._since = min(time.time(), left.alive or time.time())
        if not left.sends:
            return
        log.info("%d sends of the last run are queued again", len(left.sends))
        self.pacing.sent()  # whenever the last one was
        # Of content that is not there any more, the file was damaged: it is told when its turn comes.
        lost = {row.parcel: Parcel(MediaFacts(MessageKind.FILE), id=row.parcel) for row in left.sends if row.parcel}
        parcels = {**lost, **parcels}
        self._queue(job_of(row, parcels[row.parcel] if row.parcel else None) for row in left.sends)

    async def _close(self) -> None:
        self._closed = True
        for job in self._waiting.all if not self.keep_seconds else ():
            job.unsure = job.unsure or job.in_flight
            words = "stopped while sending" if job.unsure else "not sent: stopping"
            await self._finish(job, End(NOT_SENT, words))
        if len(self):
            log.info("%d sends stay queued for the next start", len(self))
        for job in self._waiting.all:
            job.tell(None)

    def _ended(self, job: Job, outcome: JsonObject, timer: asyncio.TimerHandle, _: "asyncio.Future[object]") -> None:
        """The report is on disk, and the job is not any more."""
        timer.cancel()
        self._waiting.ending.discard(job)
        job.tell(outcome)
        if job.parcel is not None:
            job.parcel.release()

    def _patience(self) -> float | None:
        """Return how long what is queued may wait for a login, None when nothing does."""
        if self._login or not len(self):
            return None
        return max(0.01, self._since + self.keep_seconds - time.time())

    async def _pause(self, seconds: float | None) -> None:
        """Wait for something new, at most ``seconds``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
