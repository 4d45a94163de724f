"""Which reports go out, where, and in which order (openwx-api 3.2, 3.3, 3.5, 3.7)."""

import logging
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import parse_qsl

from wxcontroller.client.config import ClientConfig
from wxcontroller.core.jsontypes import JsonObject, text

log = logging.getLogger(__name__)
# Those of the original's default post_event_list (3.3).
DEFAULT_EVENTS = (
    *("login", "stop", "state_change", "input_qrcode"),
    *("new_friend", "lose_friend", "new_group", "lose_group", "new_group_member", "lose_group_member"),
    "friend_request",
)
# What happens to people; the others are never handed out by check_event (3.7).
_FOR_CHECK_EVENT = frozenset(
    {
        *(f"{what}_{who}" for what in ("new", "lose") for who in ("friend", "group", "group_member")),
        *(f"{who}_property_change" for who in ("friend", "group", "group_member", "user")),
        "friend_request",
    }
)
_EVENTS = _FOR_CHECK_EVENT | {*DEFAULT_EVENTS, "update_user", "update_friend", "update_group"}


class Receiver(Protocol):
    """Takes reports: the delivery to post_api, or check_event's ring."""

    def put(self, report: JsonObject, /) -> None: ...


@dataclass(slots=True, eq=False)
class Slot:
    """A place in the order of reports that is filled later, by a message whose media are still being fetched."""

    _reporter: "Reporter"
    _reports: list[JsonObject] | None = None

    @property
    def filled(self) -> bool:
        return self._reports is not None

    def fill(self, *reports: JsonObject) -> None:
        """Give what is to be reported here, once; nothing is an answer too."""
        if self._reports is None:
            self._reports = list(reports)
            self._reporter.advance()

    def take(self) -> list[JsonObject]:
        return self._reports or []


@dataclass(slots=True)
class Reporter:
    """Passes on the reports that are wanted, in the order in which things happened.

    ``webhook`` gets all, ``ring`` those that check_event hands out.
    """

    post_event: bool
    wanted: frozenset[str]
    conditions: Mapping[str, str]
    webhook: Receiver
    ring: Receiver
    _order: deque[Slot] = field(default_factory=deque)

    def wants(self, event: str) -> bool:
        """Whether reports of this event go anywhere; asked before an expensive one is made."""
        return self.post_event and event in self.wanted

    def event(self, report: JsonObject) -> None:
        """Report an event, after everything that was reported before it."""
        self.hold().fill(report)

    def events(self, reports: Iterable[JsonObject]) -> None:
        for report in reports:
            self.event(report)

    def message(self, report: JsonObject) -> None:
        """Report a message, received or sent."""
        self.hold().fill(report)

    def hold(self) -> Slot:
        """Keep the next place in the order; nothing after it goes out before it is filled."""
        slot = Slot(self)
        self._order.append(slot)
        return slot

    def advance(self) -> None:
        """Pass on what is next in order and ready."""
        while self._order and self._order[0].filled:
            for report in self._order.popleft().take():
                self._pass_on(report)

    def _pass_on(self, report: JsonObject) -> None:
        if report.get("post_type") == "event":
            name = text(report.get("event"))
            if not self.wants(name):
                return
            self.webhook.put(report)
            if name in _FOR_CHECK_EVENT:
                self.ring.put(report)
        elif self._passes(report):
            self.webhook.put(report)
            self.ring.put(report)

    def _passes(self, report: JsonObject) -> bool:
        """post_message_filter: a property that is there and different keeps the message back (3.5)."""
        return all(name not in report or text(report[name]) == value for name, value in self.conditions.items())


def reporter_of(config: ClientConfig, webhook: Receiver, ring: Receiver) -> Reporter:
    """Build a reporter as the account's options say."""
    listed = config.options["post_event_list"]
    wanted = frozenset(listed.split(",") if listed else DEFAULT_EVENTS)
    if unknown := sorted(wanted - _EVENTS):
        log.warning("post_event_list names what is no event (%s); wxclient(8) lists them", ", ".join(unknown))
    return Reporter(
        post_event=config.flag("plugin_openwx_post_event"),
        wanted=wanted,
        conditions=dict(parse_qsl(config.options["post_message_filter"], keep_blank_values=True)),
        webhook=webhook,
        ring=ring,
    )
