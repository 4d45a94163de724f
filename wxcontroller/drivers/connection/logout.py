"""The end of a driver's work by a logout: ``Driver.logout`` is called while ``Driver.run`` works."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

from wxcontroller.drivers.base import Ended


class Logout:
    """One request to log out, and its end."""

    def __init__(self) -> None:
        self._requested, self._done = asyncio.Event(), asyncio.Event()
        self._is_working = False

    @property
    def is_requested(self) -> bool:
        return self._requested.is_set()

    @asynccontextmanager
    async def ends(self, work: Coroutine[object, None, Ended]) -> AsyncIterator[asyncio.Task[Ended]]:
        """Run ``work``; the block begins when it has ended or a logout is requested, and cancels it at its end."""
        working, requested = asyncio.ensure_future(work), asyncio.ensure_future(self._requested.wait())
        self._is_working = True
        try:
            await asyncio.wait({working, requested}, return_when=asyncio.FIRST_COMPLETED)
            yield working
        finally:
            self._is_working = False
            for task in (working, requested):
                task.cancel()
            await asyncio.gather(working, requested, return_exceptions=True)

    async def request(self) -> bool:
        """Request the logout and wait until it is done. Return False at once if no work runs."""
        if not self._is_working:
            return False
        self._requested.set()
        return await self._done.wait()

    def note_done(self) -> None:
        """Wake the callers that requested it."""
        self._done.set()
