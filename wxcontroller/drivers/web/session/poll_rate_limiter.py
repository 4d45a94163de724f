"""The poll rate: immediate while messages arrive, slow while idle.

Every check for news takes one of ``burst`` places; one is free again every ``spacing`` seconds. So a conversation and
the beginning of a stream are received without delay. When the places are used up, the result of the last check
decides:

* It brought something new. WeChat's own page then asks again without any pause, which over a line to WeChat makes ten
  to twenty rounds a second. So does this, but never sooner than a hundredth of ``spacing`` after the last one: a
  hundred a second by default. Only a nearby server reaches this rate, and a round costs 3 ms on each side.
* It brought nothing. Then the full ``spacing`` is kept, whatever the server says: one that answers at once and has
  nothing is a server in trouble, and asking it many times a second is what accounts are banned for (9.1).

Nothing is carried over: after a stream the pauses are the same as before it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

_PART = 100  # of the spacing between two checks of a stream


@dataclass(slots=True)
class PollRateLimiter:
    """See above. ``spacing`` 0 or less: no waiting at all. ``clock`` gives monotonic seconds."""

    spacing: float
    burst: int
    clock: Callable[[], float] = time.monotonic
    _left: float = field(init=False)
    _counted: float = field(init=False)
    _asked: float = field(init=False)

    def __post_init__(self) -> None:
        self._left = float(self.burst)
        self._counted = self.clock()
        self._asked = self._counted - self.spacing

    def due(self, brought: bool = False) -> float:
        """Count one check and return the seconds to wait before it. ``brought``: the last one returned news."""
        if self.spacing <= 0:
            return 0.0
        now = self.clock()
        free = min(float(self.burst), self._left + (now - self._counted) / self.spacing)
        if free >= 1.0:
            wait = 0.0
        else:
            wait = (1.0 - free) * self.spacing
            if brought:
                wait = max(0.0, min(wait, self._asked + self.spacing / _PART - now))
        self._counted = self._asked = now + wait
        self._left = max(0.0, free + wait / self.spacing - 1.0)
        return wait
