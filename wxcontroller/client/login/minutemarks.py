"""Records each minute whether the account runs, for the bar of heartbeats that lists of accounts show."""

import asyncio
import time
import zlib
from collections.abc import Callable
from functools import partial

from wxcontroller.client.store.eventlog import EventLog
from wxcontroller.client.store.tables.minutetables import note_minute
from wxcontroller.core.heartbeats import Heartbeats

_MINUTE = 60
# Accounts of one machine write at different seconds, which spreads their disk syncs over the minute.
_SPREAD_SECONDS = 50


class Minutes:
    """Writes one row a minute while it runs. ``recent`` are the last ones, None before the first is on disk."""

    def __init__(self, instance: str, log: EventLog, running: Callable[[], bool]) -> None:
        self._second = zlib.crc32(instance.encode()) % _SPREAD_SECONDS
        self._log = log
        self._running = running
        self.recent: Heartbeats | None = None

    async def run(self) -> None:
        """Record until cancelled: at once, so that a restart leaves no gap, then each minute."""
        while True:
            now = time.time()
            # If the disk fails for a while, the minutes wait like everything else, and are not lost.
            writing = self._log.write(partial(note_minute, minute=int(now) // _MINUTE, running=self._running()))
            writing.add_done_callback(self._written)
            await asyncio.sleep(seconds_until(now, self._second))

    def messages_24h(self) -> int | None:
        """Return the messages of the last 24 hours with those that no minute has counted yet, None if unknown."""
        if self.recent is None:
            return None
        return sum(self.recent.at(time.time()).messages) + self._log.uncounted

    def _written(self, done: "asyncio.Future[Heartbeats]") -> None:
        if not done.cancelled() and done.exception() is None:
            # Together, so that no message is counted twice or not at all.
            self.recent = done.result()
            self._log.uncounted = 0


def seconds_until(now: float, second: int) -> float:
    """Return how long it is until this second of the next minute."""
    return (int(now) // _MINUTE + 1) * _MINUTE + second - now
