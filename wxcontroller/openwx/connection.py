"""One connection of a caller: aiohttp's, with raw UTF-8 in request lines, JSON answers to invalid HTTP, and limits on
what a caller can occupy: time, memory and places.

aiohttp's protocol handles a request once it is complete enough. This class works on the bytes that it
passes on (``framing``) and from aiohttp's public hooks: the access logger is called when a request has been answered,
and ``set_parser`` when a WebSocket begins. A request is *at work* from its head until it is answered and its body has
arrived. Data behind it is held back until then.

A port may have a *fast path*: code that sees each request before aiohttp does, and answers some of them. A request
that it cannot complete is handed over to aiohttp, and answered as if there were no fast path.
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
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import IO, Protocol, cast

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractAccessLogger, AbstractStreamWriter
from aiohttp.http import RawRequestMessage

from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.summaries import cause
from wxcontroller.openwx.admission import Admission, PortLimits
from wxcontroller.openwx.framing import NOT_HTTP, BadChunk, BadHead, Chunked, Heads, Sized, not_http
from wxcontroller.openwx.replies import CONTENT_TYPE, reply, to_bytes

log = logging.getLogger(__name__)
# How long the rest of a refused request is read: a caller that is still sending does not read the answer.
LINGER_SECONDS = 2.0
# Requests that wait on one connection while another is answered. Browsers and HTTP libraries send none.
PIPELINED_REQUESTS = 64
# How long the fast path waits for the rest of a small form. Most arrive at once; a slow one is handled by aiohttp.
_REST_SECONDS = 0.5
# With this much of earlier answers unread, a caller gets no further one on this connection.
UNREAD_BYTES = 64 << 10
_UNREAD_PAUSE = 0.05  # between two checks of what the caller has read
# The kernel takes this much of an answer beyond what is on its way; without a limit, 4 MB.
_NOT_SENT_BYTES = 256 << 10
# Of SO_LINGER: on, for no time.
_RESET = struct.pack("ii", 1, 0)
# aiohttp's timer for idle connections is disabled, because it does not see the fast path's answers.
_NEVER = 1e9
_IDLE = -1.0
# aiohttp's limits are disabled: ours come from the settings, and change with them.
_ANY_LENGTH = 1 << 20


class Exchange(Protocol):
    """A request that a fast path is answering."""

    def hung_up(self) -> None:
        """The caller has disconnected."""

    def pause(self) -> None:
        """The caller does not read at the moment."""

    def resume(self) -> None:
        """It does again."""


class FastPath(Protocol):
    """Answers some of a port's requests without aiohttp."""

    def take(self, connection: "HttpConnection", data: bytes) -> int:
        """Process received bytes on an idle connection, from the start of a request.

        Return 0 to leave it to aiohttp, the number of bytes after which to call this again, or -1 if the request is
        taken: ``connection.begin`` was called.
        """


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A fast path's progress with a request: when it began, by the loop's clock, and its result so far."""

    began: float
    problem: Exception


class _Answered(AbstractAccessLogger):
    """Tells a connection that its request has been answered."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        if isinstance(request.protocol, HttpConnection):
            request.protocol.answered(response)


def connections(
    server: web.Server, program: str, admission: Admission, fast_path: FastPath | None = None
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
    return lambda: HttpConnection(server, loop, program, admission, fast_path)


def handed_over(request: web.Request) -> HandedOver | None:
    """Return the exchange that the port's fast path began for a request, None for none."""
    connection = request.protocol
    return connection.handed_over if isinstance(connection, HttpConnection) else None


class HttpConnection(web.RequestHandler):
    """The protocol of each accepted socket. ``program`` is sent as Server; ``admission`` is the port's."""

    __slots__ = (
        *("_admission", "_answered", "_at_work", "_behind", "_body", "_deadline", "_exchange", "_heads", "_held"),
        *("_other", "_over", "_program", "_reading", "_rest", "_fast_path", "_since", "_unread", "_waiting", "_sent"),
        *("_waiting_until", "_wire", "_reader", "handed_over", "heard", "peername"),
    )

    def __init__(
        self,
        server: web.Server,
        loop: asyncio.AbstractEventLoop,
        program: str,
        admission: Admission,
        fast_path: FastPath | None,
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
        self._fast_path = fast_path
        self._exchange: Exchange | None = None  # of the fast path
        self._rest = 0  # bytes that the fast path waits for
        self.handed_over: HandedOver | None = None  # by the fast path, of the request at work
        self.heard = time.monotonic()  # the loop's clock; uvloop's counts milliseconds, too coarse for the histogram
        self.peername: object = None

    @property
    def limits(self) -> PortLimits:
        return self._admission.limits

    @property
    def idle(self) -> bool:
        """Whether the connection waits for its next request."""
        return not self._at_work and not self._rest

    @property
    def waits(self) -> bool:
        """Whether the connection waits for its caller: for a request or the rest of one, or to read an answer."""
        return self.idle or self._rest > 0 or self._body is not None or self._over or self.congested

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
            if not self._at_work and self._has_unread():
                self._held += data
                self._hold_back(data)
                return
            if self._fast_path is not None and not self._at_work and (self._rest or not self._held):
                data = self._try_fast_path(self._fast_path, data)
                if not data:
                    return
            self._held += data
            if self._at_work:
                self._hold_back(data)
            else:
                self._pass_heads()

    # -- the fast path

    def _try_fast_path(self, fast_path: FastPath, data: bytes) -> bytes:
        """Offer the beginning of a request to the fast path; return the remaining bytes."""
        if self._rest:
            self._held += data
            if len(self._held) < self._rest:
                return b""
            self._rest = 0
            data = bytes(self._held)
            self._held.clear()
        needs = fast_path.take(self, data)
        if needs > 0:
            self._held += data
            self._rest = needs
            self._wait(_REST_SECONDS)
        return data if needs == 0 else b""

    def begin(self, exchange: Exchange | None, behind: bytes) -> None:
        """Let the fast path answer the received request; ``behind`` are the bytes after it.

        Without an ``exchange`` it answers at once.
        """
        self._deadline, self._at_work, self._exchange, self._behind = 0.0, True, exchange, 0
        if behind:
            self._held += behind
            self._hold_back(behind)

    def send(self, data: bytes) -> None:
        """Send a part of the fast path's answer."""
        if self._wire is not None:
            self._sent += len(data)
            self._wire.write(data)

    def send_whole(self, head: bytes, body: bytes, file: IO[bytes] | None) -> None:
        """Send the fast path's answer. The kernel takes the body from its copy in a file, if there is one."""
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
        """Finish a request of the fast path, whose answer is completely sent. ``keep`` the connection for the next
        request."""
        self._exchange = None
        if keep and not self._over:
            self._go_on()
        else:
            self.force_close()

    def hand_over(self, data: bytes, done: HandedOver) -> None:
        """Have aiohttp answer the request that ``data`` is, instead of the fast path."""
        self._exchange, self._at_work = None, False
        self.handed_over = done
        # Before the data behind it: requests are answered in the order of the connection.
        self._held[:0] = data
        self._pass_heads()

    def break_off(self) -> None:
        """Abort the fast path's answer: the part already sent must not look complete."""
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
            self._reading = None
            rest = bytes(self._held)
            self._held.clear()
            try:
                super().data_received(head.raw)
            except (ValueError, IndexError):  # raised by the library for a target such as http://[]/
                self._at_work = False
                self._refuse(not_http())
                return
            if rest and self._body is not None:
                rest = self._pass_body(self._body, rest)
            self._held += rest

    def _pass_body(self, body: Sized | Chunked, data: bytes) -> bytes:
        """Pass on the bytes of the current request's body; return the bytes after it."""
        try:
            size = body.take(data)
        # Where the next request begins is unknown: nothing more of this connection is read.
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
            self._next()
        else:
            self.close()

    def _next(self) -> None:
        """Process held data once the current request is done."""
        # Both: a handler may answer before the whole body has arrived.
        if self._answered and self._body is None and not self._over:
            self.handed_over = None
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
        elif self._rest:
            self._rest = 0
            self._pass_heads()
        elif self.idle:
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
        self._over = True
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
