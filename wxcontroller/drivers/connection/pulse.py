"""The account's heartbeat: every wait of the driver goes through here and shows that the loop is alive."""

import asyncio
import contextlib
import time
from collections.abc import Coroutine
from functools import partial
from typing import TypeVar

from wxcontroller.core.process.watchdog import Deadlines
from wxcontroller.drivers.base import DriverEvent, Emit, Progress
from wxcontroller.drivers.connection.timing import LineTiming

T = TypeVar("T")


class Pulse:
    """Emits events one at a time, in the order they were given, and Progress during every long wait."""

    def __init__(self, emit: Emit, timing: LineTiming, deadlines: Deadlines) -> None:
        self._emit = emit
        self._timing = timing
        self._deadlines = deadlines
        self._turn = asyncio.Lock()

    async def emit(self, event: DriverEvent) -> None:
        # Several tasks of a driver emit; the account must get each event after the one before it was handled.
        async with self._turn:
            await self._emit(event)

    async def progress(self, heard: bool = False) -> None:
        await self.emit(Progress(heard))

    async def pause(self, seconds: float) -> None:
        """Sleep, and report progress at least every ``progress_every`` seconds."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(left, self._timing.progress_every))
            await self.progress()

    async def until(self, event: asyncio.Event) -> None:
        """Wait for something that has no time limit, such as a person's decision; update Progress meanwhile."""
        while not event.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._timing.progress_every):
                    await event.wait()
            await self.progress()

    async def pace(self, since: float, spacing: float) -> None:
        """Sleep until ``spacing`` seconds after ``since`` (monotonic)."""
        await self.pause(since + spacing - time.monotonic())

    async def wait(self, work: Coroutine[None, None, T]) -> T:
        """Return the result of ``work``, which must have its own timeout; update Progress meanwhile.

        ``work`` is not a task: each task would add a round of the event loop between an answer of WeChat and the next
        request.
        """
        beats: list[asyncio.Task[None]] = []
        begin = partial(self._begin_beating, beats)
        timer = asyncio.get_running_loop().call_later(self._timing.progress_every, begin)
        # Otherwise Progress would be updated forever if that timeout fails.
        with self._deadlines.within(self._timing.stuck_after, "a request to WeChat"):
            try:
                return await work
            finally:
                timer.cancel()
                for beating in beats:
                    beating.cancel()
                    await asyncio.wait({beating})
                    if not beating.cancelled():
                        beating.result()  # it only ends by failing

    def _begin_beating(self, beats: "list[asyncio.Task[None]]") -> None:
        beats.append(asyncio.ensure_future(self._beat()))

    async def _beat(self) -> None:
        while True:
            await self.progress()
            await asyncio.sleep(self._timing.progress_every)


async def run_beside(main: Coroutine[None, None, T], helper: Coroutine[None, None, None]) -> T:
    """Return the result of ``main`` while ``helper`` runs, too; the failure of either is the failure of both."""
    tasks = asyncio.ensure_future(main), asyncio.ensure_future(helper)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not tasks[0].done():
            tasks[1].result()
        return await tasks[0]
    finally:
        for task in tasks:
            task.cancel()
        # Wait, so that no task of the old session still runs when the next login begins.
        await asyncio.gather(*tasks, return_exceptions=True)
