"""Reading from an account or another host within a budget: time of the event loop, and bytes in memory.

The other end may be compromised, and bytes are cheap to send: a stream of bare line ends, chunks of one byte or
endless interim answers cost the reader a thousand times more than the sender. So each account and each host has
one ``Budget`` for all its connections, whatever is read over them: a fifth of the event loop's time, and a number of
bytes of answers that are read whole. Data is processed in small parts. Once the time is used up, the connection is
not read for a while, and its full socket holds up the sender.

``BoundedHandler`` is the protocol of aiohttp's client connections within a budget, ``read_whole`` reads an answer.
Streams are read by ``eventlines``.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from typing import Protocol

from aiohttp import ClientPayloadError, StreamReader
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawResponseMessage

# Processed at once: a part that is all line ends or tiny chunks takes a millisecond or two.
PART_BYTES = 4096
# HTTP allows any number of them before an answer (RFC 9110 15.2), but our requests ask for none.
INTERIM_HEADS = 4
# A peer gets a fifth of the time: it waits for four times what its bytes took.
_SHARE = 5.0
# Work up to this is not followed by a pause: ordinary answers take less.
_BURST_SECONDS = 0.002
# Answers that are read whole have at most 32 MiB (a host's accounts), most of them 64 KiB.
HELD_BYTES = 64 << 20


class ByteSource(Protocol):
    """A response's content."""

    async def readany(self) -> bytes:
        """Return the received bytes, b"" at the end."""
        ...


class TooMuch(ConnectionError):
    """The answers of one peer would take more memory than it may use."""


class Holding(Protocol):
    """Bytes that count for a peer until the end of a block."""

    def add(self, size: int) -> None:
        """Raises TooMuch."""


class Budget:
    """The time and memory that one peer may use, over all its connections."""

    __slots__ = ("_counted", "_held", "_until")

    def __init__(self) -> None:
        self._until = 0.0  # the work so far would be a fifth of the time by then
        self._counted = 0.0  # all work until then
        self._held = 0

    def spend(self, seconds: float) -> None:
        """Record work that the peer has caused on the event loop."""
        self._until = max(self._until, time.monotonic()) + _SHARE * seconds

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Record the work of a block."""
        began = time.perf_counter()
        try:
            yield
        finally:
            # Blocks that wait for threads overlap. Their sum would grow with the square of their number.
            began, self._counted = max(began, self._counted), time.perf_counter()
            self.spend(self._counted - began)

    @property
    def pause(self) -> float:
        """Seconds until the peer may cause more work, 0 for at once."""
        if not self._until:
            return 0.0
        ahead = self._until - time.monotonic()
        return ahead - _SHARE * _BURST_SECONDS if ahead > 2 * _SHARE * _BURST_SECONDS else 0.0

    async def wait(self) -> None:
        """Wait until the peer may cause more work."""
        # Until there is time: other connections of the peer may have used it up meanwhile.
        while pause := self.pause:  # noqa: ASYNC110 - it is not a condition that others set
            await asyncio.sleep(pause)

    @contextlib.contextmanager
    def holding(self) -> Iterator[Holding]:
        """Count bytes that are kept during a block."""
        holding = _Holding(self)
        try:
            yield holding
        finally:
            self._held -= holding.size

    def hold(self, size: int) -> None:
        """Count bytes that are kept. Raises TooMuch."""
        if self._held + size > HELD_BYTES:
            raise TooMuch("its answers take too much memory")
        self._held += size


class _Holding:
    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.size = 0

    def add(self, size: int) -> None:
        self._budget.hold(size)
        self.size += size


async def read_whole(source: ByteSource, budget: Budget, limit: int) -> bytes:
    """Read a response, up to the piece that exceeds ``limit`` bytes. Raises TooMuch, and the errors of ``source``."""
    content = bytearray()
    with budget.holding() as holding:
        while len(content) <= limit and (piece := await source.readany()):
            holding.add(len(piece))
            content += piece
        return bytes(content)


class BoundedHandler(ResponseHandler):
    """A client connection of aiohttp that reads within the budget of its peer."""

    def __init__(self, loop: asyncio.AbstractEventLoop, budget: Budget) -> None:
        super().__init__(loop)
        self._budget = budget
        self._rest = b""  # received, not processed
        self._turn: asyncio.TimerHandle | None = None  # for the rest; nothing is read until then
        self._interim = 0

    def data_received(self, data: bytes) -> None:
        if self._turn is None:
            self._process(data)
        else:
            self._rest += data

    def _process(self, data: bytes) -> bool:
        """Process data; return False if the rest has to wait."""
        for at in range(0, len(data), PART_BYTES):
            if not self.connected:
                break
            if pause := self._budget.pause:
                self._rest = data[at:]
                self._turn = self._loop.call_later(pause, self._go_on)
                if not self._reading_paused:
                    self._read(False)
                return False
            began = time.perf_counter()
            super().data_received(data[at : at + PART_BYTES])
            self._budget.spend(time.perf_counter() - began)
        return True

    def _go_on(self) -> None:
        self._turn, rest, self._rest = None, self._rest, b""
        if self._process(rest) and not self._reading_paused:
            self._read(True)

    def resume_reading(self) -> None:
        if self._turn is None:
            super().resume_reading()
        else:
            self._reading_paused = False  # ``_go_on`` does it

    def _read(self, reads: bool) -> None:
        if self.transport is not None:
            with contextlib.suppress(RuntimeError):  # it is closing
                (self.transport.resume_reading if reads else self.transport.pause_reading)()

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        if 100 <= data[0].code < 200 and data[0].code != 101:
            self._interim += 1
            if self._interim > INTERIM_HEADS:
                self.set_exception(ClientPayloadError("too many interim answers"))
                if self.transport is not None:
                    self.transport.abort()
                return
        elif self._interim > INTERIM_HEADS:
            return  # it came with them
        else:
            self._interim = 0
        super().feed_data(data, size)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._turn is not None:
            self._turn.cancel()
            self._turn, self._rest = None, b""
        super().connection_lost(exc)
