"""Accepting connections, and ending without losing one.

The listening sockets belong to systemd: connections in their queues are served by the next process when we stop. They
are never shut down; only accepting stops. Accepted connections are answered: current requests finish, and a
kept-alive connection gets a moment to send one more request, which is answered with ``Connection: close``; closing it
at once would hit requests that are already on their way.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Iterable

from aiohttp import web
from aiohttp.http import SERVER_SOFTWARE

from wxcontroller.controller.account_port.backends import SERVER
from wxcontroller.controller.apis.metrics.scrape import FIGURES
from wxcontroller.controller.context import CONTEXT, Context
from wxcontroller.controller.forwarding.forwarding import AccountForwarder
from wxcontroller.controller.forwarding.rewriting import RECORDS
from wxcontroller.core.access.rights import loggable
from wxcontroller.core.net.addresses import is_loopback
from wxcontroller.openwx.http.connection import HttpConnection, conclusion_of, connections
from wxcontroller.openwx.http.listener import Acceptor

log = logging.getLogger(__name__)
# Time for one more request on an idle connection.
GRACE_SECONDS = 1.0
_TICK = 0.02


class Server:
    """An application on sockets that listen already. ``start`` … ``drain``, once."""

    def __init__(self, app: web.Application, sockets: Iterable[socket.socket]) -> None:
        self._shared: Context = app[CONTEXT]
        self._sockets = list(sockets)
        self._acceptor: Acceptor | None = None
        self._forwarder = AccountForwarder(self._shared, app[FIGURES].requests, app[RECORDS])
        app.on_response_prepare.append(self._set_server_header)
        self._runner = web.AppRunner(
            app,
            handler_cancellation=True,  # a caller that disconnects ends its proxied request
            shutdown_timeout=1.0,
        )

    async def start(self) -> None:
        await self._runner.setup()
        assert self._runner.server is not None
        protocols = connections(self._runner.server, SERVER, self._shared.admission, self._forwarder)
        admission = self._shared.admission
        self._acceptor = Acceptor(protocols, lambda: admission.limits.connections, admission.dropped, self._tls)
        self._acceptor.start(self._sockets)

    @property
    def connections(self) -> int:
        return len(self._open())

    async def drain(self) -> None:
        """Stop accepting and end when every connection is served, or after drain_timeout of the settings."""
        loop = asyncio.get_running_loop()
        # First: long polls and streams end by it, and answers say that the connection closes.
        self._shared.draining.set()
        self._forwarder.end_polls()
        if self._acceptor is not None:
            await self._acceptor.stop()
        longest = self._shared.settings.drain_timeout
        end = loop.time() + longest
        idle_since: dict[HttpConnection, float] = {}
        while (connections := self._open()) and (now := loop.time()) < end:
            for connection in connections:
                if not connection.idle:
                    idle_since.pop(connection, None)
                # ``quiet``: a request may have arrived that the event loop has not read yet.
                elif now - idle_since.setdefault(connection, now) > GRACE_SECONDS and connection.quiet:
                    connection.force_close()
            await asyncio.sleep(_TICK)
        if connections:
            log.warning("%d requests were not finished after %g s and are aborted", len(connections), longest)
        await self._runner.cleanup()
        self._forwarder.close()
        for listening in self._sockets:
            listening.close()

    def _open(self) -> list[HttpConnection]:
        server = self._runner.server
        open_ones = server.connections if server is not None else []
        return [one for one in open_ones if isinstance(one, HttpConnection)]

    def _tls(self, connection: socket.socket) -> ssl.SSLContext | None:
        """Return the TLS context, if any. Programs on this machine need none: their traffic cannot be read."""
        return None if is_loopback(connection.getsockname()) else self._shared.tls

    async def _set_server_header(self, request: web.Request, response: web.StreamResponse) -> None:
        if response.headers.get("Server") == SERVER_SOFTWARE:  # else it is an account's
            response.headers["Server"] = SERVER
        if self._shared.settings.http_debug:
            log.info(
                "%s %s: %d", request.method, loggable(request.path), response.status
            )  # never the query: it holds texts
        conclusion = conclusion_of(request)
        if self._shared.draining.is_set() or (conclusion is not None and conclusion.closes):
            response.force_close()
            response.headers["Connection"] = "close"
