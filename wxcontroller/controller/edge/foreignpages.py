"""Refuse calls that a foreign web page makes through a user's browser (openwx-api 5.3 no. 43).

openwx/http/crosssite.py decides what is foreign. Host is checked for every path, Origin for the APIs: the dashboard
itself may be linked to from anywhere.
"""

import asyncio

from aiohttp import web

from wxcontroller.controller.callers.refusals import Refused
from wxcontroller.controller.context import context
from wxcontroller.controller.edge.failureanswers import FORM, FORMS, Handler
from wxcontroller.core.config.settings import Settings
from wxcontroller.core.net.addresses import ip_of, parse_ip
from wxcontroller.core.text.templates import N_, Text
from wxcontroller.openwx.http.crosssite import foreign_origin, host_alone, own_host
from wxcontroller.openwx.http.http1 import RequestHead

_ADD_HOST = N_(
    "use its address, or add the name to allow_hosts in the settings if it is one of this machine or its proxy"
)
_ADD_ORIGIN = N_("add the page's origin to allow_origins in the settings, if it may do this")
_PREFLIGHT_SECONDS = "600"


@web.middleware
async def no_foreign_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let a request pass unless a foreign page sent it, and answer the preflight of one that is allowed."""
    headers, settings, forms = request.headers, context(request).settings, request.app[FORMS]
    problem = _foreign_host(headers.get("Host"), request.raw_path, request.transport, settings)
    if problem is None and is_api(request):
        origin, site = headers.get("Origin"), headers.get("Sec-Fetch-Site")
        problem = _foreign_page(origin, site, headers.get("Host"), settings)
    if problem is not None:
        return forms.of_request(request).foreign(problem)
    if (
        request.method == "OPTIONS"
        and "Access-Control-Request-Method" in headers
        and "Origin" in headers
        and is_allowed(headers["Origin"], settings)
    ):
        return preflight(request)
    return await handler(request)


def foreign(head: RequestHead, transport: asyncio.BaseTransport | None, settings: Settings) -> Refused | None:
    """Return why a request for an account counts as that of a foreign page, None for any other."""
    host = head.value(b"host")
    if problem := _foreign_host(host, head.target.decode(), transport, settings):
        return problem
    if b"origin" not in head.values and b"sec-fetch-site" not in head.values:
        return None
    return _foreign_page(head.value(b"origin"), head.value(b"sec-fetch-site"), host, settings)


def is_preflight(head: RequestHead, settings: Settings) -> bool:
    """Whether a browser announces a call of a page that is allowed."""
    announces = head.method == b"OPTIONS" and b"access-control-request-method" in head.values
    return announces and allowed_origin(head, settings) is not None


def allowed_origin(head: RequestHead, settings: Settings) -> bytes | None:
    """Return the origin of a page that may read the answer, None for none."""
    origin = head.values.get(b"origin") if settings.allow_origins else None
    return origin if origin is not None and is_allowed(head.value(b"origin"), settings) else None


def _foreign_host(
    host: str | None, target: str, transport: asyncio.BaseTransport | None, settings: Settings
) -> Refused | None:
    for each in (host, *host_of_target(target)):
        if own_host(each, ()) or own_host(each, (*settings.allow_hosts, *settings.allow_origins)):
            continue
        if each is not None and not is_own_address(transport, each):
            return Refused("foreign-host", N_("the name {host} is not this controller's"), _ADD_HOST, host=each[:200])
    return None


def _foreign_page(origin: str | None, site: str | None, host: str | None, settings: Settings) -> Refused | None:
    if not foreign_origin(origin, site, host, settings.allow_origins):
        return None
    who = origin[:200] if origin is not None else Text("another site")
    return Refused("foreign-origin", N_("a page of {who} may not call this API"), _ADD_ORIGIN, who=who)


async def mark_allowed(request: web.Request, response: web.StreamResponse) -> None:
    """Tell the browser that the page of an allowed origin may read the answer. For ``on_response_prepare``."""
    settings = context(request).settings
    if not settings.allow_origins:
        return
    response.headers.add("Vary", "Origin")
    origin = request.headers.get("Origin")
    if origin is not None and is_allowed(origin, settings):
        response.headers["Access-Control-Allow-Origin"] = origin


def is_api(request: web.Request) -> bool:
    """Return whether pages from elsewhere may not call this. The page of pairing is a link, as the dashboard is."""
    return (request.get(FORM) or request.app[FORMS].of(request.path)) is not None


def is_allowed(origin: str | None, settings: Settings) -> bool:
    return origin in settings.allow_origins or "*" in settings.allow_origins


def preflight(request: web.Request) -> web.Response:
    """Allow a page's announced call with any method and headers; the call itself reports unknown ones."""
    asked = request.headers
    headers = {
        "Access-Control-Allow-Methods": asked["Access-Control-Request-Method"],
        "Access-Control-Max-Age": _PREFLIGHT_SECONDS,
    }
    if "Access-Control-Request-Headers" in asked:
        headers["Access-Control-Allow-Headers"] = asked["Access-Control-Request-Headers"]
    return web.Response(status=204, headers=headers)


def is_own_address(transport: asyncio.BaseTransport | None, host: str) -> bool:
    """Return whether Host is the address of this connection, which no foreign page can have as its name."""
    own = ip_of(transport.get_extra_info("sockname")) if transport is not None else None
    return own is not None and parse_ip(host_alone(host).strip("[]")) == own


def host_of_target(target: str) -> tuple[str, ...]:
    """Return the host of an absolute-form target, ``GET http://host/path``: it counts, not Host (RFC 9112 3.2.2)."""
    if target.startswith("/"):
        return ()
    authority = target.partition("://")[2]
    for end in "/?#":
        authority = authority.partition(end)[0]
    return (authority.rpartition("@")[2],) if authority else ()
