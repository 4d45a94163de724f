"""Time limits of connections to WeChat on all routes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LineTiming:
    """Seconds."""

    connect: float = 10.0
    call: float = 30.0
    silence: float = 35.0  # longest wait for the next byte, except for long polls
    transfer: float = 1800.0  # of a whole download
    # The watchdog takes 90 s: three of these may be late or lost. WeChat holds most polls for 25 s, and their answers
    # are progress, too.
    progress_every: float = 28.0
    overtime: float = 30.0  # added to a wait's own limit before it counts as stuck
    retry_first: float = 1.0
    # Sessions outlive outages of hours (weixin-web-protocol 9.2): a minute more or less does not matter then.
    retry_longest: float = 60.0

    @property
    def stuck_after(self) -> float:
        """Longest wait for an answer, beyond which the wait itself must have failed."""
        return self.call + self.overtime
