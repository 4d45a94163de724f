"""The sandbox's time, which a script can move forward."""

import time


class ServerClock:
    """The machine's time plus an offset.

    Tests that need 25 hours to pass move the clock instead of waiting. Login codes and the whole iLink route use it;
    the web route has no long periods and uses the machine's time.
    """

    def __init__(self) -> None:
        self.offset = 0.0

    def now(self) -> float:
        """Return seconds since the epoch."""
        return time.time() + self.offset
