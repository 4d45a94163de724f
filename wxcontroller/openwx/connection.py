"""One connection of a caller: aiohttp's, with the old server's patience for raw UTF-8, answers in JSON, and an end to
what a caller may take of us: time, memory, and places.
"""

import asyncio
import logging
import select
from collections.abc import Awaitable, Callable

from aiohttp import HttpVersion10, HttpVersion11, StreamReader, web
from aiohttp.web_protocol import RequestHandler

from wxcontroller.core.summaries import cause
from wxcontroller.openwx.admission import Admission, PortLimits
from wxcontroller.openwx.replies import CONTENT_TYPE, reply, to_bytes

log = logging.getLogger(__name__)
# The rest of a body that is refused is still read for so long: a caller that is still sending reads no answer.
LINGER_SECONDS = 2.0
# Requests that wait on one connection while another is answered. Browsers and HTTP libraries send none.
PIPELINED_REQUESTS = 64
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
NOT_HTTP = "the request can't be read as HTTP"


class PatientConnection(RequestHandler):
    """Where requests are parsed. Used as the protocol of each accepted socket.

    ``program`` is told as Server, ``admission`` is the port's.
    """

    __slots__ = ("_admission", "_body", "_head", "_line_done", "_program", "_unread", "_waiting", "_wire", "heard")

    def __init__(
        self, server: web.Server, loop: asyncio.AbstractEventLoop, program: str, admission: Admission
    ) -> None:
        super().__init__(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # None is "no log" there
            # Bodies pass through, or are refused, as they came.
            auto_decompress=False,
            keepalive_timeout=admission.limits.idle,
            # What is left of a body after the answer is taken for so long, so that the answer arrives.
            lingering_time=LINGER_SECONDS,
            max_line_size=admission.limits.line_bytes,
            max_field_size=admission.limits.line_bytes,
        )
        self._admission = admission
        self._program = program
        self._line_done = False
        self._head = 0  # bytes of a head that is not complete
        self._body: StreamReader | None = None  # of the last request that was heard
        self._wire: asyncio.Transport | None = None
        self._waiting: asyncio.TimerHandle | None = None  # for a request
        self._unread: asyncio.TimerHandle | None = None  # for the caller to take what it is sent
        self.heard = loop.time()

    @property
    def limits(self) -> PortLimits:
        return self._admission.limits

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
        connection = self._wire.get_extra_info("socket") if self._wire is not None else None
        if connection is None or connection.fileno() < 0:
            return True
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        return not poll.poll(0)

    # -- beginning and end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert isinstance(transport, asyncio.Transport)
        self._wire = transport
        self._wait(self.limits.idle)
        if self._task_handler is not None:
            self._task_handler.add_done_callback(self._no_more)
        if not self._admission.enter(self, transport.get_extra_info("peername")):
            self._refuse(
                "503 Service Unavailable", "too many connections, try again in a moment", "Retry-After: 1\r\n"
            )

    def connection_lost(self, exc: BaseException | None) -> None:
        self._admission.leave(self)
        for timer in (self._waiting, self._unread):
            if timer is not None:
                timer.cancel()
        self._waiting = self._unread = self._wire = None
        super().connection_lost(exc)

    def _no_more(self, _: object) -> None:
        """No answer follows; what was sent has still to be taken."""
        self._expect_taking()

    # -- receiving

    def data_received(self, data: bytes) -> None:
        self.heard = asyncio.get_running_loop().time()
        if self._payload_parser is not None:  # a WebSocket's
            self._head = 0
            super().data_received(data)
            return
        if not self._line_done and self.idle:
            end = data.find(b"\n")
            line = data if end < 0 else data[:end]
            if not line.isascii():
                data = escaped(line) + data[len(line) :]
            self._line_done = end >= 0
        in_body = self._body is not None and not self._body.is_eof()
        before = len(self._messages)
        try:
            super().data_received(data)
        except (ValueError, IndexError):  # the library's own, of a target such as http://[]/
            self._refuse("400 Bad Request", NOT_HTTP)
            return
        if not self.idle:
            self._line_done = False
        if len(self._messages) > before:
            self._request_came()
        elif not in_body:
            self._more_of_a_head(len(data))

    def _request_came(self) -> None:
        self._body = self._messages[-1][1]
        self._head = 0
        self._wait(0)
        if len(self._messages) > PIPELINED_REQUESTS:
            self._give_up("more requests came at once than are kept")

    def _more_of_a_head(self, size: int) -> None:
        if not self._head:
            self._wait(self.limits.head)
        self._head += size
        if self._head > self.limits.head_bytes:
            self._refuse("431 Request Header Fields Too Large", "the head of the request is too long")

    def _wait(self, seconds: float) -> None:
        """Wait for a request no longer than so, 0: there is one."""
        if self._waiting is not None:
            self._waiting.cancel()
        loop = asyncio.get_running_loop()
        self._waiting = loop.call_later(seconds, self._nothing_came) if seconds else None

    def _nothing_came(self) -> None:
        if self.idle:
            self.force_close()
        elif self._head and self._payload_parser is None:
            self._give_up("the head of a request does not come to its end")

    # -- sending

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_taking()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _expect_taking(self) -> None:
        """Break off when the caller takes nothing for too long: aiohttp and asyncio would wait for ever."""
        if self._unread is None and self._wire is not None:
            self._unread = asyncio.get_running_loop().call_later(self.limits.unread, self._abort)

    def _abort(self) -> None:
        if self._wire is not None:
            self._wire.abort()

    # -- refusing

    def _give_up(self, why: str) -> None:
        log.info("connection closed: %s", why, extra=cause(why))
        self.force_close()

    def _refuse(self, status: str, words: str, more: str = "") -> None:
        """Answer what no handler gets to see, unless an answer to what came before is under way; and hang up."""
        log.info("request refused: %s", words, extra=cause(words))
        if self.idle and self.transport is not None:
            body = to_bytes(reply(-1, words))
            head = f"HTTP/1.1 {status}\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\n"
            head += f"Server: {self._program}\r\n"
            self.transport.write(f"{head}{more}Connection: close\r\n\r\n".encode() + body)
        self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP, or what got past every handler."""
        if isinstance(exc, ConnectionError):  # the caller is gone, in the middle of the answer: nobody's mistake
            response: web.StreamResponse = web.Response(status=500)
            response.force_close()
        elif status != 400 or request.writer.output_size > 0:
            response = super().handle_error(request, status, exc, message)
        else:
            name = type(exc).__name__
            log.info("request refused: not HTTP (%s)", name, extra=cause(name))
            response = refusal(NOT_HTTP)
            response.force_close()
        response.headers["Server"] = self._program  # no application, so no one else does it
        return response


@web.middleware
async def sensible_heads(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse heads with more headers than any program sends, and versions of HTTP that are not spoken here."""
    protocol = request.protocol
    if isinstance(protocol, PatientConnection) and len(request.raw_headers) > protocol.limits.headers:
        raise web.HTTPRequestHeaderFieldsTooLarge
    if request.version not in (HttpVersion11, HttpVersion10):
        raise web.HTTPVersionNotSupported
    return await handler(request)


def refusal(words: str) -> web.Response:
    """Return the answer, status 400, to what is not HTTP as it is understood here."""
    return web.Response(status=400, body=to_bytes(reply(-1, words)), headers={"Content-Type": CONTENT_TYPE})


def escaped(line: bytes) -> bytes:
    """Percent-encode the bytes beyond ASCII of a request line.

    curl and many scripts send Chinese names and texts as they were typed; the original took them, HTTP does not.
    """
    return b"".join(bytes((byte,)) if byte < 128 else b"%%%02X" % byte for byte in line)
