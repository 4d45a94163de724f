"""When the whole queue of sends rests: in trouble, asking on would use the tries up, or prolong it."""

import logging
from dataclasses import dataclass, field

from wxcontroller.client.sends.job import Job
from wxcontroller.core.backoff import Backoff
from wxcontroller.core.errors import WeChatError
from wxcontroller.core.limits import DEFAULTS

log = logging.getLogger(__name__)
# WeChat's "system error": may pass. Everything else is an answer and is not asked for again (protocol 9.5).
TRANSIENT = -1
_TOO_FREQUENT = 1205


@dataclass(frozen=True, slots=True)
class Rests:
    """Seconds that the whole queue rests, first and longest: when the ``line`` to WeChat fails, longer after each try
    of a message, so that all of them outlast a moment of trouble; and when WeChat says that sends are too
    ``frequent``, longer until it takes one, as more of them only prolong it."""

    line: tuple[float, float] = (1.0, 15.0)
    frequent: tuple[float, float] = (60.0, 600.0)


@dataclass(slots=True)
class Resting:
    """How long the next rest is."""

    rests: Rests
    tries: int = DEFAULTS.calls.send_tries  # of a message
    _frequent: Backoff = field(init=False)

    def __post_init__(self) -> None:
        self._frequent = Backoff(*self.rests.frequent, jitter=0.0)

    def after(self, problem: WeChatError, job: Job) -> float:
        """Return for how many seconds the queue is to rest after a try that failed; it is counted in ``job``."""
        if problem.ret == _TOO_FREQUENT:
            rest = self._frequent.next()
            log.warning("WeChat says that sends are too frequent; the queue rests for %.0f s", rest)
            return rest
        if problem.ret not in (None, TRANSIENT) or job.attempts_left <= 0:
            return 0.0
        first, longest = self.rests.line
        return float(min(longest, first * 2.0 ** (self.tries - 1 - job.attempts_left)))

    def taken(self) -> None:
        """WeChat takes sends (again)."""
        self._frequent.reset()
