"""The socket of an account's own port."""

import contextlib
import socket
from collections.abc import AsyncIterator

from aiohttp import web

from wxcontroller.client.api import SERVER
from wxcontroller.client.config import ClientConfig
from wxcontroller.client.guard import Guard
from wxcontroller.core.errors import WxError, reason_of
from wxcontroller.core.messages import N_
from wxcontroller.openwx.admission import ADMISSION
from wxcontroller.openwx.connection import connections
from wxcontroller.openwx.listener import Acceptor

_BACKLOG = 100


class PortTaken(WxError):
    """The account cannot listen on its API port."""


@contextlib.asynccontextmanager
async def listening(app: web.Application, config: ClientConfig, guard: Guard) -> AsyncIterator[None]:
    """Serve the account's API on its loopback port. Raises PortTaken with the remedy."""
    # ``handler_cancellation``: a long poll must not take an event for a caller that has disconnected.
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.5)
    await runner.setup()
    http, admission = runner.server, app[ADMISSION]
    assert http is not None
    acceptor = Acceptor(connections(http, SERVER, admission), lambda: admission.limits.connections)
    try:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            # A restart must not wait for connections of the last process in TIME_WAIT.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", config.port))
            listener.listen(_BACKLOG)
            guard.tell_controller()
        except OSError as problem:
            listener.close()
            raise PortTaken(
                N_("account {account}: port {port} cannot be used: {reason}"),
                N_("see who has it with ss -ltnp, and whether wxclient.slice allows it (SocketBindAllow=)"),
                account=str(config.name),
                port=config.port,
                reason=reason_of(problem),
            ) from None
        with listener:
            acceptor.start([listener])
            try:
                yield
            finally:
                await acceptor.stop()
    finally:
        await runner.cleanup()
