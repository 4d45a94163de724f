"""Running the sandbox: sockets, signals, systemd."""

import asyncio
import contextlib
import ipaddress
import os
import signal
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiohttp import web

from wxcontroller.core.errors import BadOption
from wxcontroller.core.process.notify import Notifier
from wxcontroller.sandbox.app import make_app
from wxcontroller.sandbox.sandbox import Sandbox


@dataclass(frozen=True, slots=True)
class Address:
    """An address to listen on. Port 0: any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """True when only this machine can reach it."""
        return ipaddress.ip_address(self.host).is_loopback


@dataclass(frozen=True, slots=True)
class Tls:
    """An address to listen on with TLS."""

    address: Address
    context: ssl.SSLContext


def parse_address(text: str) -> Address:
    """Read ``IP:PORT`` or ``[IPv6]:PORT``. Raises BadOption."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        ipaddress.ip_address(host)
        number = int(port)
    except ValueError:
        raise BadOption(f"{text!r} is no address to listen on", "write it as 127.0.0.1:2100") from None
    if not 0 <= number <= 65535:
        raise BadOption(f"{number} is no port", "choose one from 0 to 65535")
    return Address(host, number)


@contextlib.asynccontextmanager
async def running(sandbox: Sandbox, plain: Address, tls: Tls | None = None) -> AsyncIterator[list[Address]]:
    """Serve ``sandbox`` while the block runs; yields the actual addresses, plain HTTP first. Raises BadOption when an
    address cannot be listened on.
    """
    runner = web.AppRunner(
        make_app(sandbox), handler_cancellation=True, access_log=None, shutdown_timeout=0.1, keepalive_timeout=75
    )
    await runner.setup()
    try:
        await listen(runner, plain, None)
        if tls is not None:
            await listen(runner, tls.address, tls.context)
        yield [Address(host, port) for host, port, *_ in runner.addresses]
    finally:
        await runner.cleanup()
        sandbox.contents.close()


async def listen(runner: web.AppRunner, address: Address, context: ssl.SSLContext | None) -> None:
    site = web.TCPSite(runner, address.host, address.port, ssl_context=context, backlog=1024)
    try:
        await site.start()
    except OSError as error:
        # asyncio writes a sentence into strerror
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise BadOption(
            f"cannot listen on {address}: {reason}",
            "choose another address, or stop the program that uses this one (ss -ltnp)",
        ) from None


async def serve_until_signal(sandbox: Sandbox, plain: Address, tls: Tls | None = None) -> None:
    """Serve until SIGTERM or SIGINT, and report the status to systemd."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    systemd = Notifier()
    async with running(sandbox, plain, tls) as addresses:
        where = ", ".join(f"{'https' if index else 'http'}://{address}" for index, address in enumerate(addresses))
        print(f"sandbox with {len(sandbox.accounts)} accounts on {where}", flush=True)  # noqa: T201
        systemd.status(f"Listening on {where}")
        systemd.ready()
        await stop.wait()
        systemd.stopping()
