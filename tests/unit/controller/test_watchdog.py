"""The controller's watchdog: fed while its looks at the accounts end, not by a timer alone."""

import asyncio
import contextlib
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.unit.controller.machine import StandInUnits
from tests.unit.controller.processes import Notifications
from wxcontroller.controller import service
from wxcontroller.controller.service import Service
from wxcontroller.controller.units import MAX_AGE, UnitRecord
from wxcontroller.core.paths import Paths
from wxcontroller.core.settings import Loaded, Settings


class HangingUnits(StandInUnits):
    """A systemd that does not answer, and a question that nobody gives up."""

    hangs = False

    async def snapshot(self, max_age: float = MAX_AGE) -> Mapping[str, UnitRecord]:
        if self.hangs:
            await asyncio.Event().wait()
        return await super().snapshot(max_age)


async def test_a_look_that_never_ends_lets_it_bite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notifications = Notifications(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "300000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    monkeypatch.setattr(service, "_LOOK_STUCK", 0.5)
    paths, units = Paths(tmp_path), HangingUnits(Paths(tmp_path))
    settings = Settings(check_interval=0.1, drain_timeout=0.1)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        running = asyncio.create_task(Service(paths, Loaded(settings, (), ()), [listening], units).run())
        await notifications.wait("READY=1")
        for _ in range(5):
            await notifications.wait("WATCHDOG=1")
        units.hangs = True
        with pytest.raises(TimeoutError):
            while True:
                await notifications.wait("WATCHDOG=1", 1)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    notifications.close()
