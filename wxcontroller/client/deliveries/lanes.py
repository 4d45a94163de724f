"""Which report is posted next, and where it goes after an attempt. Pure decisions: no sockets and no clock.

Reports wait in one of two lanes:

- The *queue*: reports in the order of their sequence. Its first report is the only one that is posted.
- The *retry lane*: reports that the receiver answered with an error. Each has its own, growing pause, and later
  reports do not wait for it.

There are two kinds of failure. A receiver that is *not reached* would fail for every report, so everything waits, in
order. A receiver that *answers with an error* is alive, and often only this report makes it fail: the first event of
a kind that a bot does not expect must not keep all messages from it. Such a report gets two quick retries and then
moves aside. If a bot cannot handle a whole kind of report, the next ones of the kind move aside at their first
failure: otherwise each of them would block the queue again.

Reports are posted one at a time, over one connection. A second connection would block behind the first at the
single-threaded servers that many bots are.
"""

import math
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto

from wxcontroller.core.backoff import Backoff
from wxcontroller.core.text.templates import NOTHING, Text

# Long enough for a bot that restarts, and short enough that later messages are still useful.
QUICK_RETRIES = (2.0, 8.0)
# After this many interrupted attempts in a row, the interruption counts as the receiver's answer to the report: the
# pauses until then outlast a restart of the receiver, and one report that it cannot process must not stop the queue
# for days.
_CUT_OFF_MAX = 5
# A receiver that asks for a longer pause (Retry-After) is misconfigured more often than it is busy.
_RETRY_AFTER_MAX = 3600.0
# "Retry-After: 0" must not become a busy loop.
_RETRY_AFTER_MIN = 1.0
# The retry lane pauses for this multiple of its last attempt's duration: an attempt may take webhook_timeout, during
# which new reports wait.
_RETRY_REST = 4.0


@dataclass(frozen=True, slots=True)
class Policy:
    """The retry policy. Times are in seconds.

    Pauses double from ``first`` to ``longest``. A report answered with a status of ``final`` is a dead letter.
    One that is answered with another error is retried after each pause of ``quick_retries`` and then moves to the
    retry lane; with ``strict`` it stays first in the queue, and everything waits for it.
    """

    first: float = 5.0
    longest: float = 300.0
    final: frozenset[int] = frozenset({400, 410, 413, 415, 422})
    timeout: float = 35.0
    strict: bool = False
    quick_retries: tuple[float, ...] = QUICK_RETRIES


class Lane(StrEnum):
    """The queue that a report waits in."""

    QUEUE = "queue"
    RETRY = "retry"


class DeliveryOutcome(Enum):
    """The outcome of an attempt to post a report."""

    ACCEPTED = auto()
    FAILED = auto()  # answered with an error, or not answered after the whole request was written
    CUT_OFF = auto()  # the connection broke, or nothing moved, before the whole request was written
    DAMAGED = auto()  # not posted: its stored content is damaged
    UNREACHED = auto()  # no connection, or the receiver says that it is overloaded or down


@dataclass(frozen=True, slots=True)
class Result:
    """An attempt's outcome. ``status`` is HTTP's, 0 for none; ``retry_after`` the seconds that the receiver asks for.

    ``answer`` is the JSON that an accepting receiver answered, empty for none.
    """

    outcome: DeliveryOutcome
    status: int = 0
    error: Text = NOTHING
    retry_after: float | None = None
    answer: bytes = b""


class NextStep(Enum):
    """The fate of a report after an attempt."""

    DELIVERED = auto()
    DEAD = auto()
    AGAIN = auto()  # stays where it is; nothing else is posted during the pause
    ASIDE = auto()  # to the retry lane, or to its next turn there; only this report pauses


@dataclass(frozen=True, slots=True)
class Decision:
    step: NextStep
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """A report that was posted. ``kind`` is its post_type and event, ``retries`` the attempts in its lane before."""

    id: str
    lane: Lane
    kind: str
    retries: int = 0


@dataclass(slots=True)
class _Head:
    """Failures of the first report of the queue since it became the first."""

    id: str = ""
    errors: int = 0
    cuts: int = 0


@dataclass(slots=True)
class Lanes:
    """The state of both lanes. Times are from one monotonic clock, which the caller reads.

    ``asides`` are the kinds of which a report moved aside and none was accepted since.
    """

    policy: Policy
    asides: set[str] = field(default_factory=set)
    # A pause for an unreachable receiver belongs to the receiver, not to a report: it begins again after a restart,
    # and thus with another post_api, which needs one.
    _backoff: Backoff = field(init=False)
    _head: _Head = field(default_factory=_Head)
    _paused_until: float = 0.0
    _retry_at: float = 0.0
    _rested_at: float = 0.0

    def __post_init__(self) -> None:
        self._backoff = Backoff(self.policy.first, self.policy.longest)

    def next_lane(self, now: float, *, queued: bool, retrying: bool) -> Lane | None:
        """Return the lane whose first report is to be posted now, None if none is due yet.

        Args:
            now: the present time.
            queued: whether the queue has a report.
            retrying: whether the retry lane has one, due or not.
        """
        # The retry lane pauses, too: its receiver is the same, and unreachable now.
        if now < self._paused_until:
            return None
        # The retry lane first: under a constant load the queue is never empty. Its pauses keep it from starving the
        # queue.
        if retrying and now >= max(self._retry_at, self._rested_at):
            return Lane.RETRY
        return Lane.QUEUE if queued else None

    def idle_seconds(self, now: float, *, retrying: bool) -> float | None:
        """Return how long to wait unless a new report arrives; None without a limit."""
        until = self._paused_until
        if until <= now:
            until = max(self._retry_at, self._rested_at) if retrying else math.inf
        return None if until == math.inf else max(0.0, until - now)

    def is_paused(self, now: float) -> bool:
        """Return whether new reports have to wait too."""
        return now < self._paused_until

    def resume(self) -> None:
        """End all pauses, because someone requests an attempt and has probably fixed the receiver. Pauses start from
        the first again."""
        self._paused_until = self._retry_at = self._rested_at = 0.0
        self._backoff.reset()
        self._head = _Head()

    def retry_due(self, at: float) -> None:
        """Note when the first report of the retry lane is due: math.inf without one."""
        self._retry_at = at

    def after(self, attempt: Attempt, result: Result, began: float, now: float) -> Decision:
        """Decide what to do with a report that was posted between ``began`` and ``now``."""
        decision = self._decide(attempt, result)
        if decision.step is NextStep.AGAIN:
            self._paused_until = now + decision.pause
        if decision.step is NextStep.ASIDE:
            self._retry_at = min(self._retry_at, now + decision.pause)
        if attempt.lane is Lane.RETRY and decision.step is not NextStep.AGAIN:
            self._rested_at = now + _RETRY_REST * (now - began)
        return decision

    def _decide(self, attempt: Attempt, result: Result) -> Decision:
        if attempt.lane is Lane.QUEUE and attempt.id != self._head.id:
            self._head = _Head(attempt.id)
        outcome = result.outcome
        # A receiver that closes the connection in the middle may be restarting, or refuse just this report: the two
        # cannot be distinguished.
        if outcome is DeliveryOutcome.CUT_OFF:
            self._head.cuts += 1
            is_answer = attempt.lane is Lane.RETRY or self._head.cuts >= _CUT_OFF_MAX
            outcome = DeliveryOutcome.FAILED if is_answer else DeliveryOutcome.UNREACHED
        if outcome is DeliveryOutcome.DAMAGED or result.status in self.policy.final:
            return Decision(NextStep.DEAD)
        if outcome is DeliveryOutcome.UNREACHED or (self.policy.strict and outcome is DeliveryOutcome.FAILED):
            return Decision(NextStep.AGAIN, self._pause(result.retry_after))
        # Any answer, also an error, shows that the receiver is reached: the next outage begins with a short pause.
        self._backoff.reset()
        if outcome is DeliveryOutcome.ACCEPTED:
            self.asides.discard(attempt.kind)
            return Decision(NextStep.DELIVERED)
        if attempt.lane is Lane.QUEUE and attempt.kind not in self.asides:
            self._head.errors += 1
            if self._head.errors <= len(self.policy.quick_retries):
                return Decision(NextStep.AGAIN, self.policy.quick_retries[self._head.errors - 1])
        self.asides.add(attempt.kind)
        # In the retry lane the pause follows from the stored count of attempts, so that it survives a restart.
        backoff = Backoff(self.policy.first, self.policy.longest)
        backoff.tries = attempt.retries + 1 if attempt.lane is Lane.RETRY else 0
        return Decision(NextStep.ASIDE, backoff.next())

    def _pause(self, retry_after: float | None) -> float:
        pause = self._backoff.next()
        if retry_after is None:
            return pause
        return min(max(retry_after, _RETRY_AFTER_MIN), _RETRY_AFTER_MAX)
