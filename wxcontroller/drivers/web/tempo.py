"""How often WeChat is asked: some requests at once when there is much to hear, never many for long."""

import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tempo:
    """Allows ``burst`` requests at once and one every ``spacing`` seconds in the long run.

    A conversation is heard without delay; a server that always says "news" is asked once per ``spacing`` only.
    """

    spacing: float
    burst: int
    _left: float = field(init=False)
    _counted: float = field(init=False)

    def __post_init__(self) -> None:
        self._left = float(self.burst)
        self._counted = time.monotonic()

    def due(self) -> float:
        """Count one request and return the seconds to wait before it."""
        if self.spacing <= 0:
            return 0.0
        now = time.monotonic()
        self._left = min(float(self.burst), self._left + (now - self._counted) / self.spacing) - 1.0
        self._counted = now
        return max(0.0, -self._left * self.spacing)
