"""The data of check_event: the newest reports, and callers that wait for the next one (openwx-api 3.7)."""

import asyncio
import time
from collections import deque

from wxcontroller.core.config.limits import DEFAULTS
from wxcontroller.core.jsontypes import JsonObject, text

# Most accounts have a webhook, and are never polled for events: keeping 32 MiB for each would be waste. A
# thumbnail or voice message is still kept for the first poll.
_UNASKED_MEDIA_BYTES = 1 << 20
_ASKED_SECONDS = 3600.0


class EventRing:
    """The newest ``size`` reports not fetched yet. ``dropped`` counts those that fell out unread.

    Beyond ``limit`` characters of texts and media, older reports lose their media and keep the path; then the oldest
    are dropped. Media are kept up to ``limit`` while events are polled at least hourly, else few.
    """

    def __init__(self, size: int, limit: int = DEFAULTS.check_event_media_bytes) -> None:
        self._limit = limit
        self._queue: deque[JsonObject] = deque()
        self._held = 0
        self._size = size
        self._waiters: set[asyncio.Future[JsonObject]] = set()
        self._asked = float("-inf")
        self.dropped = 0

    def put(self, report: JsonObject) -> None:
        """Hand a report to all waiting polls, or keep it for the next one."""
        waiting = [waiter for waiter in self._waiters if not waiter.done()]
        for waiter in waiting:
            waiter.set_result(report)
        # All of them get it, as with the original: each caller assumes that it is the only one.
        if waiting:
            return
        self._queue.append(report)
        self._held += weight(report)
        asked = time.monotonic() - self._asked < _ASKED_SECONDS
        self._lighten(self._limit if asked else min(self._limit, _UNASKED_MEDIA_BYTES))
        while len(self._queue) > self._size or (self._held > self._limit and len(self._queue) > 1):
            self._held -= weight(self._queue.popleft())
            self.dropped += 1

    def _lighten(self, limit: int) -> None:
        for at, report in enumerate(self._queue):
            if self._held <= limit or at == len(self._queue) - 1:
                return
            if data := text(report.get("media_data")):
                self._queue[at] = {**report, "media_data": ""}
                self._held -= len(data)

    async def take(self, seconds: float) -> list[JsonObject]:
        """Return all kept reports, or wait for the next one, or ``[]`` after ``seconds``.

        A caller that disconnects while waiting loses no events.
        """
        self._asked = time.monotonic()
        if self._queue:
            found = list(self._queue)
            self._queue.clear()
            self._held = 0
            return found
        waiter: asyncio.Future[JsonObject] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        others_had_it = False
        try:
            async with asyncio.timeout(seconds):
                return [await waiter]
        except TimeoutError:
            # A report may come in the moment when the time is up.
            return [waiter.result()] if waiter.done() and not waiter.cancelled() else []
        except asyncio.CancelledError:
            # The report arrived as the caller disconnected: keep it, unless another caller got it too.
            if waiter.done() and not waiter.cancelled():
                report = waiter.result()
                others_had_it = any(
                    w is not waiter and w.done() and not w.cancelled() and w.result() is report for w in self._waiters
                )
                if not others_had_it:
                    self._queue.appendleft(report)
                    self._held += weight(report)
            raise
        finally:
            self._waiters.discard(waiter)


def weight(report: JsonObject) -> int:
    return len(text(report.get("content"))) + len(text(report.get("media_data")))
