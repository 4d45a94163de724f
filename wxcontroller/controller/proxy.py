"""Everything else under /openwx/: passed on to the account, streaming both ways (openwx-api 1.7)."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from functools import lru_cache
from http import HTTPMethod
from typing import TypeAlias

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from wxcontroller.controller.access import PASSED_ON, caller, hold_to_accounts, looks_for_token
from wxcontroller.controller.body import has_body
from wxcontroller.controller.context import Context, context
from wxcontroller.controller.errors import json_response
from wxcontroller.controller.headers import NOT_FROM_ACCOUNTS
from wxcontroller.controller.openwx import is_missing
from wxcontroller.controller.spool import Spool, spooled
from wxcontroller.controller.units import record
from wxcontroller.core.account import Account
from wxcontroller.core.errors import UnitFailed
from wxcontroller.core.settings import Settings
from wxcontroller.core.states import Desired
from wxcontroller.openwx import credentials, parameters, replies
from wxcontroller.openwx.replies import PROXY_FAILED, reply

log = logging.getLogger(__name__)


# RFC 9110 7.6.1, and Expect, which aiohttp has answered already.
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# Who calls was checked here: the account checks too, and would take the page for a foreign one. What the caller has
# shown is no account's business, nor are a browser's cookies for this machine's name.
_NOT_SENT_ON = _HOP_BY_HOP | {
    "host",
    "expect",
    "authorization",
    "x-auth-token",
    "cookie",
    "referer",
    credentials.PORT_HEADER.lower(),
    "origin",
    "sec-fetch-site",
    "sec-fetch-mode",
    "sec-fetch-dest",
    "sec-fetch-user",
    "sec-fetch-storage-access",
}
_NOT_SENT_BACK = _HOP_BY_HOP | NOT_FROM_ACCOUNTS
# How old a look at the units may be before an account is told to be down. Starts of our own are always seen.
_JUST_NOW = 0.1
_LONG_POLL = "/openwx/check_event"
# The library's word for methods that its parser takes and it can't pass on, as QUERY.
_UNKNOWN = "<unknown>"
# Up to here an answer is read whole and sent in one piece.
_SMALL = 64 * 1024


def upstream_session() -> aiohttp.ClientSession:
    """Return the session for all accounts. Nothing in it changes what passes through."""
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, limit_per_host=0, use_dns_cache=False, keepalive_timeout=30),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    )
    # A request that reached the account may have done its work: sending it again would send a message twice.
    session._retry_connection = False
    return session


def add_routes(app: web.Application) -> None:
    """Route what no other route under /openwx/ takes; to be added after those."""
    route = app.router.add_route("*", "/openwx/{rest:.+}", proxy)
    assert route.resource is not None
    assert route.resource.canonical == PASSED_ON  # who may call is looked up by it


async def proxy(request: web.Request) -> web.StreamResponse:
    """Pass a request on to the account that ``client`` names, in its query or in a form body."""
    if request.method == _UNKNOWN:
        return json_response(replies.API_NOT_FOUND, 403)
    shared = context(request)
    query = parameters.query_of(request.raw_path)
    # The query is passed on as it came; only its client is read here.
    most = shared.settings.max_body
    raw = query.encode("utf-8", "surrogateescape")
    client = dict(parameters.urlencoded_pairs(raw, "client")).get("client")
    if has_body(request) and (request.content_length or 0) > most:
        raise web.HTTPRequestEntityTooLarge(most, request.content_length or 0)
    kind = request.headers.get("Content-Type", "")
    look_for_token = looks_for_token(request)
    if has_body(request) and parameters.is_form(kind) and (client is None or look_for_token):
        async with spooled(request, most) as spool:
            with spool.view() as body:
                if client is None:
                    client = dict(parameters.form_pairs(kind, body, "client")).get("client")
                if look_for_token:
                    spool.keep(credentials.spans_without_token(kind, body))
            return await _to_account(request, shared, client, spool)
    return await _to_account(request, shared, client, None)


async def _to_account(
    request: web.Request, shared: Context, client: str | None, spool: Spool | None
) -> web.StreamResponse:
    if client is None or is_missing(client):
        return json_response(replies.CLIENT_MISSING)
    hold_to_accounts(request, client)
    account = shared.accounts.known.find(client)
    if account is None:
        return json_response(replies.CLIENT_UNKNOWN)
    if not await _is_up(shared, account):
        return await _failure(shared, account, 502, "is not up", _JUST_NOW)
    try:
        answer = await _ask(request, shared, account, spool)
        if answer is None:
            return web.Response(body=b"[]", headers={"Content-Type": replies.CONTENT_TYPE})
        content = await answer.read() if _is_small(request, answer) else None
    except TimeoutError:
        return await _failure(shared, account, 504, "did not answer in time")
    except aiohttp.ClientConnectorError:
        return await _failure(shared, account, 502, "can't be reached")
    except (aiohttp.ClientError, ConnectionError):
        return await _failure(shared, account, 502, "ended the connection without an answer")
    async with answer:
        headers = _end_to_end(answer.headers, _NOT_SENT_BACK)
        if content is None:
            return await _stream(request, answer, headers)
        headers.popall("Content-Length", None)
        return web.Response(status=answer.status, reason=answer.reason, headers=headers, body=content)


async def _ask(
    request: web.Request, shared: Context, account: Account, spool: Spool | None
) -> aiohttp.ClientResponse | None:
    """Send the request on; return the answer when its head is there, None for a long poll that a restart ends."""
    settings = shared.settings
    headers, body = _forwarded(request, settings, spool)
    headers.update(shared.port_secrets.headers(account.name.instance, caller(request).scope))
    target = credentials.without_token(_target(request.raw_path))
    url = URL(f"http://127.0.0.1:{account.port}{_ascii(target)}", encoded=True)
    sent = shared.upstream.request(
        request.method, url, headers=headers, data=body, allow_redirects=False, timeout=_timeout(settings)
    )
    try:
        if request.path.removesuffix("/") == _LONG_POLL:
            answer = await _unless_draining(shared, sent)
            if not shared.gate.still_good(caller(request)):
                if answer is not None:
                    answer.close()
                raise shared.gate.revoked()
            return answer
        return await sent
    except aiohttp.ClientError:
        if isinstance(body, _Bounded) and body.exceeded:
            raise web.HTTPRequestEntityTooLarge(settings.max_body, settings.max_body + 1) from None
        raise


async def _is_up(shared: Context, account: Account) -> bool:
    """Say whether the account's unit has a process: without one, its port may be somebody else's by now."""
    units, instance = shared.accounts.units, account.name.instance
    try:
        # One that just came up by itself is down in what was seen a second ago.
        return (await record(units, instance)).has_process or (await record(units, instance, _JUST_NOW)).has_process
    except UnitFailed:
        return account.desired is Desired.STARTED  # an account can be well when systemd can't be asked


def _is_small(request: web.Request, answer: aiohttp.ClientResponse) -> bool:
    length = answer.content_length
    return length is not None and length <= _SMALL and request.method != HTTPMethod.HEAD


async def _stream(
    request: web.Request, answer: aiohttp.ClientResponse, headers: CIMultiDict[str]
) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
    await response.prepare(request)
    while True:
        try:
            chunk = await answer.content.readany()
        except (aiohttp.ClientError, TimeoutError) as problem:
            log.warning("an account broke off its answer to %s: %s", request.path, type(problem).__name__)
            # What was sent so far must not look complete.
            if request.transport is not None:
                request.transport.abort()
            return response
        if not chunk:
            break
        await response.write(chunk)  # waits while the caller is slow, and with it the account
    await response.write_eof()
    return response


async def _unless_draining(
    shared: Context, sent: "aiohttp.client._RequestContextManager"
) -> aiohttp.ClientResponse | None:
    """Wait for a long poll's answer, or return None at once when the controller is to end."""
    poll = asyncio.ensure_future(_awaited(sent))
    ending = asyncio.ensure_future(shared.draining.wait())
    try:
        await asyncio.wait({poll, ending}, return_when=asyncio.FIRST_COMPLETED)
        if poll.done():
            return poll.result()
        return None
    finally:
        ending.cancel()
        if not poll.done():
            poll.cancel()
            with contextlib.suppress(asyncio.CancelledError, aiohttp.ClientError, TimeoutError):
                (await poll).close()


async def _awaited(sent: "aiohttp.client._RequestContextManager") -> aiohttp.ClientResponse:
    return await sent


async def _failure(shared: Context, account: Account, status: int, what: str, max_age: float = 0) -> web.Response:
    """Say why there is no answer, as far as systemd and the account's own word tell."""
    name = account.name
    fields: dict[str, str] = {"client": name.name}
    words = f"client {name} {what}"
    try:
        view = await shared.accounts.view(name.name, max_age)
    except UnitFailed as problem:
        words = f"{words}; {problem}"
    else:
        if view is None or not view.registered:
            return json_response(replies.CLIENT_UNKNOWN)
        fields["state"] = view.word
        fields["unit_state"] = view.unit.state.value
        why = view.reason or f"unit {name.unit} is {view.unit.words}"
        words = f"{words}: {view.status}; {why}"
    return json_response(reply(PROXY_FAILED, words, **fields), status)


Body: TypeAlias = "aiohttp.StreamReader | AsyncIterator[bytes] | _Bounded | None"


def _forwarded(request: web.Request, settings: Settings, spool: Spool | None) -> tuple[CIMultiDict[str], Body]:
    headers = _end_to_end(request.headers, _NOT_SENT_ON)
    if spool is not None:
        headers["Content-Length"] = str(spool.length)
        return headers, spool.chunks()
    if not has_body(request):
        return headers, None
    if request.content_length is not None:
        return headers, request.content
    return headers, _Bounded(request.content, settings.max_body)


class _Bounded:
    """A body of unknown length that ends the request when it grows beyond ``most`` bytes."""

    def __init__(self, content: aiohttp.StreamReader, most: int) -> None:
        self._content = content
        self._left = most
        self.exceeded = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._content.iter_any():
            self._left -= len(chunk)
            if self._left < 0:
                self.exceeded = True
                raise ConnectionAbortedError("the request body is too large")
            yield chunk


def _end_to_end(headers: CIMultiDictProxy[str], without: frozenset[str]) -> CIMultiDict[str]:
    """Return the headers that are not for one hop only, in their order."""
    for named in headers.getall("Connection", ()):
        without = without | {word.strip().lower() for word in named.split(",")}
    return CIMultiDict((key, value) for key, value in headers.items() if key.lower() not in without)


def _timeout(settings: Settings) -> aiohttp.ClientTimeout:
    return _timeouts(settings.ua_request_timeout, settings.ua_connect_timeout, settings.ua_inactivity_timeout)


@lru_cache(maxsize=8)
def _timeouts(total: float, connect: float, silence: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=total, sock_connect=connect, sock_read=silence)


def _target(raw: str) -> str:
    """Return a request's target from its path on; proxies' clients send it with scheme and host (RFC 9112 3.2.2)."""
    if raw.startswith("/"):
        return raw
    _, slash, rest = raw.partition("://")[2].partition("/")
    return slash + rest


def _ascii(target: str) -> str:
    """Percent-encode what was sent raw beyond ASCII, as curl sends a typed name; the rest goes on byte for byte."""
    if target.isascii():
        return target
    raw = target.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if byte < 128 else f"%{byte:02X}" for byte in raw)
