"""How long the send queue pauses after a failed send.

The queue pauses as a whole, not per message: WeChat penalizes the account, not the message, and sends must stay in
order. There are two kinds of pause:

- A transient failure (connection lost, server error). Pauses double per attempt of the same message, so that its
  attempts together outlast a short outage.
- Throttling. Pauses double until WeChat accepts a send again. Sending during a penalty extends it, so the first pause
  is already a minute.

Which failures are transient or throttling is the driver's knowledge (``core.errors.FailureHandling``); this module
knows no WeChat codes.
"""

from dataclasses import dataclass, field

from wxcontroller.core.errors import FailureHandling


@dataclass(frozen=True, slots=True)
class BackoffPolicy:
    """Pause lengths in seconds."""

    # With five tries (send_tries): 1, 2, 4 and 8 s.
    transient_first: float = 1.0
    transient_max: float = 15.0
    # An hour without sends clears a penalty; ten minutes is the longest pause that a user waiting for a reply
    # tolerates, and one send in ten minutes was not seen to extend the penalty.
    throttled_first: float = 60.0
    throttled_max: float = 600.0


@dataclass(slots=True)
class SendBackoff:
    """Tracks throttling and computes the next pause."""

    policy: BackoffPolicy = BackoffPolicy()
    _throttled: int = field(default=0)  # times in a row

    def next_pause(self, handling: FailureHandling, attempt: int) -> float:
        """Return how many seconds the queue must pause after a failed attempt.

        Args:
            handling: how the driver wants this failure treated.
            attempt: attempts made for this message so far, starting at 1.
        """
        policy = self.policy
        match handling:
            case FailureHandling.RETRY_SAME_ID:
                return min(policy.transient_max, policy.transient_first * 2.0 ** min(attempt - 1, 50))
            case FailureHandling.WAIT:
                self._throttled += 1
                return min(policy.throttled_max, policy.throttled_first * 2.0 ** min(self._throttled - 1, 50))
            case _:
                return 0.0

    def reset(self) -> None:
        """Clear the throttling state after WeChat accepted a send."""
        self._throttled = 0
