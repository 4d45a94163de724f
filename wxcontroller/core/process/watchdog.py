"""Deadlines of work in progress, and systemd's watchdog, which is not fed while one is overdue."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from wxcontroller.core.process.notify import Notifier

log = logging.getLogger(__name__)
# Fraction of the watchdog's time: without progress for this long, the journal gets the stacks of all tasks.
_LATE = 0.7
# Feed at most once a second, or ten times in the watchdog's time, however many events there are.
_LEAST = 1.0


@dataclass(slots=True)
class Deadlines:
    """Work in progress, each with a deadline. ``clock`` gives monotonic seconds.

    Each operation has a timeout; the deadline detects that the timeout itself failed. Work that may wait forever,
    such as on an empty queue, is not entered.
    """

    clock: Callable[[], float] = time.monotonic
    _failed: str = ""
    _under_way: dict[object, tuple[float, str]] = field(default_factory=dict)

    @contextmanager
    def within(self, seconds: float, what: str) -> Iterator[None]:
        """Expect the block to end within this many seconds: its own time limit plus a margin. In any thread."""
        # Several operations may have the same description.
        key = object()
        self._under_way[key] = (self.clock() + seconds, what)
        try:
            yield
        finally:
            del self._under_way[key]

    def overdue(self) -> list[str]:
        """Return descriptions of the work that is overdue."""
        now = self.clock()
        late = [what for until, what in tuple(self._under_way.values()) if until < now]
        return [self._failed, *late] if self._failed else late

    def failed(self, what: str) -> None:
        """Note that an essential part of the process has ended permanently."""
        self._failed = what


class Watchdog:
    """Feeds systemd's watchdog while the process makes progress."""

    def __init__(self, notifier: Notifier, deadlines: Deadlines) -> None:
        self._notifier = notifier
        self._deadlines = deadlines
        self._fed = deadlines.clock()
        seconds = notifier.watchdog_seconds
        self._least = min(_LEAST, seconds / 10) if seconds else _LEAST
        self._told = False

    def feed(self) -> None:
        """Report progress to systemd, unless another operation has exceeded its deadline."""
        if words := self._overdue():
            self._log_hang(words)
            return
        now = self._deadlines.clock()
        if now - self._fed >= self._least or self._told:
            self._fed, self._told = now, False
            self._notifier.watchdog()

    async def watch(self) -> None:
        """Say where everything waits shortly before systemd ends a process that hangs; until cancelled.

        Later would be too late: a task that waits forever is on no stack.
        """
        seconds = self._notifier.watchdog_seconds
        while seconds is not None:
            left = self._fed + seconds * _LATE - self._deadlines.clock()
            if left < 0:
                self._log_hang(self._overdue() or "no sign of life")
            await asyncio.sleep(max(left, seconds / 10))

    def _overdue(self) -> str:
        overdue = self._deadlines.overdue()
        return f"does not end: {', '.join(sorted(set(overdue)))}" if overdue else ""

    def _log_hang(self, what: str) -> None:
        if not self._told:
            self._told = True
            log.error(
                "the process hangs (%s); systemd will restart it. Its tasks are waiting here:\n%s", what, stacks()
            )


def stacks() -> str:
    """Return where all tasks wait: places in the code, no values."""
    return "\n".join(" > ".join(places(task.get_coro())) or repr(task.get_name()) for task in asyncio.all_tasks())


def places(waiting: object) -> Iterator[str]:
    """Yield the calls of a suspended coroutine, outermost first: a task shows only that one."""
    while waiting is not None:
        frame = getattr(waiting, "cr_frame", None) or getattr(waiting, "gi_frame", None)
        if isinstance(frame, FrameType):
            code = frame.f_code
            yield f"{code.co_qualname} ({code.co_filename.rpartition('/')[2]}:{frame.f_lineno})"
        waiting = getattr(waiting, "cr_await", None) or getattr(waiting, "gi_yieldfrom", None)
