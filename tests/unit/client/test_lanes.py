"""Which report is posted next, and what becomes of it: the decisions, without sockets."""

import pytest

from wxcontroller.client.deliveries.lanes import (
    Attempt,
    Decision,
    DeliveryOutcome,
    Lane,
    Lanes,
    Policy,
    Result,
    Verdict,
)
from wxcontroller.client.sends.backoff import BackoffPolicy, SendBackoff
from wxcontroller.core.errors import FailureHandling

POLICY = Policy(first=5.0, longest=300.0)
FAILED = Result(DeliveryOutcome.FAILED, 500)


def queue(report: str, kind: str = "receive_message") -> Attempt:
    return Attempt(report, Lane.QUEUE, kind, 7)


def after(lanes: Lanes, attempt: Attempt, result: Result, now: float = 0.0) -> Decision:
    return lanes.after(attempt, result, began=now, now=now)


@pytest.mark.parametrize(("asked", "given"), [(7.0, 7.0), (0.0, 1.0), (1e9, 3600.0)])
def test_receivers_retry_after_is_followed_within_bounds(asked: float, given: float) -> None:
    result = Result(DeliveryOutcome.UNREACHED, 503, retry_after=asked)
    assert after(Lanes(POLICY), queue("a"), result) == Decision(Verdict.AGAIN, given)


def test_report_that_is_always_cut_off_moves_aside() -> None:
    lanes = Lanes(POLICY)
    verdicts = [after(lanes, queue("a"), Result(DeliveryOutcome.CUT_OFF)).verdict for _ in range(7)]
    assert verdicts == [Verdict.AGAIN] * 6 + [Verdict.ASIDE]


PAUSES = BackoffPolicy(transient_first=1, transient_max=5, throttled_first=60, throttled_max=200)
WAIT = FailureHandling.WAIT


def test_throttling_doubles_until_a_send_succeeds() -> None:
    backoff = SendBackoff(PAUSES)
    assert [backoff.next_pause(WAIT, 1) for _ in range(4)] == [60, 120, 200, 200]
    backoff.reset()
    assert backoff.next_pause(WAIT, 1) == 60
