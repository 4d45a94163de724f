"""The other ends of a booted host: the sandbox's phone, a webhook receiver, a caller of the HTTP API.

They run on this machine and use the booted host's loopback.
"""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self, TypeAlias
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from tests.patience import PATIENCE
from tests.system.host import Host, Machine

Json: TypeAlias = Any  # answers of the product under test; the assertions are the check

CONTROLLER = "http://127.0.0.1:2000"
SANDBOX = "http://127.0.0.1:2100"
SANDBOX_SETTINGS = "/etc/wxcontroller/wxcontroller.toml.d/sandbox.toml"
# WatchdogSec of accounts in tests that wait for it.
WATCHDOG_SECONDS = 20


def until(condition: Callable[[], Json], what: str = "it", seconds: float = PATIENCE) -> Json:
    """Call a condition until it is true, and return its value. Raises AssertionError after ``seconds``.

    Intervals grow: most conditions start a process or send a request, which costs more than waiting.
    """
    began = time.monotonic()
    while True:
        found = condition()
        if found:
            return found
        waited = time.monotonic() - began
        if waited > seconds:
            raise AssertionError(f"{what} did not happen within {seconds} s; last seen: {found!r}")
        time.sleep(min(max(0.05, waited / 40), 1))


@dataclass
class Caller:
    """Calls the controller of a host, with a ``token`` if one is needed."""

    host: Host
    token: str = ""

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def get(self, path: str, /, **parameters: str) -> tuple[int, dict[str, str], bytes]:
        query = "?" + urlencode(parameters) if parameters else ""
        return self.host.http("GET", f"{CONTROLLER}{path}{query}", headers=self.headers, timeout=90)

    def openwx(self, call: str, /, **parameters: str) -> Json:
        """Return the JSON of a call of the contract. Raises AssertionError for other statuses than 200."""
        status, _, body = self.get(f"/openwx/{call}", **parameters)
        assert status == 200, (call, parameters, status, body)
        return json.loads(body)

    def v1(self, method: str, path: str, body: Json = None) -> tuple[int, Json]:
        content = json.dumps(body).encode() if body is not None else None
        headers = {**self.headers, **({"Content-Type": "application/json"} if content else {})}
        status, _, answer = self.host.http(
            method, f"{CONTROLLER}/v1{path}", body=content, headers=headers, timeout=90
        )
        try:
            return status, json.loads(answer) if answer else None
        except ValueError:
            raise AssertionError(f"{method} {path} is answered by {status} {answer!r}") from None

    def account(self, name: str) -> Json:
        status, answer = self.v1("GET", f"/accounts/{quote(name, safe='')}")
        assert status == 200, answer
        return answer

    def state(self, name: str) -> str:
        """Return the account's state by check_client, "" for an unknown account."""
        answer = self.openwx("check_client", client=name)
        return str(answer["client"][0]["state"]) if answer["code"] == 0 else ""

    def until_state(self, name: str, *states: str, seconds: float = PATIENCE) -> str:
        def look() -> str:
            found = self.state(name)
            return found if found in states else ""

        return str(until(look, f"{name} in state {' or '.join(states)}", seconds))


def token(host: Host, name: str, scope: str = "admin", *accounts: str) -> str:
    bound = [part for account in accounts for part in ("--account", account)]
    return host.run("wxctl", "token", "create", name, "--scope", scope, *bound).stdout.decode().strip()


@dataclass
class Phone:
    """The sandbox's scripting API: the other end of all conversations."""

    host: Machine

    def call(self, method: str, path: str, body: Json = None, timeout: float = 60) -> Json:
        content = json.dumps(body).encode() if body is not None else None
        headers = {"Content-Type": "application/json"} if content else {}
        url = f"{SANDBOX}/sandbox{path}"
        status, _, answer = self.host.http(method, url, body=content, headers=headers, timeout=timeout)
        assert status < 300, (method, path, status, answer)
        return json.loads(answer) if answer else None

    def account(self, nickname: str, **settings: Json) -> str:
        """Create a WeChat account and return its uin."""
        return str(self.call("POST", "/accounts", {"nickname": nickname, **settings})["uin"])

    def world(self, uin: str) -> Json:
        return self.call("GET", f"/accounts/{uin}")

    def friend(self, uin: str) -> str:
        """Return the name of a friend of the account."""
        return str(next(contact["name"] for contact in self.world(uin)["contacts"] if contact["kind"] == "friend"))

    def login_of(self, link: str) -> str:
        """Return the uuid in the link of a QR code, of either route."""
        return parse_qs(urlsplit(link).query).get("qrcode", [link.rsplit("/", 1)[1]])[0]

    def scan(self, uuid: str, uin: str) -> None:
        self.call("POST", f"/logins/{quote(uuid, safe='')}/scan", {"uin": uin})

    def confirm(self, uuid: str) -> None:
        self.call("POST", f"/logins/{quote(uuid, safe='')}/confirm", {})

    def act(self, uuid: str, verb: str) -> None:
        self.call("POST", f"/logins/{quote(uuid, safe='')}/{verb}", {})

    def write(self, uin: str, sender: str, text: str, group: str = "") -> str:
        """Have a person write to the account; return the message's id."""
        body = {"from": sender, "text": text, **({"group": group} if group else {})}
        return str(self.call("POST", f"/accounts/{uin}/receive", body)["msg_id"])

    def sent(self, uin: str, after: int = 0, seconds: float = 10) -> list[Json]:
        """Return the messages that the account sent after number ``after``."""
        found = self.call("GET", f"/accounts/{uin}/sent?after={after}&wait={seconds}")
        return list(found["sent"] if isinstance(found, dict) else found)

    @contextmanager
    def fault(self, endpoint: str, kind: str, value: Json = None, count: int | None = None) -> Iterator[None]:
        """Break an endpoint of WeChat for the duration of a block."""
        made = self.call("POST", "/faults", {"endpoint": endpoint, "kind": kind, "value": value, "count": count})
        try:
            yield
        finally:
            self.call("DELETE", f"/faults/{made['id']}")


@dataclass
class Webhook:
    """A receiver of reports on the host's loopback. ``answer`` decides the status of each, 0 for no response.

    ``reply`` is the JSON of a response. ``reports`` are those with a status of 2xx, headers and bodies by delivery.
    """

    host: Host
    port: int = 8900
    answer: Callable[[Json], int] = lambda _: 200
    reply: Callable[[Json], Json] = lambda _: None
    reports: list[Json] = field(default_factory=list)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)
    _server: ThreadingHTTPServer | None = None
    _connections: set[socket.socket] = field(default_factory=set)
    _news: threading.Condition = field(default_factory=threading.Condition)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def __enter__(self) -> Self:
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def listen(self) -> None:
        hook = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle(self) -> None:
                hook._connections.add(self.connection)
                with suppress(ConnectionError):  # of a caller that was killed
                    super().handle()
                hook._connections.discard(self.connection)

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                body = self.rfile.read(length)
                if len(body) < length:
                    raise ConnectionResetError
                client = parse_qs(urlsplit(self.path).query).get("client", [""])[0]
                report = {**json.loads(body), "_delivery": self.headers["X-Wx-Delivery"], "_client": client}
                status = hook.answer(report)
                if not status:
                    time.sleep(60)
                    self.close_connection = True
                    return
                if status < 300:
                    hook._take(report, dict(self.headers), body)
                reply = hook.reply(report) if status < 300 else None
                content = b"" if reply is None else json.dumps(reply).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None: ...

        with self.host.netns():
            self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def leave(self) -> None:
        """Stop listening, and close the connections that callers keep."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        for connection in tuple(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _take(self, report: Json, headers: dict[str, str], body: bytes) -> None:
        self.headers[report["_delivery"]], self.bodies[report["_delivery"]] = headers, body
        with self._news:
            self.reports.append(report)
            self.times.append(time.time())
            self._news.notify_all()

    def wait_for(self, condition: Callable[[Json], bool], what: str = "report", seconds: float = PATIENCE) -> Json:
        """Wait for the first report that fulfils a condition, and return it."""

        def first() -> Json:
            return next((report for report in self.reports if condition(report)), None)

        with self._news:
            if not self._news.wait_for(lambda: first() is not None, seconds):
                raise AssertionError(f"no {what} within {seconds} s; got {self.reports[-5:]}")
            return first()

    def events(self, name: str, client: str = "") -> list[Json]:
        return [
            report["params"]
            for report in self.reports
            if report.get("event") == name and (not client or report["_client"] == client)
        ]


@dataclass
class World:
    """A host with an account, its webhook, a caller and the phone. ``uin`` is the account's at WeChat."""

    host: Host
    hook: Webhook
    uin: str = ""

    def __post_init__(self) -> None:
        self.caller, self.phone = Caller(self.host), Phone(self.host)

    def write(self, *texts: str) -> None:
        """Have a friend write to the account."""
        for text in texts:
            self.phone.write(self.uin, self.phone.friend(self.uin), text)


def use_sandbox(host: Host) -> None:
    """Start the sandbox in the host, and let new accounts use it."""
    host.run("systemctl", "enable", "--now", "wxcontroller-sandbox.service")
    point_at_sandbox(host)


def point_at_sandbox(host: Host) -> None:
    """Let new accounts use the sandbox in place of WeChat."""
    host.write(SANDBOX_SETTINGS, f'[client]\nserver = "{SANDBOX}"\nsend_interval = 0\n'.encode())
    host.run("systemctl", "reload", "wxcontroller.service")


def shorten_watchdog(host: Host) -> None:
    """Shorten the accounts' watchdog to ``WATCHDOG_SECONDS``, before the sandbox is started."""
    assert "\nWatchdogSec=90\n" in host.text("systemctl", "cat", "wxclient@any.service")
    # Empty polls are signs of life, and must be frequent enough.
    host.write("/etc/default/wxcontroller-sandbox", b'WXSANDBOX_OPTS="--poll-hold=5 --sync-hold=5"\n')
    place = "/run/systemd/system/wxclient@.service.d/watchdog.conf"
    host.write(place, f"[Service]\nWatchdogSec={WATCHDOG_SECONDS}\n".encode())
    host.run("systemctl", "daemon-reload")


def log_in(caller: Caller, phone: Phone, name: str, uin: str, **parameters: str) -> Json:
    """Start an account and log it in by a scan; return the response of start_client."""
    answer = caller.openwx("start_client", client=name, **parameters)
    assert answer["code"] == 0, answer
    caller.until_state(name, "scaning")
    status, qr = caller.v1("GET", f"/accounts/{quote(name, safe='')}/qr")
    assert status == 200, qr
    uuid = phone.login_of(qr["link"])
    phone.scan(uuid, uin)
    phone.confirm(uuid)
    caller.until_state(name, "running")
    return answer
