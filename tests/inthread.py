"""An asynchronous context, in a thread of its own: for tests that block, as they wait for a program or a browser."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tests.patience import PATIENCE

R = TypeVar("R")
T = TypeVar("T")


@dataclass
class InThread(Generic[T]):
    """The value of the context, and the loop that it runs in."""

    entered: T
    loop: asyncio.AbstractEventLoop

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE)


@contextlib.contextmanager
def in_thread(context: AbstractAsyncContextManager[T]) -> Iterator[InThread[T]]:
    """Enter a context in a thread during a block."""
    ready, ending = Future[InThread[T]](), asyncio.Event()

    async def stay() -> None:
        async with context as entered:
            ready.set_result(InThread(entered, asyncio.get_running_loop()))
            await ending.wait()

    thread = threading.Thread(target=lambda: asyncio.run(stay()))
    thread.start()
    running = ready.result(PATIENCE)
    try:
        yield running
    finally:
        running.loop.call_soon_threadsafe(ending.set)
        thread.join(PATIENCE)
