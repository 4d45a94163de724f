import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from tests.etcd import EtcdServers, connected
from tests.patience import PATIENCE
from tests.unit.controller.machine import ControllerLoops
from tests.unit.fleet.hosts import TLS_ADDRESS, FleetHost, fleet_of
from tests.unit.fleet.owning import FleetMaker, owning_fleet
from wxcontroller.cli.transfer.copy.seal import Sealer
from wxcontroller.controller import server
from wxcontroller.controller.hosts import hostowners, hoststarts
from wxcontroller.fleet import host
from wxcontroller.fleet.etcd import Etcd


@pytest.fixture(scope="session")
def event_loop_policy() -> asyncio.AbstractEventLoopPolicy:
    """Run the tests on the controller's event loop."""
    return ControllerLoops()


@pytest.fixture(autouse=True)
def tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the controllers speak TLS at the address that stands for other machines, and greet each other often."""
    monkeypatch.setattr(server, "is_loopback", lambda address: address[0] != TLS_ADDRESS)
    monkeypatch.setattr(host, "GREETING_PAUSE", 0.2)


@pytest.fixture(autouse=True)
def cheap_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Derive the keys of bundles at little cost: they do not have to resist anyone here."""
    monkeypatch.setattr(Sealer.__init__, "__defaults__", (10,))


@pytest.fixture
def short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the hosts look after their accounts' owners often, as with shorter leases."""
    monkeypatch.setattr(hostowners, "_LOOK_SECONDS", 0.1)
    monkeypatch.setattr(hoststarts, "_FIRST_PAUSE", 0.1)
    monkeypatch.setattr(hostowners, "LEASE_SECONDS", 3.0)


@pytest.fixture
def owning(tmp_path: Path, short_leases: None, monkeypatch: pytest.MonkeyPatch) -> FleetMaker:
    """Makes a fleet with etcd, which a busy machine lets answer late: only members that are down fail."""
    monkeypatch.setattr(Etcd.__init__, "__defaults__", (PATIENCE,))
    return partial(owning_fleet, tmp_path)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[EtcdServers]:
    with EtcdServers(tmp_path).running() as servers:
        yield servers


@pytest_asyncio.fixture
async def etcd(servers: EtcdServers) -> AsyncIterator[Etcd]:
    async with connected(servers.settings()) as etcd:
        yield etcd


@pytest_asyncio.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[FleetHost, FleetHost]]:
    """Two hosts that know each other, ``a`` and ``b``."""
    async with fleet_of(tmp_path, "a", "b") as (a, b):
        yield a, b
