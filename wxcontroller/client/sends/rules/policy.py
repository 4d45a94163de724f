"""The rules of a route for its sends, as its driver's capabilities choose them.

The queue knows no route: it asks its policy which send is next, which are held, how long one may wait, and what to do
with one that WeChat refused for now. ``RoutePolicy`` has the rules of a route on which everybody can be written to at
any time; ``windowed`` those of one with reply windows.
"""

import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wxcontroller.client.sends.model import order
from wxcontroller.client.sends.model.send import Send
from wxcontroller.client.sends.model.sendstates import QueuedSends, SendStep
from wxcontroller.core.condition.verdict import Cause, Verdict
from wxcontroller.core.config.limits import DEFAULTS
from wxcontroller.core.errors import WeChatError
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.drivers.base import ServiceState

if TYPE_CHECKING:
    from wxcontroller.client.sends.rules.window import Windows


@dataclass(slots=True)
class RoutePolicy:
    """The rules of a route without reply windows.

    ``tries`` are the attempts of a send that had a connection. ``keep_seconds``: how long sends wait while the
    account is not logged in or WeChat is unreachable. ``now`` returns the time of day.
    """

    tries: int = DEFAULTS.send_tries
    keep_seconds: float = 0.0
    now: Callable[[], float] = time.time

    # Whether results of sends are also reported as values for programs.
    verdicts = False

    @property
    def repeat_pause(self) -> float:
        """The least pause before a send is repeated whose answer was lost."""
        return 0.0

    @property
    def windows(self) -> "Windows | None":
        """The reply windows, for those who show them."""
        return None

    @property
    def as_bytes(self) -> bytes:
        """The state to store with each change of a send."""
        return b""

    @property
    def is_silent(self) -> bool:
        """Whether no calls may be made to WeChat."""
        return False

    def restore(self, kept: bytes) -> None:
        """Take over the state of an earlier process."""

    def limit(self, send: Send) -> None:
        """Note until when a new send may be held."""

    def waits_until(self, send: Send, since: float) -> float:
        """Return until when a send waits, if none can go out ``since`` that time."""
        return max(since, send.queued_at) + self.keep_seconds

    def may_go(self, send: Send) -> bool:
        """Whether nothing holds a send now."""
        return True

    def may_repeat(self, send: Send) -> bool:
        """Whether a send whose answer was lost can be repeated without using up what others need."""
        return True

    def line(self, send: Send) -> Hashable:
        """Return the line in which a send waits, which none in it may leave before the one ahead; None for none."""
        return None

    def rank(self, send: Send) -> int:
        """Return the rank of a send: those of a lower one go first. The rest of a message that has begun is first."""
        return 1 if send.begun else 2 if send.urgent else 3

    def next(self, sends: Iterable[Send], probing: bool) -> Send | None:
        """Return the send to go next, or None. ``probing``: WeChat is unreachable, and one send finds out."""

        def is_free(send: Send) -> bool:
            unreached = probing and send.verdict.cause is Cause.UNREACHABLE
            return send.step is not SendStep.HELD or (unreached and self.may_go(send))

        return order.following(filter(is_free, order.prepared(sends, self.line)), self.rank)

    def review(self, sends: QueuedSends, blocked: Cause | None) -> Iterator[tuple[Send, Verdict]]:
        """Hold and release sends; yield those that cannot be held. ``blocked``: why none can go."""
        return iter(())

    def new_sends(self, sends: QueuedSends) -> Iterator[Send]:
        """Yield sends that the route itself asks for."""
        return iter(())

    def change_in(self, sends: QueuedSends, blocked: bool) -> float | None:
        """Return the seconds until time alone changes something, None for never."""
        return None

    def attempted(self, send: Send, again: bool) -> None:
        """A send is handed to WeChat, or handed to it ``again`` after a lost answer."""

    def not_attempted(self, send: Send) -> None:
        """A send was not handed to WeChat again, contrary to ``attempted``: there was no connection."""

    def keeps(self, send: Send, problem: WeChatError) -> bool | None:
        """Return whether a send waits that WeChat refused for some time, or its refusal ends it. None: this failure
        says nothing about the route's limits.
        """
        return None

    def ended(self, send: Send) -> None:
        """A send has ended."""

    def overtaken(self, sent: Send, sends: Iterable[Send]) -> Sequence[tuple[Send, Verdict]]:
        """Return the sends that are dropped because another one was sent."""
        return ()

    def heard(self, peer: str, sends: Iterable[Send]) -> bool:
        """A person wrote; return whether held sends for them go out now."""
        return False

    def note_service(self, service: ServiceState) -> None:
        """The state of WeChat's service is known, or has changed."""

    def login_changed(self) -> None:
        """A new login replaced the one before."""

    def gauge(self, sends: Iterable[Send], service: ServiceState) -> JsonObject:
        """Return the route's limits and their use as JSON, for a status."""
        return {}
