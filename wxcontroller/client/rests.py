"""When the whole queue of sends rests: in trouble, asking on would use the tries up, or prolong it."""

import logging
from dataclasses import dataclass, field

from wxcontroller.core.backoff import Backoff
from wxcontroller.core.errors import WeChatError

log = logging.getLogger(__name__)
# WeChat's "system error": may pass. Everything else is an answer and is not asked for again (protocol 9.5).
TRANSIENT = -1
_TOO_FREQUENT = 1205


@dataclass(frozen=True, slots=True)
class Rests:
    """Seconds that the queue rests, first and longest: when the ``line`` to WeChat fails, so that five tries outlast
    a moment of trouble, and when WeChat says that sends are too ``frequent``, which more of them prolong."""

    line: tuple[float, float] = (1.0, 15.0)
    frequent: tuple[float, float] = (60.0, 600.0)


@dataclass(slots=True)
class Resting:
    """How long the next rest is; each is longer than the one before until a send succeeds."""

    rests: Rests
    _line: Backoff = field(init=False)
    _frequent: Backoff = field(init=False)

    def __post_init__(self) -> None:
        self._line, self._frequent = Backoff(*self.rests.line), Backoff(*self.rests.frequent, jitter=0.0)

    def after(self, problem: WeChatError) -> float:
        """Return for how many seconds the queue is to rest after a failure."""
        if problem.ret == _TOO_FREQUENT:
            rest = self._frequent.next()
            log.warning("WeChat says that sends are too frequent; the queue rests for %.0f s", rest)
            return rest
        return self._line.next() if problem.ret in (None, TRANSIENT) else 0.0

    def reset(self) -> None:
        """Begin anew: a send succeeded."""
        self._line.reset()
        self._frequent.reset()
