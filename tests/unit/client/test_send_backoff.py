"""How long the send queue pauses after a failed send."""

from wxcontroller.client.sends.backoff import BackoffPolicy, SendBackoff
from wxcontroller.core.errors import FailureHandling

POLICY = BackoffPolicy(transient_first=1, transient_max=5, throttled_first=60, throttled_max=200)
WAIT = FailureHandling.WAIT


def test_throttling_doubles_until_a_send_succeeds() -> None:
    backoff = SendBackoff(POLICY)
    assert [backoff.next_pause(WAIT, 1) for _ in range(4)] == [60, 120, 200, 200]
    backoff.reset()
    assert backoff.next_pause(WAIT, 1) == 60
