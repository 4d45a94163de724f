"""A running client over a scripted driver, with a webhook that remembers."""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web

from tests.patience import PATIENCE, until
from tests.ports import free_port
from tests.serving import serving
from tests.unit.client.listener import Listener, Server, listening
from tests.unit.client.scripted import ScriptedDriver, logged_in
from tests.unit.durability.routes import ILINK
from wxcontroller.client.checkevent import EventRing
from wxcontroller.client.config import read_config
from wxcontroller.client.permit import HostPermit
from wxcontroller.client.sends.backoff import BackoffPolicy
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


@dataclass
class Webhook(Server):
    """A receiver of reports.

    ``statuses`` are answered in turn, then 200; ``answer`` makes the JSON body of an answer to a report. ``reports``
    are those it accepted, ``ids`` those of their deliveries.
    """

    reports: list[JsonObject] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    answer: Callable[[JsonObject], bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/in?key=k"

    async def answer_to(self, request: web.Request, body: bytes) -> web.StreamResponse:
        status = self.statuses.pop(0) if self.statuses else 200
        if status >= 300:
            return web.Response(status=status)
        async with self._news:
            self.reports.append(json.loads(body))
            self.ids.append(request.headers["X-Wx-Delivery"])
            self._news.notify_all()
        if self.answer:
            return web.Response(body=self.answer(json.loads(body)), content_type="application/json")
        return web.Response()

    async def until(self, condition: Callable[[list[JsonObject]], bool]) -> list[JsonObject]:
        await self.wait(lambda: condition(self.reports))
        return self.reports

    async def messages(self, number: int = 1) -> list[JsonObject]:
        def of(reports: list[JsonObject]) -> list[JsonObject]:
            return [report for report in reports if report["post_type"] != "event"]

        return of(await self.until(lambda got: len(of(got)) >= number))

    def sends(self) -> list[JsonObject]:
        return [report for report in self.reports if report["post_type"] == "send_message"]

    async def until_sends(self, number: int) -> list[JsonObject]:
        await self.wait(lambda: len(self.sends()) >= number)
        return self.sends()

    def once(self) -> list[JsonObject]:
        """The reports without those that came again: a kill may make one come twice, with its id."""
        return list(dict(zip(self.ids, self.reports, strict=True)).values())

    async def event(self, name: str) -> JsonValue:
        await self.until(lambda got: any(report.get("event") == name for report in got))
        return self.events(name)[-1]

    def events(self, name: str) -> list[JsonValue]:
        return [report["params"] for report in self.reports if report.get("event") == name]


@contextlib.asynccontextmanager
async def hooked() -> AsyncIterator[Webhook]:
    hook = Webhook()
    async with serving(hook.serve) as hook.port:
        yield hook


@pytest.fixture(params=["known", "other"])
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a test with a version of aiohttp whose undocumented parts are used to post, and with another one."""
    if request.param == "other":
        monkeypatch.setattr(aiohttp, "__version__", "999.0.1")


@pytest.fixture
async def webhook() -> AsyncIterator[Webhook]:
    async with hooked() as hook:
        yield hook


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    async with listening() as one:
        yield one


Opened = Callable[..., EventLog]


def report(number: int, **more: str) -> JsonObject:
    return {"post_type": "receive_message", "type": "friend_message", "id": str(number), **more}


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opened]:
    """A function that opens a log; all are closed at the end."""
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
    """Keep everybody else from writing a database."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("ROLLBACK")


@dataclass
class RunningClient:
    """A client in this process; ``get`` and ``post`` talk to its real port."""

    driver: ScriptedDriver
    paths: Paths
    port: int
    http: aiohttp.ClientSession
    stopping: asyncio.Event
    task: "asyncio.Task[int]"

    def address(self, call: str) -> str:
        return f"http://127.0.0.1:{self.port}/openwx/{call}"

    async def get(self, call: str, **parameters: str) -> JsonValue:
        async with self.http.get(self.address(call), params=parameters) as answer:
            assert answer.status == 200
            found: JsonValue = json.loads(await answer.read())
            return found

    async def post(self, call: str, data: bytes = b"", filename: str = "x", /, **form: str) -> JsonValue:
        """Call with a form; ``data`` is its media_data."""
        body = aiohttp.FormData(form)
        if data:
            body.add_field("media_data", data, filename=filename)
        async with self.http.post(self.address(call), data=body) as answer:
            assert answer.status == 200
            found: JsonValue = json.loads(await answer.read())
            return found

    async def v1(self, method: str, path: str, body: object = None, key: str = "") -> tuple[int, JsonObject]:
        """Call /v1; ``body`` is sent as JSON if it is no form."""
        url, headers = f"http://127.0.0.1:{self.port}/v1/{path}", {"Idempotency-Key": key} if key else {}
        data, content = (body, None) if isinstance(body, aiohttp.FormData) else (None, body)
        async with self.http.request(method, url, json=content, data=data, headers=headers) as answer:
            assert answer.content_type == "application/json"
            return answer.status, obj(json.loads(await answer.read()))

    async def told(self, path: str = "status") -> JsonObject:
        status, found = await self.v1("GET", path)
        assert status == 200, found
        return found

    async def until_told(self, fits: Callable[[JsonObject], object], path: str = "status") -> JsonObject:
        return await until(lambda: self.told(path), fits)

    def state(self) -> JsonObject:
        try:
            found: JsonObject = json.loads(self.paths.state_file("alice").read_bytes())
        except FileNotFoundError:
            return {}  # not written yet
        return found

    async def until_state(self, word: str) -> JsonObject:
        return await until(self.state, lambda state: state.get("state") == word)

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
        one = RunningClient(driver, paths, port, http, stopping, asyncio.create_task(client.run(stopping)))
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


async def running(start: Start, *given: BackoffPolicy, **environ: str) -> RunningClient:
    one = start(*given, **environ)
    await one.login()
    return one


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> list[EventRing]:
    """Grows by one with each call of check_event that begins to wait."""
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

    async with staged(tmp_path, ILINK, Stage) as found:
        yield found


@pytest.fixture
async def client(start: Start) -> RunningClient:
    return await running(start)
