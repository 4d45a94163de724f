"""A controller with accounts in this process: real files, real sockets, real HTTP.

Only systemd is a stand-in, behind the ``Units`` protocol: it "starts" an account by running a small HTTP server on
the account's port. System tests use the real one.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import secrets
import shutil
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

import aiohttp
import pytest
import uvloop
from aiohttp import web
from multidict import CIMultiDict

from tests.i18n import compiled
from tests.openapi.validating import Judge, plain_path
from tests.patience import PATIENCE
from tests.ports import FIRST_PORT
from wxcontroller.client.store.eventlog import EventLog
from wxcontroller.client.v1.reads.eventreads import Events
from wxcontroller.controller.account_port.ports import AccountPorts
from wxcontroller.controller.accounts.actions import Accounts
from wxcontroller.controller.accounts.units import MAX_AGE, Restarts, UnitRecord, Verb
from wxcontroller.controller.apis.v1.v1described import openapi
from wxcontroller.controller.app import application
from wxcontroller.controller.callers.authentication import Gate
from wxcontroller.controller.context import Context
from wxcontroller.controller.event_loop import EventLoop
from wxcontroller.controller.forwarding.exchange import ForwardedRequest
from wxcontroller.controller.forwarding.rewriting import AnswerWriter
from wxcontroller.controller.server import Server
from wxcontroller.core.access.rights import Endpoint
from wxcontroller.core.condition.deliverystate import DeliveryState
from wxcontroller.core.config.alertsettings import Channel
from wxcontroller.core.config.limits import DEFAULTS
from wxcontroller.core.config.settings import Settings
from wxcontroller.core.errors import UnitFailed
from wxcontroller.core.files.atomic import replace_file
from wxcontroller.core.jsontypes import JsonObject, JsonValue, field, items, obj, text
from wxcontroller.core.names import unit_of
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry.account import Account
from wxcontroller.core.registry.accountfiles import AccountFiles
from wxcontroller.core.states import LoginState, UnitState
from wxcontroller.core.text.templates import Text, text_fields
from wxcontroller.openwx.contract.replies import CONTENT_TYPE
from wxcontroller.openwx.http import parameters
from wxcontroller.openwx.http.connection import HttpConnection
from wxcontroller.openwx.http.http1 import RequestHead

_compiled = cache(compiled)


@cache
def judge() -> Judge:
    return Judge(openapi())


# Root's token, which the service makes at each start.
ROOT_TOKEN = "wxc_00000000_" + "0" * 64
TEMPLATE = Path(__file__).parents[3] / "etc/client.env.j2"


class ControllerLoops(uvloop.EventLoopPolicy):
    """Tests run on the controller's event loop."""

    def _loop_factory(self) -> EventLoop:
        loop = EventLoop()
        loop.set_exception_handler(_stop_at_time_limit)
        return loop


def _stop_at_time_limit(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """Stop the loop when a test times out: uvloop only reports what a signal handler raises."""
    loop.default_exception_handler(context)
    if isinstance(context.get("exception"), pytest.fail.Exception):
        loop.stop()


# What /v1 calls the original's attributes of people and groups.
_PERSON = {"name": "displayname", "remark": "markname", "nickname": "name"}
_UNKNOWN: Mapping[str, JsonObject] = {
    "contacts": {"kind": "friend", **dict.fromkeys(("wechat_id", "province", "city", "signature", "sex"), "")},
    "groups": {"members": 0, "owner": None},
}
SENT: JsonObject = {"id": "1:@x", "code": 0, "status": "success"}
Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


def reports_of(state: DeliveryState) -> JsonObject:
    """Return the ``reports`` of a status from which an account's deliveries have this state."""
    values = {each.name: getattr(state, each.name) for each in fields(state)}
    texts = {name: value for name, value in values.items() if isinstance(value, Text)}
    return {**values, **text_fields(**texts)}


def fixed(status: int, headers: Mapping[str, str] = MappingProxyType({}), body: bytes = b"<script>") -> Handler:
    """Return a handler that gives one answer to everything, as a compromised account may."""

    async def serve(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers=headers, body=body)

    return serve


def unix_listener(path: Path, backlog: int = 128) -> socket.socket:
    """Listen at a path of any length."""
    listener = socket.socket(socket.AF_UNIX)
    directory = os.open(path.parent, os.O_PATH)
    listener.bind(f"/proc/self/fd/{directory}/{path.name}")
    os.close(directory)
    listener.listen(backlog)
    return listener


@contextlib.contextmanager
def full_queue(path: Path) -> Iterator[int]:
    """Fill the queue of a listener that accepts nothing; yield how many connections it has."""
    with contextlib.ExitStack() as stack:
        directory = os.open(path.parent, os.O_PATH)
        stack.callback(os.close, directory)
        filling = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                each = stack.enter_context(socket.socket(socket.AF_UNIX))
                each.setblocking(False)
                each.connect(f"/proc/self/fd/{directory}/{path.name}")
                filling += 1
        yield filling


class Process:
    """A running account: an HTTP server and a state file."""

    def __init__(self, paths: Paths, instance: str) -> None:
        self.paths = paths
        self.instance = instance
        self.account = AccountFiles(paths).load(instance)
        self.requests: list[str] = []
        self.hung_up = asyncio.Event()
        self.events = asyncio.Event()  # ends a long poll
        self.reached = asyncio.Event()
        # The bodies of /v1/status, see ``status``, and /v1/options; None for a program without these paths.
        self._status_body: bytes | None = None
        self._published: JsonObject = {"instance": instance}
        self.options: bytes | None = None
        self.responds = asyncio.Event()  # cleared, it answers neither
        self.responds.set()
        self.answers: list[JsonValue] | None = []  # to its question; None for a program that asks nothing
        self.accepted = "yes"
        # The secret of its port; and, with ``echo``, the calls that it gets: line, headers and body.
        self.secret = secrets.token_hex(32)
        self.echo = False
        self.seen: list[tuple[str, Mapping[str, str], bytes]] = []
        # Replace the handlers below: of all calls but its status and events, and of its events.
        self.serve: Handler | None = None
        self.serve_events: Handler | None = None
        # Sends by their parameters, one for each key; None while they are not carried out. An empty answer is lost.
        self.sends: list[dict[str, str]] | None = None
        self.send_answer: Callable[[Mapping[str, str]], JsonObject] = lambda _: SENT
        self.friends: list[JsonValue] = []
        self.groups: list[JsonValue] = []
        self._runner: web.AppRunner | None = None
        # A real log, which outlives the process.
        state = paths.state(instance)
        state.mkdir(parents=True, exist_ok=True)
        self.log = EventLog(state / "events.db", epoch=self.account.epoch)

    @property
    def status(self) -> bytes | None:
        """Its status: what it answers, and publishes when this is set."""
        return self._status_body

    @status.setter
    def status(self, body: bytes | None) -> None:
        self._status_body = body
        try:
            self.publish(**obj(json.loads(body or b"")))
        except (ValueError, RecursionError):
            self._write_status(body or b"")

    def publish(self, **more: JsonValue) -> None:
        """Publish these values of its status, and those of before."""
        self._published |= more
        self._write_status(json.dumps(self._published).encode())

    def _write_status(self, raw: bytes) -> None:
        replace_file(self.paths.status_file(self.instance), raw, 0o640)

    async def run(self) -> None:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_get("/v1/status", self._answer_itself)
        app.router.add_get("/v1/options", self._answer_itself)
        app.router.add_get("/v1/events", self._events)
        app.router.add_route("*", "/{api:openwx|ilink|v1}/{rest:.*}", self._answer)
        self.log.open()
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1, auto_decompress=False
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.account.port, reuse_address=True).start()
        self.say(LoginState.INIT)
        await web.SockSite(self._runner, unix_listener(self.paths.api_socket(self.instance))).start()
        replace_file(self.paths.port_secret(self.instance), f"{self.secret}\n".encode(), 0o640)

    def say(self, state: LoginState, **more: JsonValue) -> None:
        """Write the state file as the client does."""
        content: JsonObject = {
            "account": self.account.name.name,
            "state": state.word,
            "login_state": state.value,
            "state_since": 1_700_000_000,
            "status": f"is {state}",
            "pid": os.getpid(),
            "start_time": 1_600_000_000,
            "qrcode_link": None,
            "user": None,
            "state_path": "/x/y",
            "port_error": "",
            **more,
        }
        self.write(json.dumps(content).encode())

    def write(self, content: bytes) -> None:
        path = self.paths.state_file(self.instance)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)

    def show_qrcode(self) -> None:
        replace_file(self.paths.qrcode_file(self.instance), b"\xff\xd8jpeg")
        self.say(LoginState.SCANNING, qrcode_link="https://login.weixin.qq.com/l/AbC")

    async def end(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            await self.log.close(2)
        shutil.rmtree(self.paths.runtime(self.instance))  # as systemd does, also after kill -9

    async def _input(self, request: web.Request) -> web.StreamResponse:
        if self.answers is None:
            return _error(404, "no-such-path")
        answer = await request.json()
        if answer["value"] != self.accepted:
            return _error(400, "bad-request")
        self.answers.append(answer)
        return web.json_response({"account": self.account.name.name, "id": answer["id"], "answered": True})

    async def _note(self, request: web.Request) -> None:
        line = f"{request.method} {request.raw_path}"
        self.requests.append(line)
        if self.echo:
            self.seen.append((line, CIMultiDict(request.headers), await request.read()))

    async def _answer_itself(self, request: web.Request) -> web.StreamResponse:
        await self._note(request)
        await self.responds.wait()
        body = self.status if request.path == "/v1/status" else self.options
        if body is None:
            raise web.HTTPNotFound
        return web.Response(body=body, headers={"Content-Type": "application/json"})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if self.serve_events is not None:
            return await self.serve_events(request)
        try:
            return await Events(self.log, self.account.name.name).get(request)
        except ConnectionError:  # the reader is gone
            return web.Response()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        await self._note(request)
        self.reached.set()
        if self.serve is not None:
            return await self.serve(request)
        match request.match_info["rest"]:
            case "logout":
                return web.json_response({"account": self.account.name.name, "logged_out": True})
            case "input":
                return await self._input(request)
            case "never" | "check_event":
                try:
                    await asyncio.wait_for(self.events.wait(), PATIENCE)
                finally:
                    self.hung_up.set()
            case "stream":
                return await self._stream(request, int(request.query["bytes"]))
            case "send_friend_message" | "send_group_message" if self.sends is not None:
                return web.json_response(await self._send(request, self.sends))
            case "search_friend" | "search_group" if self.sends is not None:
                sought = {**request.query, **(await request.post())}
                [(key, value)] = ((key, value) for key, value in sought.items() if key != "client")
                people = self.groups if request.path.endswith("group") else self.friends
                found = [person for person in people if obj(person).get(key) == value]
                return web.json_response(found or {"code": 100, "status": "object not found"})
            case "messages" if self.sends is not None and request.method == "POST":
                sent = await self._send(request, self.sends)
                if sent.get("code") == 100:
                    return _error(404, "no-such-peer")
                outcome: JsonObject = {"state": "delivered" if sent.get("code") == 0 else "refused"}
                return web.json_response(sent and {"chat": "@x", "parts": [], **outcome, **sent})
            case "chats":
                return web.json_response({"account": self.account.name.name, "chats": [], "more": False})
            case "contacts" | "groups" as kind if request.path.startswith("/v1/"):
                people = self.friends if kind == "contacts" else self.groups
                shown = [
                    {
                        **_UNKNOWN[kind],
                        **obj(person),
                        **{key: text(field(person, old)) for key, old in _PERSON.items()},
                    }
                    for person in people
                ]
                return web.json_response({"account": self.account.name.name, kind: shown, "more": False})
        digest, size = hashlib.sha256(), 0
        async for chunk in request.content.iter_any():
            digest.update(chunk)
            size += len(chunk)
        content = {"size": size, "sha256": digest.hexdigest(), "headers": dict(request.headers.items())}
        seen = {"method": request.method, "target": request.raw_path, **content}
        return web.Response(body=json.dumps(seen).encode(), headers={"Content-Type": "application/json"})

    async def _send(self, request: web.Request, sends: list[dict[str, str]]) -> JsonObject:
        if "json" in request.headers["Content-Type"]:
            message = obj(await request.json())
            form = {name: "1" if value is True else text(value) for name, value in message.items()}
        else:
            values = parameters.values_of("", request.headers["Content-Type"], await request.read())
            form = {
                name: value.read().decode("latin-1" if name in ("media_data", "file") else "utf-8")
                for name, value in values
            }
        if key := request.headers.get("Idempotency-Key"):
            form |= {"id": form["to"], "content": form.get("text", ""), "idempotency_key": key}
        answer = self.send_answer(form)
        if answer.get("code") in (0, -7) and form["idempotency_key"] not in {
            send["idempotency_key"] for send in sends
        }:
            sends.append({**form, "call": request.match_info["rest"]})
        if not answer and request.transport is not None:
            request.transport.abort()
        return answer

    async def _stream(self, request: web.Request, size: int) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while size > 0:
                await response.write(b"s" * min(size, 65536))
                size -= 65536
        finally:
            self.hung_up.set()
        return response


def _error(status: int, code: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": "no", "remedy": "yes"}}, status=status)


class StandInUnits:
    """The ``Units`` protocol without systemd.

    ``refuse`` makes starts fail with this reason; ``hold`` makes actions wait, with ``hold_stops`` stops too.
    """

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self.processes: dict[str, Process] = {}
        self.records: dict[str, UnitRecord] = {}
        self.calls: list[str] = []
        self.refuse = ""
        self.serve: Handler | None = None  # of processes from their start on
        self.lost = ""  # starts succeed, and systemctl fails with this reason
        self.hold: asyncio.Event | None = None
        self.hold_stops = True
        self.holding = asyncio.Event()
        self.broken = False
        self.remembered: dict[str, UnitRecord] | None = None
        self.restarted: dict[str, int] = {}
        self.ended: dict[str, Restarts] = {}  # how the last processes ended
        self.delivering: set[Channel] = set()

    async def snapshot(self, max_age: float = MAX_AGE) -> Mapping[str, UnitRecord]:
        if self.broken:
            raise UnitFailed("systemd can't be asked", "see the journal")
        return dict(self.records if max_age < MAX_AGE or self.remembered is None else self.remembered)

    def recent(self, _: float = MAX_AGE) -> Mapping[str, UnitRecord] | None:
        return None if self.broken else dict(self.records if self.remembered is None else self.remembered)

    def remember(self) -> None:
        """Answer queries that accept a cached state with the present one from now on."""
        self.remembered = dict(self.records)

    async def act(self, verb: Verb, instance: str, timeout: float) -> None:
        self.calls.append(f"{verb} {unit_of(instance)}")
        match verb:
            case Verb.START:
                await self._start(instance)
            case Verb.STOP:
                await self._stop(instance)
            case Verb.RESTART:
                await self._stop(instance)
                await self._start(instance)
            case Verb.RESET_FAILED:
                if instance not in self.records:
                    raise UnitFailed(f"Unit {unit_of(instance)} not loaded.")

    async def purge(self, instance: str, timeout: float) -> None:
        self.calls.append(f"start wxclient-purge@{instance}.service")
        await self._stop(instance)

    async def restarts(self, instances: Iterable[str]) -> Mapping[str, Restarts]:
        return {
            instance: replace(self.ended.get(instance, Restarts(0)), count=self.restarted.get(instance, 0))
            for instance in instances
        }

    async def deliver(self, channel: Channel, on: bool) -> None:
        if self.broken:
            raise UnitFailed("systemd can't be asked", "see the journal")
        (self.delivering.add if on else self.delivering.discard)(channel)

    async def shorten_own_delay(self) -> None:
        self.calls.append("shorten own delay")

    async def _start(self, instance: str) -> None:
        self.records[instance] = UnitRecord(instance, UnitState.ACTIVATING, "start")
        await self._held()
        if self.refuse:
            self.records[instance] = UnitRecord(instance, UnitState.FAILED, "failed")
            raise UnitFailed(f"{unit_of(instance)}: start failed: {self.refuse}", f"see: wxctl logs {instance}")
        if instance not in self.processes:
            process = Process(self.paths, instance)
            process.serve = self.serve
            await process.run()
            self.processes[instance] = process
        self.records[instance] = UnitRecord(instance, UnitState.ACTIVE, "running")
        if self.lost:
            raise UnitFailed(f"{unit_of(instance)}: start failed: {self.lost}")

    async def _stop(self, instance: str) -> None:
        if instance in self.records:
            self.records[instance] = UnitRecord(instance, UnitState.DEACTIVATING, "stop-sigterm")
        if self.hold_stops:
            await self._held()
        await self.kill(instance)
        self.records.pop(instance, None)

    async def _held(self) -> None:
        if self.hold is not None:
            self.holding.set()
            await self.hold.wait()

    async def kill(self, instance: str, then: UnitRecord | None = None) -> None:
        """End a process without an action of the controller."""
        process = self.processes.pop(instance, None)
        if process is not None:
            await process.end()
        if then is not None:
            self.records[instance] = then


@dataclass(frozen=True)
class _JudgedWriter:
    """Writes answers of accounts as ``writer`` does, and has a machine judge them."""

    host: "Machine"
    writer: AnswerWriter
    endpoint: Endpoint

    @property
    def limit(self) -> int:
        return self.writer.limit

    async def write(self, account: Account, status: int, content: bytes) -> bytes:
        """See AnswerWriter."""
        body = await self.writer.write(account, status, content)
        path = f"/v1/accounts/{{name}}{self.endpoint.path.removeprefix('/v1/accounts/{name}').removeprefix('/v1')}"
        self.host.judge(self.endpoint.methods[0], path, status, CONTENT_TYPE, body)
        return body


class Machine:
    """The controller in this process, reached through ``http`` on a real socket.

    Its answers to calls of /v1 must match the OpenAPI document, except below ``answered_by_others``: accounts or
    other hosts answer these calls, and tests may have a stand-in for them.
    """

    answered_by_others: tuple[str, ...] = (
        "/v1/standbys",
        *(f"/v1/accounts/{{name}}/{call}" for call in ("contacts", "deliveries", "input", "proxy", "webhook")),
    )

    def __init__(self, root: Path, **settings: object) -> None:
        self.paths = Paths(root)
        template = self.paths.template
        template.parent.mkdir(parents=True, exist_ok=True)
        template.write_text(TEMPLATE.read_text())
        self.paths.accounts.mkdir(parents=True, exist_ok=True)
        ports = {"backend_start_port": FIRST_PORT, "backend_end_port": FIRST_PORT + 99}
        self.settings = replace(
            Settings(template_path=template),
            **{**ports, **settings},  # type: ignore[arg-type]
        )
        self.units = StandInUnits(self.paths)
        self.stack = contextlib.AsyncExitStack()
        self.faults: list[str] = []  # answers of /v1 that do not match their description
        self.received: list[str] = []  # method and path of each request, as it was sent
        self.url = ""
        self.address = ("", 0)
        self.more_sockets: list[socket.socket] = []  # it listens on these too
        self.on_answer: list[Callable[[web.Request, web.StreamResponse], Awaitable[None]]] = []

    async def __aenter__(self) -> "Machine":
        _compiled()  # as the package's build does
        self.accounts = await self.stack.enter_async_context(Accounts(self.paths, self.settings, self.units))
        ports = AccountPorts(self.accounts.registry, lambda: self.accounts.settings)
        await self.stack.enter_async_context(ports)
        self.gate = Gate(self.paths, local=ROOT_TOKEN, look_seconds=0)
        self.shared = Context(self.accounts, ports, self.gate)
        listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.address = listening.getsockname()
        self.url = f"http://127.0.0.1:{self.address[1]}"
        self.app = application(self.shared)
        self.app.on_response_prepare.append(self._judge)
        self.app.on_response_prepare.extend(self.on_answer)
        self.server = Server(self.app, [listening, *self.more_sockets])
        self._note_forwarded()
        await self.server.start()
        self.http = await self.stack.enter_async_context(aiohttp.ClientSession(self.url))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.close()
        for instance in list(self.units.processes):
            await self.units.kill(instance)
        await self.server.drain()
        await self.stack.aclose()
        assert not self.faults, self.faults[0]

    def _note_forwarded(self) -> None:
        """Note and judge the requests, too, that the forwarder takes before aiohttp's server sees them."""
        forwarder = self.server._forwarder
        take = forwarder.take

        def noted(connection: HttpConnection, head: RequestHead) -> bool:
            taken = take(connection, head)
            if taken:
                self.received.append(f"{head.method.decode()} {head.target.decode()}")
            exchange = connection._exchange
            if isinstance(exchange, ForwardedRequest) and (writer := exchange._call.writer) is not None:
                exchange._call = replace(exchange._call, writer=_JudgedWriter(self, writer, exchange._call.endpoint))
            return taken

        forwarder.take = noted  # type: ignore[method-assign]

    async def _judge(self, request: web.Request, answer: web.StreamResponse) -> None:
        self.received.append(f"{request.method} {request.raw_path}")
        resource = request.match_info.route.resource
        path = plain_path(resource.canonical) if resource is not None else ""
        body = answer.body if isinstance(answer, web.Response) else None
        if isinstance(body, bytes):  # else a stream, or the caller has disconnected
            self.judge(request.method, path, answer.status, answer.content_type, body)

    def judge(self, method: str, path: str, status: int, content_type: str, body: bytes) -> None:
        """Note a fault if an answer does not match its description."""
        is_described = method.lower() in obj(judge().paths.get(path))
        if path.startswith("/v1/") and is_described and not path.startswith(self.answered_by_others):
            try:
                judge().judge(method, path, status, content_type, body)
            except AssertionError as fault:
                self.faults.append(str(fault))

    def limit(self, **numbers: float) -> None:
        """Reload the settings with other limits."""
        self.settings = replace(self.accounts.settings, limits=DEFAULTS.with_numbers(numbers))
        self.accounts.settings = self.settings
        self.gate.set_token_failures(self.settings.limits.token_failures)

    async def get(self, path: str, **params: str) -> JsonObject:
        """GET a JSON object of the old API, whose answers all have the same content type."""
        async with self.http.get(f"/openwx/{path}", params=params) as answer:
            assert answer.headers["Content-Type"] == "application/json"
            content: JsonObject = json.loads(await answer.read())
            return content

    async def states(self, **params: str) -> list[JsonObject]:
        """The STATEs of check_client."""
        answer = await self.get("check_client", **params)
        assert answer["code"] == 0, answer
        return [obj(each) for each in items(answer["client"])]

    async def v1(
        self, method: str, path: str, body: JsonValue = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, JsonObject]:
        data = None if body is None else json.dumps(body)
        async with self.http.request(method, f"/v1/{path}", data=data, headers=headers) as answer:
            content: JsonObject = json.loads(await answer.read())
            return answer.status, content

    async def start(self, name: str) -> Process:
        answer = await self.get("start_client", client=name)
        assert answer["code"] == 0, answer
        return self.process(name)

    def process(self, name: str) -> Process:
        return self.units.processes[self.accounts.registry.resolve(name)]


async def raw(host: Machine, sent: bytes) -> tuple[int, bytes]:
    """Send bytes over a new connection; return the status (0 for none) and everything received."""
    reader, writer = await asyncio.open_connection(*host.address)
    writer.write(sent)
    async with asyncio.timeout(PATIENCE):
        answer = await reader.read()
    writer.close()
    return int(answer.split(b" ", 2)[1]) if answer else 0, answer
