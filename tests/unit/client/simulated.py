"""A simulated clock, and an event loop whose timers it lets pass at once."""

import selectors
from collections.abc import Callable
from dataclasses import dataclass

EPOCH = 1_790_000_000.0


@dataclass
class Clock:
    passed: float = 0.0
    jumped: float = 0.0

    def steady(self) -> float:
        return self.passed

    def time(self) -> float:
        return EPOCH + self.passed + self.jumped


class Timers(selectors.SelectSelector):
    """Lets the clock jump to the next timer when no thread works for the loop."""

    def __init__(self, clock: Clock, is_busy: Callable[[], bool] = lambda: False) -> None:
        super().__init__()
        self._clock, self._is_busy = clock, is_busy

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if found or timeout == 0:
            return found
        if self._is_busy():
            return super().select(1.0)
        assert timeout is not None, "everything waits, and nothing will happen"
        self._clock.passed += timeout
        return found
