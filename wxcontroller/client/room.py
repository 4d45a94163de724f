"""What an account's port grants its callers, and how much it takes on at a time."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from wxcontroller.client.config import ClientConfig
from wxcontroller.openwx.crowd import Crowd, Limits
from wxcontroller.openwx.load import Load

# As long as the controller gives a whole request.
BODY_SECONDS = 120.0
LONG_POLLS = frozenset({"/openwx/check_event", "/openwx/consult"})


class Room:
    """The room at one account's port."""

    def __init__(self, config: ClientConfig) -> None:
        connections = config.number("api_connections_max")
        self._limits = Limits(connections=connections, per_peer=connections)
        self._load = Load()
        self._long_polls = config.number("api_long_polls_max")
        self._bodies = config.number("api_bodies_max")
        self.most_body = config.number("api_body_max")
        self.crowd = Crowd(lambda: self._limits)

    @web.middleware
    async def let_in(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Let a request in if there is room for it. Raises Busy."""
        if request.path in LONG_POLLS:
            return await self._load.wait(request, handler, self._long_polls)
        return await self._load.work(request, handler, self._limits.connections)

    async def body(self, request: web.Request) -> bytes:
        """Read a request's body.

        Raises HTTPRequestEntityTooLarge, HTTPUnsupportedMediaType for one that is packed, Busy, RequestPayloadError,
        and TimeoutError for one that takes too long.
        """
        announced = request.content_length or 0
        if announced > self.most_body:  # not waited for
            raise web.HTTPRequestEntityTooLarge(self.most_body, announced)
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise web.HTTPUnsupportedMediaType  # some bytes of it could become any number
        body = bytearray()
        async with asyncio.timeout(BODY_SECONDS):
            while chunk := await request.content.readany():
                self._load.hold(request, len(chunk), self._bodies)
                body += chunk
                if len(body) > self.most_body:
                    raise web.HTTPRequestEntityTooLarge(self.most_body, len(body))
        return bytes(body)


ROOM = web.AppKey("room", Room)
