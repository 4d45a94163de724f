"""Accepting connections, for the controller's port and for the accounts'.

asyncio's own server drops connections that it has accepted and not yet set up when it is closed. And without a free
file descriptor it logs a traceback for each place in the listening queue, and schedules as many new attempts. Here
one line is logged and accepting pauses; callers wait in the kernel's queue meanwhile.
"""

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable, Iterable

from wxcontroller.core.summaries import cause

log = logging.getLogger(__name__)
# Two round trips on the slowest networks. A silent caller holds a connection this long.
TLS_HANDSHAKE_SECONDS = 10.0
# The loop serves others in between, also while hundreds connect.
_ACCEPTS_AT_A_TIME = 64
# Until connections have ended and descriptors are free again. Callers notice a longer pause.
_PAUSE_SECONDS = 0.2
_OUT_OF_SOMETHING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Acceptor:
    """Gives each connection from listening sockets a protocol. ``start`` … ``stop``, once; both in the event loop.

    ``arriving_max`` is the number of connections that may be in their handshake. ``tls`` returns the TLS context of a
    connection, None for plain HTTP.
    """

    def __init__(
        self,
        protocol: Callable[[], asyncio.Protocol],
        arriving_max: Callable[[], int],
        tls: Callable[[socket.socket], ssl.SSLContext | None] = lambda _: None,
    ) -> None:
        self._protocol = protocol
        self._arriving_max = arriving_max
        self._tls = tls
        self._accepting: set[socket.socket] = set()
        self._paused: dict[socket.socket, asyncio.TimerHandle] = {}
        self._arriving: set[asyncio.Task[None]] = set()

    def start(self, sockets: Iterable[socket.socket]) -> None:
        """Accept from sockets that listen. They stay the caller's."""
        for listening in sockets:
            listening.setblocking(False)
            self._resume(listening)

    async def stop(self) -> None:
        """Stop accepting, and wait until accepted connections have their protocol."""
        for timer in self._paused.values():
            timer.cancel()
        for listening in list(self._accepting):
            self._suspend(listening)
        await asyncio.gather(*self._arriving, return_exceptions=True)

    def _resume(self, listening: socket.socket) -> None:
        self._paused.pop(listening, None)
        self._accepting.add(listening)
        asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    def _suspend(self, listening: socket.socket) -> None:
        self._accepting.discard(listening)
        asyncio.get_running_loop().remove_reader(listening)

    def _accept(self, listening: socket.socket) -> None:
        """Accept the queued connections."""
        for _ in range(_ACCEPTS_AT_A_TIME):
            try:
                connection, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as problem:
                if problem.errno not in _OUT_OF_SOMETHING:
                    raise
                log.error(
                    "cannot accept connections: %s; raise LimitNOFILE= of this unit",
                    problem.strerror,
                    extra=cause("cannot accept"),
                )
                self._suspend(listening)
                loop = asyncio.get_running_loop()
                self._paused[listening] = loop.call_later(_PAUSE_SECONDS, self._resume, listening)
                return
            if len(self._arriving) >= self._arriving_max():
                connection.close()  # those that only shake hands are connections too
                continue
            connection.setblocking(False)
            task = asyncio.get_running_loop().create_task(self._set_up(connection))
            self._arriving.add(task)
            task.add_done_callback(self._arriving.discard)

    async def _set_up(self, connection: socket.socket) -> None:
        tls = self._tls(connection)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._protocol,
                connection,
                ssl=tls,
                ssl_handshake_timeout=TLS_HANDSHAKE_SECONDS if tls else None,
            )
        except OSError as problem:
            log.debug("a connection ended during its handshake: %s", problem)
            connection.close()
