"""The sockets of an account's own API: one in its runtime directory for the controller, and its port of 127.0.0.1.

Only the account can create names in its runtime directory, so the controller knows whom it talks to; and only the
controller's group can open them. Without this socket the account does not start.

The port is for other callers. Any program may have taken it: the account then works without it, reports this, and
takes it once it is free.
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable

from aiohttp import web

from wxcontroller.client.config import ClientConfig
from wxcontroller.client.openwxapi import SERVER
from wxcontroller.client.portguard import Guard
from wxcontroller.core.backoff import Backoff
from wxcontroller.core.errors import WxError, reason_of
from wxcontroller.core.text.templates import N_, NOTHING, Text
from wxcontroller.openwx.http.admission import ADMISSION
from wxcontroller.openwx.http.connection import connections
from wxcontroller.openwx.http.listener import Acceptor

log = logging.getLogger(__name__)
_BACKLOG = 100
# The kernel's own limit by default (net.core.somaxconn). The controller waits while it is full.
_CONTROLLERS_BACKLOG = 4096
# For its owner and its group, which is the controller's.
_MODE = 0o660
# Pauses between attempts to take the port. An attempt costs two system calls.
RETRY_FIRST, RETRY_LONGEST = 1.0, 30.0


class CannotListen(WxError):
    """The account cannot listen in its runtime directory."""


@contextlib.asynccontextmanager
async def listening(
    app: web.Application, config: ClientConfig, guard: Guard, note: Callable[[Text], None]
) -> AsyncIterator[None]:
    """Serve the account's API during a block, at its socket and on its port.

    ``note`` is called with the reason why the port cannot be used, and with an empty text once it is.

    Raises CannotListen without the socket.
    """
    # ``handler_cancellation``: a long poll must not take an event for a caller that has disconnected.
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.5)
    await runner.setup()
    http, admission = runner.server, app[ADMISSION]
    assert http is not None
    acceptor = Acceptor(connections(http, SERVER, admission), lambda: admission.limits.connections, admission.dropped)
    try:
        with contextlib.ExitStack() as sockets:
            acceptor.start([sockets.enter_context(_own_socket(config))])
            guard.tell_controller()
            taking = None
            if not _take_port(acceptor, sockets, config, note):
                taking = asyncio.create_task(_take_port_later(acceptor, sockets, config, note))
            try:
                yield
            finally:
                if taking is not None:
                    taking.cancel()
                    await asyncio.wait([taking])
                await acceptor.stop()
    finally:
        await runner.cleanup()


def _own_socket(config: ClientConfig) -> socket.socket:
    """Listen in the runtime directory. Raises CannotListen."""
    path, listener = config.api_socket, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)  # an earlier process's, where a drop-in preserves the directory
        # By a descriptor: a path in a socket's address has 107 bytes at most.
        directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            listener.bind(f"/proc/self/fd/{directory}/{path.name}")
        finally:
            os.close(directory)
        # Before it listens: until then nobody can connect.
        path.chmod(_MODE)
        listener.listen(_CONTROLLERS_BACKLOG)
    except OSError as problem:
        listener.close()
        raise CannotListen(
            N_("account {account}: cannot listen on {file}: {reason}"),
            N_("start it by systemd, which creates the directory: systemctl start {unit}"),
            account=str(config.name),
            unit=config.name.unit,
            file=path,
            reason=reason_of(problem),
        ) from None
    return listener


def _take_port(
    acceptor: Acceptor, sockets: contextlib.ExitStack, config: ClientConfig, note: Callable[[Text], None]
) -> bool:
    """Listen on the account's port, if that is possible; return whether it is."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # A restart must not wait for connections of the last process in TIME_WAIT.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", config.port))
        listener.listen(_BACKLOG)
    except OSError as problem:
        listener.close()
        note(Text(N_("port {port} cannot be used: {reason}"), port=config.port, reason=reason_of(problem)))
        return False
    acceptor.start([sockets.enter_context(listener)])
    note(NOTHING)
    return True


async def _take_port_later(
    acceptor: Acceptor, sockets: contextlib.ExitStack, config: ClientConfig, note: Callable[[Text], None]
) -> None:
    log.warning("port %d cannot be used; the controller reaches the account without it", config.port)
    backoff = Backoff(RETRY_FIRST, RETRY_LONGEST)
    while True:
        await asyncio.sleep(backoff.next())
        if _take_port(acceptor, sockets, config, note):
            log.info("port %d is in use by this account now", config.port)
            return
