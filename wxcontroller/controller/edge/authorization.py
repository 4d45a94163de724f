"""Authorizes requests: compares the caller with what the route's endpoint needs (core/access/rights.py)."""

import asyncio

from aiohttp import web

from wxcontroller.controller.callers.authentication import ANYBODY, NOBODY, Caller, Gate
from wxcontroller.controller.context import Context, context
from wxcontroller.controller.edge.failureanswers import Handler
from wxcontroller.controller.edge.ilinkpaths import is_ilink
from wxcontroller.controller.edge.peers import address_of
from wxcontroller.controller.edge.portadmission import claim_of_caller, recognized, shown_by_head
from wxcontroller.controller.edge.publisherforms import is_notifying
from wxcontroller.controller.edge.requestbody import has_body, take
from wxcontroller.core.access import rights
from wxcontroller.core.access.rights import About, Endpoint, Scope
from wxcontroller.core.errors import BadName
from wxcontroller.core.text.templates import N_
from wxcontroller.openwx.http import admission, credentials
from wxcontroller.openwx.http.parameters import holds_parameters

# By method and path in the router's form: those of core/access/rights.py, and of /v1.
ENDPOINTS = web.AppKey("endpoints", rights.Endpoints)
_CALLER = "caller"
PASSED_ON = "/openwx/{rest}"
# The root of the old API, which has no call.
_NOWHERE = frozenset({"/openwx", "/openwx/"})
_ANY_TOKEN = Endpoint(("*",), "*", Scope.READ, About.NOTHING, "paths that lead nowhere")


def caller(request: web.Request) -> Caller:
    """Return who sent a request."""
    found: Caller = request.get(_CALLER, NOBODY)
    return found


def as_caller(request: web.Request, found: Caller) -> None:
    """Set the caller of a request that is identified by other means than a token."""
    request[_CALLER] = found


def sent_target(request: web.Request) -> str:
    """Return a request's path and query as they were sent; proxies' clients send scheme and host before them (RFC
    9112 3.2.2).

    A fragment, which no client sends, is dropped: its content is unchecked.
    """
    raw = request.raw_path.partition("#")[0]
    if raw.startswith("/"):
        return raw
    _, slash, rest = raw.partition("://")[2].partition("/")
    return slash + rest


def sent_path(request: web.Request) -> str:
    """Return a request's path as it was sent."""
    return sent_target(request).partition("?")[0]


def endpoint_of(request: web.Request) -> Endpoint:
    """Return the endpoint of a request."""
    match = request.match_info
    if match.http_exception is not None:
        return _ANY_TOKEN
    resource = match.route.resource
    path = resource.canonical if resource is not None else ""
    if path in _NOWHERE:
        return _ANY_TOKEN
    if path == PASSED_ON:
        return rights.of_call(sent_path(request))
    found = rights.of_controller(request.method, path, request.app[ENDPOINTS])
    # Without notification targets, these paths return 404.
    return _ANY_TOKEN if found.scope is Scope.NOTIFY and not is_notifying(request) else found


@web.middleware
async def authorize(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Pass a request on if its caller may do that; raises Refused if not."""
    endpoint = endpoint_of(request)
    if endpoint.scope is None:
        return await handled(request, endpoint, handler)
    gate = context(request).gate
    found = recognized(request)
    if found is None or (found is ANYBODY and not endpoint.scope.in_ladder):
        found = await recognized_by_token(request)
    if endpoint is not _ANY_TOKEN:
        authorize_call(gate, found, endpoint, request.method, sent_path(request))
    request[_CALLER] = found
    if found.hop and endpoint.is_about_host:
        raise gate.denied(
            found,
            N_("{request} concerns this host itself; callers of other hosts cannot use it"),
            N_("call this host"),
            request=rights.loggable(sent_path(request))[:200],
        )
    if endpoint.about is About.MACHINE and found.instances is not None:
        raise gate.denied(
            found,
            N_("{request} is about all accounts"),
            N_("use a token that is not bound to accounts"),
            request=rights.loggable(sent_path(request))[:200],
        )
    if endpoint.about is About.NAME:
        hold_to_accounts(request, request.match_info["name"])
    return await handled(request, endpoint, handler)


def authorize_call(gate: Gate, found: Caller, endpoint: Endpoint, method: str, path: str) -> None:
    """Raise Refused unless a caller has the scope that an endpoint needs."""
    if endpoint.scope is None or found.scope.covers(endpoint.scope):
        return
    raise gate.denied(
        found,
        N_("{method} {request} needs the scope {scope}"),
        N_("callers of {host} have {scope2}; see scope in its table [fleet.hosts.{host}] on this host")
        if found.hop
        else N_("use a token with that scope; this one has {scope2}"),
        host=found.hop,
        method=method,
        request=rights.loggable(path)[:200],
        scope=endpoint.scope,
        scope2=found.scope,
    )


async def handled(request: web.Request, endpoint: Endpoint, handler: Handler) -> web.StreamResponse:
    """Have a request handled here, or by the host of the fleet that has its account."""
    fleet = context(request).fleet
    elsewhere = await fleet.calls.elsewhere(request, endpoint) if fleet is not None else None
    return await handler(request) if elsewhere is None else elsewhere  # a response without state is false


def hold_to_accounts(request: web.Request, name_or_id: str) -> None:
    """Raise Refused when a caller that is bound to accounts requests another one, by name or id."""
    hold_caller(context(request), caller(request), name_or_id)


def hold_caller(shared: Context, found: Caller, name_or_id: str) -> None:
    """Raise Refused when a caller that is bound to accounts requests another one, by name or id."""
    if found.instances is None:
        return
    try:
        instance = shared.accounts.registry.resolve(name_or_id)
    except BadName:
        return  # no account has this name, which the handler reports
    if not found.may_see(instance):
        raise shared.gate.denied(
            found,
            N_("this token is bound to other accounts"),
            N_("use one that is bound to this account, or to none"),
        )


def looks_for_token(request: web.Request) -> bool:
    """Return whether a request's body may hold a token: where tokens count, in forms that are not too long."""
    return (
        "Content-Type" in request.headers
        and holds_parameters(request.path, request.headers["Content-Type"])
        # A longer form is not searched, because its caller is not authenticated yet.
        and (request.content_length or 0) <= credentials.TOKEN_FORM_BYTES
        and not context(request).gate.is_open
    )


async def presented(request: web.Request) -> str | None:
    """Return the token of a request, from any of its allowed places. Raises BadParameter and HTTPRequestTimeout."""
    if is_notifying(request):
        return credentials.from_publisher(request.headers, request.raw_path)
    token = shown_by_head(request)
    if token is None and not is_ilink(request) and has_body(request) and looks_for_token(request):
        try:
            async with asyncio.timeout(admission.UNKNOWN_BODY_SECONDS):
                body = await take(request, credentials.TOKEN_FORM_BYTES)
        except web.HTTPRequestEntityTooLarge:
            return None
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        token = credentials.from_form(request.headers.get("Content-Type", ""), body)
    return token


async def recognized_by_token(request: web.Request) -> Caller:
    """Return the caller of a request whose head did not identify it. Raises Refused if unknown, and Busy."""
    shared = context(request)
    if is_notifying(request) and shared.gate.targets.broken:  # a right token would not help either
        raise shared.gate.unusable_targets()
    token, address = await presented(request), address_of(request)
    found = None
    if shared.fleet is not None and is_ilink(request) and shared.gate.recognize(token, address) is None:
        found = shared.fleet.calls.agent(token)
    found = found or shared.gate.caller(token, address)
    shared.admission.recognize(request, claim_of_caller(found, address, shared.settings))
    return found
