"""One connection of a caller: aiohttp's, with the old server's patience for raw UTF-8 and answers in JSON."""

import asyncio
import logging
import select

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from wxcontroller.controller.errors import Handler
from wxcontroller.openwx.replies import CONTENT_TYPE, reply, to_bytes

SERVER = "wxcontroller"
log = logging.getLogger(__name__)
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


class Connection(RequestHandler):
    """Where requests are parsed. Used as the protocol of each accepted socket."""

    __slots__ = ("_first", "_line_done")

    def __init__(self, server: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # None is "no log" there
            auto_decompress=False,  # bodies pass through as they came
            keepalive_timeout=_KEEPALIVE,
        )
        self._line_done = False
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
    def idle(self) -> bool:
        """Whether the connection waits for its next request.

        aiohttp keeps this to itself (``_waiter``, there since 2.0). Its public ``close()`` is no help: on a busy
        connection it also stops reading the body that is being uploaded.
        """
        waiter = self._waiter
        return waiter is not None and not waiter.done()

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
        if not self._line_done and self.idle:
            end = data.find(b"\n")
            line = data if end < 0 else data[:end]
            if not line.isascii():
                data = escaped(line) + data[len(line) :]
            self._line_done = end >= 0
        super().data_received(data)
        if not self.idle:
            self._line_done = False
            self._something_came()
            self._something_came()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP, or what got past every handler."""
        if status != 400 or request.writer.output_size > 0:
            response = super().handle_error(request, status, exc, message)
        else:
            log.info("a request that is not HTTP was refused: %s", type(exc).__name__)
            response = refusal("the request can't be read as HTTP")
            response.force_close()
        response.headers["Server"] = SERVER  # no application, so no one else does it
        return response


def refusal(words: str) -> web.Response:
    """Return the answer, status 400, to what is not HTTP as it is understood here."""
    return web.Response(status=400, body=to_bytes(reply(-1, words)), headers={"Content-Type": CONTENT_TYPE})


def escaped(line: bytes) -> bytes:
    """Percent-encode the bytes beyond ASCII of a request line.

    curl and many scripts send Chinese names and texts as they were typed; the original took them, HTTP does not.
    """
    return b"".join(bytes((byte,)) if byte < 128 else b"%%%02X" % byte for byte in line)
