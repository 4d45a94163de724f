"""A small controller for wxctl to talk to: the shapes of /v1 and /openwx, and accounts that follow a script."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from tests.patience import PATIENCE
from wxcontroller.core.errors import UnknownAccount
from wxcontroller.core.jsontypes import JsonObject, JsonValue, obj
from wxcontroller.core.messages import N_, Text, text_fields
from wxcontroller.core.names import parse_name

LINK = "https://login.weixin.qq.com/l/AbCdEfGhIj=="
_START = {"unit_state": "active", "unit_sub": "running"}
SCANNING: JsonObject = {
    **_START,
    "login_state": "scanning",
    "qrcode": True,
    **text_fields(status=Text("waiting for a scan of QR code {number} of {limit}", number=1, limit=10)),
}
CONFIRMING: JsonObject = {
    **_START,
    "login_state": "confirming",
    **text_fields(status=Text("scanned; waiting for the phone to confirm")),
}
RUNNING: JsonObject = {
    **_START,
    "login_state": "running",
    **text_fields(
        status=Text(
            "logged in as {who}, {people}, {groups}",
            who="爱丽丝",
            people=Text("{n} contact", "{n} contacts", n=1),
            groups=Text("{n} group", "{n} groups", n=2),
        )
    ),
    "user": {"id": "@me", "name": "爱丽丝"},
}
PARKED: JsonObject = {
    **_START,
    "login_state": "parked",
    **text_fields(reason=Text("no phone scanned any of the QR codes")),
}
RISK = "WeChat may warn about this account's safety"
ASKING: JsonObject = {
    **PARKED,
    **text_fields(reason=Text(RISK)),
    "input": {"id": "allow-desktop", "kind": "consent", "prompt": RISK, "digits": None},
}
_CODE = Text("the phone shows a code")
ASKING_CODE: JsonObject = {
    **PARKED,
    **text_fields(reason=_CODE),
    "input": {"id": "verify-code", "kind": "code", **text_fields(prompt=_CODE), "digits": 6},
}
FAILED: JsonObject = {"unit_state": "failed", "unit_sub": "failed", "login_state": None, "reason": "exit code 78"}
RESTARTING: JsonObject = {"unit_state": "activating", "unit_sub": "auto-restart", "login_state": None}
CRASH_LOOP: JsonObject = {
    **RESTARTING,
    "condition": "restarting",
    "issues": [{"code": "crash-loop", "severity": "error", "message": "ends again and again", "remedy": "read on"}],
}
DOWN: JsonObject = {"unit_state": "absent", "unit_sub": "", "login_state": "stopped"}
GONE: JsonObject = {"unit_state": "inactive", "unit_sub": "dead", "login_state": None, "desired": "stopped"}


_BAD_TOKEN: JsonObject = {"error": {"code": "bad-token", "message": "the token is wrong", "remedy": "x"}}
_AUTH_FAILURE: JsonObject = {"code": -6, "status": "auth failure", "reason": "the token is wrong; x"}


def account(name: str, **more: JsonValue) -> JsonObject:
    """Return an ACCOUNT that is stopped, but for ``more``."""
    known = parse_name(name)
    return {
        "name": known.name,
        "instance": known.instance,
        "unit": known.unit,
        "driver": "web",
        "desired": "started",
        "unit_state": "inactive",
        "unit_sub": "dead",
        "login_state": None,
        "state": "stop",
        "status": "",
        "since": int(time.time()) - 300,
        "reason": "",
        "pid": 4711,
        "port": 3000,
        "post_api": "",
        "proxy": "",
        "qrcode": False,
        "user": None,
        "start_time": None,
        **more,
    }


@dataclass
class Controller:
    """What the stand-in knows, and what it was asked."""

    port: int = 0
    accounts: dict[str, JsonObject] = field(default_factory=dict)
    # States that an account goes through after a start, one for each look at it; the last one stays.
    script: list[JsonObject] = field(default_factory=list)
    links: list[str] = field(default_factory=lambda: [LINK])
    friends: list[JsonObject] = field(default_factory=list)
    groups: list[JsonObject] = field(default_factory=list)
    asked: list[tuple[str, str, JsonValue]] = field(default_factory=list)
    notes: JsonObject = field(default_factory=dict)
    settings_error: str | None = None
    may_act: bool = True
    # Tokens that let callers in; None: nobody needs one. And the headers that came.
    tokens: set[str] | None = None
    headers: list[dict[str, str]] = field(default_factory=list)
    refuse: tuple[int, JsonObject] | None = None
    deliveries: JsonObject = field(default_factory=dict)
    # What follows each answer to a question in place of the script.
    after_answers: list[list[JsonObject]] = field(default_factory=list)
    options: JsonObject = field(default_factory=dict)
    limits: JsonObject = field(default_factory=dict)
    waiting: list[str] = field(default_factory=list)  # options that a restart changes
    # What each reader of events gets in turn: lines of server-sent events, then its connection ends.
    streams: list[str] = field(default_factory=list)
    cursors: list[str] = field(default_factory=list)  # with which readers came
    # After the last stream nobody is let in any more.
    refuse_streams: bool = False
    journal: list[JsonValue] | None = None  # lines of each account's; None: there are streams
    bodies: list[bytes] = field(default_factory=list)  # of forms with files
    # Answers to GET /v1/alerts, one for each question; the last one stays.
    fleet: JsonObject = field(default_factory=lambda: {"name": None, "hosts": [], "duplicates": []})
    alerts: list[JsonObject] = field(default_factory=lambda: [{"channels": {}, "problems": []}])
    send_answer: JsonObject = field(default_factory=lambda: {"code": 0, "id": "88:filehelper", "status": "success"})
    # What sends get before that: answers with their status; None: the connection breaks off after it was taken.
    send_trouble: list[tuple[int, JsonObject] | None] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)  # of sends
    # Answers to /v1/accounts/NAME/messages, by method; None: the account's program is older than that.
    messages: dict[str, JsonObject] | None = None
    # Each change of an account waits here until so many are there; and how many there were at most.
    together: threading.Barrier | None = None
    in_flight: set[str] = field(default_factory=set)
    most_in_flight: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def add(self, name: str, **more: JsonValue) -> None:
        self.accounts[name] = account(name, **more)

    def lets_in(self, headers: dict[str, str]) -> bool:
        self.headers.append(headers)
        if key := headers.get("Idempotency-Key"):
            self.keys.append(key)
        shown = headers.get("Authorization", "").removeprefix("Bearer ")
        return self.tokens is None or bool({shown, headers.get("X-Auth-Token", "")} & self.tokens)

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, JsonValue] | None:
        """Return status and body, None to break off."""
        path, query = urlsplit(target).path, parse_qs(urlsplit(target).query)
        given: JsonValue = None
        if path.startswith("/openwx/"):
            if body.startswith(b"--"):
                self.bodies.append(body)
                body = b""
            form = {key: values[-1] for key, values in parse_qs(body.decode()).items()}
            if "/send_" in path:
                self.keys.append(form.pop("idempotency_key", ""))
            self.asked.append((method, path, {**form, "client": query["client"][0]}))
            return self._openwx(path.removeprefix("/openwx/"), form)
        if body.startswith(b"--"):
            self.bodies.append(body)
        elif body:
            given = json.loads(body)
        if path != "/v1/health":
            self.asked.append((method, path, given))
        if path == "/v1/health":
            return 200, {
                "status": "ok",
                "version": "2.0.0",
                "notices": ["pid_path has no effect"],
                "settings": {"read_at": 1, "error": self.settings_error},
            }
        if path == "/v1/health/units":
            return 200, {"may_act": self.may_act, "reason": None if self.may_act else "a unit: stop failed"}
        if self.refuse is not None and method != "GET":
            return self.refuse
        if path == "/v1/deliveries":
            return 200, self.deliveries
        if path == "/v1/accounts" and method == "POST":
            name = str(obj(given)["name"])
            if name in self.accounts:
                return 409, {
                    "error": {"code": "account-exists", "message": f"there is an account {name}", "remedy": "x"}
                }
            self.accounts[name] = account(name, **GONE)
            return 201, {**self.accounts[name], **self.notes}
        if path == "/v1/alerts":
            return 200, self.alerts.pop(0) if len(self.alerts) > 1 else self.alerts[0]
        if path == "/v1/fleet":
            return 200, self.fleet
        if path == "/v1/alerts/test":
            channels: list[JsonValue] = list(obj(self.alerts[0]["channels"]))
            return 200, {"id": "new", "channels": channels}
        if path == "/v1/accounts":
            return 200, {"accounts": list(self.accounts.values())}
        _, _, _, encoded, *verbs = path.split("/")
        name, verb = unquote(encoded), verbs[0] if verbs else ""
        if method == "POST" and verb == "start":
            self.accounts.setdefault(name, account(name))
        if name not in self.accounts:
            return 404, {"error": UnknownAccount(N_("there is no account {account}"), account=name).as_json()}
        return self._account(method, name, verb)

    def _account(self, method: str, name: str, verb: str) -> tuple[int, JsonValue] | None:
        if self.together is not None and method != "GET":
            self.in_flight.add(name)
            self.most_in_flight = max(self.most_in_flight, len(self.in_flight))
            self.together.wait(PATIENCE)
            self.in_flight.discard(name)
        if verb.startswith("deliveries"):
            if self.accounts[name]["unit_state"] == "inactive":
                words = f"account {name} is not running"
                return 409, {"error": {"code": "not-running", "message": words, "remedy": "start it"}}
            return 200, self.deliveries
        if verb in ("contacts", "groups", "messages"):
            return self._messaging(method, verb)
        if verb == "qr":
            if not self.links:
                return 404, {"error": {"code": "no-qrcode", "message": "no QR code to scan", "remedy": "wait for it"}}
            return 200, {"link": self.links.pop(0) if len(self.links) > 1 else self.links[0]}
        if verb == "start":
            return 200, {**self.accounts[name], **self.notes}
        if verb == "input" and self.after_answers:
            self.script = self.after_answers.pop(0)
        if verb == "journal":
            return 200, {"account": name, "lines": self.journal or []}
        if verb == "options":
            shown: JsonObject = {
                **{"account": name, "options": self.options, "limits": self.limits},
                **{"waiting": list(self.waiting), "program": None},
            }
            return 200, shown if method == "GET" else self.accounts[name]
        if verb in ("stop", "logout"):
            self.accounts[name].update(GONE)
        elif method == "DELETE":
            return 200, {"removed": self.accounts.pop(name), **self.notes}
        elif method == "GET" and self.script:
            self.accounts[name] = account(name, **self.script[0])
            if len(self.script) > 1:
                self.script.pop(0)
        return 200, self.accounts[name]

    def _messaging(self, method: str, verb: str) -> tuple[int, JsonValue] | None:
        if self.messages is None:
            return 409, {"error": {"code": "older-version", "message": "an older version", "remedy": "restart it"}}
        if verb == "messages":
            if method == "POST" and self.send_trouble:
                return self.send_trouble.pop(0)
            return 200, self.messages[method]
        people = self.friends if verb == "contacts" else self.groups
        shown: list[JsonValue] = [
            {"id": one["id"], "name": one["displayname"], "remark": one.get("markname"), "nickname": one["name"]}
            for one in people
        ]
        return 200, {verb: shown, "more": False}

    def _openwx(self, endpoint: str, form: dict[str, str]) -> tuple[int, JsonValue] | None:
        if endpoint.startswith("search_"):
            people = self.friends if endpoint == "search_friend" else self.groups
            found = [one for one in people if all(one.get(key, "") == value for key, value in form.items())]
            if not found:
                return 200, {"code": 100, "status": "object not found"}
            return 200, list(found)
        return self.send_trouble.pop(0) if self.send_trouble else (200, self.send_answer)


@contextmanager
def controller() -> Iterator[Controller]:
    """Run a stand-in on a free port of loopback."""
    state = Controller()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            old = self.path.startswith("/openwx/")
            answer: tuple[int, JsonValue] | None = (403, _AUTH_FAILURE) if old else (401, _BAD_TOKEN)
            journal = self.path.partition("?")[0].endswith("/journal") and state.journal is None
            events = urlsplit(self.path).path == "/v1/events" or journal
            if state.lets_in(dict(self.headers)):
                answer = None if events else state.answer(self.command, self.path, body)
            if answer is None and events and state.streams:
                state.asked.append(("GET", self.path, None))
                state.cursors.append(self.headers.get("Last-Event-ID", ""))
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                self.wfile.write(state.streams.pop(0).encode())
                self.close_connection = True
                if not state.streams and state.refuse_streams:
                    state.tokens = {"another"}
                return
            if answer is None:
                self.close_connection = True
                return
            status, value = answer
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 - the base's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
