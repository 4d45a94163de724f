"""Hosts in fail-safe mode with a real etcd, in this process: with the real keeper, and networks that can be cut.

What systemd does is done here: it ends a keeper that does not feed its watchdog, and with it the accounts, and starts
the next one.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from pathlib import Path

from tests.etcd import EtcdServers, until_healthy
from tests.patience import until
from tests.unit.fleet.hosts import TLS_ADDRESS
from tests.unit.fleet.owning import Fleet, OwningHost, Ran
from wxcontroller.core.errors import WxError
from wxcontroller.core.fleetsettings import EtcdSettings, TakeoverSettings
from wxcontroller.core.messages import verbatim
from wxcontroller.fleet.credentials import credentials_of
from wxcontroller.fleet.etcd import Etcd, EtcdFailure
from wxcontroller.fleet.failsafe import FailsafeHosts
from wxcontroller.fleet.keeper import Keeper, Times

# A third of the real ones, but for requests: a busy machine answers late.
TIMES = Times(5.0)
REQUEST_SECONDS = 1.2


class Link:
    """A connection to a port, on which nothing gets through while it is cut."""

    def __init__(self, address: str, port: int) -> None:
        self._target = address, port
        self._whole = asyncio.Event()
        self._whole.set()

    async def __aenter__(self) -> "Link":
        self._server = await asyncio.start_server(self._serve, self._target[0], 0)
        return self

    async def __aexit__(self, *problem: object) -> None:
        self._whole.set()
        self._server.close()

    @property
    def port(self) -> int:
        return int(self._server.sockets[0].getsockname()[1])

    def cut(self) -> None:
        self._whole.clear()

    def repair(self) -> None:
        self._whole.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ExceptionGroup):
            there, onward = await asyncio.open_connection(*self._target)
            async with asyncio.TaskGroup() as group:
                _ = group.create_task(self._pump(reader, onward))
                _ = group.create_task(self._pump(there, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(65536):
                await self._whole.wait()
                writer.write(piece)
        finally:
            writer.close()


class SafeHost(OwningHost):
    """One host. ``store`` is its way to etcd, and ``ways`` are its ways to the other hosts."""

    store: Link
    ways: dict[str, Link]

    async def run_keeper(self) -> None:
        """Keep a lease from now on, as systemd and the keeper do."""
        self._keeping = asyncio.create_task(self._systemd())
        await self.ownership.may_claim()

    async def end_keeper(self) -> None:
        """Kill the keeper; it is not started again."""
        assert self._keeping is not None
        self._keeping.cancel()
        await asyncio.gather(self._keeping, return_exceptions=True)
        self._keeping = None

    async def lapse(self) -> None:
        if self._keeping is not None:
            await self.end_keeper()

    async def _systemd(self) -> None:
        settings = self.settings.fleet
        assert settings is not None
        assert settings.etcd is not None
        while True:
            async with contextlib.AsyncExitStack() as stack:
                etcd = await stack.enter_async_context(
                    Etcd(settings.etcd, credentials_of(settings.etcd), TIMES.request)
                )
                asked = FailsafeHosts(settings, TIMES.request, TIMES.lease) if settings.etcd.failsafe else None
                others = await stack.enter_async_context(asked) if asked else None
                keeper = Keeper(self.settings, settings, etcd, TIMES, f"boot-{self.name}", self.paths, others)
                running = asyncio.ensure_future(self._watched(keeper, etcd))
                try:
                    with contextlib.suppress(WxError):
                        await running
                finally:
                    running.cancel()
                    await self._end()
            await asyncio.sleep(TIMES.pause)

    async def _watched(self, keeper: Keeper, etcd: Etcd) -> None:
        """Run a keeper until it ends, or has not fed its watchdog. Raises its WxError."""
        fed = time.monotonic()

        def feed() -> None:
            nonlocal fed
            fed = time.monotonic()

        async def killed(lease: int) -> None:
            raise EtcdFailure("", verbatim(f"killed with {lease}"))

        keeper._notifier.watchdog = feed  # type: ignore[method-assign]
        running = asyncio.ensure_future(keeper.run())
        try:
            while not running.done():
                if self.shared.fleet is not None:  # else the controller is just starting again
                    self.lease = self.ownership.keeper.lease()
                if self.lease and time.monotonic() > fed + TIMES.watchdog:
                    return
                await asyncio.wait({running}, timeout=0.05)
            await running
        finally:
            etcd.revoke = killed  # type: ignore[method-assign]
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def owns(self, account: str) -> None:
        """Wait until an account is owned here, and nothing is done about it."""
        await until(lambda: self._owner(account)[0] == self.lease and not self.ownership._acting)

    @property
    def since(self) -> object:
        """Since when accounts run without etcd, None if they do not."""
        return self.ownership.as_json()["failsafe_since"]


@contextlib.asynccontextmanager
async def failsafe_fleet(
    root: Path, *names: str, takeovers: TakeoverSettings | None = None, off: Iterable[str] = ()
) -> AsyncIterator[Fleet]:
    """Hosts in fail-safe mode, but for those in ``off``, that hold leases and reach each other."""
    async with contextlib.AsyncExitStack() as stack:
        servers = stack.enter_context(EtcdServers(root).running())
        etcd = await stack.enter_async_context(Etcd(servers.settings(), credentials_of(servers.settings())))
        await until_healthy(etcd)
        ran: list[Ran] = []
        hosts: list[SafeHost] = []
        for number, name in enumerate(names):
            (root / name).mkdir()
            host = SafeHost(root / name, name, number)
            host.store = await stack.enter_async_context(Link("127.0.0.1", servers.members[0].client))
            host.etcd = EtcdSettings(
                (f"http://127.0.0.1:{host.store.port}",),
                takeovers=takeovers or TakeoverSettings(),
                failsafe=name not in off,
            )
            host.ran, host.ways = ran, {}
            host.settings = replace(host.settings, client={"placement": name})
            await stack.enter_async_context(host)
            hosts.append(host)
        for host in hosts:
            for other in hosts:
                if other is not host:
                    port = other.tls_socket.getsockname()[1]
                    host.ways[other.name] = await stack.enter_async_context(Link(TLS_ADDRESS, port))
            await host.join(
                *(
                    host.describe(other, url=f"https://{TLS_ADDRESS}:{host.ways[other.name].port}")
                    for other in hosts
                    if other is not host
                )
            )
        for host in hosts:
            for name in host.ways:
                await host.sees(name)
            await host.run_keeper()
        for host in hosts:
            await until(lambda: len(host.ownership.records.hosts) == len(hosts))  # noqa: B023
            await host.passed()
        yield Fleet([*hosts], servers, etcd, ran)
        found = Fleet([*hosts], servers, etcd, ran)
        assert not found.overlaps()


def safe_hosts(fleet: Fleet) -> list[SafeHost]:
    """Return the hosts of a fleet."""
    return [host for host in fleet.hosts if isinstance(host, SafeHost)]
