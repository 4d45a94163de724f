"""One connection of a caller: aiohttp's, with raw UTF-8 in request lines, answers in JSON to what is not HTTP, and
limits on what a caller can occupy: time, memory and places.

aiohttp's protocol handles a request once it is complete enough. What this class adds, it knows from the bytes that it
passes on (``framing``) and from aiohttp's public hooks: the access logger is called when a request has been answered,
and ``set_parser`` when a WebSocket begins. A request is *at work* from its head until it is answered and its body has
arrived. What arrives behind it is held back until then.
"""

import asyncio
import logging
import select
from collections.abc import Callable

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractAccessLogger, AbstractStreamWriter
from aiohttp.http import RawRequestMessage

from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.summaries import cause
from wxcontroller.openwx.admission import Admission, PortLimits
from wxcontroller.openwx.framing import NOT_HTTP, BadChunk, BadHead, Chunked, Heads, Sized, not_http
from wxcontroller.openwx.replies import CONTENT_TYPE, reply, to_bytes

log = logging.getLogger(__name__)
# What still comes of a refused request is read for so long: a caller that is still sending reads no answer.
LINGER_SECONDS = 2.0
# Requests that wait on one connection while another is answered. Browsers and HTTP libraries send none.
PIPELINED_REQUESTS = 64
# aiohttp's own limits never count: ours are the settings', and change with them.
_ANY_LENGTH = 1 << 20
_REASONS = {
    400: "Bad Request",
    414: "URI Too Long",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}


class _Answered(AbstractAccessLogger):
    """Tells a connection that its request has been answered."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        if isinstance(request.protocol, PatientConnection):
            request.protocol.answered(response)


def connections(server: web.Server, program: str, admission: Admission) -> "Callable[[], PatientConnection]":
    """Return what makes the protocol of each connection to a port."""
    make_request = server.request_factory

    def watched(
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: "asyncio.Task[None]",
    ) -> web.BaseRequest:
        if isinstance(protocol, PatientConnection):
            protocol.serve(payload)
        return make_request(message, payload, protocol, writer, task)

    server.request_factory = watched
    loop = asyncio.get_running_loop()
    return lambda: PatientConnection(server, loop, program, admission)


class PatientConnection(web.RequestHandler):
    """The protocol of each accepted socket. ``program`` is sent as Server; ``admission`` is the port's."""

    __slots__ = (
        *("_admission", "_answered", "_at_work", "_behind", "_body", "_heads", "_held", "_other", "_over"),
        *("_program", "_reading", "_unread", "_waiting", "_wire", "heard"),
    )

    def __init__(
        self, server: web.Server, loop: asyncio.AbstractEventLoop, program: str, admission: Admission
    ) -> None:
        super().__init__(
            server,
            loop=loop,
            access_log=log,
            access_log_class=_Answered,
            # Bodies pass through, or are refused, as they came.
            auto_decompress=False,
            keepalive_timeout=admission.limits.idle,
            lingering_time=LINGER_SECONDS,
            max_line_size=_ANY_LENGTH,
            max_field_size=_ANY_LENGTH,
        )
        self._admission = admission
        self._program = program
        self._heads = Heads()
        self._held = bytearray()  # what has not been passed on: an incomplete head, or what follows a request
        self._behind = 0  # heads in it, about
        self._body: Sized | Chunked | None = None  # what is still to come of the request at work
        self._reading: StreamReader | None = None  # that body, for its handler
        self._at_work = False
        self._answered = False
        self._other = False  # another protocol is spoken: WebSocket
        self._over = False  # nothing that arrives matters
        self._wire: asyncio.Transport | None = None
        self._waiting: asyncio.TimerHandle | None = None  # for a request
        self._unread: asyncio.TimerHandle | None = None  # for the caller to take what it is sent
        self.heard = loop.time()

    @property
    def limits(self) -> PortLimits:
        return self._admission.limits

    @property
    def idle(self) -> bool:
        """Whether the connection waits for its next request."""
        return not self._at_work

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
        if not self._admission.enter(self, transport.get_extra_info("peername")):
            self._answer(503, reply(-1, "too many connections, try again in a moment"), "Retry-After: 1\r\n")
            self.force_close()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._admission.leave(self)
        for timer in (self._waiting, self._unread):
            if timer is not None:
                timer.cancel()
        self._waiting = self._unread = self._wire = None
        super().connection_lost(exc)

    def close(self) -> None:
        super().close()
        self._over = True
        self._expect_taking()

    def force_close(self) -> None:
        super().force_close()
        self._over = True
        self._expect_taking()

    # -- receiving

    def data_received(self, data: bytes) -> None:
        self.heard = asyncio.get_running_loop().time()
        if self._over:
            return
        if self._other:
            super().data_received(data)
            return
        if self._body is not None:
            data = self._pass_body(self._body, data)
        if data:
            self._held += data
            if self._at_work:
                self._hold_back(data)
            else:
                self._pass_heads()

    def _pass_heads(self) -> None:
        """Pass on the next request, and those after it for as long as each is answered at once."""
        while self._held and not self._at_work and not self._over:
            begun = self._heads.waiting
            try:
                head = self._heads.take(self._held, self.limits)
            except BadHead as problem:
                self._refuse(problem)
                return
            if head is None:
                if self._heads.waiting and not begun:
                    self._wait(self.limits.head)
                return
            self._wait(0)
            self._at_work, self._answered, self._body, self._behind = True, False, head.body, 0
            self._reading = None
            rest = bytes(self._held)
            self._held.clear()
            try:
                super().data_received(head.raw)
            except (ValueError, IndexError):  # the library's own, of a target such as http://[]/
                self._at_work = False
                self._refuse(not_http())
                return
            if rest and self._body is not None:
                rest = self._pass_body(self._body, rest)
            self._held += rest

    def _pass_body(self, body: Sized | Chunked, data: bytes) -> bytes:
        """Pass on what belongs to the body of the request at work; return what follows it."""
        try:
            size = body.take(data)
        except BadChunk:
            self._over = True
            self._break_body()
            return b""
        super().data_received(data if size == len(data) else data[:size])
        if body.done:
            self._body = None
            self._next()
        return data[size:]

    def serve(self, body: StreamReader) -> None:
        """Note what the handler of the request at work reads its body from."""
        self._reading = body
        if self._over:
            self._break_body()

    def _break_body(self) -> None:
        """Have the handler fail. aiohttp would let it wait for the rest of a body that can't be read on."""
        if self._reading is not None and not self._reading.is_eof():
            self._reading.set_exception(web.RequestPayloadError("a chunk is malformed"))
            self._reading.feed_eof()  # or it would be read on to its end after the answer

    def _hold_back(self, data: bytes) -> None:
        self._behind += data.count(b"\r\n\r\n")
        if len(self._held) > self.limits.head_bytes or self._behind > PIPELINED_REQUESTS:
            self._give_up("more arrived behind a request than is kept")

    def set_parser(self, parser: object) -> None:
        """Pass on everything from now on: aiohttp speaks WebSocket."""
        super().set_parser(parser)
        self._other = True
        held, self._held = bytes(self._held), bytearray()
        if held:
            super().data_received(held)

    def answered(self, response: web.StreamResponse) -> None:
        """Note that the request at work has its whole answer."""
        self._answered = True
        if response.keep_alive and not self._over:
            self._next()
        else:
            self.close()

    def _next(self) -> None:
        """Go on with what was held back, if the request at work is done."""
        if self._answered and self._body is None and not self._over:
            self._at_work = False
            self._pass_heads()

    def _wait(self, seconds: float) -> None:
        """Wait for a request no longer than this; 0: there is one."""
        if self._waiting is not None:
            self._waiting.cancel()
        loop = asyncio.get_running_loop()
        self._waiting = loop.call_later(seconds, self._nothing_came) if seconds else None

    def _nothing_came(self) -> None:
        if self.idle:
            self.force_close()

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

    def _refuse(self, problem: BadHead) -> None:
        """Answer what no handler gets to see; read on for a moment, so that the answer arrives, and hang up."""
        log.info("request refused: %s", problem.message, extra=cause(problem.code))
        self._answer(problem.status, {"error": problem.as_json()} if problem.is_v1 else reply(-1, str(problem)))
        self._over = True
        self._wait(LINGER_SECONDS)
        if self.transport is not None and self.transport.can_write_eof():
            self.transport.write_eof()

    def _answer(self, status: int, content: JsonObject, more: str = "") -> None:
        if self.transport is None:
            return
        body = to_bytes(content)
        head = (
            f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\n"
            f"Server: {self._program}\r\n{more}Connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)

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
            body = to_bytes(reply(-1, NOT_HTTP))
            response = web.Response(status=400, body=body, headers={"Content-Type": CONTENT_TYPE})
            response.force_close()
        response.headers["Server"] = self._program  # no application, so no one else does it
        return response
