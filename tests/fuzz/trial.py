"""Trying inputs: what counts as a finding, and how one is kept."""

import contextlib
import hashlib
import signal
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.corpus import FINDINGS, HERE, slug
from tests.fuzz.target import Target

# CPU seconds. What takes longer holds everything else in the process up.
SLOW = 2.0
# One input in so many is a long one.
STRETCHED = 100
_REPOSITORY = str(HERE.parents[1])


class TooSlow(Exception):
    """An input took longer than any should."""


@dataclass
class Trial:
    """The tries of one target. ``kept`` says where findings go; each place in the code is reported once."""

    target: Target
    kept: Path = FINDINGS
    inputs: int = 0
    taken: int = 0
    slowest: float = 0.0
    found: dict[str, str] = field(default_factory=dict)  # where in the code → the trace

    def attempt(self, data: bytes) -> None:
        """Try an input; a finding is kept and noted."""
        self.inputs += 1
        began = time.process_time()
        try:
            with _bounded(SLOW):
                self.taken += self.target.try_(data)
        except Exception as problem:
            where = _place(problem)
            if where not in self.found:
                self.found[where] = "".join(traceback.format_exception(problem))
                place = self.kept / slug(self.target.name)
                place.mkdir(parents=True, exist_ok=True)
                (place / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
        self.slowest = max(self.slowest, time.process_time() - began)


def _place(problem: Exception) -> str:
    """Return what tells one finding from another: the exception, and the last line of ours on its way."""
    frames = traceback.extract_tb(problem.__traceback__)
    last = ([frame for frame in frames if frame.filename.startswith(_REPOSITORY)] or list(frames))[-1]
    words = "" if isinstance(problem, TooSlow) else str(problem)[:40]
    return f"{type(problem).__name__} {words} at {last.filename}:{last.lineno}"


@contextlib.contextmanager
def _bounded(seconds: float) -> Iterator[None]:
    """Raise TooSlow in the block after so much CPU time; regular expressions are broken off too."""

    def ring(*_: object) -> None:
        raise TooSlow(f"more than {seconds:g} s")

    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
