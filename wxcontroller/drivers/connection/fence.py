"""Closes all connections to WeChat when this host may no longer run the account (package wxcontroller-fleet).

Another host may then run it. So nothing is sent after the permit has ended, and nothing that was sent before may
arrive much later: the kernel continues to send buffered data for minutes, also after the process has ended.

- Each request checks the permit, and so does each new connection once it is established, because connecting takes
  time.
- ``cut`` resets all connections, and so discards what they have not sent.
- A connection whose data is not acknowledged for ``seconds`` is dropped by the kernel (TCP_USER_TIMEOUT), if the
  process was killed before it could cut.

Imported only in such a fleet: memory is multiplied by hundreds.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from weakref import WeakSet

import aiohttp
from aiohttp.connector import Connection

from wxcontroller.drivers.connection.failures import Fenced

# SO_LINGER with 0 s: closing sends RST and discards the kernel's buffer.
_RESET = struct.pack("ii", 1, 0)  # struct linger


class Fence:
    """Guards the connections to WeChat. ``left`` returns the remaining seconds of the permit."""

    def __init__(self, left: Callable[[], float], seconds: float) -> None:
        self._left = left
        self._milliseconds = int(seconds * 1000)
        self._transports: WeakSet[asyncio.BaseTransport] = WeakSet()

    def check(self) -> None:
        """Raise Fenced once the permit has ended."""
        if self._left() <= 0:
            raise Fenced

    def guard(self, connector: aiohttp.TCPConnector) -> None:
        """Have a connector hand out only connections that end with the permit, directly or through a proxy."""
        # Every request passes it, direct or through a proxy, on a new connection or a reused one.
        connect = connector.connect

        async def guarded(
            req: aiohttp.ClientRequest, traces: "list[aiohttp.tracing.Trace]", timeout: aiohttp.ClientTimeout
        ) -> Connection:
            connection = await connect(req, traces, timeout)
            try:
                self._watch(connection.transport)
            except BaseException:
                connection.close()
                raise
            return connection

        connector.connect = guarded  # type: ignore[method-assign]

    def _watch(self, transport: asyncio.BaseTransport | None) -> None:
        """Have a connection end with the permit. Raises Fenced if that has ended."""
        assert transport is not None
        if transport not in self._transports:
            sock: socket.socket = transport.get_extra_info("socket")
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, self._milliseconds)
            # Before the check: ``cut`` may come in between, and has to find it.
            self._transports.add(transport)
        try:
            self.check()
        except Fenced:
            _reset(transport)
            raise

    def cut(self) -> None:
        """Reset all connections."""
        for transport in list(self._transports):
            _reset(transport)


def _reset(transport: asyncio.BaseTransport) -> None:
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is None:
        return  # it is closed
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()
