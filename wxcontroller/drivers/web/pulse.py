"""The account's heartbeat: every wait of the driver goes through here and tells that the loop is alive."""

import asyncio
import time
from collections.abc import Coroutine
from typing import TypeVar

from wxcontroller.drivers.base import DriverEvent, Emit, Progress
from wxcontroller.drivers.web.timing import Timing

T = TypeVar("T")


class Pulse:
    """Emits events one at a time, in the order they were given, and Progress during every long wait."""

    def __init__(self, emit: Emit, timing: Timing) -> None:
        self._emit = emit
        self._timing = timing
        self._turn = asyncio.Lock()

    async def emit(self, event: DriverEvent) -> None:
        async with self._turn:
            await self._emit(event)

    async def progress(self, heard: bool = False) -> None:
        await self.emit(Progress(heard))

    async def pause(self, seconds: float) -> None:
        """Sleep. Progress is told at least every ``progress_every`` seconds."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(left, self._timing.progress_every))
            await self.progress()

    async def pace(self, since: float, spacing: float) -> None:
        """Sleep until ``spacing`` seconds after ``since`` (monotonic)."""
        await self.pause(since + spacing - time.monotonic())

    async def wait(self, work: Coroutine[None, None, T]) -> T:
        """Return what ``work``, which must have a timeout of its own, returns; tell Progress meanwhile."""
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                done, _ = await asyncio.wait({task}, timeout=self._timing.progress_every)
                if not done:
                    await self.progress()
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
