"""The pace of an account's sends: a pause between two, a limit per minute, and one per day.

The day's count is part of the account's database: it is written in the transaction that notes that a send is handed
to WeChat (client/store/sendstore.py), so that no crash loses a count. The pacer has it in memory and does not use the
database.
"""

import random
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date

from wxcontroller.core.text.templates import NOTHING, Text

BURST_SECONDS = 60.0


@dataclass(slots=True)
class Pacer:
    """Computes when the next send is allowed. ``interval`` and ``jitter`` are seconds; at most ``burst`` sends are
    made within a minute and ``daily`` within a day of the machine's time zone, 0 for any number. Days are also
    counted without a limit, so that people see the number and a limit that is set later starts from it. Past days are
    kept, for a clock that jumps and returns. ``steady`` is a clock that is never set, ``now`` the time of day.
    """

    interval: float
    jitter: float = 0.0
    burst: int = 0
    daily: int = 0
    steady: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    _free_at: float = 0.0
    _recent: deque[float] = field(default_factory=deque)
    _days: dict[str, int] = field(default_factory=dict)

    @property
    def sent_today(self) -> int:
        """The number of sends passed to WeChat today, including failed attempts."""
        return self._days.get(self._today, 0)

    @property
    def _today(self) -> str:
        return date.fromtimestamp(self.now()).isoformat()

    def restore(self, days: Mapping[str, int]) -> None:
        """Adopt the counts in the store; they include those counted here."""
        for day, number in days.items():
            self._days[day] = max(self._days.get(day, 0), number)

    def pause(self) -> float:
        """Return for how many seconds the next send has to wait, 0 or less for none."""
        # Not the wall clock: one that is set back would stop sending, one that jumps ahead would end the pause.
        now = self.steady()
        free_at = self._free_at
        if self.burst:
            while self._recent and self._recent[0] <= now - BURST_SECONDS:
                self._recent.popleft()
            if len(self._recent) >= self.burst:
                free_at = max(free_at, self._recent[-self.burst] + BURST_SECONDS)
        return free_at - now

    @property
    def refusal(self) -> Text:
        """Why nothing more may be sent today; empty if sending is allowed."""
        used_up = self.daily and self.sent_today >= self.daily
        return (
            Text("the daily limit of {daily} sends is used up; send_daily_max sets it", daily=self.daily)
            if used_up
            else NOTHING
        )

    def count(self) -> str:
        """Count a send that is handed to WeChat now; return the day as which it counts."""
        if self.burst:
            self._recent.append(self.steady())
        day = self._today
        self._days[day] = self._days.get(day, 0) + 1
        return day

    def uncount(self) -> str:
        """Take back the last ``count``: the send could not be handed to WeChat. Return the day."""
        if self._recent:
            self._recent.pop()
        day = self._today
        self._days[day] = max(0, self._days.get(day, 0) - 1)
        return day

    def sent(self, rest: float = 0.0) -> None:
        """Begin the pause after a send; ``rest`` is its minimum."""
        extra = random.uniform(0, self.jitter) if self.jitter else 0.0  # noqa: S311 - no secret
        self._free_at = self.steady() + max(self.interval + extra, rest)
