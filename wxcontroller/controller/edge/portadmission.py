"""Admission of requests to the controller's port, by their heads (``openwx.http.admission``)."""

import asyncio

from aiohttp import web

from wxcontroller.controller.callers.authentication import ANYBODY, ROOT, Caller, Shown
from wxcontroller.controller.callers.refusals import Refused
from wxcontroller.controller.context import Context, context
from wxcontroller.controller.edge.baseurl import HOP_ORIGIN
from wxcontroller.controller.edge.failureanswers import FORM
from wxcontroller.controller.edge.ilinkpaths import is_ilink
from wxcontroller.controller.edge.peers import address_of
from wxcontroller.controller.edge.publisherforms import failure_form
from wxcontroller.core.access.rights import CALLER_HEADER, Scope, call_path, is_notification
from wxcontroller.core.config.settings import Settings
from wxcontroller.core.net.addresses import is_loopback
from wxcontroller.core.text.templates import N_
from wxcontroller.openwx.http import credentials
from wxcontroller.openwx.http.admission import (
    EVERYTHING,
    UNLIMITED,
    Claim,
    Resource,
    claim_of_admitted,
    claim_of_unknown,
    peer_of,
)
from wxcontroller.openwx.http.http1 import RequestHead
from wxcontroller.openwx.http.parameters import BadParameter

_RECOGNIZED = "caller by the head"
_CALLER = CALLER_HEADER.lower().encode()
_LONG_POLLS = frozenset({"/openwx/check_event", "/openwx/consult"})
_AGENTS_POLLS = ("/ilink/bot/getupdates", "/ilink/bot/get_qrcode_status")


def recognized(request: web.Request) -> Caller | None:
    """Return the caller that the head of a request shows, None for one that is not authorized."""
    found: Caller | None = request.get(_RECOGNIZED)
    return found


def claim_of(request: web.Request) -> Claim:
    """Return a request's limits according to its head."""
    gate, address, settings = context(request).gate, address_of(request), context(request).settings
    if CALLER_HEADER in request.headers:
        headers = request.headers
        shown = Shown(headers[CALLER_HEADER], headers.get("Authorization"), headers.get("X-Auth-Token"))
        request[_RECOGNIZED], origin = _hop(context(request), shown, address, request.transport)
        if origin:
            request[HOP_ORIGIN] = origin
        return claim_of_head(request[_RECOGNIZED], address, settings)
    notifies = is_notification(request.method, request.path)
    if notifies and not (gate.targets.by_name or gate.targets.broken):
        notifies = False  # they are off
    request[FORM] = failure_form(request.path) if notifies else None
    if notifies:
        try:
            found = gate.notifier(credentials.from_publisher(request.headers, request.raw_path))
        except BadParameter:  # the next reader of the query reports it
            found = None
    else:
        found = gate.recognize_head(lambda: shown_by_head(request), address, gate.tokens)
    request[_RECOGNIZED] = found
    return claim_of_head(found, address, settings)


def claim_of_head(found: Caller | None, address: object, settings: Settings) -> Claim:
    """Return the claim of a request by the caller that its head shows, None for an unknown one."""
    return claim_of_unknown(peer_of(address)) if found is None else claim_of_caller(found, address, settings)


def hop_of(
    shared: Context, head: RequestHead, address: object, transport: asyncio.BaseTransport | None
) -> Caller | None:
    """Return the original caller of a request that another host forwards, None for any other. Raises Refused."""
    named = head.value(_CALLER)
    if named is None:
        return None
    shown = Shown(named, head.value(b"authorization"), head.value(b"x-auth-token"))
    return _hop(shared, shown, address, transport)[0]


def shown_by(head: RequestHead, query: bytes) -> str | None:
    """Return the token in the head of a request for an account. Raises BadParameter."""
    token = credentials.from_headers(head.value(b"authorization"), head.value(b"x-auth-token"))
    return token if token is not None else credentials.from_query(query.decode())


def _hop(
    shared: Context, shown: Shown, address: object, transport: asyncio.BaseTransport | None
) -> tuple[Caller, str]:
    """Return the original caller of a forwarded request. Raises Refused, because any caller can send the header."""
    fleet = shared.fleet
    if fleet is None:
        raise Refused(
            "not-a-hop",
            N_("this host does not accept calls from other hosts"),
            N_("add the table [fleet] to its settings; see wxcontroller.toml(5)"),
        )
    return fleet.calls.hop(shown, address, transport)


def shown_by_head(request: web.Request) -> str | None:
    """Return the token in a request's head: of agents in a header alone, of others also in the query.

    Raises BadParameter.
    """
    headers = request.headers
    if is_ilink(request):
        return credentials.from_headers(headers.get("Authorization"), headers.get("X-Auth-Token"))
    return credentials.from_head(headers, request.raw_path)


def claim_of_caller(caller: Caller, address: object, settings: Settings) -> Claim:
    """Return the claim of an authorized caller at an address."""
    if caller is ROOT:
        return UNLIMITED
    # A proxy on this machine may call for anyone.
    is_local = not settings.trusted_proxies and is_loopback(address)
    if caller is ANYBODY:
        # All these callers are on this machine, except behind a reverse proxy.
        return EVERYTHING if is_local else claim_of_admitted("", peer_of(address), reserve=False)
    return claim_of_admitted(caller.token, "" if is_local else peer_of(address), reserve=caller.scope is Scope.ADMIN)


def resource_of(request: web.Request) -> Resource:
    """Return the resource that a request counts as."""
    path = call_path(request.path.rstrip("/"))
    if path in _LONG_POLLS or path.endswith(_AGENTS_POLLS):
        return Resource.LONG_POLLS
    if path == "/v1/events":
        return Resource.READERS
    if path.startswith("/v1/accounts") and "text/event-stream" in request.headers.get("Accept", ""):
        if path == "/v1/accounts":
            return Resource.WATCHERS
        # The stream of a single account counts as a long poll to it.
        return Resource.READERS if path.endswith("/journal") else Resource.LONG_POLLS
    return Resource.REQUESTS
