"""The send queue: one FIFO per account, paced, with retries that can't deliver twice."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from wxcontroller.client.pacing import DailyLimit, Pacing
from wxcontroller.client.parcel import Parcel
from wxcontroller.core.backoff import Backoff
from wxcontroller.core.errors import Unsupported, UploadFailed, WeChatError
from wxcontroller.openwx.reports import SendResult

log = logging.getLogger(__name__)
ATTEMPTS = 5
MOST_WAITING = 10_000
# The original's codes: media trouble or an answer that nobody could read; a send that never went out (openwx-api 0).
UNREADABLE = -1
NOT_SENT = -5
# Ours: the account has sent as much today as send_daily_max allows.
TOO_MANY_TODAY = -8
# WeChat's "system error": may pass. Everything else is an answer and is not asked for again (protocol 9.5).
_TRANSIENT = -1
_LOGGED_OUT = 1100
_TOO_FREQUENT = 1205
_STOPPING = "not sent: stopping"


@dataclass(slots=True)
class Job:
    """One message on its way: a text, or with ``parcel`` media. ``result`` tells how it ended and never fails."""

    target: str
    is_group: bool
    content: str
    local_id: str
    result: asyncio.Future[SendResult]
    parcel: Parcel | None = None
    origin: str = "api"
    attempts_left: int = ATTEMPTS
    code: int = UNREADABLE
    status: str = ""
    info: str = "unknown data"
    in_flight: bool = False  # handed to WeChat, whatever came of it
    queued_at: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True)
class Rests:
    """Seconds that the whole queue rests, first and longest: when the ``line`` to WeChat fails, longer after each try
    of a message, so that five of them outlast a moment of trouble; and when WeChat says that sends are too
    ``frequent``, longer until it takes one, as more of them only prolong it."""

    line: tuple[float, float] = (1.0, 15.0)
    frequent: tuple[float, float] = (60.0, 600.0)


Transmit = Callable[[Job], Awaitable[str]]
Report = Callable[[SendResult], None]


@dataclass(slots=True)
class Outgoing:
    """Sends one message at a time, as ``pacing`` allows.

    ``transmit`` hands a job to WeChat, returns its message id there and raises as Driver.send_text; ``report`` is
    told how each send ended, in order. A retry waits its turn at the end of the queue, with the same client id, so
    that WeChat drops it if the first try had arrived after all.
    """

    pacing: Pacing
    transmit: Transmit
    new_id: Callable[[], str]
    report: Report
    rests: Rests = Rests()
    closing: bool = False  # nothing more is taken: the account is stopping
    last_sent: int = 0  # seconds since 1970 when WeChat took a message last
    last_error: str = ""  # why the last try failed, "" when it did not
    _waiting: deque[Job] = field(default_factory=deque)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _idle: asyncio.Event = field(default_factory=asyncio.Event)
    _frequent: Backoff = field(init=False)

    def __post_init__(self) -> None:
        self._frequent = Backoff(*self.rests.frequent, jitter=0.0)

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether so much waits that more would only wait for hours."""
        return len(self._waiting) >= MOST_WAITING

    @property
    def in_flight(self) -> int:
        """How many of the queued are being handed to WeChat now: one or none."""
        return int(bool(self._waiting) and self._waiting[0].in_flight)

    @property
    def oldest_since(self) -> float | None:
        """When the one that has waited longest was queued, seconds since 1970."""
        return min((job.queued_at for job in self._waiting), default=None)

    @property
    def next_at(self) -> float | None:
        """When the next one goes out, seconds since 1970, as far as pacing tells; None when none waits."""
        if len(self._waiting) <= self.in_flight:
            return None
        # The pause begins when the one under way is done.
        return time.time() + (self.pacing.interval if self.in_flight else max(0.0, self.pacing.pause()))

    @property
    def due_in(self) -> float:
        """In how many seconds the next one can go out, 0 for one that is under way."""
        return 0.0 if self.in_flight else max(0.0, self.pacing.pause())

    @property
    def refusal(self) -> str:
        """Why nothing more is taken, in words for who sends; "" when more is."""
        if self.closing:
            return "the account is stopping, nothing more is sent"
        return f"{len(self._waiting)} sends wait already, try again later" if self.full else ""

    def put(
        self, target: str, is_group: bool, content: str = "", parcel: Parcel | None = None, origin: str = "api"
    ) -> Job:
        """Queue a text, or media when there is a parcel. Beyond MOST_WAITING, or at a stop, it fails at once."""
        job = self._job(target, is_group, content, parcel, origin)
        if parcel is not None:
            parcel.hold()
        if refusal := self.refusal:
            job.code, job.info = (NOT_SENT, _STOPPING) if self.closing else (UNREADABLE, refusal)
            self._finish(job, "")
            return job
        self._waiting.append(job)
        self._idle.clear()
        self._news.set()
        return job

    def refuse(self, target: str, is_group: bool, parcel: Parcel, info: str, origin: str = "api") -> SendResult:
        """Report media that can't be sent at all, as a send that failed."""
        job = self._job(target, is_group, "", parcel, origin)
        job.code, job.info = UNREADABLE, info
        result = self._result(job, "")
        self.report(result)
        return result

    async def drain(self, seconds: float) -> None:
        """Wait until nothing is queued any more, at most ``seconds``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()

    async def run(self) -> None:
        """Send what is queued until cancelled; then what is left is reported as not sent."""
        try:
            while True:
                while not self._waiting:
                    self._idle.set()
                    self._news.clear()
                    await self._news.wait()
                pause = self.pacing.pause()
                if pause > 0:
                    await asyncio.sleep(pause)
                    continue  # meanwhile all of them may have become void
                await self._attempt(self._waiting[0])
        finally:
            self._give_up()

    def void(self, words: str) -> None:
        """Fail what waits for its turn: whom it is for is not known by that id any more."""
        kept = [job for job in self._waiting if job.in_flight]
        for job in [job for job in self._waiting if not job.in_flight]:
            job.code, job.status, job.info = _LOGGED_OUT, "", words
            self._finish(job, "")
        self._waiting = deque(kept)

    async def _attempt(self, job: Job) -> None:
        try:
            self.pacing.claim()
        except DailyLimit as problem:
            self._waiting.popleft()
            job.code, job.status, job.info = TOO_MANY_TODAY, "", str(problem)
            self.last_error = job.info
            self._finish(job, "")
            return
        job.attempts_left -= 1
        job.in_flight = True
        rest = 0.0
        try:
            message_id = await self.transmit(job)
        except WeChatError as problem:
            self._waiting.popleft()
            job.code, job.status = _answer_of(problem)
            job.info = self.last_error = str(problem)
            if problem.ret == _TOO_FREQUENT:
                rest = self._frequent.next()
                log.warning("WeChat says that sends are too frequent; the queue rests for %.0f s", rest)
            if problem.ret not in (None, _TRANSIENT):
                self._finish(job, "")
                return
            if job.attempts_left > 0:
                first, longest = self.rests.line
                rest = min(longest, first * 2.0 ** (ATTEMPTS - 1 - job.attempts_left))
                log.warning("a send did not get through (%s), %d tries left", problem, job.attempts_left)
                job.in_flight = False
                self._waiting.append(job)
            else:
                self._finish(job, "")
        except (Unsupported, OSError) as problem:
            self._waiting.popleft()
            job.code, job.status, job.info = UNREADABLE, "", str(problem)
            self.last_error = job.info
            self._finish(job, "")
        else:
            self._waiting.popleft()
            job.code, job.status, job.info = 0, "", "success"
            self.last_sent, self.last_error = int(time.time()), ""
            self._frequent.reset()
            self._finish(job, message_id)
        finally:
            self.pacing.sent(rest)

    def _job(self, target: str, is_group: bool, content: str, parcel: Parcel | None, origin: str) -> Job:
        future = asyncio.get_running_loop().create_future()
        return Job(target, is_group, content, self.new_id(), future, parcel, origin)

    def _finish(self, job: Job, message_id: str) -> None:
        result = self._result(job, message_id)
        if not job.result.done():
            job.result.set_result(result)
        self.report(result)
        if job.parcel is not None:
            job.parcel.release()

    def _result(self, job: Job, message_id: str) -> SendResult:
        facts = None
        if job.parcel is not None:
            facts = replace(
                job.parcel.facts,
                id=job.parcel.facts.id if job.code == 0 else "",
                client_id=job.local_id,
                error="" if job.code == 0 else job.info,
            )
        return SendResult(
            message_id=message_id,
            local_id=job.local_id,
            target=job.target,
            is_group=job.is_group,
            content=job.content,
            time=int(time.time()),
            code=job.code,
            status=job.status or job.info,
            info=job.info,
            attempts_left=job.attempts_left,
            media=facts,
            origin=job.origin,
        )

    def _give_up(self) -> None:
        if self._waiting:
            log.warning("%d queued sends were not sent: the account is stopping", len(self._waiting))
        for job in self._waiting:
            job.code, job.status = NOT_SENT, ""
            job.info = "stopped while sending: it may have arrived" if job.in_flight else _STOPPING
            self._finish(job, "")
        self._waiting.clear()


def _answer_of(problem: WeChatError) -> tuple[int, str]:
    """Return the original's code and word for what WeChat did not take (openwx-api 2.4)."""
    if isinstance(problem, UploadFailed):
        return UNREADABLE, upload_failure(problem)
    return (UNREADABLE, "unknown data") if problem.ret is None else (problem.ret, "unknown error")


def upload_failure(problem: UploadFailed) -> str:
    """The original's words for a file that WeChat did not take."""
    return f"media upload failure {problem.piece}/{problem.pieces}"
