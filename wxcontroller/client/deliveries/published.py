"""Publishes what lists of accounts show about deliveries and minutes, in a small file next to the state file.

A report that is delivered at once changes nothing here: a queue is published once its oldest report has been waiting
for a while. The file is written when a value has changed, at most once in a few seconds, so a busy account costs no
more than an idle one. Minutes are news once a minute.
"""

import asyncio
import contextlib
import json
import logging
import time
from pathlib import Path

from wxcontroller.client.deliveries.delivery import Delivery
from wxcontroller.client.deliveries.receivers import stored_error
from wxcontroller.client.minutes import Minutes
from wxcontroller.client.store.eventlog import EventLog
from wxcontroller.core.deliverystate import DeliveryState
from wxcontroller.core.files import replace_file
from wxcontroller.core.heartbeats import Heartbeats
from wxcontroller.core.jsontypes import JsonObject, one_line
from wxcontroller.core.messages import NOTHING

log = logging.getLogger(__name__)
# The age from which a waiting report is shown. Well below what counts as late.
_WAITING_SECONDS = 10.0
# Between two writes.
_PAUSE_SECONDS = 2.0
# The log does not report age or a full disk.
_LOOK_SECONDS = 15.0
# As the state file: the controller's group reads it.
_PUBLIC = 0o640


class Publisher:
    """Writes ``path`` for as long as it runs."""

    def __init__(self, path: Path, events: EventLog, delivery: Delivery, minutes: Minutes) -> None:
        self._path = path
        self._log = events
        self._delivery = delivery
        self._minutes = minutes
        self._written: tuple[DeliveryState, Heartbeats | None] | None = None

    async def run(self) -> None:
        """Publish every change, until cancelled."""
        while True:
            news = self._log.news
            self._publish()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await news.wait()
            await asyncio.sleep(_PAUSE_SECONDS)

    def _publish(self) -> None:
        if not self._log.counts.name and not self._log.trouble:
            return  # not opened yet: unknown does not mean that all is well
        state, heartbeats = now = self._state(), self._minutes.recent
        if now == self._written:
            return
        content: JsonObject = {**state.as_json(), "heartbeats": heartbeats.as_json() if heartbeats else None}
        try:
            replace_file(self._path, json.dumps(content).encode(), _PUBLIC)
        except OSError as problem:
            log.debug("%s cannot be written: %s", self._path, problem)  # the state file's failure is logged
        else:
            self._written = now

    def _state(self) -> DeliveryState:
        counts = self._log.counts
        waits = bool(counts.waiting) and time.time() - counts.oldest > _WAITING_SECONDS
        return DeliveryState(
            waiting=counts.waiting if waits else 0,
            oldest_since=int(counts.oldest) if waits else 0,
            last_error=self._delivery.last_error if waits else NOTHING,
            dead=counts.dead,
            unacknowledged=counts.unacknowledged,
            dead_at=int(counts.dead_at),
            dead_error=stored_error(one_line(counts.dead_error), counts.dead_status),
            dropped=counts.dropped,
            dropped_at=int(counts.dropped_at),
            damaged_at=int(counts.damaged_at),
            trouble=self._log.trouble or self._log.blocked,
        )
