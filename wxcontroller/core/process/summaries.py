"""Limits log lines that any caller can cause to one per cause every ten seconds.

Any client of a port can send malformed requests, or wrong tokens from many addresses, faster than a journal should
grow. A record with a cause (``extra=cause(…)``) is written if there was none of that cause in the last ten seconds.
Those that follow are counted, and one line with the last of them and their number ends the ten seconds.

Records with a traceback have a cause without naming one: where the exception was raised. A request that finds a
mistake in our code finds it each time. Records of aiohttp and asyncio without one have the beginning of their message
as the cause: they log a line per connection that cannot be accepted.
"""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import PurePath

SUMMARY_SECONDS = 10.0
_LIBRARIES = frozenset({"aiohttp", "asyncio"})
# Causes are a few fixed texts in our code and in libraries. This bounds messages that contain variable text.
_CAUSES = 200
_ATTRIBUTE = "cause"


def cause(name: str) -> dict[str, object]:
    """Return the ``extra=`` of a log call that callers can repeat at will."""
    return {_ATTRIBUTE: name}


def raised_at(problem: BaseException) -> str:
    """Return the kind of an exception and the place that raised it, the same each time this place does."""
    trace, place = problem.__traceback__, ""
    while trace is not None:
        place = f" at {PurePath(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(problem).__name__}{place}"


class _Window:
    """Ten seconds of one cause: the number of suppressed records, and the last one's text."""

    def __init__(self, end: float) -> None:
        self.end = end
        self.held = 0
        self.last: logging.LogRecord | None = None


class Summaries(logging.Filter):
    """Delays records for a handler, passed as ``emit``."""

    def __init__(self, emit: Callable[[logging.LogRecord], object]) -> None:
        super().__init__()
        self._emit = emit
        self._windows: dict[str, _Window] = {}
        self._lock = threading.Lock()  # programs log from threads, too

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is to be written."""
        name = cause_of(record)
        if name is None:
            return True
        now = time.monotonic()
        with self._lock:
            window = self._windows.get(name)
            if window is not None and now < window.end:
                window.held += 1
                window.last = summary(record, window.held)
                if window.held == 1:
                    self._end_later(name, window.end - now)
                return False
            self._begin(name, now)
        if window is not None and window.held:  # no loop ran to end it in time
            record.msg, record.args = counted(record.getMessage(), window.held), None
        return True

    def _begin(self, name: str, now: float) -> None:
        self._windows.pop(name, None)
        self._windows[name] = _Window(now + SUMMARY_SECONDS)
        while len(self._windows) > _CAUSES:
            del self._windows[next(iter(self._windows))]

    def _end_later(self, name: str, seconds: float) -> None:
        import asyncio  # programs without a loop log here, too, and it takes a tenth of a second

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        loop.call_later(seconds, self._end, name)

    def _end(self, name: str) -> None:
        with self._lock:
            window = self._windows.get(name)
            if window is None or window.last is None:
                return
            self._begin(name, time.monotonic())
        self._emit(window.last)


def cause_of(record: logging.LogRecord) -> str | None:
    found: str | None = getattr(record, _ATTRIBUTE, None)
    if found is None and record.exc_info and record.exc_info[1] is not None:
        found = raised_at(record.exc_info[1])
    if found is None and record.name.partition(".")[0] in _LIBRARIES and record.levelno >= logging.WARNING:
        found = str(record.msg).partition("\n")[0]
    return None if found is None else f"{record.name}: {found}"


def summary(record: logging.LogRecord, held: int) -> logging.LogRecord:
    """Return a record without traceback: the suppressed ones are alike."""
    first = record.getMessage().partition("\n")[0]
    made = logging.makeLogRecord({**record.__dict__, "exc_info": None, "exc_text": None, "stack_info": None})
    made.msg, made.args = counted(first, held), None
    return made


def counted(message: str, held: int) -> str:
    return f"{message} ({held} more of these in {SUMMARY_SECONDS:g} s)"
