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
from functools import partial

from wxcontroller.core.process.summaries import cause
from wxcontroller.openwx.http.admission import Dropped, peer_of

log = logging.getLogger(__name__)
# Two round trips on the slowest networks. A silent caller holds a connection this long.
TLS_HANDSHAKE_SECONDS = 10.0
# One address has at most this part of the handshakes, and its oldest one makes room for a new one.
_ADDRESS_PART = 16
# The loop serves others in between, also while hundreds connect.
_ACCEPTS_AT_A_TIME = 64
# Until connections have ended and descriptors are free again. Callers notice a longer pause.
_PAUSE_SECONDS = 0.2
_OUT_OF_SOMETHING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Acceptor:
    """Gives each connection from listening sockets a protocol. ``start`` … ``stop``, once; both in the event loop.

    ``arriving_max`` is the number of connections that may be in their handshake, ``dropped`` counts those that made
    room for others. ``tls`` returns the TLS context of a connection, None for plain HTTP.
    """

    def __init__(
        self,
        protocol: Callable[[], asyncio.Protocol],
        arriving_max: Callable[[], int],
        dropped: Dropped,
        tls: Callable[[socket.socket], ssl.SSLContext | None] = lambda _: None,
    ) -> None:
        self._protocol = protocol
        self._arriving_max = arriving_max
        self._dropped = dropped
        self._tls = tls
        self._accepting: set[socket.socket] = set()
        self._paused: dict[socket.socket, asyncio.TimerHandle] = {}
        self._starting: set[asyncio.Task[None]] = set()
        # Those with a handshake, by address, the oldest first.
        self._arriving: dict[str, dict[asyncio.Task[None], None]] = {}

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
        await asyncio.gather(*self._starting, return_exceptions=True)

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
                connection, address = listening.accept()
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
            connection.setblocking(False)
            tls = self._tls(connection)
            task = asyncio.get_running_loop().create_task(self._set_up(connection, tls))
            self._starting.add(task)
            task.add_done_callback(self._starting.discard)
            if tls is not None:
                peer = peer_of(address)
                self._make_room(peer)
                self._arriving.setdefault(peer, {})[task] = None
                task.add_done_callback(partial(self._arrived, peer))

    def _make_room(self, peer: str) -> None:
        """End the oldest handshake of an address at its share, or, if there are too many, of the one with most."""
        limit, same = self._arriving_max(), self._arriving.get(peer, {})
        if len(same) < max(1, limit // _ADDRESS_PART):
            if sum(map(len, self._arriving.values())) < limit:
                return
            same = max(self._arriving.values(), key=len)
        # Those that are ending already are still here until the next round of the loop.
        oldest = next((task for task in same if not task.cancelling()), None)
        if oldest is not None:
            oldest.cancel()
            self._dropped.note("handshake")

    def _arrived(self, peer: str, task: "asyncio.Task[None]") -> None:
        same = self._arriving[peer]
        del same[task]
        if not same:
            del self._arriving[peer]

    async def _set_up(self, connection: socket.socket, tls: ssl.SSLContext | None) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._protocol,
                connection,
                ssl=tls,
                ssl_handshake_timeout=TLS_HANDSHAKE_SECONDS if tls else None,
            )
        except (OSError, asyncio.CancelledError) as problem:
            log.debug("a connection ended during its handshake: %s", problem)
            connection.close()
