"""Growing pauses between tries."""

import random
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """Doubling pauses in seconds, from ``first`` to ``longest``, each varied by up to ``jitter`` of itself."""

    first: float = 1.0
    longest: float = 60.0
    jitter: float = 0.2
    tries: int = field(default=0, init=False)

    def next(self) -> float:
        """Return the pause before the coming try, and count it."""
        base = min(self.longest, self.first * 2.0 ** min(self.tries, 30))
        self.tries += 1
        return base * (1 + self.jitter * (2 * random.random() - 1))  # noqa: S311 - no secret

    def reset(self) -> None:
        """Start over: the last try worked."""
        self.tries = 0
