"""How much a port takes on at a time: requests, long polls, and bytes of bodies that it holds.

What goes beyond is answered with 503 at once: that costs little, and whoever calls may try again.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_HELD = "bytes held for this request"


class Busy(web.HTTPServiceUnavailable):
    """More is asked for than is taken on. ``words`` say of what."""

    def __init__(self, words: str) -> None:
        super().__init__(headers={"Retry-After": "1"})
        self.words = words


@dataclass(slots=True)
class Load:
    """What a port has taken on."""

    requests: int = 0
    long_polls: int = 0
    held: int = 0

    async def work(self, request: web.Request, handler: Handler, most: int) -> web.StreamResponse:
        """Have a request handled if there are fewer than ``most``. Raises Busy."""
        if self.requests >= most:
            raise Busy(f"{self.requests} requests are at work already")
        self.requests += 1
        try:
            return await handler(request)
        finally:
            self.requests -= 1
            self.held -= request.get(_HELD, 0)

    async def wait(self, request: web.Request, handler: Handler, most: int) -> web.StreamResponse:
        """The same for a long poll."""
        if self.long_polls >= most:
            raise Busy(f"{self.long_polls} long polls wait already")
        self.long_polls += 1
        try:
            return await handler(request)
        finally:
            self.long_polls -= 1
            self.held -= request.get(_HELD, 0)

    def hold(self, request: web.Request, size: int, most: int) -> None:
        """Count bytes of a body that are kept until the request is answered. Raises Busy beyond ``most``."""
        if self.held + size > most:
            raise Busy("the bodies of other requests take all the room there is")
        self.held += size
        request[_HELD] = request.get(_HELD, 0) + size
