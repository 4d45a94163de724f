"""The one loop that serves streams, as server-sent events or by WebSocket.

A stream ends when its source ends, when its reader disconnects or reads nothing for a while, when the caller's token
is revoked or expires, or when the controller stops. A heartbeat shows that it is alive while nothing happens.

The source has to be subscribed before the response begins: a client may cause an event once it has the response, and
must find it in the stream.
"""

import asyncio
import contextlib
import zlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Protocol, TypeVar

from aiohttp import WSMsgType, web

from wxcontroller.controller.context import context
from wxcontroller.controller.edge.authorization import caller
from wxcontroller.controller.tasks import first_of
from wxcontroller.openwx.http.eventstream import HEADERS, write

# After three such pauses of silence, other hosts and wxctl consider the connection broken (fleet/host.py,
# cli/connection/api.py).
HEARTBEAT_SECONDS = 15.0
T = TypeVar("T", covariant=True)


class EventSource(Protocol[T]):
    """The content of a stream."""

    async def next(self) -> T | None:
        """Return the next message, None at the end. Safe to cancel and call again."""
        ...

    def heartbeat(self) -> T:
        """Return what shows that the stream is alive: its first piece, and each after a silence."""
        ...


def wants_stream(request: web.Request) -> bool:
    """Return whether a reader asks for server-sent events instead of one answer."""
    return "text/event-stream" in request.headers.get("Accept", "")


async def server_sent(
    request: web.Request,
    source: EventSource[bytes],
    retry: int,
    may_go_on: Callable[[], bool] = lambda: True,
    packed: bool = False,
) -> web.StreamResponse:
    """Serve a source as server-sent events. ``retry`` is the number of milliseconds after which a browser reconnects.

    ``packed`` by gzip for a reader that accepts it: for a source of large pieces.
    """
    response, send = web.StreamResponse(headers=HEADERS), None
    if packed and "gzip" in request.headers.get("Accept-Encoding", ""):
        response.headers.update({"Content-Encoding": "gzip", "Vary": "Accept-Encoding"})
        send = packing(response)
    send = send or response.write
    await response.prepare(request)
    await write(send(b"retry: %d\n\n" % retry))
    await until_draining(request, follow(request, source, send, may_go_on))
    return response


def packing(response: web.StreamResponse) -> Callable[[bytes], Awaitable[None]]:
    """Return what sends pieces packed, each at once (RFC 1952; the flush of RFC 1951 3.2.4)."""
    # The fastest level: rows become a tenth, and slower ones save little more.
    packer = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)

    async def send(piece: bytes) -> None:
        await response.write(packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH))

    return send


async def by_websocket(request: web.Request, source: EventSource[str]) -> web.WebSocketResponse:
    """Serve a source by WebSocket. Nothing is expected from the reader."""
    socket = web.WebSocketResponse(heartbeat=HEARTBEAT_SECONDS, max_msg_size=64 * 1024)
    await socket.prepare(request)
    try:
        with contextlib.suppress(ConnectionError):
            await until_draining(
                request, first_of(follow(request, source, socket.send_str, lambda: True), gone(socket))
            )
    finally:
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(1.0):
                await socket.close()
    return socket


async def until_draining(request: web.Request, work: Coroutine[object, None, None]) -> None:
    await first_of(work, context(request).until_draining())


async def follow(
    request: web.Request,
    source: EventSource[T],
    send: "Callable[[T], Awaitable[None]]",
    may_go_on: Callable[[], bool],
) -> None:
    gate, who = context(request).gate, caller(request)
    piece: T | None = source.heartbeat()
    while piece is not None and gate.is_still_valid(who) and may_go_on():
        await write(send(piece))
        try:
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                piece = await source.next()
        except TimeoutError:
            piece = source.heartbeat()


async def gone(socket: web.WebSocketResponse) -> None:
    async for message in socket:
        if message.type in (WSMsgType.ERROR, WSMsgType.CLOSE):
            return
