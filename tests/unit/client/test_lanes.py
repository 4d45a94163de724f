"""Which report is posted next, and what becomes of it: the decisions, without sockets."""

import math

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

POLICY = Policy(first=5.0, longest=300.0)
FAILED, UNREACHED = Result(DeliveryOutcome.FAILED, 500), Result(DeliveryOutcome.UNREACHED)


def queue(report: str, kind: str = "receive_message") -> Attempt:
    return Attempt(report, Lane.QUEUE, kind, 7)


def after(lanes: Lanes, attempt: Attempt, result: Result, now: float = 0.0) -> Decision:
    return lanes.after(attempt, result, began=now, now=now)


def test_a_report_that_fails_is_retried_twice_and_moves_aside() -> None:
    lanes = Lanes(POLICY)
    first, second, third = (after(lanes, queue("a"), FAILED) for _ in range(3))
    assert (first, second) == (Decision(Verdict.AGAIN, 2.0), Decision(Verdict.AGAIN, 8.0))
    assert (third.verdict, lanes.asides) == (Verdict.ASIDE, {"receive_message"})
    assert 4.0 <= third.pause <= 6.0
    assert after(lanes, queue("b"), FAILED).verdict is Verdict.ASIDE
    assert after(lanes, queue("c", "event.login"), FAILED) == Decision(Verdict.AGAIN, 2.0)
    assert after(lanes, queue("d"), Result(DeliveryOutcome.ACCEPTED, 200)).verdict is Verdict.DELIVERED
    assert after(lanes, queue("e"), FAILED) == Decision(Verdict.AGAIN, 2.0)


def test_pauses_in_the_retry_lane_double_up_to_the_longest() -> None:
    pauses = [after(Lanes(POLICY), Attempt("a", Lane.RETRY, "k", number), FAILED).pause for number in range(9)]
    expected = [min(300.0, 10.0 * 2**number) for number in range(9)]  # the first was when it moved there
    assert all(0.8 * want <= got <= 1.2 * want for got, want in zip(pauses, expected, strict=True))


def test_while_the_receiver_is_not_reached_nothing_is_posted_and_pauses_double() -> None:
    lanes, now = Lanes(POLICY), 0.0
    for number in range(8):
        decision = after(lanes, queue("a"), UNREACHED, now)
        want = min(300.0, 5.0 * 2**number)
        assert (decision.verdict, 0.8 * want <= decision.pause <= 1.2 * want) == (Verdict.AGAIN, True)
        assert lanes.next_lane(now + decision.pause - 0.1, queued=True, retrying=True) is None
        assert lanes.idle_seconds(now, retrying=True) == pytest.approx(decision.pause)
        now += decision.pause
        assert lanes.next_lane(now, queued=True, retrying=False) is Lane.QUEUE
    # An answer of any kind ends it: the next outage begins with the first pause.
    after(lanes, queue("a"), FAILED, now)
    assert after(lanes, queue("a"), UNREACHED, now).pause <= 6.0


def test_not_being_reached_is_no_failure_of_the_report() -> None:
    lanes = Lanes(POLICY)
    verdicts = [after(lanes, queue("a"), result).verdict for result in (FAILED, UNREACHED, FAILED, UNREACHED, FAILED)]
    assert verdicts == [Verdict.AGAIN] * 4 + [Verdict.ASIDE]


@pytest.mark.parametrize(("asked", "given"), [(7.0, 7.0), (0.0, 1.0), (1e9, 3600.0)])
def test_a_pause_that_the_receiver_asks_for_is_kept_within_reason(asked: float, given: float) -> None:
    result = Result(DeliveryOutcome.UNREACHED, 503, retry_after=asked)
    assert after(Lanes(POLICY), queue("a"), result) == Decision(Verdict.AGAIN, given)


def test_a_report_that_is_cut_off_again_and_again_does_not_stop_the_queue_for_days() -> None:
    lanes = Lanes(POLICY)
    verdicts = [after(lanes, queue("a"), Result(DeliveryOutcome.CUT_OFF)).verdict for _ in range(7)]
    assert verdicts == [Verdict.AGAIN] * 6 + [Verdict.ASIDE]


@pytest.mark.parametrize("lane", Lane)
def test_final_statuses_and_damage_are_dead_letters(lane: Lane) -> None:
    lanes = Lanes(Policy(final=frozenset({503})))
    for result in (Result(DeliveryOutcome.UNREACHED, 503), Result(DeliveryOutcome.DAMAGED)):
        assert after(lanes, Attempt("a", lane, "k"), result) == Decision(Verdict.DEAD)


def test_in_strict_order_errors_pause_the_queue_as_outages_do() -> None:
    lanes = Lanes(Policy(strict=True))
    pauses = [after(lanes, queue("a"), FAILED) for _ in range(4)]
    assert {one.verdict for one in pauses} == {Verdict.AGAIN}
    assert 0.8 * 40 <= pauses[3].pause <= 1.2 * 40
    assert lanes.asides == set()


def test_the_retry_lane_has_its_turn_before_the_queue_and_rests_then() -> None:
    lanes = Lanes(POLICY)
    assert lanes.next_lane(100.0, queued=True, retrying=True) is Lane.RETRY
    lanes.after(Attempt("a", Lane.RETRY, "k"), FAILED, began=100.0, now=110.0)
    assert lanes.next_lane(149.0, queued=True, retrying=True) is Lane.QUEUE
    assert lanes.next_lane(149.0, queued=False, retrying=True) is None
    assert lanes.idle_seconds(149.0, retrying=True) == 1.0
    assert lanes.next_lane(150.0, queued=True, retrying=True) is Lane.RETRY
    lanes.retry_due(math.inf)
    assert lanes.next_lane(150.0, queued=True, retrying=True) is Lane.QUEUE
    assert lanes.idle_seconds(150.0, retrying=True) is None
    lanes.resume()
    assert lanes.next_lane(150.0, queued=False, retrying=True) is Lane.RETRY
