"""An account as a process of its own, against a sandbox in ours: it can be killed at any moment and started again."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.forking import Forked, fork
from tests.patience import PATIENCE, until
from tests.ports import free_port
from tests.unit.client.conftest import Port, Webhook, hooked
from tests.unit.drivers.kit import Wechat, wechat
from tests.unit.durability.routes import WEB, Route
from tests.unit.durability.tracing import traced
from wxcontroller.core.jsontypes import JsonObject, obj
from wxcontroller.core.names import parse_name
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry.account import Account, variables_of
from wxcontroller.sandbox.world.phone import ServerAccount

ROOT = Path(__file__).parents[3]


@dataclass
class Process(Port):
    """``environ`` are its options as variables; a start takes what they are then."""

    wechat: Wechat
    account: ServerAccount
    webhook: Webhook
    environ: dict[str, str]
    log: Path
    route: Route = WEB
    process: "asyncio.subprocess.Process | Forked | None" = None
    program: tuple[str, ...] = ()  # what Python runs, if it is not just an account
    tracing: Path | None = None  # where strace writes what it does to its files

    async def start(self, login: bool = False) -> None:
        """Start it and wait until it runs; with ``login`` a phone scans its code."""
        await self.launch()
        if login:
            await self.scan()
        await self.until_state("running")

    async def launch(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.paths.state_file("alice").unlink()
        environ = {**os.environ, **self.environ}
        command = [sys.executable, *(self.program or ("-m", "wxcontroller.client")), "alice"]
        with self.log.open("ab") as log:
            if self.tracing is not None:
                command = traced(command, self.tracing)
            elif not self.program:
                self.process = fork("client", "alice", environ=environ, stderr=log.fileno())
                return
            self.process = await asyncio.create_subprocess_exec(*command, env=environ, cwd=ROOT, stderr=log)

    async def scan(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.route.scan(self)

    async def until_state(self, word: str) -> JsonObject:
        try:
            return await super().until_state(word)
        except TimeoutError:
            raise AssertionError(f"not {word}: {self.log.read_text()}") from None

    async def kill(self) -> None:
        """End it like a crash or a lack of memory does."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        await self._end(signal.SIGTERM)

    async def _end(self, number: signal.Signals) -> None:
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        async with asyncio.timeout(PATIENCE):
            await self.process.wait()

    async def send(
        self, content: str = "", data: bytes = b"", to: str = "", later: bool = False, **more: str
    ) -> JsonObject:
        """Send a text, or media by ``data`` or as ``more`` says; ``later``: without waiting for it."""
        form = {"id": to or self.route.recipient(self), "content": content, **more}
        return obj(await self.post("send_friend_message", data, **form, **({"async": "1"} if later else {})))

    def arrived(self) -> list[str]:
        """Return the texts (names, for media) that WeChat has accepted, in order."""
        return self.route.arrived(self)

    async def until_arrived(self, number: int) -> list[str]:
        return await until(self.arrived, lambda arrived: len(arrived) >= number)


@contextlib.asynccontextmanager
async def processed(directory: Path, route: Route = WEB, /, **environ: str) -> AsyncIterator[Process]:
    """Sandbox, webhook and an account that is not started yet."""
    paths = Paths(directory)
    for place in (paths.runtime("alice"), paths.state("alice")):
        place.mkdir(parents=True)
    async with contextlib.AsyncExitStack() as stack:
        hook = await stack.enter_async_context(hooked())
        world = await stack.enter_async_context(wechat())
        http = await stack.enter_async_context(aiohttp.ClientSession())
        port = free_port()
        options = {
            **variables_of(Account(parse_name("alice"), port, options={"post_api": hook.address}), paths),
            "MOJO_WEIXIN_SEND_INTERVAL": "0",
            "MOJO_WEIXIN_SYNCCHECK_INTERVAL": "0",
            "MOJO_WEIXIN_SYNCCHECK_DELAY": "0",
            "WXCLIENT_WEBHOOK_RETRY_FIRST": "0.2",
            "WXCLIENT_SERVER": world.url,
            "WXCLIENT_DRIVER": route.name,
            **environ,
        }
        account = world.sandbox.add_account("Alice")
        one = Process(paths, port, http, world, account, hook, options, directory / "log", route)
        try:
            yield one
        finally:
            if one.process is not None and one.process.returncode is None:
                await one.kill()
