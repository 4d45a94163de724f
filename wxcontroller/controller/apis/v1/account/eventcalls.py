"""/v1/events: server-sent events and WebSocket, of all accounts or some, from now or from where a reader was."""

import contextlib
import json
import time
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from aiohttp import web

from wxcontroller.controller.account_port.eventhub import AccountEvent, Subscription
from wxcontroller.controller.apis.v1.form.cursor import BadCursor, Cursor, cursor_length, parse
from wxcontroller.controller.apis.v1.form.declaring import Calls
from wxcontroller.controller.apis.v1.form.recordschemas import described
from wxcontroller.controller.callers.refusals import BadRequest
from wxcontroller.controller.context import context
from wxcontroller.controller.edge.authorization import caller, hold_to_accounts
from wxcontroller.controller.edge.streams import by_websocket, server_sent
from wxcontroller.controller.forwarding.proxy import pass_on_v1
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.records.eventrecords import EventPage
from wxcontroller.core.text.templates import N_
from wxcontroller.openwx.contract.describing import (
    STREAM,
    TEXT,
    WHOLE,
    Content,
    OnRequest,
    Parameter,
)
from wxcontroller.openwx.contract.paging import PAGE_EVENTS
from wxcontroller.openwx.http import eventstream

# Accounts, and types of events, that one request may name: a URL has no room for more.
STREAM_NAMES = 1000
_RETRY = 2000  # milliseconds
# With this many places, not every event carries a cursor: the browser keeps the last one.
_LONG_CURSOR, _CURSOR_SECONDS = 20, 1.0
T = TypeVar("T")
_TYPES = Parameter("types", "only events of these types, separated by commas")
LIMIT = Parameter("limit", "largest number", {"type": "integer", "minimum": 0, "maximum": PAGE_EVENTS})
CALLS = Calls()


@CALLS.route(
    "GET events",
    Scope.READ,
    "events of all or some accounts as they happen: server-sent events, or WebSocket on request",
    Content({STREAM: TEXT}),
    (404,),
    (
        Parameter("account", "names of accounts, separated by commas; none: all"),
        _TYPES,
        Parameter("cursor", "the id of the last event, to continue after it"),
        Parameter("Last-Event-ID", "the same, as browsers send it; takes precedence", place="header"),
    ),
)
async def events(request: web.Request) -> web.StreamResponse:
    """GET /v1/events?account=…&types=…: a stream, by SSE or, where asked for, WebSocket.

    It goes on after the ``Last-Event-ID`` header or ``cursor`` in the query, else it begins now. Raises BadRequest
    and Refused.
    """
    shared, who = context(request), caller(request)
    accounts = frozenset(map(shared.accounts.registry.resolve, _names(request, "account")))
    types = frozenset(_names(request, "types"))
    for name in accounts:
        hold_to_accounts(request, name)
    longest = cursor_length(shared.settings.limits)
    begin = _begin(request, longest)
    since, places = (begin.stamp, begin.places) if begin else (None, {})
    fleet = None if who.hop else shared.fleet

    def wanted(instance: str) -> bool:
        return (not accounts or instance in accounts) and who.may_see(instance)

    async with shared.hub.subscribed(wanted, types, since, places) as subscription:
        subscription.stamps.update(begin.hosts if begin else {})
        feeding = contextlib.nullcontext() if fleet is None else fleet.feeding(request, subscription, accounts)
        host = "" if shared.fleet is None else shared.fleet.name
        async with feeding:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                return await by_websocket(request, _Messages(subscription, longest, host))
            return await server_sent(request, _ServerSent(subscription, longest, host), _RETRY)


def _names(request: web.Request, parameter: str) -> list[str]:
    names = [name for each in request.query.getall(parameter, []) for name in each.split(",") if name]
    if len(names) > STREAM_NAMES:
        raise BadRequest(N_("too many names"), N_("give at most {most} accounts or types"), most=STREAM_NAMES)
    return names


def _begin(request: web.Request, longest: int) -> Cursor | None:
    cursor = request.headers.get("Last-Event-ID") or request.query.get("cursor")
    if not cursor:
        return None
    try:
        return parse(cursor, longest)
    except BadCursor:
        raise BadRequest(
            N_("the cursor is not from an event stream"),
            N_("omit it, and continue with the id of the last event"),
        ) from None


class _EventReader(ABC, Generic[T]):
    """Yield a subscription's events, each with the cursor after it."""

    def __init__(self, subscription: Subscription, longest: int, host: str) -> None:
        self._subscription = subscription
        self._longest = longest
        self._host = host  # this one's name in its fleet, "" for none

    async def next(self) -> T | None:
        event = await self._subscription.next()
        return None if event is None else self.shown(event)

    @abstractmethod
    def shown(self, event: AccountEvent) -> T:
        """Return an event in the form of this kind of stream."""

    @property
    def cursor(self) -> Cursor:
        subscription = self._subscription
        return Cursor(subscription.since, subscription.places, self._longest, subscription.stamps)

    def body(self, event: AccountEvent) -> bytes:
        """Return an event as JSON; with its host where there are several."""
        return event.at(self._host) if self._host and not event.host else event.body


class _ServerSent(_EventReader[bytes]):
    _sent_at = 0.0

    def heartbeat(self) -> bytes:
        return eventstream.event("heartbeat", b"{}", self._place())

    def shown(self, event: AccountEvent) -> bytes:
        seldom = len(self.cursor.places) >= _LONG_CURSOR and time.monotonic() - self._sent_at < _CURSOR_SECONDS
        return eventstream.event(event.type, self.body(event), "" if seldom else self._place())

    def _place(self) -> str:
        self._sent_at = time.monotonic()
        return str(self.cursor)


class _Messages(_EventReader[str]):
    def heartbeat(self) -> str:
        return json.dumps({"type": "heartbeat", "cursor": str(self.cursor)})

    def shown(self, event: AccountEvent) -> str:
        return f'{{"cursor": {json.dumps(str(self.cursor))}, "event": {self.body(event).decode()}}}'


# The account's own stream, which the hub reads.
CALLS.forwarded(
    "GET events",
    "its events, as a page, or with Accept: text/event-stream as they happen",
    OnRequest(
        described(EventPage),
        (STREAM,),
    ),
    parameters=(
        Parameter("after", "id or sequence number to continue after"),
        Parameter("since", "only events since this time, in microseconds since 1970", WHOLE),
        _TYPES,
        LIMIT,
    ),
    decoded=EventPage,
)(pass_on_v1)
