"""The product in one process, for tests of its HTTP API: a controller, the accounts that it starts, and the sandbox.

Only systemd is a stand-in. ``python3 -m tests.openapi.world PLACE`` prints the address and serves until interrupted.
"""

import asyncio
import contextlib
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests.patience import PATIENCE, until
from tests.unit.controller.machine import Machine, StandInUnits
from tests.unit.drivers.kit import HURRY, Wechat, wechat
from wxcontroller.client.config import read_config
from wxcontroller.client.service import Client
from wxcontroller.controller.accounts.units import UnitRecord
from wxcontroller.core.config.envfile import parse
from wxcontroller.core.config.limits import DEFAULTS
from wxcontroller.core.errors import UnitFailed, WxError
from wxcontroller.core.names import unit_of
from wxcontroller.core.paths import Paths
from wxcontroller.core.states import UnitState
from wxcontroller.drivers.base import Driver, DriverContext
from wxcontroller.drivers.web.driver import WebDriver
from wxcontroller.sandbox.world.logins import WebLoginCode
from wxcontroller.sandbox.world.phone import ServerAccount


@dataclass
class Running:
    """An account's program: the client itself, in this process."""

    client: Client
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    task: "asyncio.Task[int] | None" = None

    async def begin(self) -> None:
        """Start it; done when its port answers. Raises WxError."""
        self.task = asyncio.create_task(self.client.run(self.stopping))
        async with asyncio.timeout(PATIENCE):
            while not self.task.done():
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.client.config.port)
                except OSError:
                    await asyncio.sleep(0.01)
                else:
                    writer.close()
                    return
        self.task.result()  # raises the reason of the failure

    async def end(self) -> None:
        self.stopping.set()
        if self.task is not None:
            async with asyncio.timeout(PATIENCE):
                with contextlib.suppress(WxError):
                    await self.task


class ClientUnits(StandInUnits):
    """The ``Units`` protocol without systemd; starts the real client in this process."""

    def __init__(self, paths: Paths) -> None:
        super().__init__(paths)
        self.running: dict[str, Running] = {}
        self.driver: Callable[[DriverContext], Driver] = lambda context: WebDriver(context, HURRY)

    async def _start(self, instance: str) -> None:
        if instance in self.running:
            return
        environ = parse(self.paths.account_file(instance).read_text(encoding="utf-8"))
        for place in (self.paths.runtime(instance), self.paths.state(instance)):
            place.mkdir(parents=True, exist_ok=True)
        self.records[instance] = UnitRecord(instance, UnitState.ACTIVATING, "start")
        running = Running(Client(read_config(instance, environ, self.paths), self.driver, paths=self.paths))
        try:
            await running.begin()
        except WxError as problem:
            self.records[instance] = UnitRecord(instance, UnitState.FAILED, "failed")
            raise UnitFailed(f"{unit_of(instance)}: start failed: {problem.message}", problem.remedy) from None
        self.running[instance] = running
        self.records[instance] = UnitRecord(instance, UnitState.ACTIVE, "running")

    async def kill(self, instance: str, then: UnitRecord | None = None) -> None:
        running = self.running.pop(instance, None)
        if running is not None:
            await running.end()
            shutil.rmtree(self.paths.runtime(instance))  # as systemd does
        if then is not None:
            self.records[instance] = then


class World(Machine):
    """A controller whose accounts are real."""

    units: ClientUnits
    answered_by_others = ()

    def __init__(self, root: Path, wechat: Wechat, **settings: object) -> None:
        quick = {"send_interval": "0", "synccheck_interval": "0", "consult_max": "1", "qrcode_count_max": "1000"}
        super().__init__(root, client={"server": wechat.url, **quick}, **settings)
        self.wechat = wechat
        self.units = ClientUnits(self.paths)

    async def __aenter__(self) -> "World":
        await super().__aenter__()
        return self

    async def __aexit__(self, *details: object) -> None:
        for instance in list(self.units.running):
            await self.units.kill(instance)
        await super().__aexit__(*details)

    async def account(self, name: str, **options: str) -> ServerAccount:
        """Start an account with some options, and log it in as a new person."""
        person = self.wechat.sandbox.add_account(name)
        await self.get("start_client", client=name, **options)
        await self.scan(name, person)
        await self.until_running(name)
        return person

    async def until_running(self, name: str) -> None:
        await until(lambda: self.states(client=name), lambda states: states[0]["state"] == "running")

    async def scan(self, name: str, person: ServerAccount) -> WebLoginCode:
        """Scan and confirm the code that an account shows, or will show."""
        code = await until(lambda: self.v1("GET", f"accounts/{name}/qr"), lambda found: found[1].get("link"))
        login = self.wechat.sandbox.logins.get(str(code[1]["link"]).rpartition("/")[2])
        assert login is not None
        self.wechat.sandbox.logins.scan(login, person.uin)
        self.wechat.sandbox.logins.confirm(login)
        return login


@contextlib.asynccontextmanager
async def world(root: Path, **settings: object) -> AsyncIterator[World]:
    async with wechat() as sandbox:
        made = World(root, sandbox, **settings)
        async with made:
            yield made


async def serve(root: Path) -> None:
    """Run a world with two accounts that are logged in and one that waits for a scan; nothing waits long in it."""
    limits = DEFAULTS.with_numbers({"check_event_seconds": 0.05})
    async with world(root, max_clients=20, limits=limits) as made:
        await made.account("alice")
        await made.account("小店")
        await made.get("start_client", client="waiting")
        async with aiohttp.ClientSession() as web, web.get(f"{made.url}/v1/openapi.json") as answer:
            assert answer.status == 200
        print(made.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(Path(sys.argv[1])))
