"""Limits work for an untrusted peer to a fifth of the time."""

import asyncio

# After this many seconds of work, a peer waits for a multiple of them.
_WORK_SECONDS, _PAUSE_FACTOR = 0.005, 4.0


class Pace:
    """The work that one peer causes on the event loop."""

    def __init__(self) -> None:
        self._worked = 0.0

    async def after(self, seconds: float) -> None:
        """Record finished work, and pause if the peer has used up its share."""
        self._worked += seconds
        if self._worked > _WORK_SECONDS:
            pause, self._worked = _PAUSE_FACTOR * self._worked, 0.0
            await asyncio.sleep(pause)
