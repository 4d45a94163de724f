"""Publishes the account's status in its runtime directory: lists, metrics and conditions of the controller read this
file, and ask no process.

It has what ``/v1/status`` has for everybody (``client/v1/reads/status.py``), the account's agents, and its last
minutes. A change is written at once, but only once in a few seconds, so that a busy account costs little more than an
idle one. The event log tells of changes, at least once a minute (``client/login/minutemarks.py``).
"""

import asyncio
import json
import time
from pathlib import Path

from wxcontroller.client.calls.call import Parts
from wxcontroller.client.ilink.agentroutes import ConsumerRoutes
from wxcontroller.client.login.publicfiles import PublicFiles
from wxcontroller.client.v1.reads.status import memory, shared_status
from wxcontroller.core.jsontypes import JsonObject, JsonValue

# Between two writes. An open conversation of the dashboard follows them.
_PAUSE_SECONDS = 3.0
# For what only the disk knows of agents: while it hangs, the rest is published without them.
_AGENTS_SECONDS = 2.0


class Publisher:
    """Writes ``path`` for as long as it runs."""

    def __init__(self, path: Path, files: PublicFiles, parts: Parts, consumers: ConsumerRoutes) -> None:
        self._path = path
        self._files = files
        self._parts = parts
        self._consumers = consumers
        self._written: JsonObject = {}

    async def run(self) -> None:
        """Publish every change, until cancelled."""
        earliest = 0.0
        while True:
            news = self._parts.log.news
            if await self._publish():
                earliest = time.monotonic() + _PAUSE_SECONDS
            await news.wait()
            await asyncio.sleep(earliest - time.monotonic())

    async def _publish(self) -> bool:
        """Publish the present status if it is another. Return whether it was."""
        if not self._parts.log.counts.name and not self._parts.log.trouble:
            return False  # not opened yet: unknown does not mean that all is well
        heartbeats = self._parts.minutes.recent
        content: JsonObject = {
            **shared_status(self._parts),
            "consumers": await self._agents(),
            "heartbeats": heartbeats.as_json() if heartbeats else None,
        }
        if content == self._written:
            return False
        # The memory is not compared: it changes all the time.
        self._files.write(self._path, json.dumps({**content, "memory": memory()}).encode())
        self._written = content
        return True

    async def _agents(self) -> JsonValue:
        try:
            async with asyncio.timeout(_AGENTS_SECONDS):
                return await self._consumers.shown()
        except TimeoutError:
            return None
