"""/v1/events: server-sent events and WebSocket, of all accounts or some, from now or from where a reader was."""

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable

from aiohttp import WSMsgType, web

from wxcontroller.controller.access import caller, hold_to_accounts
from wxcontroller.controller.context import Context, context
from wxcontroller.controller.errors import BadRequest, TooManyReaders
from wxcontroller.controller.stream.cursor import BadCursor, Cursor, cursor_length, parse
from wxcontroller.controller.stream.feed import Fed, Feed, Wanted
from wxcontroller.core.errors import reason_of
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.messages import N_
from wxcontroller.openwx import eventstream
from wxcontroller.openwx.eventstream import write

# Accounts, and types of events, that one request may name: a URL has no room for more.
STREAM_NAMES = 1000
HEARTBEAT_SECONDS = 15.0
_FEW = 20

Send = Callable[[bytes], Awaitable[None]]


async def events(request: web.Request) -> web.StreamResponse:
    """GET /v1/events?account=…&types=…: a stream, by SSE or, where asked for, WebSocket.

    It goes on after the ``Last-Event-ID`` header or ``cursor`` in the query, else it begins now. It ends when the
    caller's token becomes worthless. Raises BadRequest, Refused, TooManyReaders.
    """
    shared = context(request)
    feed = Feed(shared, _wanted(request), caller(request), _begin(request), shared.settings.limits)
    if shared.readers >= shared.settings.max_readers:
        raise TooManyReaders(
            N_("{readers} readers of events are connected"),
            N_("end some, or read with filters through one of them"),
            readers=shared.readers,
        )
    shared.readers += 1
    try:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await _websocket(request, shared, feed)
        return await _server_sent(request, shared, feed)
    finally:
        shared.readers -= 1


def _wanted(request: web.Request) -> Wanted:
    known, most = context(request).accounts.registry, STREAM_NAMES
    names = [name for each in request.query.getall("account", []) for name in each.split(",") if name]
    types = [name for each in request.query.getall("types", []) for name in each.split(",") if name]
    if len(names) > most or len(types) > most:
        raise BadRequest(N_("too many names"), N_("give at most {most} accounts or types"), most=most)
    for name in names:
        hold_to_accounts(request, name)
    return Wanted(frozenset(known.resolve(name) for name in names), frozenset(types))


def _begin(request: web.Request) -> Cursor | None:
    given = request.headers.get("Last-Event-ID") or request.query.get("cursor")
    if not given:
        return None
    try:
        return parse(given, cursor_length(context(request).settings.limits))
    except BadCursor as problem:
        raise BadRequest(
            N_("the cursor can't be used: {problem}"),
            N_("begin without one, and keep the id of the last event"),
            problem=reason_of(problem),
        ) from None


async def _server_sent(request: web.Request, shared: Context, feed: Feed) -> web.StreamResponse:
    response = web.StreamResponse(headers=eventstream.HEADERS)
    await response.prepare(request)
    await response.write(b"retry: 2000\n\n")

    told = 0.0

    async def send(fed: Fed | None, cursor: Cursor) -> None:
        nonlocal told
        now, place = time.monotonic(), ""
        # A long one does not come with each of many events: the browser keeps the last.
        if fed is None or len(cursor.places) < _FEW or now - told > 1.0:
            told, place = now, str(cursor)
        kind, data = ("heartbeat", b"{}") if fed is None else (fed.type, fed.body)
        await response.write(eventstream.event(kind, data, place))

    await _serve(shared, feed, send)
    return response


async def _websocket(request: web.Request, shared: Context, feed: Feed) -> web.StreamResponse:
    socket = web.WebSocketResponse(heartbeat=HEARTBEAT_SECONDS, max_msg_size=64 * 1024)
    await socket.prepare(request)

    async def send(fed: Fed | None, cursor: Cursor) -> None:
        if fed is None:
            await socket.send_str(json.dumps({"type": "heartbeat", "cursor": str(cursor)}))
        else:
            event: JsonObject = {"cursor": str(cursor), "event": json.loads(fed.body)}
            await socket.send_str(json.dumps(event, ensure_ascii=False))

    serving, going = asyncio.create_task(_serve(shared, feed, send)), asyncio.create_task(_gone(socket))
    try:
        await asyncio.wait({serving, going}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (serving, going):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await task
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(1.0):
                await socket.close()
    return socket


async def _gone(socket: web.WebSocketResponse) -> None:
    """Wait until the reader goes; nothing is expected from it."""
    async for message in socket:
        if message.type in (WSMsgType.ERROR, WSMsgType.CLOSE):
            return


async def _serve(shared: Context, feed: Feed, send: "Callable[[Fed | None, Cursor], Awaitable[None]]") -> None:
    """Send what the feed gives until the reader goes, takes nothing, the controller is to end, or the
    reader's token is worthless."""
    ending = asyncio.create_task(shared.draining.wait())
    try:
        async with feed.open():
            await write(send(None, feed.cursor))
            following: asyncio.Task[Fed] | None = None
            try:
                while not ending.done():
                    following = following or asyncio.create_task(feed.next())
                    await asyncio.wait(
                        {following, ending}, timeout=HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED
                    )
                    if not shared.gate.still_good(feed.caller):
                        return
                    if following.done():
                        fed, following = following.result(), None
                        await write(send(fed, feed.cursor))
                    elif not ending.done():
                        await write(send(None, feed.cursor))
            finally:
                if following is not None:
                    following.cancel()
    finally:
        ending.cancel()
