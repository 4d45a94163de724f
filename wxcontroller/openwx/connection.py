"""One connection of a caller: aiohttp's, with the old server's patience for raw UTF-8, and answers in JSON.

Nobody holds it for nothing: who sends no request, or does not read the answer, is hung up on.
"""

import asyncio
import logging

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from wxcontroller.openwx.replies import CONTENT_TYPE, reply, to_bytes

log = logging.getLogger(__name__)
# The first request must be there by then; aiohttp watches only over the pauses between requests.
FIRST_REQUEST_SECONDS = 75.0
# Without anything being read of an answer. Whoever reads on, however slowly, is waited for.
STALLED_SECONDS = 120.0


class PatientConnection(RequestHandler):
    """Where requests are parsed. Used as the protocol of each accepted socket; ``program`` is told as Server."""

    __slots__ = ("_first", "_line_done", "_program", "_stalled")

    def __init__(
        self,
        server: web.Server,
        loop: asyncio.AbstractEventLoop,
        program: str,
        *,
        auto_decompress: bool = True,
        keepalive_timeout: float = 75.0,
    ) -> None:
        super().__init__(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # None is "no log" there
            auto_decompress=auto_decompress,
            keepalive_timeout=keepalive_timeout,
        )
        self._line_done = False
        self._program = program
        self._first: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._first = asyncio.get_running_loop().call_later(FIRST_REQUEST_SECONDS, self._nothing_came)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._something_came()
        self._stop_waiting()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = asyncio.get_running_loop().call_later(STALLED_SECONDS, self._nothing_was_read)

    def resume_writing(self) -> None:
        self._stop_waiting()
        super().resume_writing()

    def _nothing_came(self) -> None:
        if self.idle:
            self.force_close()

    def _something_came(self) -> None:
        if self._first is not None:
            self._first.cancel()
            self._first = None

    def _nothing_was_read(self) -> None:
        if self.transport is not None:
            log.info("a caller did not read its answer for %g s and is hung up on", STALLED_SECONDS)
            self.transport.abort()

    def _stop_waiting(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    @property
    def idle(self) -> bool:
        """Whether the connection waits for its next request.

        aiohttp keeps this to itself (``_waiter``, there since 2.0). Its public ``close()`` is no help: on a busy
        connection it also stops reading the body that is being uploaded.
        """
        waiter = self._waiter
        return waiter is not None and not waiter.done()

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
        response.headers["Server"] = self._program  # no application, so no one else does it
        return response


def refusal(words: str) -> web.Response:
    """Return the answer, status 400, to what is not HTTP as it is understood here."""
    return web.Response(status=400, body=to_bytes(reply(-1, words)), headers={"Content-Type": CONTENT_TYPE})


def escaped(line: bytes) -> bytes:
    """Percent-encode the bytes beyond ASCII of a request line.

    curl and many scripts send Chinese names and texts as they were typed; the original took them, HTTP does not.
    """
    return b"".join(bytes((byte,)) if byte < 128 else b"%%%02X" % byte for byte in line)
