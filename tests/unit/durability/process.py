"""An account as a process of its own, against a sandbox in ours: it can be killed at any moment and started again."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.patience import PATIENCE
from tests.ports import free_port
from tests.unit.client.conftest import Webhook, hooked
from tests.unit.drivers.kit import Wechat, wechat
from tests.unit.durability.routes import WEB, Route
from tests.unit.durability.tracing import traced
from wxcontroller.core.jsontypes import JsonObject, obj
from wxcontroller.core.paths import Paths
from wxcontroller.sandbox.account import ServerAccount

ROOT = Path(__file__).parents[3]


@dataclass
class Process:
    """``environ`` are its options as variables; a start takes what they are then."""

    paths: Paths
    wechat: Wechat
    account: ServerAccount
    webhook: Webhook
    http: aiohttp.ClientSession
    port: int
    environ: dict[str, str]
    log: Path
    route: Route = WEB
    process: "asyncio.subprocess.Process | None" = None
    program: tuple[str, ...] = ("-m", "wxcontroller.client")  # what Python runs
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
        command = [sys.executable, *self.program, "alice"]
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(command if self.tracing is None else traced(command, self.tracing)),
                env={**os.environ, **self.environ},
                cwd=ROOT,
                stderr=log,
            )

    async def scan(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.route.scan(self)

    async def until_state(self, word: str) -> JsonObject:
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(FileNotFoundError):
                found = obj(json.loads(self.paths.state_file("alice").read_bytes()))
                if found.get("state") == word:
                    return found
            assert time.monotonic() < deadline, f"not {word}: {self.log.read_text()}"
            await asyncio.sleep(0.01)

    async def kill(self) -> None:
        """As a crash, a kill -9 or a lack of memory ends it."""
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
        form = {
            "id": to or self.route.recipient(self),
            "content": content,
            **more,
            **({"async": "1"} if later else {}),
        }
        return (await self.call("send_friend_message", form, data))[1]

    async def call(
        self, name: str, form: Mapping[str, str], data: bytes = b"", key: str = ""
    ) -> tuple[int, JsonObject]:
        """Use the account's API, with an Idempotency-Key if one is given; ``data`` is media_data."""
        body = aiohttp.FormData(dict(form))
        if data:
            body.add_field("media_data", data, filename="x")
        headers = {"Idempotency-Key": key} if key else {}
        url = f"http://127.0.0.1:{self.port}/openwx/{name}"
        async with self.http.post(url, data=body, headers=headers) as answer:
            return answer.status, obj(json.loads(await answer.read()))

    async def status(self) -> JsonObject:
        async with self.http.get(f"http://127.0.0.1:{self.port}/v1/status") as answer:
            return obj(json.loads(await answer.read()))

    async def queue(self) -> JsonObject:
        return obj((await self.status())["queue"])

    def arrived(self) -> list[str]:
        """The texts (names, for media) that WeChat has taken, in order."""
        return self.route.arrived(self)

    async def until_arrived(self, number: int) -> list[str]:
        deadline = time.monotonic() + PATIENCE
        while len(self.arrived()) < number:
            assert time.monotonic() < deadline, f"{self.arrived()} arrived: {self.log.read_text()}"
            await asyncio.sleep(0.01)
        return self.arrived()


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
        places = {
            "MOJO_WEIXIN_STATE_PATH": paths.state_file("alice"),
            "MOJO_WEIXIN_QRCODE_PATH": paths.qrcode_file("alice"),
            "MOJO_WEIXIN_PID_PATH": paths.pid_file("alice"),
            "MOJO_WEIXIN_COOKIE_PATH": paths.cookie_file("alice"),
            "MOJO_WEIXIN_MEDIA_DIR": paths.media("alice"),
        }
        options = {
            "MOJO_WEIXIN_PLUGIN_OPENWX_PORT": str(port),
            "MOJO_WEIXIN_PLUGIN_OPENWX_POST_API": hook.address,
            "MOJO_WEIXIN_SEND_INTERVAL": "0",
            "MOJO_WEIXIN_SYNCCHECK_INTERVAL": "0",
            "MOJO_WEIXIN_SYNCCHECK_DELAY": "0",
            "WXCLIENT_WEBHOOK_RETRY_FIRST": "0.2",
            "WXCLIENT_SERVER": world.url,
            "WXCLIENT_DRIVER": route.name,
            **{name: str(place) for name, place in places.items()},
            **environ,
        }
        account = world.sandbox.add_account("Alice")
        one = Process(paths, world, account, hook, http, port, options, directory / "log", route)
        try:
            yield one
        finally:
            if one.process is not None and one.process.returncode is None:
                await one.kill()
