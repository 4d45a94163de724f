"""The booted host of the contract's tests: one account in each state, and one way to ask any of them anything."""

import contextlib
import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias, TypeVar
from urllib.parse import quote

from tests.contract.document import Row
from tests.system.actors import CONTROLLER, Caller, Json, Phone, Webhook, log_in, until, use_sandbox
from tests.system.contract_tally import Asked, Tally
from tests.system.host import Host
from wxcontroller.core.jsontypes import JsonValue

T = TypeVar("T")
Pairs: TypeAlias = Sequence[tuple[str, str | bytes]]
# What is told by the account itself is there at once; this leaves room for a busy machine.
PROMPT = 5.0
LONG_POLL = 40.0
_BOUNDARY = "----contract"
# The account with a name beyond ASCII: each request through the controller carries it.
RUNNING, WITH_JSONP, UNKNOWN = "安娜 Ben", "with-jsonp", "nobody"


class Way(Enum):
    """Where a request goes."""

    CONTROLLER = "controller"
    DIRECT = "direct"


class Form(Enum):
    """How a request carries its parameters."""

    GET = "GET"
    HEAD = "HEAD"
    FORM = "POST form"
    MULTIPART = "POST multipart"
    JSON = "POST JSON"  # an object, as many libraries send it; not in the original

    @property
    def method(self) -> str:
        return self.value.partition(" ")[0]


class State(Enum):
    """The states accounts are held in, by what somebody sees; the second word is check_client's."""

    RUNNING = "running", "running"
    SENDING = "sending", "running"  # WeChat keeps a send waiting
    INIT = "init", "init"  # its unit is starting
    LOADING = "loading", "loading"
    SCANING = "scaning", "scaning"
    CONFIRMING = "confirming", "confirming"
    UPDATING = "updating", "updating"
    RELOGIN = "re-login", "scaning"  # the phone has ended its session
    OFFLINE = "offline", "updating"  # logged in, but WeChat says "too frequent"
    PARKED = "parked", "stop"  # refused by WeChat, the process waits for a human
    DOWN = "down", "stop"  # wanted, but without a process
    STOPPED = "stopped", "stop"
    UNKNOWN = "unknown", ""

    def __init__(self, label: str, word: str) -> None:
        self.label = label
        self.word = word


# Where calls are answered with code -3.
LOGGED_OUT = (State.LOADING, State.SCANING, State.CONFIRMING, State.UPDATING, State.RELOGIN, State.PARKED)
LOGGED_IN = (State.SENDING, State.OFFLINE)
WITH_PROCESS = (State.RUNNING, *LOGGED_OUT, *LOGGED_IN)
# Nobody answers at the port.
WITHOUT_PROCESS = (State.INIT, State.DOWN, State.STOPPED, State.UNKNOWN)


@dataclass(frozen=True)
class Answer:
    """What came back, and after how long."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

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
    state: State
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
    accounts: dict[State, Account] = field(default_factory=dict)
    jsonp: Account = field(default_factory=lambda: Account(WITH_JSONP, State.RUNNING))
    spare: list[Account] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    waiting: dict[str, "Future[Answer]"] = field(default_factory=dict)  # requests that take their time
    digests: dict[str, str] = field(default_factory=dict)  # MD5 by media_id and URL
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def running(self) -> Account:
        return self.accounts[State.RUNNING]

    def unique(self, word: str) -> str:
        """Something nobody has said before."""
        return f"{word}{next(self._numbers)}"

    def later(self, work: Callable[[], T]) -> "Future[T]":
        """Do something beside the test."""
        return self.pool.submit(work)

    def ask(
        self,
        account: Account,
        way: Way,
        form: Form,
        path: str,
        given: Pairs = (),
        patience: float = PROMPT,
        method: str = "",
        query: Pairs = (),
    ) -> Answer:
        """Do one request; the answer must come within ``patience`` seconds.

        ``query`` are parameters that stay in the query whatever the form. Raises ConnectionRefusedError.
        """
        pairs = list(given)
        if way is Way.CONTROLLER and account.name:
            pairs.append(("client", account.name))
        url = (CONTROLLER if way is Way.CONTROLLER else f"http://127.0.0.1:{account.port}") + path
        body, headers = None, {}
        if form in (Form.GET, Form.HEAD):
            query, pairs = [*query, *pairs], []
        elif form is Form.FORM:
            body, headers = encoded(pairs), {"Content-Type": "application/x-www-form-urlencoded"}
        elif form is Form.JSON:
            body, headers = json.dumps(dict(pairs)).encode(), {"Content-Type": "application/json"}
        else:
            body, headers = multipart(pairs), {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
        url += "?" + encoded(query).decode() if query else ""
        self.tally.made[Asked(path, method or form.value, way.value, account.state.label)] += 1
        began = time.monotonic()
        status, got, content = self.host.http(method or form.method, url, body, headers, timeout=patience + 10)
        answer = Answer(status, got, content, time.monotonic() - began)
        assert answer.seconds < patience, (path, f"answered after {answer.seconds:.1f} s", answer)
        assert status != 500, answer
        # No page from elsewhere may read an answer (5.3 no. 43).
        assert "Access-Control-Allow-Origin" not in got, answer
        assert got["Server"] in ("wxcontroller", "wxclient")
        if answer.content_type == "application/json" and content:
            assert content == as_the_original(answer.json), answer
        return answer

    @contextlib.contextmanager
    def uncounted(self) -> Iterator[None]:
        """Requests of the block are no part of the contract."""
        kept, self.tally = self.tally, Tally()
        try:
            yield
        finally:
            self.tally = kept

    def direct(self, account: Account, call: str, **given: str) -> Json:
        """What a check needs to know or to prepare: a call of an account's own, not counted."""
        query = encoded(list(given.items())).decode()
        status, _, body = self.host.http("GET", f"http://127.0.0.1:{account.port}/openwx/{call}?{query}")
        assert status == 200, (call, given, status, body)
        return json.loads(body)

    def put(self, account: Account, call: str, pairs: Pairs) -> Json:
        """The same with content."""
        headers = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
        url = f"http://127.0.0.1:{account.port}/openwx/{call}"
        return json.loads(self.host.http("POST", url, multipart(pairs), headers)[2])

    def side(self, account: Account) -> Json:
        """The account as WeChat has it."""
        return self.phone.world(account.uin)

    def friends(self, account: Account) -> list[Json]:
        """Its friends, at WeChat's side; the first one's remark and the like are left alone."""
        return [one for one in self.side(account)["contacts"] if one["kind"] == "friend"]

    def group(self, account: Account, identifier: str) -> Json:
        """One of its groups, at WeChat's side."""
        return next(one for one in self.side(account)["groups"] if one["username"] == identifier)

    @contextlib.contextmanager
    def fault(self, account: Account, endpoint: str, kind: str, value: Json = None) -> Iterator[None]:
        """Break an endpoint of WeChat for one account for the duration of a block."""
        made = self.order(endpoint, kind, value, account)
        try:
            yield
        finally:
            self.phone.call("DELETE", f"/faults/{made}")

    def order(self, endpoint: str, kind: str, value: Json = None, account: Account | None = None) -> str:
        body = {"endpoint": endpoint, "kind": kind, "value": value, "count": None}
        if account:
            body["uin"] = int(account.uin)
        return str(self.phone.call("POST", "/faults", body)["id"])

    def sent(self, account: Account, fits: Callable[[Json], bool], what: str) -> Json:
        """Something that the account has just sent, when it has arrived at WeChat."""

        def look() -> Json:
            for one in self.phone.sent(account.uin, account.sent, seconds=0):
                if fits(one):
                    account.sent = max(0, one["seq"] - 5)
                    return one
            return None

        return until(look, 10, f"{what} arrived at WeChat")


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
def made(host: Host, spare: int) -> Iterator[World]:
    """Make the world: log accounts in, hold each in its state; ``spare`` are accounts for one thing each."""
    use_sandbox(host)
    # Its own file, read last: what only the admin may set.
    host.write("/etc/wxcontroller/clients/with-jsonp.env", b"WXCLIENT_JSONP=1\n")
    host.write("/etc/wxcontroller/wxcontroller.toml.d/zz-media.toml", b"[client]\nmedia_private_urls = true\n")
    host.run("systemctl", "reload", "wxcontroller")
    with Webhook(host) as hook, ThreadPoolExecutor(100) as pool:
        world = World(host, Caller(host), Phone(host), hook, pool)
        world.spare = [Account(f"spare-{number}", State.RUNNING) for number in range(spare)]
        _log_in(world)
        yield world


def _log_in(world: World) -> None:
    names = {state: f"is-{state.label}" for state in State} | {State.RUNNING: RUNNING, State.UNKNOWN: UNKNOWN}
    for state, name in names.items():
        world.accounts[state] = Account(name, state)
    everybody = world.accounts
    for account in (world.running, world.jsonp, *(everybody[state] for state in (*LOGGED_IN, State.RELOGIN))):
        _enter(world, account)
        _somebody_with_everything(world, account)
    for account in world.spare:
        _enter(world, account)
    for state in (State.SCANING, State.CONFIRMING, State.UPDATING, State.PARKED):
        account = everybody[state]
        refused = {"web_login": "refused"} if state is State.PARKED else {}
        account.uin = world.phone.account(account.name, **refused)
        link = _shows_code(world, account)
        if state is State.SCANING:
            continue
        world.phone.scan(link, account.uin)
        if state is State.UPDATING:
            world.order("webwxinit", "drop", 600, account)
        if state is not State.CONFIRMING:
            world.phone.confirm(link)
    body = {"retcode": 1101, "forget": True}  # no push login: it shows a code
    world.phone.call("POST", f"/accounts/{everybody[State.RELOGIN].uin}/logout", body)
    world.caller.until_state(everybody[State.RELOGIN].name, State.RELOGIN.word)
    world.order("jslogin", "drop", 600)
    for state in (State.LOADING, State.DOWN, State.STOPPED):
        account = everybody[state]
        account.port = world.caller.openwx("start_client", client=account.name)["port"]
    world.caller.openwx("stop_client", client=everybody[State.STOPPED].name)
    world.host.run("systemctl", "stop", f"wxclient@{everybody[State.DOWN].name}")
    _keep_starting(world, everybody[State.INIT])
    for state in (State.OFFLINE, State.RELOGIN):
        world.direct(everybody[state], "check_event")  # what there was
    world.order("synccheck", "retcode", 1205, everybody[State.OFFLINE])
    # Ends the poll that is under way, and is no event of the default list.
    _change_a_remark(world, everybody[State.OFFLINE], "the last you hear")
    for state in (State.INIT, *LOGGED_OUT, *LOGGED_IN):
        world.caller.until_state(everybody[state].name, state.word)


def _enter(world: World, account: Account) -> None:
    """Log an account in that has friends and groups."""
    account.uin = world.phone.account(account.name, seed=7, friends=40)
    log_in(world.caller, world.phone, account.name, account.uin, post_api=world.hook.address)
    account.port = world.caller.account(account.name)["port"]
    _groups(world, account)


def _keep_starting(world: World, account: Account) -> None:
    folder = f"/run/systemd/system/wxclient@{account.name}.service.d"
    world.host.run("mkdir", "-p", folder)
    content = b"[Service]\nExecStartPre=+/usr/bin/sleep infinity\nTimeoutStartSec=infinity\n"
    world.host.write(f"{folder}/forever.conf", content)
    world.host.run("systemctl", "daemon-reload")
    world.host.run("systemctl", "start", "--no-block", f"wxclient@{account.name}")
    world.caller.until_state(account.name, State.INIT.word)
    account.port = world.caller.account(account.name)["port"]


def _shows_code(world: World, account: Account) -> str:
    # With one way in only, its refusal is final.
    answer = world.caller.openwx("start_client", client=account.name, desktop="off")
    assert answer["code"] == 0, answer
    account.port = answer["port"]
    world.caller.until_state(account.name, "scaning")
    _, qr = world.caller.v1("GET", f"/accounts/{quote(account.name, safe='')}/qr")
    return world.phone.login_of(qr["link"])


def _somebody_with_everything(world: World, account: Account) -> None:
    """Give a friend who has an alias a remark too: with it each attribute finds somebody."""
    friends = world.direct(account, "get_friend_info")
    person = next(one for one in friends if one["account"] and one["category"] == "好友")
    _change_a_remark(world, account, "老朋友", person["id"])
    until(lambda: isinstance(world.direct(account, "search_friend", markname="老朋友"), list), what="the remark")


def _change_a_remark(world: World, account: Account, remark: str, who: str = "") -> None:
    person = who or world.friends(account)[0]["username"]
    world.phone.call("POST", f"/accounts/{account.uin}/change", {"who": person, "remark": remark})


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


def path_of(row: Row) -> str:
    """Where a row is asked: a rule at some path that it covers."""
    return {"/openwx/*": "/openwx/no_such_call", "/*": "/foo/bar"}.get(row.path, row.path)
