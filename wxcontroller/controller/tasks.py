"""Tasks with an owner: the first of several to finish, and shared work that runs while it is needed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import TypeVar

T = TypeVar("T")


async def first_of(*works: Coroutine[object, None, T]) -> T:
    """Run until the first is done, and cancel the others. Return its result or raise its exception; earlier arguments
    take precedence."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task for task in tasks if task.done()).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class SharedWork:
    """Work done once for all its waiters, and only while there are any."""

    def __init__(self, work: Callable[[], Coroutine[object, None, None]]) -> None:
        self._work = work
        self._users = 0
        self._task: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def needed(self) -> "AsyncIterator[asyncio.Task[None]]":
        """Have the work done during a block. Yields its task, which ends before the block only when it fails."""
        self._users += 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        try:
            yield self._task
        finally:
            self._users -= 1
            if not self._users:
                # Before the wait: a caller that comes meanwhile starts new work instead of sharing the cancelled one.
                task, self._task = self._task, None
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
