"""Several hosts in this process: controllers on real sockets, which reach each other over TLS.

Each is a ``Machine``, reached by the tests at 127.0.0.1 and by the other hosts at an address that stands for the
network between machines.
"""

import asyncio
import contextlib
import re
import socket
import ssl
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from pathlib import Path

from aiohttp import web

from tests.certificates import self_signed
from tests.patience import until
from tests.ports import FIRST_PORT
from tests.unit.controller.machine import Machine
from wxcontroller.controller.alerts.alertwatch import AlertWatch
from wxcontroller.controller.edge.certificates import tls_context
from wxcontroller.controller.hosts.otherhosts import OtherHosts, other_hosts
from wxcontroller.controller.reconcile import BootMark
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.access.tokenfile import TokenFile, minted
from wxcontroller.core.config.fleetsettings import EtcdSettings, FleetSettings, HostSettings
from wxcontroller.core.jsontypes import JsonObject, items, obj, text
from wxcontroller.fleet.host import HostState, OtherHost

TLS_ADDRESS = "127.0.0.2"
_PORTS = 30


class FleetHost(Machine):
    """One host. ``number`` keeps its accounts' ports apart from the others'."""

    def __init__(self, root: Path, name: str, number: int) -> None:
        first = FIRST_PORT + number * _PORTS
        super().__init__(root, backend_start_port=first, backend_end_port=first + _PORTS - 1, drain_timeout=0.0)
        self.name = name
        self.certificate, self.key = self_signed(root, TLS_ADDRESS, name)
        self.tls_socket = socket.create_server((TLS_ADDRESS, 0), backlog=128)
        self.more_sockets.append(self.tls_socket)
        self.tls_url = f"https://{TLS_ADDRESS}:{self.tls_socket.getsockname()[1]}"
        self.settings = replace(self.settings, tls_certificate=str(self.certificate), tls_key=str(self.key))
        self.etcd: EtcdSettings | None = None
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "FleetHost":
        await super().__aenter__()
        self.shared.tls = tls_context(self.settings)
        return self

    async def __aexit__(self, *problem: object) -> None:
        await self.leave()
        await super().__aexit__(*problem)

    @property
    def fleet(self) -> OtherHosts:
        assert isinstance(self.shared.fleet, OtherHosts)
        return self.shared.fleet

    def other(self, name: str) -> OtherHost:
        """Return another host as this one sees it."""
        return self.fleet.hosts.by_name[name]

    def token(self, scope: Scope, *accounts: str, name: str = "") -> str:
        """Make a token of this host."""
        shown, made = minted(name or f"{scope}-{len(accounts)}", scope, accounts, None)
        TokenFile(self.paths.tokens_file).put(made)
        return shown

    def describe(self, other: "FleetHost", **changed: str) -> HostSettings:
        """Return another host as it stands in this one's settings, with a new token of that host."""
        secret = self.paths.root / f"token-{other.name}"
        secret.write_text(other.token(Scope.FLEET, name=self.name) + "\n")
        url, authority = changed.get("url", other.tls_url), changed.get("ca_file", str(other.certificate))
        return HostSettings(other.name, url, str(secret), authority, scope=Scope.ADMIN)

    async def join(self, *others: HostSettings, client_ca: str = "") -> None:
        """Have the other hosts in the settings from now on, as a start or a reload does. The rest may only call."""
        await self.leave()
        called = {self.name, *(other.name for other in others)}
        others += tuple(HostSettings(name, "", scope=Scope.ADMIN) for name in "abc" if name not in called)
        settings = replace(self.accounts.settings, fleet=FleetSettings(self.name, client_ca, others, self.etcd))
        self.accounts.settings = self.settings = settings
        self.shared.tls = tls_context(settings)
        assert settings.fleet is not None
        self.shared.fleet = fleet = other_hosts(self.shared, self.paths, settings.fleet)
        self.accounts.ownership = fleet.ownership
        self._running = asyncio.create_task(fleet.run())

    async def leave(self) -> None:
        """End the connections to the other hosts."""
        self.shared.fleet = None
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
            self._running = None

    async def sees(self, name: str, state: HostState = HostState.UP) -> OtherHost:
        """Wait until another host is in a state, with its rows if it is up."""
        host = self.other(name)
        await until(lambda: host.state is state and (host.rows_known or state is not HostState.UP))
        return host

    async def finds(self, account: str, *hosts: str) -> None:
        """Wait until exactly these other hosts are known to have an account."""
        instance = self.accounts.registry.resolve(account)
        await until(lambda: tuple(each.name for each in self.fleet.hosts.having(instance)) == hosts)

    async def alerts(self) -> set[str]:
        """Return the kinds of problems that this host alerts of once they have lasted."""
        watch = AlertWatch(self.accounts, self.shared.ports, BootMark(self.paths), standbys=self.fleet.standbys.late)
        await watch.look(await self.accounts.views())
        return set(re.findall(r'"kind": "(\w+)"', watch.ledger.dump().decode()))

    async def listed(self, **headers: str) -> dict[str, JsonObject]:
        """Return the answer of GET /v1/accounts by name."""
        status, content = await self.v1("GET", "accounts", headers=headers)
        assert status == 200, content
        return {text(obj(account)["name"]): obj(account) for account in items(content["accounts"])}


@contextlib.asynccontextmanager
async def hosts_of(root: Path, *names: str) -> AsyncIterator[list[FleetHost]]:
    """Hosts that do not know each other."""
    async with contextlib.AsyncExitStack() as stack:
        made: list[FleetHost] = []
        for number, name in enumerate(names):
            (root / name).mkdir()
            made.append(await stack.enter_async_context(FleetHost(root / name, name, number)))
        yield made


@contextlib.asynccontextmanager
async def fleet_of(root: Path, *names: str) -> AsyncIterator[list[FleetHost]]:
    """Hosts that all know and see each other."""
    async with hosts_of(root, *names) as hosts:
        await introduce(hosts)
        yield hosts


async def introduce(hosts: Iterable[FleetHost]) -> None:
    """Have each host know all others, and wait until they see each other."""
    hosts = list(hosts)
    for host in hosts:
        await host.join(*(host.describe(other) for other in hosts if other is not host))
    for host in hosts:
        for other in hosts:
            if other is not host:
                await host.sees(other.name)


@contextlib.asynccontextmanager
async def impostor(host: FleetHost, *routes: web.AbstractRouteDef) -> AsyncIterator[None]:
    """Have another program be host b to a host: it greets, and has these routes.

    Without routes, it accepts connections and never responds.
    """
    host.answered_by_others = ("/v1/accounts/",)
    certificate, key = self_signed(host.paths.root, TLS_ADDRESS, called="b")
    token = host.paths.root / "any-token"
    token.write_text("wxc_12345678_" + "0" * 64)

    async def greet(_: web.Request) -> web.Response:
        return web.json_response({"name": "b", "version": "9.0.0", "agents": []})

    application = web.Application()
    application.add_routes([web.get("/v1/fleet/self", greet), *routes])
    runner = web.AppRunner(application)
    await runner.setup()
    with socket.create_server((TLS_ADDRESS, 0)) as listening:
        if routes:
            tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            tls.load_cert_chain(certificate, key)
            await web.SockSite(runner, listening, ssl_context=tls).start()
        url = f"https://{TLS_ADDRESS}:{listening.getsockname()[1]}"
        await host.join(HostSettings("b", url, str(token), str(certificate)))
        try:
            yield
        finally:
            await runner.cleanup()
