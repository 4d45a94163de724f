import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.unit.controller.machine import ControllerLoops
from tests.unit.fleet.hosts import TLS_ADDRESS, FleetHost, fleet_of
from wxcontroller.controller import server
from wxcontroller.fleet import host


@pytest.fixture(scope="session")
def event_loop_policy() -> asyncio.AbstractEventLoopPolicy:
    """Run the tests on the controller's event loop."""
    return ControllerLoops()


@pytest.fixture(autouse=True)
def tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the controllers speak TLS at the address that stands for other machines, and greet each other often."""
    monkeypatch.setattr(server, "is_loopback", lambda address: address[0] != TLS_ADDRESS)
    monkeypatch.setattr(host, "GREETING_PAUSE", 0.2)


@pytest_asyncio.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[FleetHost, FleetHost]]:
    """Two hosts that know each other, ``a`` and ``b``."""
    async with fleet_of(tmp_path, "a", "b") as (a, b):
        yield a, b
