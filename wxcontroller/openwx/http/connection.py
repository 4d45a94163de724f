"""One connection of a caller: aiohttp's, with raw UTF-8 in request lines, JSON answers to invalid HTTP, and limits on
what a caller can occupy: time, memory and places.

aiohttp's protocol handles a request once it is complete enough. This class works on the bytes that it
passes on (``http1``) and from aiohttp's public hooks: the access logger is called when a request has been answered,
and ``set_parser`` when a WebSocket begins. A request is *at work* from its head until it is answered and its body has
arrived. Data behind it is held back until then.

A port may have a *forwarder*, which gets the head of each request first and takes those that another program
answers: an ``Exchange`` then gets the request's body, and sends the answer. aiohttp writes what the controller itself
answers, also to a request that was taken and came to nothing: its *conclusion*.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import select
import socket
import struct
import sys
import termios
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import IO, Protocol, cast

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractAccessLogger, AbstractStreamWriter
from aiohttp.http import RawRequestMessage

from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.process.summaries import cause
from wxcontroller.openwx.contract.replies import CONTENT_TYPE, reply, to_bytes
from wxcontroller.openwx.http.admission import Admission, PortLimits
from wxcontroller.openwx.http.http1 import NOT_HTTP, BadChunk, BadHead, Chunked, Heads, RequestHead, Sized, not_http

log = logging.getLogger(__name__)
# How long the rest of a refused request is read: a caller that is still sending does not read the answer.
LINGER_SECONDS = 2.0
# Requests that wait on one connection while another is answered. Browsers and HTTP libraries send none.
PIPELINED_REQUESTS = 64
# Headers that a request without its body does not have.
_OF_BODY = frozenset({b"content-length", b"transfer-encoding", b"expect", b"trailer"})
# With this much of earlier answers unread, a caller gets no further one on this connection.
UNREAD_BYTES = 64 << 10
_UNREAD_PAUSE = 0.05  # between two checks of what the caller has read
# The kernel takes this much of an answer beyond what is on its way; without a limit, 4 MB.
_NOT_SENT_BYTES = 256 << 10
# Of SO_LINGER: on, for no time.
_RESET = struct.pack("ii", 1, 0)
# aiohttp's timer for idle connections is disabled, because it does not see the answers of a forwarder.
_NEVER = 1e9
_IDLE = -1.0
# aiohttp's limits are disabled: ours come from the settings, and change with them.
_ANY_LENGTH = 1 << 20


class Exchange(Protocol):
    """A request that a forwarder has taken."""

    def start(self) -> None:
        """Begin with it: as much of the body as has arrived with the head is here."""

    def feed(self, data: bytes) -> None:
        """Take a part of the body."""

    def complete(self) -> None:
        """The body is complete."""

    def malformed(self) -> None:
        """The body cannot be read any further."""

    def hung_up(self) -> None:
        """The caller has disconnected."""

    def pause(self) -> None:
        """The caller does not read at the moment."""

    def resume(self) -> None:
        """It does again."""


class Forwarder(Protocol):
    """Answers some of a port's requests without aiohttp."""

    def take(self, connection: "HttpConnection", head: RequestHead) -> bool:
        """Take a request, or leave it to aiohttp. One that is taken has called ``connection.begin``."""


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Conclusion:
    """How aiohttp answers a request that was taken: with what ``handler`` returns or raises.

    ``began`` is by the loop's clock. ``closes``: the rest of the body will not come, or cannot be read.
    """

    began: float
    handler: Handler
    closes: bool


class _Answered(AbstractAccessLogger):
    """Tells a connection that its request has been answered."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        if isinstance(request.protocol, HttpConnection):
            request.protocol.answered(response)


def connections(
    server: web.Server, program: str, admission: Admission, forwarder: Forwarder | None = None
) -> "Callable[[], HttpConnection]":
    """Return the protocol factory of a port's connections."""
    make_request = server.request_factory

    def watched(
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: "asyncio.Task[None]",
    ) -> web.BaseRequest:
        if isinstance(protocol, HttpConnection):
            protocol.serve(payload)
        return make_request(message, payload, protocol, writer, task)

    # A public hook, called with the body's stream when a request has been parsed.
    server.request_factory = watched
    loop = asyncio.get_running_loop()
    return lambda: HttpConnection(server, loop, program, admission, forwarder)


def conclusion_of(request: web.Request) -> Conclusion | None:
    """Return how a request ends that the port's forwarder had taken, None for any other."""
    connection = request.protocol
    return connection.conclusion if isinstance(connection, HttpConnection) else None


class HttpConnection(web.RequestHandler):
    """The protocol of each accepted socket. ``program`` is sent as Server; ``admission`` is the port's."""

    __slots__ = (
        *("_admission", "_answered", "_at_work", "_behind", "_body", "_deadline", "_exchange", "_heads", "_held"),
        *(
            "_other",
            "_over",
            "_program",
            "_reading",
            "_forwarder",
            "_since",
            "_stopped",
            "_taken",
            "_unread",
            "_waiting",
            "_sent",
        ),
        *("_head", "_waiting_until", "_wire", "_reader", "conclusion", "heard", "peername"),
    )

    def __init__(
        self,
        server: web.Server,
        loop: asyncio.AbstractEventLoop,
        program: str,
        admission: Admission,
        forwarder: Forwarder | None,
    ) -> None:
        super().__init__(
            server,
            loop=loop,
            access_log=log,
            access_log_class=_Answered,
            # Bodies pass through, or are refused, as they came.
            auto_decompress=False,
            keepalive_timeout=_NEVER,
            lingering_time=LINGER_SECONDS,
            max_line_size=_ANY_LENGTH,
            max_field_size=_ANY_LENGTH,
        )
        self._admission = admission
        self._program = program
        self._heads = Heads()
        self._held = bytearray()  # received, not passed on: an incomplete head, or data after a request
        self._behind = 0  # heads in it, about
        self._body: Sized | Chunked | None = None  # the rest of the current request
        self._reading: StreamReader | None = None  # that body, for its handler
        self._at_work = False
        self._answered = False
        self._other = False  # another protocol is spoken: WebSocket
        self._over = False  # nothing that arrives matters
        self._wire: asyncio.Transport | None = None
        self._deadline = 0.0  # for a request to come, by the loop's clock; 0: there is one; _IDLE: see _since
        self._since = 0.0  # when the connection began to be idle
        self._waiting: asyncio.Handle | None = None  # looks at the deadline, at it or before: at _waiting_until
        self._waiting_until = 0.0  # uvloop's handles do not tell
        self._sent = 0  # since the last check of what is unread
        self._reader: asyncio.TimerHandle | None = None  # the next such check
        self._unread: asyncio.TimerHandle | None = None  # for the caller to read its response
        self._forwarder = forwarder
        self._head: RequestHead | None = None  # of the request that was taken
        self._stopped = False  # receiving is
        self._taken = False  # by the forwarder, the request at work
        self._exchange: Exchange | None = None  # that request, until it is answered
        self.conclusion: Conclusion | None = None  # on it
        self.heard = time.monotonic()  # the loop's clock; uvloop's counts milliseconds, too coarse for the histogram
        self.peername: object = None

    @property
    def limits(self) -> PortLimits:
        return self._admission.limits

    @property
    def idle(self) -> bool:
        """Whether the connection waits for its next request."""
        return not self._at_work

    @property
    def waits(self) -> bool:
        """Whether the connection waits for its caller: for a request or the rest of one, or to read an answer."""
        return self.idle or self._body is not None or self._over or self.congested

    @property
    def congested(self) -> bool:
        """Whether the caller is currently not reading its response."""
        return self._unread is not None

    @property
    def quiet(self) -> bool:
        """Whether no data is waiting that the event loop has not seen yet."""
        connection = self._wire.get_extra_info("socket") if self._wire is not None else None
        if connection is None or connection.fileno() < 0:
            return True
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        return not poll.poll(0)

    # -- beginning and end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._wire = cast(asyncio.Transport, transport)  # not of this class in every event loop
        self.peername = transport.get_extra_info("peername")
        connection = transport.get_extra_info("socket")
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _NOT_SENT_BYTES)
            # The same limit after the end, when only the kernel has what was not read: it would wait for minutes.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self.limits.unread * 1000))
        self._begin_idling()
        # Answered, not only closed: the caller sees why, and that it may try again.
        if not self._admission.enter(self, self.peername):
            self._answer(503, reply(-1, "too many connections, try again in a moment"), "Retry-After: 1\r\n")
            self.force_close()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._admission.leave(self)
        for timer in (self._waiting, self._unread, self._reader):
            if timer is not None:
                timer.cancel()
        self._waiting = self._unread = self._reader = self._wire = None
        if self._exchange is not None:
            self._exchange.hung_up()
            self._exchange = None
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
        self.heard = time.monotonic()
        if self._over:
            return
        if self._other:
            super().data_received(data)
            return
        # First the rest of the current body: a head can begin only behind it.
        if self._body is not None:
            data = self._pass_body(self._body, data)
        if data:
            self._held += data
            if self._at_work or self._has_unread():
                self._hold_back(data)
            else:
                self._pass_heads()

    # -- a request that was taken

    def begin(self, exchange: Exchange | None) -> None:
        """Have the request's body, and changes of its caller, go to an ``exchange``; None: it is answered at once."""
        self._exchange, self._taken = exchange, True

    def send(self, data: bytes) -> None:
        """Send a part of the answer."""
        if self._wire is not None:
            self._sent += len(data)
            self._wire.write(data)

    def send_whole(self, head: bytes, body: bytes, file: IO[bytes] | None) -> None:
        """Send the answer. The kernel takes the body from its copy in a file, if there is one."""
        wire, sent, done = self._wire, 0, 0
        if wire is None:
            return
        self._sent += len(head) + len(body)
        # With bytes still in the transport's buffer, those sent past it would overtake them.
        if file is not None and wire.get_extra_info("sslcontext") is None and not wire.get_write_buffer_size():
            with contextlib.suppress(OSError):  # the transport sends the rest, or fails the same way
                connection = wire.get_extra_info("socket").fileno()
                sent = os.write(connection, head)
                done = os.sendfile(connection, file.fileno(), 0, len(body)) if sent == len(head) else 0
        for left in (memoryview(head)[sent:], memoryview(body)[done:]):
            if left:
                wire.write(left)

    def end(self, keep: bool) -> None:
        """Finish the request, whose answer is completely sent. ``keep`` the connection for the next one."""
        self._exchange, self._answered = None, True
        self.resume_body()
        if not keep and self._body is None:
            self.force_close()
        elif not keep:
            self._linger()
        elif self._body is None:
            self._next()
        else:  # the rest of the body belongs to nobody
            self._wait(LINGER_SECONDS)

    def answer(self, conclusion: Conclusion) -> None:
        """Have aiohttp answer the request, which has no body for it: what was read of it is gone."""
        head = self._head
        assert head is not None
        self._exchange, self.conclusion = None, conclusion
        self.resume_body()
        fields = b"".join(b"%b: %b\r\n" % (name, value) for low, name, value in head.fields if low not in _OF_BODY)
        super().data_received(b"%b %b HTTP/1.%b\r\n%b\r\n" % (head.method, head.target, head.minor, fields))

    def ask_for_body(self) -> None:
        """Answer Expect: the body is wanted."""
        self.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def pause_body(self) -> None:
        """Receive nothing until ``resume_body``: whoever gets the body is slow."""
        if self._wire is not None and not self._stopped:
            self._stopped = True
            self._wire.pause_reading()

    def resume_body(self) -> None:
        if self._wire is not None and self._stopped:
            self._stopped = False
            self._wire.resume_reading()

    def break_off(self) -> None:
        """Abort the answer: the part already sent must not look complete."""
        self._exchange = None
        self.abort()

    def abort(self) -> None:
        """Break the connection, and have the kernel drop what the caller has not read."""
        if self._wire is not None:
            # Otherwise the kernel keeps that after the end, which nobody counts.
            with contextlib.suppress(OSError):
                connection = self._wire.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._wire.abort()

    # -- the usual way

    def _pass_heads(self) -> None:
        """Pass on the next request, and further ones while each is answered at once."""
        while self._held and not self._at_work and not self._over:
            begun = self._heads.waiting
            try:
                head = self._heads.take(self._held, self.limits)
            except BadHead as problem:
                self._refuse(problem)
                return
            if head is None:
                # From the first byte of a head, once: a caller that sends a byte now and then must not prolong it.
                if self._heads.waiting and not begun:
                    self._wait(self.limits.head)
                return
            self._wait(0)
            self._at_work, self._answered, self._body, self._behind = True, False, head.body, 0
            self._reading, self._head, self._taken, self.conclusion = None, head, False, None
            rest = bytes(self._held)
            self._held.clear()
            if self._forwarder is None or not self._forwarder.take(self, head):
                try:
                    super().data_received(head.raw)
                except (ValueError, IndexError):  # raised by the library for a target such as http://[]/
                    self._at_work = False
                    self._refuse(not_http())
                    return
            if rest and self._body is not None:
                rest = self._pass_body(self._body, rest)
            if self._exchange is not None:
                self._exchange.start()
            self._held += rest

    def _pass_body(self, body: Sized | Chunked, data: bytes) -> bytes:
        """Pass on the bytes of the current request's body; return the bytes after it."""
        content: list[bytes] | None = [] if self._taken else None
        try:
            size = body.take(data, content)
        # Where the next request begins is unknown: nothing more of this connection is read.
        except BadChunk:
            self._over = True
            if not self._taken:
                self._break_body()
            elif self._exchange is not None:
                self._exchange.malformed()
            return b""
        if content is None:
            super().data_received(data if size == len(data) else data[:size])
        for piece in content or ():
            if self._exchange is not None:
                self._exchange.feed(piece)
        if body.done:
            self._body = None
            if self._exchange is not None:
                self._exchange.complete()
            self._next()
        return data[size:]

    def serve(self, body: StreamReader) -> None:
        """Remember the stream from which the current request's handler reads its body."""
        self._reading = body
        if self._over:
            self._break_body()

    def _break_body(self) -> None:
        """Make the handler fail. aiohttp would let it wait for the rest of a body that can no longer be read."""
        if self._reading is not None and not self._reading.is_eof():
            if self._answered:  # nobody reads it, and aiohttp would log the exception
                self.force_close()
            else:
                self._reading.set_exception(web.RequestPayloadError("a chunk is malformed"))
            self._reading.feed_eof()  # or it would be read to its end after the answer

    def _hold_back(self, data: bytes) -> None:
        self._behind += data.count(b"\r\n\r\n")
        # Data behind a request occupies memory that is not counted.
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
        self._sent += response.body_length
        if response.keep_alive and not self._over:
            if self._taken and self._body is not None:
                self._wait(LINGER_SECONDS)
            self._next()
        else:
            self.close()

    def _next(self) -> None:
        """Process held data once the current request is done."""
        # Both: a handler may answer before the whole body has arrived.
        if self._answered and self._body is None and not self._over:
            self._go_on()

    def _go_on(self) -> None:
        """Continue with the next request, or wait for it."""
        self._at_work = False
        self._begin_idling()
        if self._sent > UNREAD_BYTES:
            self._admission.note_unread(self)
        if self._held and not self._has_unread():
            self._pass_heads()

    @property
    def unread(self) -> int:
        """The bytes of answers that the caller has not read, as far as this machine has them."""
        connection = self._wire.get_extra_info("socket") if self._wire is not None else None
        if self._wire is None or connection is None or connection.fileno() < 0:
            return 0
        queued: bytes = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4))
        return int.from_bytes(queued, sys.byteorder) + self._wire.get_write_buffer_size()

    def _has_unread(self) -> bool:
        """Whether the next request has to wait until the caller has read more; it is taken then."""
        if self._reader is None and self._sent > UNREAD_BYTES:
            # Below this there is nothing to look for: a system call per request would cost more.
            self._sent = self.unread
            if self._sent > UNREAD_BYTES:
                self._reader = self._loop.call_later(_UNREAD_PAUSE, self._look_again)
        return self._reader is not None

    def _look_again(self) -> None:
        self._reader = None
        if self._held and not self._at_work and not self._over and not self._has_unread():
            self._pass_heads()

    def _begin_idling(self) -> None:
        self._deadline, self._since = _IDLE, self._loop.time()
        if self._waiting is None:
            self._check_deadline()

    def _wait(self, seconds: float) -> None:
        """Wait for a request no longer than this; 0: there is one."""
        if not seconds:
            self._deadline = 0.0
            return
        self._deadline = self._loop.time() + seconds
        if self._waiting is not None and self._waiting_until > self._deadline:
            self._waiting.cancel()
            self._waiting = None
        if self._waiting is None:
            self._check_deadline()

    def _check_deadline(self) -> None:
        """Apply expired limits. A timer that fires early re-arms: one per request would cost more."""
        self._waiting = None
        if not self._deadline:
            return
        deadline = self._since + self.limits.idle if self._deadline == _IDLE else self._deadline
        if self._loop.time() < deadline:
            self._waiting, self._waiting_until = self._loop.call_at(deadline, self._check_deadline), deadline
        elif self.idle or self._answered:
            self.force_close()

    # -- sending

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_taking()
        self._admission.note_unread(self)
        if self._exchange is not None:
            self._exchange.pause()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        if self._exchange is not None:
            self._exchange.resume()

    def _expect_taking(self) -> None:
        """Close the connection if the caller reads nothing for too long: aiohttp and asyncio would wait forever."""
        if self._unread is None and self._wire is not None:
            self._unread = asyncio.get_running_loop().call_later(self.limits.unread, self.abort)

    # -- refusing

    def _give_up(self, why: str) -> None:
        log.info("connection closed: %s", why, extra=cause(why))
        self.force_close()

    def _refuse(self, problem: BadHead) -> None:
        """Answer a request that no handler gets; keep reading briefly, so that the answer arrives, and close."""
        log.info("request refused: %s", problem.message, extra=cause(problem.code))
        self._answer(problem.status, {"error": problem.as_json()} if problem.is_v1 else reply(-1, str(problem)))
        self._linger()

    def _linger(self) -> None:
        """Read what comes for a moment, without an effect, and close."""
        self._over, self._at_work = True, False
        self._wait(LINGER_SECONDS)
        # A half-close, not a close: with unread bytes in its buffer the
        # kernel would send RST, and the answer be lost.
        if self.transport is not None and self.transport.can_write_eof():
            self.transport.write_eof()

    def _answer(self, status: int, content: JsonObject, more: str = "") -> None:
        if self.transport is None:
            return
        body = to_bytes(content)
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: {CONTENT_TYPE}\r\n"
            f"Content-Length: {len(body)}\r\nServer: {self._program}\r\n{more}Connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer data that is not HTTP, and exceptions that no handler caught."""
        if isinstance(exc, ConnectionError):  # the caller disconnected during the answer: not an error
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
        response.headers["Server"] = self._program  # without an application, it is not done elsewhere
        return response
