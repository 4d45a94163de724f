"""How fast an account may send: a pause between two sends, bursts, and a day's number."""

import json
import logging
import random
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from wxcontroller.core.errors import WxError
from wxcontroller.core.files import replace_file
from wxcontroller.core.jsontypes import integer, obj, read_json

log = logging.getLogger(__name__)
BURST_SECONDS = 60.0
_DAYS = 7  # whose counts are kept: a clock that jumps comes back to its day


class DailyLimit(WxError):
    """Nothing more may be sent today."""


@dataclass(slots=True)
class Pacing:
    """When the next send may go out.

    ``interval`` and ``jitter`` are seconds; ``burst`` sends within a minute and ``daily`` sends within a day of the
    machine's time zone at most, 0 for any number. ``store`` keeps the day's count over a restart; the count is kept
    without a limit too, so that people see it and a limit that is set later counts from the right number.
    """

    interval: float
    jitter: float = 0.0
    burst: int = 0
    daily: int = 0
    store: Path | None = None
    _free_at: float = 0.0
    _recent: deque[float] = field(default_factory=deque)
    _counts: dict[str, int] = field(default_factory=dict)  # day → sends

    def __post_init__(self) -> None:
        self._restore()

    @property
    def today(self) -> int:
        """How many sends were handed to WeChat today, tries that failed included."""
        return self._counts.get(date.today().isoformat(), 0)

    def pause(self) -> float:
        """Return how many seconds the next send has to wait, 0 or less for none."""
        now = time.monotonic()
        free_at = self._free_at
        if self.burst:
            while self._recent and self._recent[0] <= now - BURST_SECONDS:
                self._recent.popleft()
            if len(self._recent) >= self.burst:
                free_at = max(free_at, self._recent[-self.burst] + BURST_SECONDS)
        return free_at - now

    def claim(self) -> None:
        """Count a send that goes out now. Raises DailyLimit when the day's number is used up."""
        today, count = date.today().isoformat(), self.today
        if self.daily and count >= self.daily:
            raise DailyLimit(f"the daily limit of {self.daily} sends is used up", "send_daily_max sets it")
        if self.burst:
            self._recent.append(time.monotonic())
        self._counts.pop(today, None)  # the latest is the last
        self._counts[today] = count + 1
        while len(self._counts) > _DAYS:
            del self._counts[next(iter(self._counts))]
        self._keep()

    def sent(self, rest: float = 0.0) -> None:
        """Begin the pause after a send; ``rest``: it is at least so long."""
        extra = random.uniform(0, self.jitter) if self.jitter else 0.0  # noqa: S311 - no secret
        self._free_at = time.monotonic() + max(self.interval + extra, rest)

    def _restore(self) -> None:
        if self.store is None:
            return
        try:
            kept = obj(read_json(self.store.read_bytes()))
        except (OSError, ValueError):
            return
        self._counts = {day: max(0, integer(count)) for day, count in kept.items()}

    def _keep(self) -> None:
        if self.store is None:
            return
        try:
            replace_file(self.store, json.dumps(self._counts).encode())
        except OSError as problem:
            log.warning("the day's count of sends can't be kept: %s", problem)
