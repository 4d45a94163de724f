"""Running the sandbox: sockets, signals, systemd."""

import asyncio
import contextlib
import ipaddress
import signal
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass

import sdnotify
from aiohttp import web

from wxcontroller.core.errors import BadOption
from wxcontroller.sandbox.app import make_app
from wxcontroller.sandbox.sandbox import Sandbox


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. Port 0: any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """True when only this machine can reach it."""
        return ipaddress.ip_address(self.host).is_loopback


def parse_address(text: str) -> Address:
    """Read ``IP:PORT`` or ``[IPv6]:PORT``. Raises BadOption."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    try:
        ipaddress.ip_address(host)
        number = int(port)
    except ValueError:
        raise BadOption(f"{text!r} is no address to listen on", "write it as 127.0.0.1:2100") from None
    if not 0 <= number <= 65535:
        raise BadOption(f"{number} is no port", "choose one from 0 to 65535")
    return Address(host, number)


@contextlib.asynccontextmanager
async def running(
    sandbox: Sandbox, plain: Address, tls: tuple[Address, ssl.SSLContext] | None = None
) -> AsyncIterator[list[Address]]:
    """Serve ``sandbox`` while the block runs; gives the addresses really listened on, plain HTTP first.

    Raises BadOption when an address can't be listened on.
    """
    runner = web.AppRunner(
        make_app(sandbox), handler_cancellation=True, access_log=None, shutdown_timeout=0.1, keepalive_timeout=75
    )
    await runner.setup()
    try:
        for address, context in ((plain, None), *((tls,) if tls else ())):
            site = web.TCPSite(runner, address.host, address.port, ssl_context=context, backlog=1024)
            try:
                await site.start()
            except OSError as error:
                raise BadOption(f"can't listen on {address}: {error.strerror}", "choose another port") from None
        yield [Address(host, port) for host, port, *_ in runner.addresses]
    finally:
        await runner.cleanup()


async def serve_until_told(
    sandbox: Sandbox, plain: Address, tls: tuple[Address, ssl.SSLContext] | None = None
) -> None:
    """Serve until SIGTERM or SIGINT, and tell systemd how it goes."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    systemd = sdnotify.SystemdNotifier()
    async with running(sandbox, plain, tls) as addresses:
        where = ", ".join(str(address) for address in addresses)
        print(f"sandbox with {len(sandbox.accounts)} accounts on {where}", flush=True)  # noqa: T201
        systemd.notify(f"READY=1\nSTATUS=Listening on {where}")
        await stop.wait()
        systemd.notify("STOPPING=1\nSTATUS=Stopping")
