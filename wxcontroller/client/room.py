"""What an account's port grants its callers, and how much it takes on at a time."""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from aiohttp import web

from wxcontroller.client.bodies import read_body, take
from wxcontroller.client.config import ClientConfig
from wxcontroller.openwx.crowd import Crowd, Limits
from wxcontroller.openwx.load import Load
from wxcontroller.openwx.parameters import Body

LONG_POLLS = frozenset({"/openwx/check_event", "/openwx/consult", "/v1/events"})


class Room:
    """The room at one account's port."""

    def __init__(self, config: ClientConfig) -> None:
        connections = config.number("api_connections_max")
        limits = config.limits.calls
        self._limits = Limits(
            idle=limits.port_idle_seconds,
            head=limits.port_head_seconds,
            unread=limits.port_send_seconds,
            head_bytes=limits.port_head_bytes,
            headers=limits.port_headers,
            connections=connections,
            per_peer=connections,
            requests=config.limits.requests,
        )
        self._load = Load()
        self._long_polls = config.number("api_long_polls_max")
        self._bodies = config.number("api_bodies_max")
        self._most_body = config.number("api_body_max")
        self._body_seconds = limits.body_seconds
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
        return await read_body(request, directory, self._most_body, self._body_seconds, partial(self._hold, request))

    async def take(self, request: web.Request, most: int) -> bytes:
        """Read a small body and leave it for others, as ``bodies.take`` does. Raises also Busy."""
        return await take(request, min(most, self._most_body), self._body_seconds, partial(self._hold, request))

    def _hold(self, request: web.Request, size: int) -> None:
        self._load.hold(request, size, self._bodies)


ROOM = web.AppKey("room", Room)
