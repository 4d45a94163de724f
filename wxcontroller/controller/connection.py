"""One connection of a caller, as the controller serves it: bodies pass through, and nobody holds it for nothing."""

import asyncio
import select

from aiohttp import web

from wxcontroller.controller.errors import Handler
from wxcontroller.openwx.connection import PatientConnection, refusal

SERVER = "wxcontroller"
_KEEPALIVE = 75.0
# The first request must be there by then; aiohttp watches only over the pauses between requests.
FIRST_REQUEST_SECONDS = 75.0


@web.middleware
async def no_upgrades(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a body after ``Upgrade:``: HTTP's parser takes all that follows for the other protocol."""
    headers = request.headers
    asks = "Upgrade" in headers and any("upgrade" in each.lower() for each in headers.getall("Connection", ()))
    if asks and ("Transfer-Encoding" in headers or headers.get("Content-Length", "0") != "0"):
        response = refusal("a request with a body can't ask for Upgrade; send it without that header")
        response.force_close()
        if isinstance(request.protocol, Connection):
            request.protocol.drop_rest()
        return response
    return await handler(request)


class Connection(PatientConnection):
    """Where requests are parsed. Used as the protocol of each accepted socket."""

    __slots__ = ("_first",)

    def __init__(self, server: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        # Bodies pass through as they came.
        super().__init__(server, loop, SERVER, auto_decompress=False, keepalive_timeout=_KEEPALIVE)
        self._first: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._first = asyncio.get_running_loop().call_later(FIRST_REQUEST_SECONDS, self._nothing_came)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._something_came()
        super().connection_lost(exc)

    def _nothing_came(self) -> None:
        if self.idle:
            self.force_close()

    def _something_came(self) -> None:
        if self._first is not None:
            self._first.cancel()
            self._first = None

    def drop_rest(self) -> None:
        """Forget what followed a request with ``Upgrade:``; aiohttp would take it for the next request."""
        self._message_tail = b""

    @property
    def quiet(self) -> bool:
        """Whether nothing has arrived that the event loop has not seen yet."""
        transport = self.transport
        if transport is None:
            return True
        poll = select.poll()
        poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not poll.poll(0)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self.idle:
            self._something_came()
