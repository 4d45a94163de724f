"""Taking requests for WeChat's hosts: who is asked, what goes wrong, who answers."""

import asyncio
import logging
import socket
import struct

from aiohttp import web

from wxcontroller.core.jsontypes import integer
from wxcontroller.sandbox import (
    weixin_contacts,
    weixin_login,
    weixin_media,
    weixin_messages,
    weixin_people,
    weixin_send,
    weixin_upload,
)
from wxcontroller.sandbox.call import NO_SESSION, Call, Endpoint, Refused, page, read_cookies
from wxcontroller.sandbox.faults import Fault, FaultKind
from wxcontroller.sandbox.hosts import Host
from wxcontroller.sandbox.sandbox import Sandbox

log = logging.getLogger(__name__)

CGI = "/cgi-bin/mmwebwx-bin/"
ENDPOINTS: dict[str, Endpoint] = {
    ("/jslogin" if endpoint.name == "jslogin" else CGI + endpoint.name): endpoint
    for endpoint in (
        *weixin_login.ENDPOINTS,
        *weixin_contacts.ENDPOINTS,
        *weixin_messages.ENDPOINTS,
        *weixin_media.ENDPOINTS,
        *weixin_upload.ENDPOINTS,
        *weixin_send.ENDPOINTS,
        *weixin_people.ENDPOINTS,
    )
}
NAMES = frozenset({*(endpoint.name for endpoint in ENDPOINTS.values()), "qrcode", "page", "l"})
_GARBAGE = "\x00\x1f<html><head><title>502 Bad Gateway</title>\ufffd{"
_HANG = 600.0  # seconds that a dropped request stays open


def find(path: str) -> Endpoint | None:
    """Return the endpoint behind a path."""
    if path.startswith("/qrcode/"):
        return weixin_login.QRCODE
    if path.startswith("/l/"):
        return weixin_login.SCAN_LINK
    return weixin_login.FRONT_PAGE if path == "/" else ENDPOINTS.get(path)


async def serve(sandbox: Sandbox, request: web.Request, host: Host) -> web.StreamResponse:
    """Answer one request to a WeChat host, faults included."""
    endpoint = find(request.path)
    if endpoint is None:
        sandbox.ledger.count(None, "unknown")
        return page("Not Found", status=404)
    call = Call(sandbox, request, host, endpoint, read_cookies(request.headers.get("Cookie", "")))
    uin = call.who()
    sandbox.ledger.count(uin, endpoint.name)
    agent = request.headers.get("User-Agent", "")
    if not agent or "python" in agent.lower():
        call.note("User-Agent is missing or a library's")
    call.body = await request.read()
    faults = sandbox.faults.take(endpoint.name, uin)
    for fault in faults:
        early = await _before(call, fault)
        if early is not None:
            return early
    response: web.StreamResponse = await _answer(call)
    for fault in faults:
        response = await _after(request, response, fault)
    return response


async def _answer(call: Call) -> web.StreamResponse:
    endpoint = call.endpoint
    if call.host.role not in endpoint.roles:
        call.note(f"asked for on a {call.host.role.value} host")
        return endpoint.refusal(NO_SESSION) if endpoint.name == "synccheck" else page("Not Found", status=404)
    if call.request.method not in endpoint.methods:
        call.note(f"method is {call.request.method}")
        return page("Method Not Allowed", status=405)
    try:
        return await endpoint.handler(call)
    except Refused as refusal:
        call.note(refusal.why, refused=refusal.ret)
        return endpoint.refusal(refusal.ret)


async def _before(call: Call, fault: Fault) -> web.StreamResponse | None:
    """Let a fault strike before the request is looked at; None when it lets it pass."""
    request = call.request
    match fault.kind:
        case FaultKind.DELAY:
            await asyncio.sleep(fault.value if isinstance(fault.value, int | float) else 1)
        case FaultKind.STATUS:
            status = integer(fault.value, 503)
            if status == 0:
                return await _hang_up(request, b"HTTP/1.1 0 -\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            if status >= 400:
                return web.Response(status=status)
        case FaultKind.RESET if fault.value != "after":
            return await _reset(request)
        case FaultKind.DROP if fault.value != "after":
            return await _swallow(request, fault)
        case FaultKind.GARBAGE:
            return web.Response(text=str(fault.value or _GARBAGE), content_type="text/plain")
        case FaultKind.RETCODE:
            return call.endpoint.refusal(integer(fault.value, -1))
        case FaultKind.MOVED if call.host.domain not in ("", fault.value):
            home = call.host.name.removesuffix(call.host.domain) + str(fault.value)
            return web.Response(status=302, headers={"Location": f"https://{home}{request.path_qs}"})
        case _:
            pass
    return None


async def _after(request: web.Request, response: web.StreamResponse, fault: Fault) -> web.StreamResponse:
    """Let a fault strike when the request has been carried out."""
    match fault.kind:
        case FaultKind.STATUS:
            response.set_status(integer(fault.value, 200))
        case FaultKind.RESET:
            return await _reset(request)
        case FaultKind.DROP:
            return await _swallow(request, fault)
        case FaultKind.TRUNCATE:
            return await _break_off(request, response, fault, early=False)
        case FaultKind.SHORT:
            return await _break_off(request, response, fault, early=True)
        case FaultKind.ANEW if isinstance(response, weixin_media.Download):
            content_type = response.headers["Content-Type"]
            return web.Response(body=response.path.read_bytes(), headers={"Content-Type": content_type})
        case _:
            pass
    return response


async def _hang_up(request: web.Request, raw: bytes) -> web.StreamResponse:
    """Write bytes that aiohttp would not, and close."""
    if request.transport is not None:
        request.transport.write(raw)
        request.transport.close()
    return await _gone()


async def _reset(request: web.Request) -> web.StreamResponse:
    """Close with a TCP reset."""
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return await _gone()


async def _swallow(request: web.Request, fault: Fault) -> web.StreamResponse:
    """Say nothing until the client gives up."""
    await asyncio.sleep(fault.value if isinstance(fault.value, int | float) else _HANG)
    if request.transport is not None:
        request.transport.close()
    return await _gone()


async def _break_off(
    request: web.Request, response: web.StreamResponse, fault: Fault, early: bool
) -> web.StreamResponse:
    """Send a part of the body: after the promise of all of it, or, ``early``, without any promise."""
    whole = response.body if isinstance(response, web.Response) and isinstance(response.body, bytes) else b""
    status, headers = response.status, {"Content-Type": response.headers["Content-Type"]}
    if isinstance(response, weixin_media.Download):
        whole = response.path.read_bytes()
        start, size = request.http_range.start, len(whole)
        if start and not early:
            whole, status = whole[start:], 206
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
    part = whole[: integer(fault.value, len(whole) // 2)]
    broken = web.StreamResponse(status=status, headers=headers)
    broken.content_length = len(part) if early else max(len(whole), len(part) + 1)
    await broken.prepare(request)
    await broken.write(part)
    if request.transport is not None:
        request.transport.close()
    return broken


async def _gone() -> web.StreamResponse:
    """Wait for the server to notice that the connection is gone, which ends this request."""
    await asyncio.sleep(5)
    return web.Response(status=503)
