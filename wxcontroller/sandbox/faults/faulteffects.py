"""Effects of injected faults on a request: before and after it is handled."""

import asyncio
import socket
import struct
from collections.abc import Callable

from aiohttp import web

from wxcontroller.core.jsontypes import integer
from wxcontroller.sandbox.faults.faults import Fault, FaultKind
from wxcontroller.sandbox.hosts import Host
from wxcontroller.sandbox.media.storedcontent import Download

_GARBAGE = "\x00\x1f<html><head><title>502 Bad Gateway</title>\ufffd{"
_HANG = 600.0  # seconds that a dropped request stays open


async def before(
    request: web.Request, fault: Fault, refusal: Callable[[int], web.Response], host: Host | None = None
) -> web.StreamResponse | None:
    """Apply a fault before the request is handled; None when the request is to be handled. ``refusal`` returns a code
    in the endpoint's format; ``host`` is the requested WeChat host, if it can move.
    """
    match fault.kind:
        case FaultKind.DELAY:
            await asyncio.sleep(fault.value if isinstance(fault.value, int | float) else 1)
        case FaultKind.STATUS:
            status = integer(fault.value, 503)
            if status == 0:
                return await hang_up(request, b"HTTP/1.1 0 -\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            if status >= 400:
                return web.Response(status=status)
        case FaultKind.RESET if fault.value != "after":
            return await reset(request)
        case FaultKind.DROP if fault.value != "after":
            return await swallow(request, fault)
        case FaultKind.GARBAGE:
            return web.Response(text=str(fault.value or _GARBAGE), content_type="text/plain")
        case FaultKind.RETCODE:
            return refusal(integer(fault.value, -1))
        case FaultKind.MOVED if host is not None and host.domain not in ("", fault.value):
            home = host.name.removesuffix(host.domain) + str(fault.value)
            return web.Response(status=302, headers={"Location": f"https://{home}{request.path_qs}"})
        case _:
            pass
    return None


async def after(request: web.Request, response: web.StreamResponse, fault: Fault) -> web.StreamResponse:
    """Apply a fault after the request was handled."""
    match fault.kind:
        case FaultKind.STATUS:
            response.set_status(integer(fault.value, 200))
        case FaultKind.RESET:
            return await reset(request)
        case FaultKind.DROP:
            return await swallow(request, fault)
        case FaultKind.TRUNCATE:
            return await break_off(request, response, fault, early=False)
        case FaultKind.SHORT:
            return await break_off(request, response, fault, early=True)
        case FaultKind.HEADLESS:
            response.headers.popall("x-encrypted-param", None)
        case FaultKind.NO_RANGE if isinstance(response, Download):
            content_type = response.headers["Content-Type"]
            return web.Response(body=response.path.read_bytes(), headers={"Content-Type": content_type})
        case _:
            pass
    return response


async def hang_up(request: web.Request, raw: bytes) -> web.StreamResponse:
    """Write bytes that aiohttp would not write, and close."""
    if request.transport is not None:
        request.transport.write(raw)
        request.transport.close()
    return await gone()


async def reset(request: web.Request) -> web.StreamResponse:
    """Close with a TCP reset."""
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return await gone()


async def swallow(request: web.Request, fault: Fault) -> web.StreamResponse:
    """Send no response until the client gives up."""
    await asyncio.sleep(fault.value if isinstance(fault.value, int | float) else _HANG)
    if request.transport is not None:
        request.transport.close()
    return await gone()


async def break_off(
    request: web.Request, response: web.StreamResponse, fault: Fault, early: bool
) -> web.StreamResponse:
    """Send a part of the body: with a Content-Length of all of it, or, ``early``, with none."""
    content = response.body if isinstance(response, web.Response) and isinstance(response.body, bytes) else b""
    status, headers = response.status, {"Content-Type": response.headers["Content-Type"]}
    if isinstance(response, Download):
        content = response.path.read_bytes()
        start, size = request.http_range.start, len(content)
        if start and not early:
            content, status = content[start:], 206
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
    part = content[: integer(fault.value, len(content) // 2)]
    broken = web.StreamResponse(status=status, headers=headers)
    broken.content_length = len(part) if early else max(len(content), len(part) + 1)
    await broken.prepare(request)
    await broken.write(part)
    if request.transport is not None:
        request.transport.close()
    return broken


async def gone() -> web.StreamResponse:
    """Wait for the server to notice that the connection is gone, which ends this request."""
    await asyncio.sleep(5)
    return web.Response(status=503)
