"""Work that continues after its call was answered or its caller disconnected."""

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

log = logging.getLogger(__name__)
Result = TypeVar("Result")
# For a task past its last await: cancelling it would lose an answer that is ready.
_GRACE_SECONDS = 0.1


@dataclass(slots=True)
class Tasks:
    """Background tasks of one account. Failures are logged."""

    _running: "set[asyncio.Task[Any]]" = field(default_factory=set)

    def begin(self, work: Coroutine[Any, Any, Result]) -> "asyncio.Task[Result]":
        """Run ``work`` as a separate task; await it shielded for its result."""
        task = asyncio.create_task(work)
        # asyncio keeps only weak references to tasks: without this one, a task may be collected while it runs.
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def leave(self, work: Coroutine[Any, Any, object]) -> None:
        """Run ``work`` in the background; its result is not awaited."""
        _ = self.begin(work)

    async def close(self) -> None:
        """Cancel running tasks; those about to end may finish."""
        if self._running:
            await asyncio.wait(list(self._running), timeout=_GRACE_SECONDS)
        for task in list(self._running):
            task.cancel()
        if self._running:
            await asyncio.wait(list(self._running))

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._running.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            log.error("the background work of a call failed", exc_info=problem)


async def either(first: asyncio.Event, other: asyncio.Event, seconds: float | None = None) -> bool:
    """Wait until one of two events is set; False when ``seconds`` have passed before."""
    waits = [asyncio.ensure_future(event.wait()) for event in (first, other)]
    try:
        done, _ = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)
    finally:
        for wait in waits:
            wait.cancel()
