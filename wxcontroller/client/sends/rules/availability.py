"""Whether sends can go out at all: the account's login, WeChat's service, and the connection to it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from wxcontroller.client.sends.model.send import Send
from wxcontroller.client.sends.rules.policy import RoutePolicy
from wxcontroller.core.condition.verdict import Cause, SendState, Verdict
from wxcontroller.core.text.templates import N_, NOTHING, Text
from wxcontroller.drivers.base import ServiceState

# Attempts in a row without a connection after which WeChat counts as unreachable. They take a quarter of a minute.
UNREACHED = 5
# A moment without a connection ends no send, whatever ``keep_seconds`` is.
_SHORT_OUTAGE = 15.0


@dataclass(slots=True)
class Availability:
    """``login`` is the account's own id while it is logged in, else "". ``over``: why sends of the last login can
    never go out, if they cannot. ``since``: the time since which nobody is logged in, or WeChat is unreachable.
    """

    policy: RoutePolicy
    since: float
    login: str = ""
    over: Cause | None = None
    service: ServiceState = ServiceState()
    failures: int = 0  # attempts in a row without a connection
    last_error: Text = NOTHING  # reason why the last attempt failed; empty if it succeeded

    @property
    def blocked(self) -> Cause | None:
        """The reason why no send goes out, or None. If WeChat is unreachable, one send at a time still tests it."""
        if not self.login:
            return Cause.OFFLINE
        if self.service.confirming:
            return Cause.CONFIRMING
        return Cause.UNREACHABLE if self.failures >= UNREACHED else None

    def log_in(self, own: str) -> None:
        """Note that the account is logged in, with this id."""
        self.login, self.over, self.failures = own, None, 0

    def log_out(self, over: Cause | None) -> None:
        """Note that nobody is logged in; ``over``: why the ids that sends are addressed to have ended, if so."""
        if self.login and not self.failures:
            self.since = self.policy.now()
        self.login, self.over, self.failures = "", over, 0

    def note_failure(self) -> None:
        """Note that an attempt had no connection."""
        if not self.failures:
            self.since = self.policy.now()
        self.failures += 1

    def stall(self, sends: Iterable[Send]) -> Verdict | None:
        """Return the verdict on ``sends`` if none goes out at present, until when the first one waits, else None."""
        if self.login and not self.failures:
            return None
        until = min(map(self.waits_until, sends), default=math.inf)
        if not self.login:
            return Verdict(SendState.WAITING, Cause.OFFLINE, when=until)
        return Verdict(SendState.WAITING, Cause.UNREACHABLE, self.last_error, until)

    def waits_until(self, send: Send) -> float:
        """Return until when a send waits for a login, or for WeChat."""
        until = self.policy.waits_until(send, self.since)
        return max(until, self.since + _SHORT_OUTAGE) if self.login else until

    @property
    def words(self) -> Text:
        """Return why sends have waited too long."""
        kept = self.policy.keep_seconds
        if self.login:
            return Text(N_("WeChat could not be reached for {seconds} s"), seconds=f"{max(kept, _SHORT_OUTAGE):g}")
        return Text(N_("the account was not logged in for {seconds} s"), seconds=f"{kept:g}")
