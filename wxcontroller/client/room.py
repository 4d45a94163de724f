"""What an account's port grants its callers, and how much it takes on at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from aiohttp import web

from wxcontroller.client.bodies import read_body, take
from wxcontroller.client.config import ClientConfig
from wxcontroller.openwx.crowd import Crowd, Limits
from wxcontroller.openwx.load import Load
from wxcontroller.openwx.parameters import Body

# As the controller's defaults for its own port (idle_timeout and others), which most callers come through.
PORT_IDLE_SECONDS = 75.0
PORT_HEAD_SECONDS = 20.0
PORT_SEND_SECONDS = 60.0
PORT_HEAD_BYTES = 64 << 10
PORT_HEADERS = 100
# As long as the controller takes to read one (ua_request_timeout).
BODY_SECONDS = 120.0
# Of a body to /v1: the controller passes on no larger ones. They are JSON, and come at once.
ACCOUNT_BODY_BYTES = 1 << 20
ACCOUNT_BODY_SECONDS = 10.0
LONG_POLLS = frozenset({"/openwx/check_event", "/openwx/consult", "/v1/events"})


class Room:
    """The room at one account's port."""

    def __init__(self, config: ClientConfig) -> None:
        connections = config.number("api_connections_max")
        self._limits = Limits(
            idle=PORT_IDLE_SECONDS,
            head=PORT_HEAD_SECONDS,
            unread=PORT_SEND_SECONDS,
            head_bytes=PORT_HEAD_BYTES,
            headers=PORT_HEADERS,
            connections=connections,
            per_peer=connections,
            line_bytes=config.limits.request_line_bytes,
        )
        self._load = Load()
        self._long_polls = config.number("api_long_polls_max")
        self._bodies = config.number("api_bodies_max")
        self._most_body = config.number("api_body_max")
        self.crowd = Crowd(lambda: self._limits)

    @web.middleware
    async def let_in(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Let a request in if there is room for it. Raises Busy."""
        if request.path.rstrip("/") in LONG_POLLS:
            return await self._load.wait(request, handler, self._long_polls)
        return await self._load.work(request, handler, self._limits.connections)

    async def body_of(self, request: web.Request, directory: Path) -> Body:
        """Read a request's body as ``bodies.read_body`` does. Raises also Busy."""
        return await read_body(request, directory, self._most_body, BODY_SECONDS, partial(self._hold, request))

    async def small_body(self, request: web.Request) -> bytes:
        """Read the body of a request to /v1. Raises as ``take``."""
        async with asyncio.timeout(ACCOUNT_BODY_SECONDS):
            return await self.take(request, ACCOUNT_BODY_BYTES)

    async def take(self, request: web.Request, most: int) -> bytes:
        """Read a small body and leave it for others, as ``bodies.take`` does. Raises also Busy."""
        return await take(request, min(most, self._most_body), BODY_SECONDS, partial(self._hold, request))

    def _hold(self, request: web.Request, size: int) -> None:
        self._load.hold(request, size, self._bodies)


ROOM = web.AppKey("room", Room)
