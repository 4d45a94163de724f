"""Accepting connections, and ending without losing one.

The listening sockets belong to systemd: what waits in their queues when we stop is served by the next process. They
are never shut down, only no longer accepted from. What was accepted is answered: requests under way finish, and a
kept-alive connection gets a moment to send one more request, which is answered with ``Connection: close``; closing it
at once would hit requests that are already on their way.
"""

import asyncio
import errno
import logging
import socket
from collections.abc import Iterable

from aiohttp import web

from wxcontroller.controller.connection import SERVER, Connection
from wxcontroller.controller.context import CONTEXT, Context
from wxcontroller.core.addresses import is_loopback

log = logging.getLogger(__name__)
# Two round trips on the slowest of lines. Who says nothing holds a connection for so long.
TLS_HANDSHAKE_SECONDS = 10.0
# An idle connection gets this long for one more request.
GRACE_SECONDS = 1.0
_TICK = 0.02
_ACCEPTS_AT_A_TIME = 64
_BREATHER = 0.2
_OUT_OF_SOMETHING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Server:
    """An application on sockets that listen already. ``start`` … ``drain``, once."""

    def __init__(self, app: web.Application, sockets: Iterable[socket.socket]) -> None:
        self._shared: Context = app[CONTEXT]
        self._sockets = list(sockets)
        self._accepting: set[socket.socket] = set()
        self._arriving: set[asyncio.Task[object]] = set()
        app.on_response_prepare.append(self._mark)
        self._runner = web.AppRunner(
            app,
            handler_cancellation=True,  # a caller that hangs up ends its proxied request
            shutdown_timeout=1.0,
        )

    async def start(self) -> None:
        await self._runner.setup()
        for listening in self._sockets:
            listening.setblocking(False)
            self._accept_from(listening)

    @property
    def connections(self) -> int:
        return len(self._open())

    async def drain(self) -> None:
        """Stop accepting and end when every connection is served, or after drain_timeout of the settings."""
        loop = asyncio.get_running_loop()
        self._shared.draining.set()
        for listening in list(self._accepting):
            self._stop_accepting(listening)
        await asyncio.gather(*self._arriving, return_exceptions=True)
        longest = self._shared.settings.drain_timeout
        end = loop.time() + longest
        idle_since: dict[Connection, float] = {}
        while (connections := self._open()) and (now := loop.time()) < end:
            for connection in connections:
                if not connection.idle:
                    idle_since.pop(connection, None)
                elif now - idle_since.setdefault(connection, now) > GRACE_SECONDS and connection.quiet:
                    connection.force_close()
            await asyncio.sleep(_TICK)
        if connections:
            log.warning("%d requests were not done after %g s, they are broken off", len(connections), longest)
        await self._runner.cleanup()
        for listening in self._sockets:
            listening.close()

    def _open(self) -> list[Connection]:
        server = self._runner.server
        open_ones = server.connections if server is not None else []
        return [each for each in open_ones if isinstance(each, Connection)]

    def _accept_from(self, listening: socket.socket) -> None:
        self._accepting.add(listening)
        asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    def _stop_accepting(self, listening: socket.socket) -> None:
        self._accepting.discard(listening)
        asyncio.get_running_loop().remove_reader(listening)

    def _accept(self, listening: socket.socket) -> None:
        """Take what is in the queue.

        Not asyncio's own server: when that is closed, it drops connections it has accepted but not yet set up.
        """
        for _ in range(_ACCEPTS_AT_A_TIME):
            try:
                connection, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as problem:
                if problem.errno not in _OUT_OF_SOMETHING:
                    raise
                log.error("no connection can be accepted: %s; raise LimitNOFILE=?", problem.strerror)
                self._stop_accepting(listening)
                asyncio.get_running_loop().call_later(_BREATHER, self._accept_again, listening)
                return
            if len(self._arriving) >= self._shared.settings.max_connections:
                connection.close()  # those that only shake hands are connections too
                continue
            connection.setblocking(False)
            task: asyncio.Task[object] = asyncio.get_running_loop().create_task(self._serve(connection))
            self._arriving.add(task)
            task.add_done_callback(self._arriving.discard)

    def _accept_again(self, listening: socket.socket) -> None:
        if not self._shared.draining.is_set():
            self._accept_from(listening)

    async def _serve(self, connection: socket.socket) -> None:
        server, loop = self._runner.server, asyncio.get_running_loop()
        if server is None:
            connection.close()
            return
        tls = self._shared.tls
        # Programs on this machine go on without: nobody can listen to them.
        if tls is not None and is_loopback(connection.getsockname()):
            tls = None
        try:
            await loop.connect_accepted_socket(
                lambda: Connection(server, loop, self._shared.admission),
                connection,
                ssl=tls,
                ssl_handshake_timeout=TLS_HANDSHAKE_SECONDS if tls else None,
            )
        except OSError as problem:
            log.debug("a connection went away at once: %s", problem)
            connection.close()

    async def _mark(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Server"] = SERVER
        if self._shared.settings.http_debug:
            log.info("%s %s: %d", request.method, request.path, response.status)  # never the query: it holds texts
        if self._shared.draining.is_set():
            response.force_close()
            response.headers["Connection"] = "close"
