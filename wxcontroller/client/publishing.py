"""Publishes the account's status in its runtime directory: lists, metrics and conditions of the controller read this
file, and ask no process.

It has what ``/v1/status`` has for everybody (``client/v1/status.py``), the account's agents, and its last minutes.
What changes a condition of the account is written within two seconds; mere numbers at most once in ten, so that a
busy account costs little more than an idle one.
"""

import asyncio
import contextlib
import json
import time
from dataclasses import replace
from pathlib import Path

from wxcontroller.client.calls import Parts
from wxcontroller.client.ilink.routes import ConsumerRoutes
from wxcontroller.client.publicfiles import PublicFiles
from wxcontroller.client.v1.status import memory, shared_status
from wxcontroller.core.deliverystate import DeliveryState, delivery_state_of
from wxcontroller.core.jsontypes import JsonObject, obj
from wxcontroller.core.messages import NOTHING

# Between two looks, and between two writes of mere numbers.
_PAUSE_SECONDS, _NUMBERS_SECONDS = 2.0, 10.0
# The log does not report that its disk is full, or that a report has become old.
_LOOK_SECONDS = 15.0
# The age from which a waiting report counts. Well below what counts as late.
_WAITING_SECONDS = 10.0


class Publisher:
    """Writes ``path`` for as long as it runs."""

    def __init__(self, path: Path, files: PublicFiles, parts: Parts, consumers: ConsumerRoutes) -> None:
        self._path = path
        self._files = files
        self._parts = parts
        self._consumers = consumers
        self._written: JsonObject = {}
        self._condition = DeliveryState()
        self._at = float("-inf")

    async def run(self) -> None:
        """Publish every change, until cancelled."""
        while True:
            news, next_look = self._parts.log.news, time.monotonic() + _PAUSE_SECONDS
            wait = await self._publish()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await news.wait()
            await asyncio.sleep(max(0.0, next_look - time.monotonic()))

    async def _publish(self) -> float:
        """Publish the present status unless it must wait. Return the seconds after which to look again."""
        if not self._parts.log.counts.name and not self._parts.log.trouble:
            return _PAUSE_SECONDS  # not opened yet: unknown does not mean that all is well
        heartbeats = self._parts.minutes.recent
        content: JsonObject = {
            **shared_status(self._parts),
            "consumers": await self._consumers.shown(),
            "heartbeats": heartbeats.as_json() if heartbeats else None,
        }
        if content == self._written:
            return _LOOK_SECONDS
        condition, since = condition_of(obj(content["reports"])), time.monotonic() - self._at
        if condition == self._condition and since < _NUMBERS_SECONDS:
            return _NUMBERS_SECONDS - since
        # Not compared: it changes all the time.
        self._files.write(self._path, json.dumps({**content, "memory": memory()}).encode())
        self._written, self._condition, self._at = content, condition, time.monotonic()
        return _LOOK_SECONDS


def condition_of(reports: JsonObject) -> DeliveryState:
    """Return what a condition of the account depends on: a report that is delivered at once changes none."""
    state = delivery_state_of(reports)
    waits = bool(state.waiting) and time.time() - state.oldest_since > _WAITING_SECONDS
    return replace(state, waiting=int(waits), oldest_since=0, last_error=state.last_error if waits else NOTHING)
