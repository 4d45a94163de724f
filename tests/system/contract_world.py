"""The booted host of the contract's tests: an account with friends and groups, and one way to ask it anything."""

import contextlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias, TypeVar
from urllib.parse import quote

from tests.patience import PATIENCE
from tests.system.actors import CONTROLLER, Caller, Json, Phone, Webhook, log_in, until, use_sandbox
from tests.system.host import Host
from wxcontroller.core.jsontypes import JsonValue

T = TypeVar("T")
Pairs: TypeAlias = Sequence[tuple[str, str | bytes]]
_BOUNDARY = "----contract"
# The account with a name beyond ASCII: each request through the controller carries it.
RUNNING, WITH_JSONP = "安娜 Ben", "with-jsonp"


class Way(Enum):
    """Where a request goes, and how it carries its parameters."""

    CONTROLLER = "GET through the controller"
    DIRECT = "POST to the account's port"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        return self.headers.get("Content-Type", "")

    @property
    def json(self) -> Json:
        return json.loads(self.body)

    @property
    def code(self) -> JsonValue:
        """The answer's code; 0 where it is a list, or an object without one."""
        found = self.json
        return found.get("code", 0) if isinstance(found, dict) else 0


@dataclass(eq=False)
class Account:
    """One account of the host; ``uin`` is "" for one that nobody logs in."""

    name: str
    port: int = 0
    uin: str = ""
    groups: dict[str, str] = field(default_factory=dict)  # for what they are made: their ids
    sent: int = 0  # of what it sent, how much is old


@dataclass
class World:
    """Everything the checks work on."""

    host: Host
    caller: Caller
    phone: Phone
    hook: Webhook
    pool: ThreadPoolExecutor
    running: Account = field(default_factory=lambda: Account(RUNNING))
    jsonp: Account = field(default_factory=lambda: Account(WITH_JSONP))
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def unique(self, word: str) -> str:
        """Something nobody has said before."""
        return f"{word}{next(self._numbers)}"

    def later(self, work: Callable[[], T]) -> "Future[T]":
        """Do something beside the test."""
        return self.pool.submit(work)

    def ask(self, account: Account, way: Way, path: str, given: Pairs = (), method: str = "") -> Answer:
        """Do one request."""
        pairs = list(given)
        if way is Way.CONTROLLER:
            url = f"{CONTROLLER}{path}?{encoded([*pairs, ('client', account.name)]).decode()}"
            status, got, content = self.host.http(method or "GET", url, timeout=PATIENCE)
        else:
            headers = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
            url = f"http://127.0.0.1:{account.port}{path}"
            status, got, content = self.host.http(method or "POST", url, multipart(pairs), headers, PATIENCE)
        answer = Answer(status, got, content)
        assert status != 500, answer
        # No page from elsewhere may read an answer (5.3 no. 43).
        assert "Access-Control-Allow-Origin" not in got, answer
        assert got["Server"] in ("wxcontroller", "wxclient")
        if answer.content_type == "application/json" and content:
            assert content == as_the_original(answer.json), answer
        return answer

    def direct(self, account: Account, call: str, **given: str) -> Json:
        """What a check needs to know or to prepare: a call of an account's own."""
        query = encoded(list(given.items())).decode()
        status, _, body = self.host.http("GET", f"http://127.0.0.1:{account.port}/openwx/{call}?{query}")
        assert status == 200, (call, given, status, body)
        return json.loads(body)

    def side(self, account: Account) -> Json:
        """The account as WeChat has it."""
        return self.phone.world(account.uin)

    def friends(self, account: Account) -> list[Json]:
        """Its friends, at WeChat's side; the first one's remark and the like are left alone."""
        return [one for one in self.side(account)["contacts"] if one["kind"] == "friend"]

    def group(self, account: Account, identifier: str) -> Json:
        """One of its groups, at WeChat's side."""
        return next(one for one in self.side(account)["groups"] if one["username"] == identifier)

    def sent(self, account: Account, fits: Callable[[Json], bool], what: str) -> Json:
        """Something that the account has just sent, when it has arrived at WeChat."""

        def look() -> Json:
            for one in self.phone.sent(account.uin, account.sent, seconds=0):
                if fits(one):
                    account.sent = max(0, one["seq"] - 5)
                    return one
            return None

        return until(look, f"{what} arrived at WeChat")


def as_the_original(value: Json) -> bytes:
    """JSON as the contract has it: UTF-8, keys in order, ``/`` escaped, no whitespace (openwx-api 0)."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).replace("/", "\\/").encode()


def encoded(pairs: Pairs) -> bytes:
    """Percent-encoded UTF-8 in a query's or form's own way."""
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs).encode()


def multipart(pairs: Pairs) -> bytes:
    """A multipart body; bytes go as an uploaded file."""
    parts = []
    for name, value in pairs:
        file = '; filename="a.gif"' if isinstance(value, bytes) else ""
        head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
        parts.append(head.encode() + (value if isinstance(value, bytes) else value.encode()) + b"\r\n")
    return b"".join(parts) + f"--{_BOUNDARY}--\r\n".encode()


@contextlib.contextmanager
def made(host: Host) -> Iterator[World]:
    """Make the world: log its accounts in."""
    use_sandbox(host)
    # Its own file, read last: what only the admin may set.
    host.write(f"/etc/wxcontroller/clients/{WITH_JSONP}.env", b"WXCLIENT_JSONP=1\n")
    with Webhook(host) as hook, ThreadPoolExecutor(4) as pool:
        world = World(host, Caller(host), Phone(host), hook, pool)
        for account in (world.running, world.jsonp):
            account.uin = world.phone.account(account.name, seed=7, friends=40)
            log_in(world.caller, world.phone, account.name, account.uin, post_api=hook.address)
            account.port = world.caller.account(account.name)["port"]
        _groups(world, world.running)
        yield world


def _groups(world: World, account: Account) -> None:
    friends = [one["username"] for one in world.friends(account)]
    for purpose, people in (("invite", friends[1:3]), ("kick", friends[1:15]), ("rename", friends[1:3])):
        made = world.direct(account, "create_group", friends=",".join(people), displayname=f"组 {purpose}")
        assert made["code"] == 0, made
        account.groups[purpose] = made["group_id"]
    until(
        lambda: {*account.groups.values()} <= {one["id"] for one in world.direct(account, "get_group_info")},
        what="the groups are known",
    )
