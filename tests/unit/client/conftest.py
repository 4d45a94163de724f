"""A running client over a scripted driver, with a webhook that remembers."""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.patience import PATIENCE, until
from tests.ports import free_port
from tests.unit.client.scripted import ScriptedDriver, logged_in
from tests.unit.client.webhook import Webhook as Webhook
from tests.unit.client.webhook import hooked as hooked
from tests.unit.durability.routes import ILINK, WEB
from wxcontroller.client.config import read_config
from wxcontroller.client.incoming.checkevent import EventRing
from wxcontroller.client.login.permit import HostPermit
from wxcontroller.client.sends.rules.sendbackoff import BackoffPolicy
from wxcontroller.client.service import Client
from wxcontroller.client.store.eventlog import EventLog
from wxcontroller.core.jsontypes import JsonObject, JsonValue, obj
from wxcontroller.core.paths import Paths
from wxcontroller.drivers.base import DriverFactory

if TYPE_CHECKING:
    from tests.unit.client.stage import Stage

POST_API, POLL_API = (f"MOJO_WEIXIN_PLUGIN_OPENWX_{name}_API" for name in ("POST", "POLL"))
QUICK_RETRIES = (0.05, 0.1)
HURRY = BackoffPolicy(0.01, 0.02, 0.01, 0.02)


@pytest.fixture
async def webhook() -> AsyncIterator[Webhook]:
    async with hooked() as hook:
        yield hook


Opened = Callable[..., EventLog]


def report(number: int, **more: str) -> JsonObject:
    return {"post_type": "receive_message", "type": "friend_message", "id": str(number), **more}


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opened]:
    """Return a function that opens a log; all logs are closed at the end."""
    logs: list[EventLog] = []

    def begin(path: Path = tmp_path / "events.db") -> EventLog:
        one = EventLog(path)
        one.open()
        logs.append(one)
        return one

    yield begin
    for one in logs:
        await one.close(2)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Lock a database against writes."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("ROLLBACK")


@dataclass
class Port:
    """The API of account alice at its real port, and its files."""

    paths: Paths
    port: int
    http: aiohttp.ClientSession

    def address(self, call: str) -> str:
        return f"http://127.0.0.1:{self.port}/openwx/{call}"

    async def get(self, call: str, **parameters: str) -> JsonValue:
        async with self.http.get(self.address(call), params=parameters) as answer:
            assert answer.status == 200
            content: JsonValue = json.loads(await answer.read())
            return content

    async def call(
        self, name: str, form: Mapping[str, str], data: bytes = b"", filename: str = "media_data", key: str = ""
    ) -> tuple[int, JsonValue]:
        """Call with a form, and an Idempotency-Key if one is given; ``data`` is its media_data."""
        # Names as curl and browsers send them: UTF-8 that is not percent-encoded.
        body, headers = aiohttp.FormData(dict(form), quote_fields=False), {"Idempotency-Key": key} if key else {}
        if data:
            body.add_field("media_data", data, filename=filename)
        async with self.http.post(self.address(name), data=body, headers=headers) as answer:
            return answer.status, json.loads(await answer.read())

    async def post(self, call: str, data: bytes = b"", filename: str = "media_data", /, **form: str) -> JsonValue:
        status, body = await self.call(call, form, data, filename)
        assert status == 200
        return body

    async def v1(self, method: str, path: str, body: object = None, key: str = "") -> tuple[int, JsonObject]:
        """Call /v1; ``body`` is sent as JSON if it is no form."""
        url, headers = f"http://127.0.0.1:{self.port}/v1/{path}", {"Idempotency-Key": key} if key else {}
        data, content = (body, None) if isinstance(body, aiohttp.FormData) else (None, body)
        async with self.http.request(method, url, json=content, data=data, headers=headers) as answer:
            assert answer.content_type == "application/json"
            return answer.status, obj(json.loads(await answer.read()))

    async def get_v1(self, path: str = "status") -> JsonObject:
        status, body = await self.v1("GET", path)
        assert status == 200, body
        return body

    async def until_v1(self, fits: Callable[[JsonObject], object], path: str = "status") -> JsonObject:
        return await until(lambda: self.get_v1(path), fits)

    def state(self) -> JsonObject:
        try:
            content: JsonObject = json.loads(self.paths.state_file("alice").read_bytes())
        except FileNotFoundError:
            return {}  # not written yet
        return content

    async def until_state(self, word: str) -> JsonObject:
        return await until(self.state, lambda state: state.get("state") == word)


@dataclass
class RunningClient(Port):
    """A client in this process, on a scripted driver."""

    driver: ScriptedDriver
    stopping: asyncio.Event
    task: "asyncio.Task[int]"

    async def until_queued(self, number: int) -> None:
        await until(lambda: self.get("get_client_info"), lambda info: obj(info)["queued"] == number)

    async def login(self) -> None:
        self.driver.play(logged_in())
        await self.until_state("running")

    async def stop(self) -> int:
        self.stopping.set()
        async with asyncio.timeout(PATIENCE):
            return await self.task


Start = Callable[..., RunningClient]


@contextlib.asynccontextmanager
async def starting(directory: Path) -> AsyncIterator[Start]:
    """A function that starts client alice with options as environment variables, and short pauses of its queue."""
    running: list[RunningClient] = []
    http = aiohttp.ClientSession()
    paths = Paths(directory)
    paths.runtime("alice").mkdir(parents=True)
    paths.state("alice").mkdir(parents=True)

    def begin(
        backoff: BackoffPolicy = HURRY,
        make: DriverFactory | None = None,
        permit: HostPermit | None = None,
        **environ: str,
    ) -> RunningClient:
        port = free_port()
        quick = {"MOJO_WEIXIN_SEND_INTERVAL": "0", "WXCLIENT_WEBHOOK_RETRY_FIRST": "0.2"}
        environ = {"MOJO_WEIXIN_PLUGIN_OPENWX_PORT": str(port), **quick, **environ}
        driver, stopping = ScriptedDriver(), asyncio.Event()
        made = make or driver.make
        client = Client(read_config("alice", environ, paths), made, backoff, QUICK_RETRIES, paths, permit)
        one = RunningClient(paths, port, http, driver, stopping, asyncio.create_task(client.run(stopping)))
        running.append(one)
        return one

    yield begin
    for one in running:
        if not one.task.done():
            await one.stop()
    await http.close()


@pytest.fixture
async def start(tmp_path: Path, webhook: Webhook) -> AsyncIterator[Start]:
    async with starting(tmp_path) as begin:
        yield begin


async def running(start: Start, *backoff: BackoffPolicy, **environ: str) -> RunningClient:
    one = start(*backoff, **environ)
    await one.login()
    return one


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> list[EventRing]:
    """Record each call of check_event that begins to wait."""
    polls: list[EventRing] = []
    take = EventRing.take

    async def counted(ring: EventRing, seconds: float) -> list[JsonObject]:
        polls.append(ring)
        return await take(ring, seconds)

    monkeypatch.setattr(EventRing, "take", counted)
    return polls


@pytest.fixture
async def ilink(tmp_path: Path) -> "AsyncIterator[Stage]":
    """An account of the iLink route on the sandbox."""
    from tests.unit.client.stage import Stage, staged  # which needs this module

    async with staged(tmp_path, ILINK, Stage) as stage:
        yield stage


@pytest.fixture
async def web(tmp_path: Path) -> "AsyncIterator[Stage]":
    """An account of the web route on the sandbox."""
    from tests.unit.client.stage import Stage, staged

    async with staged(tmp_path, WEB, Stage) as stage:
        yield stage


@pytest.fixture
async def client(start: Start) -> RunningClient:
    return await running(start)
