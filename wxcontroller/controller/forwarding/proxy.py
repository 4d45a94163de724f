"""Calls that aiohttp passes on: an account's stream of events, agents' media, and calls for other hosts' accounts.

Requests and responses stream, so that a slow side slows the other one down. All other calls that an account of this
host answers take ``forwarding``.
"""

import contextlib
import logging
import time
from collections.abc import AsyncIterator, Mapping
from email.utils import formatdate
from http import HTTPMethod

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from wxcontroller.controller.account_port.backends import SENT_BACK
from wxcontroller.controller.account_port.destination import Destination, RelayedAnswer
from wxcontroller.controller.account_port.portfailures import NotAnswering, NotRunning, PortFailure, failure_of
from wxcontroller.controller.account_port.ports import AccountPorts
from wxcontroller.controller.callers.authentication import Caller
from wxcontroller.controller.context import context
from wxcontroller.controller.edge.authorization import (
    PASSED_ON,
    as_caller,
    caller,
    hold_to_accounts,
    looks_for_token,
    sent_target,
)
from wxcontroller.controller.edge.failureanswers import json_response
from wxcontroller.controller.edge.portadmission import resource_of
from wxcontroller.controller.edge.requestbody import chunks, has_body, is_taken
from wxcontroller.controller.edge.spool import BodySpool, spooled
from wxcontroller.controller.forwarding.rewriting import record_of, rewritten
from wxcontroller.controller.openwxcalls import client_unknown
from wxcontroller.controller.tasks import first_of
from wxcontroller.core.access.rights import CALLER_HEADER, call_path, loggable
from wxcontroller.core.budget import Budget, read_whole
from wxcontroller.core.config.settings import Settings
from wxcontroller.core.errors import UnitFailed, WxError
from wxcontroller.core.net.relay import Body
from wxcontroller.core.process.summaries import cause
from wxcontroller.core.registry.account import Account
from wxcontroller.core.text.templates import Text
from wxcontroller.openwx.contract import replies
from wxcontroller.openwx.contract.replies import PROXY_FAILED, reply
from wxcontroller.openwx.http import credentials, parameters
from wxcontroller.openwx.http.admission import Resource

log = logging.getLogger(__name__)


# Headers of a caller that no account gets:
# - the hop-by-hop headers (RFC 9110 7.6.1), and Expect, which aiohttp has answered already;
# - the caller's token, and a browser's cookies for this machine's name;
# - the origin of a browser's call: it was checked here, and the account would consider the page foreign;
# - Accept-Encoding: a response passes without Content-Encoding.
NOT_SENT_ON = frozenset(
    {
        *("connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization"),
        *("te", "trailer", "transfer-encoding", "upgrade", "expect", "host"),
        *("authorization", "x-auth-token", "cookie", "referer", credentials.PORT_HEADER.lower()),
        *("origin", "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest", "sec-fetch-user"),
        *("sec-fetch-storage-access", "accept-encoding"),
        *("x-wx-consumer", "x-wx-origin"),  # set by the controller (controller/apis/ilink)
        credentials.HOLDER_HEADER.lower(),  # set by the controller, too
        CALLER_HEADER.lower(),  # another host's, to this one
    }
)
# Responses that the contract lets a browser cache (openwx-api 2.6), in seconds; an account cannot change it.
KEPT_BY_BROWSERS = {"/openwx/get_avatar": 3600}
# Maximum age of the units' state that explains why an account is down. The controller's own starts are always
# included.
_JUST_NOW = 0.1
_LONG_POLL = "/openwx/check_event"
# The library's word for methods that its parser takes and it cannot pass on, as QUERY.
_UNKNOWN = "<unknown>"
# Up to here an answer is read whole and sent in one piece.
_SMALL = 64 * 1024


class _AccountDestination:
    """An account's port as a destination."""

    def __init__(self, ports: AccountPorts, account: Account) -> None:
        self._ports = ports
        self._account = account

    async def open(
        self, target: str, caller: Caller, method: str, headers: Mapping[str, str], body: Body
    ) -> RelayedAnswer:
        sent = CIMultiDict(headers)
        sent.update(credentials.holder_header(caller.token))
        return await self._ports.open(self._account, target, caller.scope, method, sent, body)

    @property
    def account(self) -> str:
        return self._account.name.name

    @property
    def budget(self) -> Budget:
        return self._ports.budget(self._account)

    def failure_of(self, problem: Exception) -> WxError:
        return failure_of(self._account, problem)

    def unusable(self, why: Text) -> WxError:
        return NotAnswering(self._account, why)


def add_routes(app: web.Application) -> None:
    """Add the catch-all route under /openwx/, after all others."""
    route = app.router.add_route("*", "/openwx/{rest:.+}", other_calls)
    assert route.resource is not None
    assert route.resource.canonical == PASSED_ON  # who may call is looked up by it


async def other_calls(request: web.Request) -> web.StreamResponse:
    """Answer what no account of this host answers: calls for accounts of other hosts, and paths that lead nowhere."""
    shared = context(request)
    raw = parameters.query_of(request.raw_path).encode("utf-8", "surrogateescape")
    client = dict(parameters.urlencoded_pairs(raw, "client")).get("client")
    if request.method == _UNKNOWN or shared.fleet is None or client is None:
        return json_response(replies.API_NOT_FOUND, 403)
    hold_to_accounts(request, client)
    spool = await form_of(request, shared.settings.max_body, False) if has_body(request) else None
    try:
        return await to_host(request, caller(request), client, credentials.without_token(sent_target(request)), spool)
    finally:
        if spool is not None:
            spool.close()


async def to_host(
    request: web.Request, who: Caller, client: str, target: str, spool: BodySpool | None
) -> web.StreamResponse:
    """Pass a request for an account that is not here on to the host that has it."""
    as_caller(request, who)
    fleet = context(request).fleet
    host = fleet.calls.destination(request, client) if fleet is not None else None
    return client_unknown(request) if host is None else await pass_to(request, host, target, spool)


async def pass_on_v1(request: web.Request) -> web.StreamResponse:
    """Pass /v1/accounts/{name}/REST on as /v1/REST of its port: a stream, as ``forwarding`` takes all others.

    Raises as ``pass_on``, and UnknownAccount.
    """
    account = context(request).accounts.account(request.match_info["name"])
    url = request.rel_url
    rest = url.raw_path.split("/", 4)[4]
    query = f"?{url.raw_query_string}" if url.raw_query_string else ""
    return await pass_on(request, account, credentials.without_token(f"/v1/{rest}{query}"))


async def form_of(request: web.Request, limit: int, needed: bool) -> BodySpool | None:
    """Return parameters without the caller's token, if they are ``needed`` or may hold one; None: stream them."""
    if (request.content_length or 0) > limit:
        raise web.HTTPRequestEntityTooLarge(limit, request.content_length or 0)
    kind = request.headers.get("Content-Type", "")
    look_for_token = looks_for_token(request)
    holds_parameters = parameters.holds_parameters(request.path, kind)
    if not is_taken(request) and not (holds_parameters and (needed or look_for_token)):
        return None
    spool = await spooled(chunks(request), limit)
    if holds_parameters and look_for_token:
        with spool.view() as body:
            spool.keep(credentials.spans_without_token(kind, body))
    return spool


async def pass_on(
    request: web.Request,
    account: Account,
    target: str,
    sent_back: frozenset[str] = SENT_BACK,
) -> web.StreamResponse:
    """Send a request on to an account's port and its response back, streaming both ways.

    Args:
        target: path and query at the account's port, without the caller's token.
        sent_back: the headers of the response that the caller gets, in lower case.

    Raises PortFailure, HTTPRequestEntityTooLarge, and Busy for a long poll beyond the caller's share of the account.
    """
    shared = context(request)
    destination = _AccountDestination(shared.ports, account)
    if resource_of(request) is not Resource.LONG_POLLS:
        return await pass_to(request, destination, target, sent_back=sent_back)
    with shared.shares.held(account, caller(request)):
        return await pass_to(request, destination, target, sent_back=sent_back)


async def pass_to(
    request: web.Request,
    destination: Destination,
    target: str,
    spool: BodySpool | None = None,
    sent_back: frozenset[str] = SENT_BACK,
) -> web.StreamResponse:
    """Forward a request and its response, as ``pass_on``; failures are attributed to ``destination``.

    ``spool`` is the body, if it has been read already.
    """
    response = await send_request(request, destination, target, spool)
    if response is None:
        return web.Response(body=b"[]", headers={"Content-Type": replies.CONTENT_TYPE})
    with contextlib.closing(response):
        headers = CIMultiDict((name, value) for name, value in response.headers.items() if name.lower() in sent_back)
        if request.method == "OPTIONS":
            headers.update(replies.PREFLIGHT_HEADERS)
        if response.status == 200 and (seconds := KEPT_BY_BROWSERS.get(call_path(request.path))):
            headers.update(kept(seconds))
        if (kind := record_of(request)) is not None:
            event_bytes = context(request).settings.limits.stream_event_bytes
            return await rewritten(request, response, destination, kind, headers, event_bytes)
        if not is_small(request, response):
            return await stream(request, response, headers)
        try:
            content = await read_whole(response.content, destination.budget, _SMALL)
        except (aiohttp.ClientError, OSError) as problem:
            raise destination.failure_of(problem) from None
        # The library sets the length of the body that was read.
        headers.popall("Content-Length", None)
        return web.Response(status=response.status, reason=response.reason, headers=headers, body=content)


async def send_request(
    request: web.Request, destination: Destination, target: str, spool: BodySpool | None
) -> RelayedAnswer | None:
    """Forward the request; return the response once its head arrived, None for a long poll ended by a restart."""
    shared = context(request)
    headers, body = forwarded(request, shared.settings, spool)
    sending = destination.open(target, caller(request), request.method, headers, body)
    try:
        if call_path(request.path) != _LONG_POLL:
            return await sending
        response = await first_of(sending, shared.until_draining())
    except WxError:
        if isinstance(body, _Bounded) and body.exceeded:
            limit = shared.settings.max_body
            raise web.HTTPRequestEntityTooLarge(limit, limit + 1) from None
        raise
    # The token may have been revoked while the poll waited: later events are not for its holder.
    if not shared.gate.is_still_valid(caller(request)):
        if response is not None:
            response.close()
        raise shared.gate.revoked()
    return response


def kept(seconds: int) -> dict[str, str]:
    """Return the headers of an answer that a browser may keep."""
    until = formatdate(time.time() + seconds, usegmt=True)
    return {"Cache-Control": f"max-age={seconds}", "Expires": until}


def is_small(request: web.Request, response: RelayedAnswer) -> bool:
    length = response.headers.get("Content-Length", "")
    return length.isdecimal() and int(length) <= _SMALL and request.method != HTTPMethod.HEAD


async def stream(request: web.Request, response: RelayedAnswer, headers: CIMultiDict[str]) -> web.StreamResponse:
    answer = web.StreamResponse(status=response.status, reason=response.reason, headers=headers)
    await answer.prepare(request)
    while True:
        try:
            chunk = await response.content.readany()
        except (aiohttp.ClientError, OSError) as problem:
            name = type(problem).__name__
            log.warning("response ended early: path=%s error=%s", loggable(request.path), name, extra=cause(name))
            # The part that was sent so far must not look complete.
            if request.transport is not None:
                request.transport.abort()
            return answer
        if not chunk:
            break
        await answer.write(chunk)  # waits while the caller is slow, and with it the account
    await answer.write_eof()
    return answer


async def failure(account: Account, problem: PortFailure, request: web.Request) -> web.StreamResponse:
    """Return why there is no response under /openwx/, as far as systemd and the account's state show."""
    shared, name = context(request), account.name
    fields: dict[str, str] = {"client": name.name}
    status = 504 if problem.timed_out else 502
    try:
        # An account that systemd has just restarted is still down in a view that is a second old.
        view = await shared.accounts.view(name.name, _JUST_NOW if isinstance(problem, NotRunning) else 0)
    except UnitFailed as unknown:
        return json_response(reply(PROXY_FAILED, f"{problem.message}; {unknown}", **fields), status)
    if view is None or not view.registered:
        return json_response(replies.CLIENT_UNKNOWN)
    fields["state"] = view.word
    fields["unit_state"] = view.unit.state.value
    why = view.reason or f"unit {name.unit} is {view.unit.words}"
    return json_response(reply(PROXY_FAILED, f"{problem.message}: {view.status}; {why}", **fields), status)


def forwarded(request: web.Request, settings: Settings, spool: BodySpool | None) -> tuple[CIMultiDict[str], Body]:
    headers = end_to_end(request.headers)
    if spool is not None:
        headers["Content-Length"] = str(spool.length)
        return headers, spool.chunks()
    if not has_body(request):
        return headers, None
    return headers, _Bounded(request.content, settings.max_body)


class _Bounded:
    """A body that ends the request when it grows beyond ``limit`` bytes, if its length is not known before."""

    def __init__(self, content: aiohttp.StreamReader, limit: int) -> None:
        self._content = content
        self._left = limit
        self.exceeded = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._content.iter_any():
            self._left -= len(chunk)
            if self._left < 0:
                self.exceeded = True
                raise ConnectionAbortedError("the request body is too large")
            yield chunk


def end_to_end(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """Return a request's headers that are for the account, in their order."""
    without = NOT_SENT_ON
    # Headers that it names are for this connection only (RFC 9110, 7.6.1).
    for named in headers.getall("Connection", ()):
        without = without | {word.strip().lower() for word in named.split(",")}
    return CIMultiDict((key, value) for key, value in headers.items() if key.lower() not in without)
