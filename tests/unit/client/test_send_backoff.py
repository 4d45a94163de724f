"""How long the send queue pauses after a failed send."""

from wxcontroller.client.sends.backoff import BackoffPolicy, SendBackoff
from wxcontroller.core.errors import FailureHandling

POLICY = BackoffPolicy(transient_first=1, transient_max=5, throttled_first=60, throttled_max=200)
RETRY, WAIT = FailureHandling.RETRY_SAME_ID, FailureHandling.WAIT


def test_pauses_double_with_the_attempts_of_a_message() -> None:
    backoff = SendBackoff(POLICY)
    assert [backoff.next_pause(RETRY, attempt) for attempt in (1, 2, 3, 4, 10_000)] == [1, 2, 4, 5, 5]
    assert backoff.next_pause(RETRY, 1) == 1


def test_throttling_doubles_until_a_send_succeeds() -> None:
    backoff = SendBackoff(POLICY)
    assert [backoff.next_pause(WAIT, 1) for _ in range(4)] == [60, 120, 200, 200]
    backoff.reset()
    assert backoff.next_pause(WAIT, 1) == 60


def test_other_failures_do_not_affect_throttling() -> None:
    backoff = SendBackoff(POLICY)
    assert backoff.next_pause(WAIT, 1) == 60
    assert backoff.next_pause(RETRY, 3) == 4
    assert backoff.next_pause(FailureHandling.NEVER, 1) == 0
    assert backoff.next_pause(WAIT, 1) == 120
