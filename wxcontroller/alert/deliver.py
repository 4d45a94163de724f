"""Delivers the alerts in a channel's spool, once. Those that fail are tried again when systemd starts it next."""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from wxcontroller.core.alerts import Alert
from wxcontroller.core.alertspool import AlertOutcome, AlertState, Spool, Waiting

log = logging.getLogger(__name__)
# Stands for a number of attempts: the alert is delivered, but its file cannot be deleted, as on a read-only disk.
_DELIVERED = -1
# A refusal may be temporary, but each attempt of a program may have done part of its work.
ALERT_REFUSALS = 3
# An alert that could not be delivered for a day is outdated.
ALERT_KEEP_SECONDS = 86400


class NotDelivered(Exception):
    """An alert was not delivered. ``final``: it was refused, not merely unreachable."""

    def __init__(self, words: str, final: bool = False) -> None:
        super().__init__(words)
        self.words = words
        self.final = final


Deliver = Callable[[Alert], Awaitable[None]]


async def deliver_all(spool: Spool, deliver: Deliver) -> bool:
    """Deliver all alerts that wait, the oldest first. Returns whether no alert is left for another attempt.

    ``deliver`` raises NotDelivered.
    """
    spool.set_aside_others()
    round_ = _Round(spool)
    while (waiting := round_.next()) is not None:
        if round_.delivered_before(waiting):
            round_.drop(waiting)
            continue
        try:
            alert = waiting.read()
        except (OSError, ValueError, OverflowError) as problem:
            log.error("%s cannot be read and is dropped: %s", waiting.path, problem)
            round_.drop(waiting, str(problem))
            continue
        try:
            await deliver(alert.without_old_codes(time.time()))
        except NotDelivered as trouble:
            round_.failed(waiting, trouble)
            if not trouble.final:
                return False  # the others would not get through either
        except Exception as problem:  # it must not delay the others forever
            log.exception("an alert cannot be rendered")
            round_.failed(waiting, NotDelivered(f"it cannot be rendered ({type(problem).__name__})", final=True))
        else:
            log.info("delivered: %s", alert.english.subject)
            round_.drop(waiting)
    return not round_.left


@dataclass(slots=True)
class _Round:
    """One pass over the spool; ``left`` are the ids that were tried and remain."""

    spool: Spool
    left: set[str] = field(default_factory=set)
    _tries: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self._tries = dict(self.spool.state().tries)

    def next(self) -> Waiting | None:
        return next((each for each in self.spool.waiting() if each.id not in self.left), None)

    def delivered_before(self, alert: Waiting) -> bool:
        return self._tries.get(alert.id) == _DELIVERED

    def failed(self, alert: Waiting, trouble: NotDelivered) -> None:
        tries = self._tries.get(alert.id, 0) + 1
        refused = trouble.final and tries >= ALERT_REFUSALS
        if refused or time.time() - alert.since > ALERT_KEEP_SECONDS:
            log.error(
                "an alert is dropped after %d failed attempts by %s: %s", tries, self.spool.channel, trouble.words
            )
            self.drop(alert, trouble.words)
            return
        log.warning("an alert was not delivered by %s: %s; retrying later", self.spool.channel, trouble.words)
        self.left.add(alert.id)
        self._tries[alert.id] = tries
        self._note(alert, trouble.words)

    def drop(self, alert: Waiting, error: str = "") -> None:
        """Be done with an alert."""
        try:
            alert.path.unlink(missing_ok=True)
        except OSError as problem:
            log.error("%s cannot be removed: %s", alert.path, problem)
            self.left.add(alert.id)
            self._tries[alert.id] = _DELIVERED
        else:
            self._tries.pop(alert.id, None)
        self._note(alert, error)

    def _note(self, alert: Waiting, error: str) -> None:
        waiting = {each.id for each in self.spool.waiting()}
        tries = {key: count for key, count in self._tries.items() if key in waiting}
        try:
            self.spool.note(AlertState(tries, AlertOutcome(alert.id, error, int(time.time()))))
        except OSError as problem:
            log.warning("cannot store the results of deliveries: %s", problem)
