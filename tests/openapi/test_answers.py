"""Every call of /v1, on a controller with accounts that are logged in at the sandbox: answers are as described."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from email.utils import formatdate
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from tests.openapi.validating import Judge
from tests.openapi.world import World, world
from tests.patience import PATIENCE
from tests.unit.controller.test_alerts import Watched
from tests.unit.controller.test_journal import helper, line
from wxcontroller.controller.hosts import other_hosts
from wxcontroller.controller.units import UnitRecord
from wxcontroller.controller.v1.described import openapi as of_controller
from wxcontroller.core import access
from wxcontroller.core.access import CALLER_HEADER, Scope
from wxcontroller.core.fleetsettings import EtcdSettings, FleetSettings, HostSettings
from wxcontroller.core.jsontypes import JsonObject, JsonValue, items, obj, text
from wxcontroller.core.states import UnitState
from wxcontroller.core.tokens import TokenFile, minted
from wxcontroller.fleet.hop import HopCaller
from wxcontroller.fleet.promises import Promises
from wxcontroller.sandbox.account import WebLogin
from wxcontroller.sandbox.faults import FaultKind

# The controller answers these itself, after it has asked the account's port.
ANSWERED_BY_THE_CONTROLLER = {"/v1/accounts/{name}/options", "/v1/accounts/{name}/logout"}

pytestmark = pytest.mark.asyncio(loop_scope="module")


JSON_TYPE = {"Content-Type": "application/json"}


@dataclass
class Caller:
    """Calls by method and path as they are described, and has the answers judged."""

    made: World
    web: aiohttp.ClientSession
    judge: Judge
    port: int

    async def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        own_port: bool = False,
        **parts: str,
    ) -> tuple[int, JsonValue]:
        base = f"http://127.0.0.1:{self.port}" if own_port else self.made.url
        url = URL(base).with_path(path.format(**parts)).with_query(query or {})
        as_json = path.startswith("/v1") and body is not None and not isinstance(body, bytes)
        data = json.dumps(body) if as_json else body
        async with self.web.request(method, url, data=data, headers=headers) as answer:
            content, kind = await answer.read(), answer.headers.get("Content-Type", "")
        self.judged(method, path, answer.status, kind, content, own_port)
        value: JsonValue = json.loads(content) if "json" in kind else None
        return answer.status, value

    def judged(self, method: str, path: str, status: int, kind: str, content: bytes, own_port: bool) -> None:
        """Hold an answer against the document; one of an account's own port as the controller would pass it on."""
        if own_port and path.startswith("/v1/"):
            path = path.replace("/v1/", "/v1/accounts/{name}/")
            if method.lower() not in obj(self.judge.paths.get(path)) or path in ANSWERED_BY_THE_CONTROLLER:
                return
        self.judge.judge(method, path, status, kind, content)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def caller(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Caller]:
    place = tmp_path_factory.mktemp("world")
    async with world(place, max_clients=4, ilink_serve=True) as made, aiohttp.ClientSession() as web:
        await made.account("alice")
        yield Caller(made, web, Judge(of_controller()), made.accounts.registry.all()["alice"].port)


# -- /v1


async def test_trials(caller: Caller) -> None:
    assert (await caller.call("POST", "/v1/accounts/{name}/webhook/test", name="alice"))[0] == 409
    for body in (None, {"proxy": "http://127.0.0.1:9"}):
        assert (await caller.call("POST", "/v1/accounts/{name}/proxy/test", body=body, name="alice"))[0] == 200
    refused = {"proxy": "ftp://x"}
    assert (await caller.call("POST", "/v1/accounts/{name}/proxy/test", body=refused, name="alice"))[0] == 400


async def login_links(caller: Caller) -> None:
    """Make, use, list and revoke a link of bob, who waits for a scan; alice does not."""
    status, link = await caller.call("POST", "/v1/accounts/{name}/login-links", name="bob")
    assert status == 201
    shown = {"X-Login-Link": text(obj(link)["url"]).partition("#")[2], "X-Login-Browser": "a" * 64}
    assert (await caller.call("GET", "/v1/login-code", headers=shown))[0] == 200
    taken = {**shown, "X-Login-Browser": "b" * 64}
    assert (await caller.call("GET", "/v1/login-code", headers=taken))[0] == 403
    assert (await caller.call("GET", "/v1/login-links"))[0] == 200
    path, number = "/v1/accounts/{name}/login-links/{id}", text(obj(link)["id"])
    assert (await caller.call("DELETE", path, name="bob", id=number))[0] == 200
    assert (await caller.call("DELETE", path, name="bob", id=number))[0] == 410
    assert (await caller.call("POST", "/v1/accounts/{name}/login-links", name="alice"))[0] == 409


async def test_accounts_are_seen_started_and_stopped(caller: Caller) -> None:
    assert (await caller.call("GET", "/v1/openapi.json"))[0] == 200
    assert (await caller.call("GET", "/v1/access"))[0] == 200
    assert (await caller.call("GET", "/v1/health"))[0] == 200
    path, root = "/v1/accounts/{name}/start", "/v1/accounts/{name}/options"
    wanted = {"en_US": {"options": {"lang": "en_US"}}, "zh_CN": {"lang": "zh_CN"}}
    for lang, body in wanted.items():  # as POST /v1/accounts has it, and as it was
        assert (await caller.call("POST", path, body=body, name="bob"))[0] == 200
        options = obj(obj((await caller.call("GET", root, name="bob"))[1])["options"])
        assert obj(options["lang"])["value"] == lang
    wrong = {"options": [1]}
    status, _ = await caller.call("POST", path, body=wrong, name="bob")
    assert status == 400
    assert (await caller.call("POST", "/v1/accounts/{name}/start", name="bob"))[0] == 200
    for name in ("alice", "bob"):
        assert (await caller.call("GET", "/v1/accounts/{name}", name=name))[0] == 200
    async with asyncio.timeout(PATIENCE):
        while (await caller.call("GET", "/v1/accounts/{name}/qr", name="bob"))[0] == 404:  # it waits for its code
            await asyncio.sleep(0.05)
    for form in ("json", "svg", "png", "txt"):
        status, _ = await caller.call("GET", "/v1/accounts/{name}/qr", {"format": form}, name="bob")
        assert status == 200
    await login_links(caller)
    assert (await caller.call("POST", "/v1/accounts/{name}/restart", name="bob"))[0] == 200
    assert (await caller.call("POST", "/v1/accounts/{name}/stop", name="bob"))[0] == 200
    assert (await caller.call("GET", "/v1/accounts"))[0] == 200
    assert (await caller.call("DELETE", "/v1/accounts/{name}", name="bob"))[0] == 200


async def test_accounts_that_are_not_there(caller: Caller) -> None:
    for method, path in caller.judge.operations():
        if "{name}" in path and not path.endswith("/start"):
            for name in ("nobody", ".bad"):
                status, answer = await caller.call(method, path, name=name, id="0badcafe-1", file="x", consumer="c")
                assert (status in (400, 404), bool(obj(obj(answer)["error"])["remedy"])) == (True, True)
        elif path.startswith("/openwx/") and not path.endswith("start_client"):
            for query in ({}, {"client": ""}, {"client": "nobody"}, {"client": "."}):
                assert (await caller.call(method, path, query))[0] == 200


async def test_systemd_that_does_not_answer(caller: Caller) -> None:
    caller.made.units.broken = True
    try:
        assert (await caller.call("GET", "/v1/health"))[0] == 503
        assert (await caller.call("GET", "/v1/accounts"))[0] == 502
        assert (await caller.call("GET", "/v1/accounts/{name}", name="alice"))[0] == 502
    finally:
        caller.made.units.broken = False


# -- the event log


async def first_of(
    caller: Caller, path: str, query: Mapping[str, str], own_port: bool = False, **parts: str
) -> bytes:
    """Open a stream and return its beginning."""
    base = f"http://127.0.0.1:{caller.port}" if own_port else caller.made.url
    url = URL(base).with_path(path.format(**parts)).with_query(query)
    async with asyncio.timeout(PATIENCE), caller.web.get(url, headers={"Accept": "text/event-stream"}) as answer:
        kind, begun = answer.headers["Content-Type"], await answer.content.readuntil(b"\n\n")
        caller.judged("GET", path, answer.status, kind, begun, own_port)
        return begun


async def test_events_as_a_stream_and_as_pages(caller: Caller) -> None:
    assert b"event: open" in await first_of(caller, "/v1/events", {}, own_port=True)
    assert await first_of(caller, "/v1/events", {"account": "alice", "types": "friend_message"})
    for query in ({}, {"limit": "1"}, {"after": "0", "types": "login"}, {"since": "1"}):
        assert (await caller.call("GET", "/v1/events", query, own_port=True))[0] == 200
    for refused in ({"limit": "many"}, {"after": "x"}, {"since": "-1"}):
        assert (await caller.call("GET", "/v1/events", refused, own_port=True))[0] == 400
    assert (await caller.call("GET", "/v1/events", {"cursor": "none"}))[0] == 400
    assert (await caller.call("GET", "/v1/events", {"account": ".bad"}))[0] == 400

    path = "/v1/accounts/{name}/events"
    for query in ({}, {"limit": "1"}, {"after": "0"}):
        assert (await caller.call("GET", path, query, name="alice"))[0] == 200
    assert (await caller.call("GET", path, {"after": "x"}, name="alice"))[0] == 400
    assert b"retry: " in await first_of(caller, "/v1/accounts", {})


async def test_the_end_of_a_journal(caller: Caller) -> None:
    path = "/v1/accounts/{name}/journal"
    assert (await caller.call("GET", path, name="alice"))[0] == 503  # nobody reads it here
    async with helper(caller.made.paths, line("logged in", PRIORITY="6", WX_EVENT="login")):
        assert (await caller.call("GET", path, {"lines": "5"}, name="alice"))[0] == 200
        assert (await caller.call("GET", path, {"lines": "many"}, name="alice"))[0] == 400
        assert b"retry: " in await first_of(caller, path, {"lines": "0"}, name="alice")


CHOICES: list[tuple[bytes | JsonValue, int]] = [
    ({"all": True}, 200),
    ({"state": "dead"}, 200),
    ({"ids": ["no-such"]}, 404),
    ({"state": "lively"}, 400),
    ({"no_such": 1}, 400),
    (b"{", 400),
    (b"", 400),
    (b" " * 1_100_000, 413),
]


@pytest.mark.parametrize("own_port", [False, True], ids=["controller", "account"])
async def test_deliveries_are_seen_replayed_and_purged(caller: Caller, own_port: bool) -> None:
    async with refusing() as address:
        await caller.call("GET", "/openwx/start_client", {"client": "vera", "post_api": address})
        assert (await caller.call("POST", "/v1/accounts/{name}/webhook/test", name="vera"))[0] == 200
        port = caller.made.accounts.registry.all()["vera"].port
        other = replace(caller, port=port, judge=caller.judge)
        root = "/v1" if own_port else "/v1/accounts/{name}"

        async def ask(method: str, rest: str, **more: Any) -> tuple[int, JsonValue]:
            return await other.call(method, f"{root}/deliveries{rest}", own_port=own_port, name="vera", **more)

        async with asyncio.timeout(PATIENCE):
            while not (dead := items(obj((await ask("GET", "", query={"state": "dead"}))[1])["deliveries"])):
                await asyncio.sleep(0.05)
        assert (await ask("GET", "/{id}", id=text(obj(dead[0])["id"])))[0] == 200
        assert (await ask("GET", "/{id}", id="0badcafe-1"))[0] == 404
        assert (await ask("GET", "", query={"limit": "0"}))[0] == 200
        assert (await ask("GET", "", query={"state": "lively"}))[0] == 400
        every: JsonValue = {"all": True}
        assert (await ask("POST", "/ack", body=every))[0] == 200
        for body, status in CHOICES:
            for verb in ("/replay", "/purge"):
                assert (await ask("POST", verb, body=body))[0] == status
        assert (await caller.call("GET", "/v1/deliveries"))[0] == 200
    await caller.call("DELETE", "/v1/accounts/{name}", name="vera")
    status, _ = await caller.call("POST", "/v1/accounts/{name}/deliveries/replay", body=every, name="alice")
    assert status == 409  # no post_api


async def test_typing_is_shown_where_a_route_has_that(caller: Caller) -> None:
    path = "/v1/accounts/{name}/typing"
    typing = {"peer": "filehelper", "on": True}
    wrong = {"peer": 7}
    status, answer = await caller.call("POST", path, body=typing, name="alice")
    assert (status, obj(answer)["shown"]) == (200, False)  # the web route
    assert (await caller.call("POST", path, body=wrong, name="alice"))[0] == 400
    assert (await caller.call("POST", "/v1/typing", body=typing, own_port=True))[0] == 200
    assert (await caller.call("POST", "/v1/typing", body=[], own_port=True))[0] == 400


async def test_messages_are_sent_read_and_recalled_through_the_controller(caller: Caller) -> None:
    root, alice = "/v1/accounts/{name}", "alice"
    assert (await caller.call("GET", f"{root}/contacts", name=alice))[0] == 200
    status, answer = await caller.call("GET", f"{root}/groups", name=alice)
    group = text(obj(items(obj(answer)["groups"])[0])["id"])
    assert (await caller.call("GET", f"{root}/groups/{{id}}/members", id=group, name=alice))[0] == 200
    message = {"to": group, "text": "hello"}
    key = {"Content-Type": "application/json", "Idempotency-Key": "messages-1"}
    status, sent = await caller.call("POST", f"{root}/messages", body=message, headers=key, name=alice)
    assert (status, obj(sent)["state"]) == (200, "delivered"), sent
    assert (await caller.call("POST", f"{root}/messages", body=message, headers=key, name=alice))[1] == sent
    other = {"to": group, "text": "hello again"}
    assert (await caller.call("POST", f"{root}/messages", body=other, headers=key, name=alice))[0] == 422
    later = {"to": "filehelper", "text": "later", "wait": 0}
    status, waiting = await caller.call("POST", f"{root}/messages", body=later, headers=JSON_TYPE, name=alice)
    assert status in (200, 202), waiting
    # More than other calls of /v1 take: an upload streams through.
    form = aiohttp.FormData({"to": "filehelper"})
    form.add_field("file", bytes(3 << 20), filename="zeros.bin")
    async with caller.web.post(f"{caller.made.url}/v1/accounts/alice/messages", data=form) as uploading:
        assert (uploading.status, (await uploading.json())["state"]) == (200, "delivered")
    identifier = text(obj(sent)["id"])
    status, found = await caller.call("GET", f"{root}/messages/{{id}}", id=identifier, name=alice)
    assert (status, obj(found)["text"]) == (200, "hello")
    status, page = await caller.call("GET", f"{root}/messages", {"chat": group, "limit": "1"}, name=alice)
    assert [obj(one)["id"] for one in items(obj(page)["messages"])] == [identifier]
    assert (await caller.call("GET", f"{root}/chats", name=alice))[0] == 200
    for status in (200, 200):  # a repetition changes nothing
        assert (await caller.call("DELETE", f"{root}/messages/{{id}}", id=identifier, name=alice))[0] == status
    wrong = {"to": "nobody", "text": "x"}
    assert (await caller.call("POST", f"{root}/messages", body=wrong, headers=JSON_TYPE, name=alice))[0] == 404
    assert (await caller.call("POST", f"{root}/messages", body=b"to=x", name=alice))[0] == 415


async def test_sends_that_wait_are_listed_and_given_up(caller: Caller) -> None:
    root = "/v1/accounts/{name}/sends"
    take_back = caller.made.wechat.fault("webwxsendmsg", FaultKind.DELAY, 5.0)
    for number in range(3):
        form = {"client": "alice", "id": "filehelper", "content": str(number), "async": "1"}
        assert (await caller.call("GET", "/openwx/send_friend_message", form))[0] == 200
    [*_, last] = items(obj((await caller.call("GET", root, name="alice"))[1])["sends"])
    take_back()
    one = text(obj(last)["id"])
    assert (await caller.call("GET", root + "/{id}", name="alice", id=one))[0] == 200
    assert (await caller.call("DELETE", root + "/{id}", name="alice", id=one))[0] == 200
    assert (await caller.call("DELETE", root + "/{id}", name="alice", id=one))[0] == 404


@contextlib.asynccontextmanager
async def refusing() -> AsyncIterator[str]:
    """A webhook that wants nothing, ever."""

    async def never(_: web.Request) -> web.Response:
        return web.Response(status=410)

    app = web.Application()
    app.router.add_post("/", never)
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


async def test_received_media(caller: Caller) -> None:
    place = caller.made.units.running["alice"].client.config.media_dir
    place.mkdir(parents=True, exist_ok=True)
    name = f"mojo_weixin_media_20260101000000_{'0' * 16}.jpg"
    (place / name).write_bytes(b"\xff\xd8\xff" + bytes(100))
    known = formatdate(time.time() + 60, usegmt=True)
    headers: list[tuple[dict[str, str], int]] = [
        ({}, 200),
        ({"Range": "bytes=0-9"}, 206),
        ({"Range": "bytes=900-"}, 416),
        ({"If-Modified-Since": known}, 304),
    ]
    path = "/v1/accounts/{name}/media/{file}"
    for given, status in headers:
        assert (await caller.call("GET", "/v1/media/{file}", headers=given, own_port=True, file=name))[0] == status
        assert (await caller.call("GET", path, headers=given, name="alice", file=name))[0] == status
    for other in ("x", "cookies.json"):
        assert (await caller.call("GET", path, name="alice", file=other))[0] == 404


@contextlib.asynccontextmanager
async def taking_in(caller: Caller, answer: bytes, take: int = -1) -> AsyncIterator[None]:
    """Answer as root's program that takes in accounts of other hosts, after ``take`` bytes or all."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await (reader.read() if take < 0 else reader.readexactly(take))
        writer.write(answer)
        await writer.drain()
        while await reader.read(1 << 16):
            pass
        writer.close()

    socket = caller.made.accounts.paths.receive_socket
    socket.parent.mkdir(parents=True, exist_ok=True)
    async with await asyncio.start_unix_server(serve, socket):
        yield
    socket.unlink(missing_ok=True)


async def test_a_fleet(caller: Caller) -> None:
    made = caller.made
    assert (await caller.call("GET", "/v1/fleet"))[0] == 200
    shown, kept = minted("b", Scope.FLEET, (), None)
    TokenFile(made.paths.tokens_file).add(kept)
    (made.paths.root / "token").write_text(shown)
    hop = {CALLER_HEADER: str(HopCaller("b", Scope.FLEET, None, "b")), "Authorization": f"Bearer {shown}"}
    assert (await caller.call("GET", "/v1/fleet/self", headers=hop))[0] == 403
    other = HostSettings("b", "https://127.0.0.1:9", str(made.paths.root / "token"))
    made.shared.fleet = other_hosts(made.shared, made.paths, FleetSettings("a", "", (other,)))
    try:
        for path, headers in (("/v1/fleet", {}), ("/v1/fleet/self", hop), ("/v1/accounts", {}), ("/v1/health", {})):
            assert (await caller.call("GET", path, headers=headers))[0] == 200
        bundle = b'{"name": "eve", "host": "b", "epoch": 1, "at": 1795600000, "bytes": 4711}\n'
        for to, answer, status in (("nowhere", b"", 409), ("a", b"{}", 409), ("a", bundle, 200)):
            async with taking_in(caller, answer):
                path = "/v1/standbys/{account}"
                assert (await caller.call("PUT", path, {"to": to}, body=b"sealed", account="eve"))[0] == status
        etcd = EtcdSettings(("http://127.0.0.1:9",), failsafe=True)
        made.shared.fleet = other_hosts(made.shared, made.paths, FleetSettings("a", "", (other,), etcd))
        made.paths.controller_runtime.mkdir(parents=True, exist_ok=True)
        Promises(made.paths.controller_runtime / "promises", 0.0).give("b", 7, 60.0)
        for lease, status in ((7, 200), (8, 409)):
            asked = {"lease": lease, "seconds": 30}
            assert (await caller.call("POST", "/v1/fleet/failsafe", body=asked, headers=hop))[0] == status
        assert (await caller.call("GET", "/v1/fleet"))[0] == 200
    finally:
        made.shared.fleet = None
        TokenFile(made.paths.tokens_file).revoke("b")


async def test_an_account_leaves_and_comes(caller: Caller) -> None:
    path, move = "/v1/departures/{account}", {"id": "5f2c"}
    added = {"name": "eve", "epoch": 2, "arrived": "1"}
    assert (await caller.call("POST", "/v1/accounts", body=added))[0] == 201
    for body, status in (({"to": "host-b"}, 400), ({"to": "host-b", "id": "5f2c"}, 200)):
        assert (await caller.call("PUT", path, body=body, account="eve"))[0] == status
    assert (await caller.call("POST", "/v1/accounts/{name}/start", name="eve"))[0] == 409
    assert (await caller.call("GET", "/v1/arrivals/{account}", account="eve"))[0] == 200
    assert (await caller.call("DELETE", path, {"id": "other"}, account="eve"))[0] == 409
    assert (await caller.call("DELETE", path, move, account="eve"))[0] == 200
    assert (await caller.call("POST", path, move, account="eve"))[0] == 409
    sent = {"to": "host-b", "id": "5f2c", "sent": True}
    assert (await caller.call("PUT", path, body=sent, account="eve"))[0] == 200
    assert (await caller.call("POST", path, move, account="eve"))[0] == 200
    assert (await caller.call("GET", "/v1/arrivals/{account}", account="eve"))[0] == 200
    assert (await caller.call("PUT", "/v1/arrivals/{account}", body=b"sealed", account="eve"))[0] == 409
    refusal = b'{"error": {"code": "locked", "message": "the passphrase is wrong", "remedy": "correct it"}}\n'
    async with taking_in(caller, refusal, 100):
        status, refused = await caller.call("PUT", "/v1/arrivals/{account}", body=b"x" * 20_000_000, account="alice")
    assert (status, "the passphrase is wrong" in text(obj(obj(refused)["error"])["message"])) == (409, True)
    async with taking_in(caller, b'{"name": "alice"}\n'):
        assert (await caller.call("PUT", "/v1/arrivals/{account}", body=b"sealed", account="alice"))[0] == 201
    assert (await caller.call("POST", "/v1/arrivals/{account}", move, account="alice"))[0] == 409
    given = {"name": "eve", "epoch": 9, "arrived": "5f2c"}
    assert (await caller.call("POST", "/v1/accounts", body=given))[0] == 201
    assert (await caller.call("DELETE", "/v1/arrivals/{account}", move, account="eve"))[0] == 200
    assert (await caller.call("POST", "/v1/accounts", body=given))[0] == 201
    assert (await caller.call("POST", "/v1/arrivals/{account}", move, account="eve"))[0] == 200
    assert (await caller.call("DELETE", "/v1/arrivals/{account}", move, account="eve"))[0] == 409
    assert (await caller.call("DELETE", "/v1/accounts/{name}", name="eve"))[0] == 200


async def test_accounts_are_added_changed_and_logged_out(caller: Caller) -> None:
    assert (await caller.call("GET", "/v1/health/units"))[0] == 200
    assert (await caller.call("GET", "/v1/tokens"))[0] == 200
    for body, status in (({"name": "ida", "options": {"lang": "en_US"}}, 201), ({"name": "."}, 400), ({"x": 1}, 400)):
        assert (await caller.call("POST", "/v1/accounts", body=body))[0] == status
    path = "/v1/accounts/{name}/options"
    assert (await caller.call("GET", path, name="ida"))[0] == 200
    for change, status in (({"send_interval": "5"}, 200), ({"send_interval": None}, 200), ({"no_such": "1"}, 400)):
        assert (await caller.call("PATCH", path, body=change, name="ida"))[0] == status
    assert (await caller.call("POST", "/v1/accounts/{name}/logout", name="ida"))[0] == 409  # it does not run
    await caller.call("GET", "/openwx/start_client", {"client": "ida"})
    assert (await caller.call("POST", "/v1/accounts/{name}/logout", name="ida"))[0] == 200
    await caller.call("DELETE", "/v1/accounts/{name}", name="ida")


@pytest.mark.parametrize("own_port", [False, True])
async def test_an_account_that_wechat_refuses_waits_for_its_owners_consent(caller: Caller, own_port: bool) -> None:
    made, name = caller.made, "refused-own" if own_port else "refused"
    person = made.wechat.sandbox.add_account(web_login=WebLogin.DESKTOP)
    await caller.call("GET", "/openwx/start_client", {"client": name})
    path, port = "/v1/accounts/{name}", made.accounts.registry.all()[name].port
    asked = replace(caller, port=port) if own_port else caller
    answer = "/v1/input" if own_port else f"{path}/input"

    async def told(question: bool) -> JsonObject:
        async with asyncio.timeout(PATIENCE):
            while bool((found := obj((await caller.call("GET", path, name=name))[1]))["input"]) is not question:
                await asyncio.sleep(0.02)
        return found

    yes = {"id": "allow-desktop", "value": "yes"}
    assert (await asked.call("POST", answer, body=yes, own_port=own_port, name=name))[0] == 409
    assert not (await made.scan(name, person)).desktop
    account = await told(question=True)
    assert (account["login_state"], account["state"], account["qrcode"]) == ("parked", "stop", False)
    assert "about two weeks" in text(account["reason"])
    assert (await caller.call("GET", f"{path}/qr", name=name))[0] == 404
    assert (await replace(caller, port=port).call("GET", "/v1/status", own_port=True))[0] == 200
    for wrong, status in (
        ({"id": "allow-desktop", "value": "no"}, 400),
        ([], 400),
        ({"id": "x", "value": "yes"}, 409),
    ):
        assert (await asked.call("POST", answer, body=wrong, own_port=own_port, name=name))[0] == status
    assert (await asked.call("POST", answer, body=yes, own_port=own_port, name=name))[0] == 200
    await told(question=False)
    assert (await made.scan(name, person)).desktop
    async with asyncio.timeout(PATIENCE):
        while (await told(question=False))["state"] != "running":
            await asyncio.sleep(0.02)
    await caller.call("DELETE", path, name=name)


# -- agents


async def test_agents_pair_and_are_removed(caller: Caller) -> None:
    url = URL(f"{caller.made.url}/ilink/bot/get_bot_qrcode")
    codes = []
    for _ in range(2):
        async with caller.web.get(url) as asked:
            codes.append((await asked.json())["qrcode_img_content"].rpartition("/")[2])
    one, other = codes
    path = "/v1/ilink/pairings/{code}"
    assert (await caller.call("GET", "/v1/ilink/pairings"))[0] == 200
    assert (await caller.call("GET", path, code=one))[0] == 200
    assert (await caller.call("DELETE", path, code=other))[0] == 200
    for body, status in (
        ({"account": "nobody", "consumer": "helper"}, 404),
        ({"account": "alice", "consumer": "helper", "when_held": "never"}, 400),
        ({"account": "alice", "consumer": "helper", "when_held": "drop"}, 200),
    ):
        assert (await caller.call("POST", path, body=body, code=one))[0] == status
    root = "/v1/accounts/{name}/consumers"
    for options, status in (({"groups": "at", "peers": "all"}, 200), ({"no_such": 1}, 400), ({"token": True}, 200)):
        made = await caller.call("PUT", root + "/{consumer}", body=options, name="alice", consumer="helper")
        assert made[0] == status
    status, listed = await caller.call("GET", root, name="alice")
    assert [obj(row)["name"] for row in items(obj(listed)["consumers"])] == ["helper"]
    status, shown = await caller.call("GET", "/v1/accounts/{name}", name="alice")
    assert [obj(row)["name"] for row in items(obj(shown)["consumers"])] == ["helper"]
    status, every = await caller.call("GET", "/v1/ilink/consumers")
    assert [obj(row)["account"] for row in items(obj(every)["consumers"])] == ["alice"]
    for status in (200, 404):
        assert (await caller.call("DELETE", root + "/{consumer}", name="alice", consumer="helper"))[0] == status


# -- alerts


async def test_alerts_are_told_and_tried(caller: Caller) -> None:
    for method, path in (("GET", "/v1/alerts"), ("POST", "/v1/alerts/test")):
        assert (await caller.call(method, path))[0] == (200 if method == "GET" else 409)
    host = caller.made
    settings = host.accounts.settings
    watched = Watched(host)
    host.shared.alerts = watched.watch
    try:
        await caller.call("GET", "/openwx/start_client", {"client": "otto"})
        await host.units.kill("otto", UnitRecord("otto", UnitState.FAILED, "failed"))
        await watched.live(900)
        status, answer = await caller.call("GET", "/v1/alerts")
        assert status == 200
        assert items(obj(answer)["problems"])
        assert (await caller.call("POST", "/v1/alerts/test"))[0] == 200
    finally:
        host.accounts.settings, host.shared.alerts = settings, None
        await caller.call("DELETE", "/v1/accounts/{name}", name="otto")


async def test_notification_targets(caller: Caller) -> None:
    body = {"name": "ops", "account": "alice", "peer": "filehelper"}
    assert (await caller.call("POST", "/v1/targets", body=body))[0] == 201
    refused = [(body, 409), ({**body, "name": "x", "account": "nobody"}, 404), ({"name": 1}, 400)]
    for wrong, status in refused:
        assert (await caller.call("POST", "/v1/targets", body=wrong))[0] == status
    assert (await caller.call("GET", "/v1/targets"))[0] == 200
    assert (await caller.call("GET", "/v1/targets/{target}", target="ops"))[0] == 200
    assert (await caller.call("DELETE", "/v1/targets/{target}", target="ops"))[0] == 200
    for method in ("GET", "DELETE"):
        assert (await caller.call(method, "/v1/targets/{target}", target="ops"))[0] == 404


# -- the old API


async def test_an_account_that_does_not_answer(caller: Caller) -> None:
    await caller.call("GET", "/openwx/start_client", {"client": "erna"})
    record = caller.made.units.records["erna"]
    await caller.made.units.kill("erna", record)
    passed_on = {(method, endpoint.path) for endpoint in access.ACCOUNT for method in endpoint.methods}
    passed_on -= {("GET", "/openwx/stop_client")}  # that is the controller's own
    for method, path in caller.judge.operations():
        if (method, path) in passed_on:
            assert (await caller.call(method, path, {"client": "erna"}))[0] == 502
    await caller.call("DELETE", "/v1/accounts/{name}", name="erna")


# -- an account's own port


async def test_an_accounts_own_port(caller: Caller) -> None:
    assert (await caller.call("GET", "/v1/status", own_port=True))[0] == 200
    for name in ("get_user_info", "get_client_info", "get_friend_info", "get_group_info", "get_group_basic_info"):
        assert (await caller.call("GET", f"/openwx/{name}", own_port=True))[0] == 200
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/x-www-form-urlencoded"}
    table = [*access.ACCOUNT, *access.OWN_PORT]
    for method, path in ((method, endpoint.path) for endpoint in table for method in endpoint.methods):
        parts: dict[str, Any] = {"id": "0badcafe-1", "file": "x", "name": "helper"}
        foreign = await caller.call(method, path, headers={"Origin": "https://evil.example"}, own_port=True, **parts)
        assert foreign[0] == 403
        many = {f"X-{number}": "y" for number in range(110)}
        assert (await caller.call(method, path, headers=many, own_port=True, **parts))[0] == 431
        if method == "POST" and path not in ("/v1/logout", "/v1/keep-user", "/v1/webhook/test"):  # which take nothing
            assert (await caller.call(method, path, body=b"x", headers=headers, own_port=True))[0] == 415


async def test_every_operation_was_seen_to_work(caller: Caller) -> None:
    """Comes last: what was called above. The answers of /openwx are for the tests of the contract."""
    described = [one for one in caller.judge.operations() if one[1].startswith("/v1/")]
    assert [one for one in described if not {200, 201} & caller.judge.statuses(*one)] == []
