"""Draining the send queue: before a stop, messages are sent while time remains."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from wxcontroller.client.login.session import Session
from wxcontroller.client.sends.queue import SendQueue
from wxcontroller.core.process.notify import Notifier
from wxcontroller.core.text.templates import Text

log = logging.getLogger(__name__)
# Well below the unit's TimeoutStopSec=10, which each tick extends.
_TICK_SECONDS = 2.0
# The stop timeout is extended by this much at each tick, so that a client that hangs is still killed soon.
_MORE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Drain:
    """Waits for queued sends at a stop, ``seconds`` at most (option stop_drain), and while the host has a permit.

    ``left`` returns how many seconds that is.
    """

    sends: SendQueue
    session: Session
    notifier: Notifier
    seconds: float
    left: Callable[[], float] = lambda: math.inf

    async def run(self) -> None:
        """Return once no send waits, or the next one could not go out in time."""
        # Before anything is awaited: a send that is accepted now would not be sent in this run.
        self.sends.stop_accepting()
        end = time.monotonic() + self.seconds
        if not self._is_worth_waiting(end):
            return
        self.notifier.stopping()
        words = Text(
            "stopping: first sending the queued messages ({count}), for at most {seconds} s",
            count=len(self.sends),
            seconds=f"{self.seconds:g}",
        )
        log.info("account %s: %s", self.session.config.name, words)
        self.session.note(words)
        while self._is_worth_waiting(end):
            self.notifier.extend(min(_MORE_SECONDS, self.left()))
            await self.sends.drain(min(_TICK_SECONDS, max(0.0, end - time.monotonic())))

    def _is_worth_waiting(self, end: float) -> bool:
        return len(self.sends) > 0 and self.sends.due_in < min(end - time.monotonic(), self.left())
