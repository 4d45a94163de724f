"""The connections to the accounts, and the answers on them.

A connection belongs to the process that accepted it, and the process creates a new secret at each start: the
account's unit and the secret of its port, as checked when the connection was opened (``connecting``), stay valid
while it is open. Both are checked again after a pause, and for each new connection.

An account is not trusted. The head of its answer is parsed by a strict grammar, and the caller's head is built from
the parsed parts: status, reason and the allowed headers. A body is passed through, but no more of it than the
head announces; chunks are decoded and encoded again. What costs more than the account's bytes did, heads and chunks,
is within its budget (``core/budget.py``).
"""

import asyncio
import select
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.utils import formatdate
from typing import Protocol, cast

from aiohttp.http import SERVER_SOFTWARE

from wxcontroller.controller.account_port.connecting import AccountConnections
from wxcontroller.controller.account_port.portfailures import BadResponse, NotRunning, unusable_because
from wxcontroller.controller.accounts.registry import Registry
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.budget import INTERIM_HEADS, PART_BYTES, Budget
from wxcontroller.core.registry.account import Account
from wxcontroller.openwx.http import http1
from wxcontroller.openwx.http.credentials import PORT_HEADER
from wxcontroller.openwx.http.http1 import BadChunk, BadHead, Chunked, Fields

# The headers of an account that a caller gets: those that describe the body. Others could affect the caller's browser
# or a cache in between. CORS, caching and security headers come from the controller.
SENT_BACK = frozenset(
    {
        *("content-type", "content-length", "content-range", "accept-ranges", "content-disposition"),
        *("etag", "last-modified", "retry-after", "date", "server"),
    }
)
SENT_BACK_BYTES = frozenset(name.encode() for name in SENT_BACK)
# Far more than an account's program sends. All heads of an answer together, the interim ones included.
ANSWER_HEAD_BYTES = 16 << 10
# Heads that are remembered: an account's answers differ in their length and, each second, their date.
_REMEMBERED, _REMEMBERED_BYTES = 512, 1024
# Idle connections per account and in all, and their lifetime: shorter than an account keeps one. With fewer
# connections than concurrent callers, connections are opened and closed all the time.
_KEPT, _KEPT_IN_ALL, _KEPT_SECONDS = 256, 1024, 30.0
# After this long without use the account's unit and secret are checked again.
_TRUSTED_SECONDS = 0.1
_UNTIL_END = -1
SERVER = "wxcontroller"
# The library's default name.
_ANY_SERVER = SERVER_SOFTWARE.encode()


class ResponseSink(Protocol):
    """Whoever waits for an answer: a caller, or the controller. ``broken`` or ``finished`` is its last call."""

    is_head: bool

    @property
    def is_sent(self) -> bool:
        """Whether the whole request was sent."""

    @property
    def takes_chunks(self) -> bool:
        """Whether a body whose length is not known may be sent in chunks."""

    def full(self) -> None:
        """No more of the request can be sent at the moment."""

    def empty(self) -> None:
        """More of it can be sent again."""

    def latest(self) -> float:
        """Return when the answer is too late, by the loop's clock."""

    def answered(self, head: "ResponseHead") -> None:
        """Take the head."""

    def more(self, data: bytes) -> None:
        """Process the next part of the response, beginning with the empty line."""

    def finished(self) -> None:
        """The response is complete."""

    def broken(self, problem: Exception) -> None:
        """The response ended early."""


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """The head of an answer. ``length`` of the body, _UNTIL_END for one that ends with the connection."""

    status: int
    reason: bytes
    fields: Fields  # as they came
    sent: bytes  # the head as a caller gets it, but for the empty line
    length: int
    chunked: bool
    keep: bool  # the connection
    dated: bool


def read_head(head: bytes, is_head: bool, own: bytes) -> ResponseHead:
    """Read an answer's head. ``own`` are the headers that the controller adds. Raises BadResponse."""
    try:
        read = http1.read_answer(head)
    except BadHead:
        raise BadResponse from None
    status, values = read.status, read.values
    if unusable := unusable_because(status, values.get(b"content-encoding", b"").decode("latin-1")):
        raise BadResponse(unusable)
    bodiless = is_head or status in (204, 304)
    length = _UNTIL_END if read.length is None else read.length
    without = {b"content-length"} if status in (204, 304) else set()
    if values.get(b"server", _ANY_SERVER) == _ANY_SERVER:
        without.add(b"server")
        own += f"Server: {SERVER}\r\n".encode()
    passed = SENT_BACK_BYTES - without
    sent = b"".join(b"%b: %b\r\n" % (name, value) for low, name, value in read.fields if low in passed)
    if not bodiless and length and b"content-type" not in values:
        sent += b"Content-Type: application/octet-stream\r\n"
    if not bodiless and length == _UNTIL_END:
        sent += b"Transfer-Encoding: chunked\r\n"
    if b"date" not in values:
        sent += b"Date: %b\r\n" % formatdate(usegmt=True).encode()
    line = b"HTTP/1.1 %d %b\r\n" % (status, read.reason)
    keep = read.keeps and (bodiless or read.chunked or length != _UNTIL_END)
    return ResponseHead(
        status,
        read.reason,
        read.fields,
        line + sent + own,
        0 if bodiless else length,
        read.chunked and not bodiless,
        keep,
        b"date" in values,
    )


class Backend(asyncio.Protocol):
    """A connection to an account, for one request at a time."""

    __slots__ = (
        *("_alarm", "_alarm_at", "_sink", "_backends", "_budget", "_chunked", "_head", "_held", "_left", "_loop"),
        *(
            "_paused",
            "_poll",
            "_room",
            "_stopped",
            "_transport",
            "_turn",
            "account",
            "begin",
            "is_full",
            "open",
            "secret",
            "used",
        ),
    )

    def __init__(self, backends: "Backends", account: Account, secret: str, budget: Budget) -> None:
        self._backends = backends
        self._budget = budget
        self.account = account
        self.secret = secret
        # By scope: the bytes after the request line.
        host = f"Host: 127.0.0.1:{account.port}\r\n"
        shown = {scope: f"{PORT_HEADER}: {scope.value} {secret}\r\n" if secret else "" for scope in Scope}
        self.begin = {scope: (host + shown[scope]).encode() for scope in Scope}
        self.open = self.is_full = False
        self.used = 0.0
        self._loop = asyncio.get_running_loop()
        self._sink: ResponseSink | None = None
        self._head: ResponseHead | None = None
        self._held = b""  # received, not processed
        self._left = 0
        self._chunked: Chunked | None = None
        self._alarm: asyncio.Handle | None = None
        self._alarm_at = 0.0  # uvloop's handles do not show it
        self._paused = False  # the caller does not read
        self._turn: asyncio.Handle | None = None  # when the account has time again
        self._stopped = False  # reading is, for either reason
        self._room = asyncio.Event()  # for more of a request

    # -- asking

    def ask(self, sink: ResponseSink, request: bytes) -> None:
        """Send a request; ``sink`` gets the answer."""
        self._sink, self._head, self._chunked, self.used = sink, None, None, self._loop.time()
        self._transport.write(request)
        self.expect(sink.latest())

    def write(self, data: bytes) -> None:
        """Send more of the request."""
        self._transport.write(data)

    async def send(self, pieces: AsyncIterator[bytes]) -> None:
        """Send the rest of a request, no faster than the account takes it. Cancel it when the answer comes first."""
        async for piece in pieces:
            self.write(piece)
            if self.is_full:
                self._room.clear()
                await self._room.wait()

    def pause_writing(self) -> None:
        self.is_full = True
        if self._sink is not None:
            self._sink.full()

    def resume_writing(self) -> None:
        self.is_full = False
        self._room.set()
        if self._sink is not None:
            self._sink.empty()

    def let_go(self) -> None:
        """Close the connection: the answer is no longer needed."""
        self._sink = None
        self._abort()

    def pause(self) -> None:
        """Pause reading until ``resume``."""
        self._paused = True
        self._set_reading()

    def resume(self) -> None:
        if self._paused and self.open:
            self._paused = False
            self.used = self._loop.time()
            self._set_reading()
            if self._sink is not None:
                self.expect(self._sink.latest())

    def _set_reading(self) -> None:
        stop = self._paused or self._turn is not None
        if stop != self._stopped and self.open:
            self._stopped = stop
            (self._transport.pause_reading if stop else self._transport.resume_reading)()

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def is_good(self) -> bool:
        """Whether an idle connection can be used: it received neither data nor its end."""
        return self.open and not self._poll.poll(0)

    # -- as a protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.open, self.used = True, self._loop.time()
        self._poll = select.poll()
        # ``is_good`` needs one system call, because the event loop notices the end of a connection only in its next
        # round.
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN | select.POLLRDHUP)

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        for timer in (self._alarm, self._turn):
            if timer is not None:
                timer.cancel()
        self._backends.forget(self)
        sink, self._sink = self._sink, None
        if sink is None:
            return
        if exc is None and self._head is not None and self._left == _UNTIL_END and self._chunked is None:
            # The connection's end was that of the body: the caller, whose connection stays open, gets it in chunks.
            sink.more(b"0\r\n\r\n" if sink.takes_chunks else b"")
            sink.finished()
        else:
            sink.broken(exc or ConnectionResetError())

    def data_received(self, data: bytes) -> None:
        sink = self._sink
        if sink is None:  # no request was sent
            self._abort()
            return
        self.used = self._loop.time()
        if self._held:
            data, self._held = self._held + data, b""
        if self._turn is None:
            self._process(sink, data)
        else:
            self._held = data

    def _process(self, sink: ResponseSink, data: bytes) -> None:
        """Take what was received, as far as the account has time."""
        before = b""  # the end of a head, which is sent with the beginning of the body
        try:
            while self._sink is sink and (data or before):
                if not before and (pause := self._budget.pause):
                    self._held = data
                    self._turn = self._loop.call_later(pause, self._go_on)
                    self._set_reading()
                    return
                if self._head is None:
                    data, before = self._read_head(sink, data), b"\r\n"
                    if self._held:  # incomplete
                        return
                elif self._chunked is not None:
                    with self._budget.working():
                        data, before = self._read_chunks(sink, self._chunked, data, before), b""
                else:
                    self._read_body(sink, data, before)
                    return
        except BadResponse as problem:
            self._fail(problem)
        except BadChunk:
            self._fail(BadResponse())

    def _go_on(self) -> None:
        self._turn, data, self._held = None, self._held, b""
        self.used = self._loop.time()
        if self._sink is not None:
            self._process(self._sink, data)
        self._set_reading()

    def _read_head(self, sink: ResponseSink, data: bytes) -> bytes:
        """Take the head of the answer, once it is here; return the bytes after it."""
        begin, interim = 0, 0
        while True:
            end = data.find(b"\r\n\r\n", begin, ANSWER_HEAD_BYTES) + 4
            if end < 4:
                if len(data) >= ANSWER_HEAD_BYTES:
                    raise BadResponse
                # With the interim heads: all of an answer's are counted together.
                self._held = data
                return b""
            # Interim answers are not for the caller, whose library may not expect them.
            if not data.startswith(b"HTTP/1.1 1", begin) or data.startswith(b"HTTP/1.1 101", begin):
                break
            begin, interim = end, interim + 1
            if interim > INTERIM_HEADS:
                raise BadResponse
        head = self._head = self._backends.head(data[begin:end], sink.is_head, self._budget)
        self._left = head.length
        self._chunked = Chunked() if head.chunked else None
        sink.answered(head)
        return data[end:]

    def _read_chunks(self, sink: ResponseSink, chunked: Chunked, data: bytes, before: bytes) -> bytes:
        """Forward a part of a chunked body; return the bytes after it."""
        pieces: list[bytes] = []
        part = data[:PART_BYTES]
        taken = chunked.take(part, pieces)
        content = b"".join(pieces)
        if sink.takes_chunks:
            content = chunk(content) + (b"0\r\n\r\n" if chunked.done else b"")
        content = before + content
        if content:
            sink.more(content)
        if chunked.done and self._sink is sink:
            # Data after the end belongs to no request, so the connection must not be reused.
            self._finish(sink, taken == len(data))
        return data[taken:]

    def _read_body(self, sink: ResponseSink, data: bytes, before: bytes) -> None:
        """Forward a part of a body that is not chunked."""
        keep = True
        if self._left == _UNTIL_END:
            sink.more(before + (chunk(data) if sink.takes_chunks else data))
            return
        if len(data) > self._left:
            data, keep = data[: self._left], False
        self._left -= len(data)
        sink.more(before + data)
        # ``more`` may have aborted: the caller disconnected, and the connection is dropped.
        if not self._left and self._sink is sink:
            self._finish(sink, keep)

    def _finish(self, sink: ResponseSink, keep: bool) -> None:
        assert self._head is not None
        self._sink = None
        self.resume()
        if keep and self._head.keep and self.open and sink.is_sent and not self.is_full:
            self._backends.keep(self)
        else:
            self._abort()
        sink.finished()

    def _abort(self) -> None:
        # The descriptor may be another connection's before ``connection_lost`` is called.
        self.open = False
        self._transport.abort()

    def _fail(self, problem: Exception) -> None:
        sink, self._sink = self._sink, None
        self._abort()
        if sink is not None:
            sink.broken(problem)

    # -- time

    def expect(self, latest: float) -> None:
        """Check the deadline then, or before: a timer for each request would cost more."""
        if self._alarm is not None:
            # It may fire too early and then waits again: one timer per connection instead of one per request.
            if self._alarm_at <= latest:
                return
            self._alarm.cancel()
        self._alarm, self._alarm_at = self._loop.call_at(latest, self._check_deadline), latest

    def _check_deadline(self) -> None:
        self._alarm = None
        latest = self._sink.latest() if self._sink is not None else self.used + _KEPT_SECONDS
        if self._loop.time() < latest:
            self.expect(latest)
        else:
            self._fail(TimeoutError())


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


class Backends:
    """The connections to all accounts. ``own`` are headers added to each answer."""

    def __init__(self, registry: Registry, connections: AccountConnections) -> None:
        self._registry, self._connections = registry, connections
        self._idle: dict[str, list[Backend]] = {}  # by instance, the one used last at the end
        self._kept = 0
        self._heads: tuple[dict[bytes, ResponseHead], dict[bytes, ResponseHead]] = ({}, {})
        self._own = b""

    def set_own(self, own: bytes) -> None:
        """Add other headers to answers from now on."""
        self._own = own
        for heads in self._heads:
            heads.clear()

    def head(self, head: bytes, is_head: bool, budget: Budget) -> ResponseHead:
        """Read an answer's head, or remember it. Raises BadResponse."""
        heads = self._heads[is_head]
        found = heads.get(head)
        if found is None:
            with budget.working():
                found = read_head(head, is_head, self._own)
            if len(head) <= _REMEMBERED_BYTES and found.dated:
                # All at once: most are from the last second, because they contain the date.
                if len(heads) >= _REMEMBERED:
                    heads.clear()
                heads[head] = found
        return found

    async def connection(self, account: Account, now: float, seconds: float) -> Backend:
        """Return a connection to an account that is used for nothing else, ``now`` by the loop's clock.

        Raises PortFailure, and TimeoutError after ``seconds``.
        """
        backend = self._kept_to(account, now)
        if backend is not None:
            return backend
        instance = account.name.instance
        if not self._registry.is_up(instance):
            raise NotRunning(account)
        secret = self._registry.secret(instance)
        budget = self._connections.budget(instance)
        return await self._connections.open(account, lambda: Backend(self, account, secret, budget), seconds)

    def _kept_to(self, account: Account, now: float) -> Backend | None:
        """Take a usable idle connection to an account out of the pool, or return None."""
        idle = self._idle.get(account.name.instance)
        while idle:
            # Use the most recent one: the others age and are closed, so the pool shrinks to the number needed.
            backend = idle.pop()
            self._kept -= 1
            if backend.is_good and self._is_same(backend, account, now):
                return backend
            backend.let_go()
        return None

    def keep(self, backend: Backend) -> None:
        """Take back a connection whose request is answered."""
        idle = self._idle.setdefault(backend.account.name.instance, [])
        # Without a secret the account was just starting: the next connection may have one.
        if len(idle) >= _KEPT or self._kept >= _KEPT_IN_ALL or not backend.secret:
            backend.let_go()
            return
        idle.append(backend)
        self._kept += 1
        backend.expect(backend.used + _KEPT_SECONDS)

    def forget(self, backend: Backend) -> None:
        """Forget a connection that has ended."""
        idle = self._idle.get(backend.account.name.instance, [])
        if backend in idle:
            idle.remove(backend)
            self._kept -= 1
        if not idle:
            self._idle.pop(backend.account.name.instance, None)

    def close(self) -> None:
        """Close all connections that are not in use."""
        for idle in list(self._idle.values()):
            for backend in list(idle):
                backend.let_go()

    def _is_same(self, backend: Backend, account: Account, now: float) -> bool:
        if now - backend.used < _TRUSTED_SECONDS:
            return True
        instance = account.name.instance
        return self._registry.is_up(instance) and self._registry.secret(instance) == backend.secret
