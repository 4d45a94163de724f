"""Authentication: tokens, their scopes and accounts, and where a token may appear."""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yarl
from multidict import CIMultiDict

from tests.patience import PATIENCE
from tests.tokens import bearer, token
from tests.unit.controller.machine import ROOT_TOKEN, Machine, fixed, judge
from wxcontroller.controller.account_port import eventhub
from wxcontroller.controller.apis.v1.index import ENDPOINTS
from wxcontroller.controller.edge import streams
from wxcontroller.controller.edge.authorization import PASSED_ON
from wxcontroller.controller.page.assets import bundle
from wxcontroller.core.access import rights
from wxcontroller.core.access.rights import About, Endpoint, Scope
from wxcontroller.core.access.tokenfile import KEPT_SCOPES, TokenFile
from wxcontroller.core.config.limits import DEFAULTS
from wxcontroller.core.jsontypes import field


def token_of_each_scope(host: Machine) -> dict[Scope, str]:
    """Make a token of each scope that the file may have; the agent's is bound to alice."""
    return {scope: token(host, scope, *(("alice",) if scope is Scope.ILINK else ())) for scope in KEPT_SCOPES}


def digest() -> str:
    """Return the digest in the URLs of the page's files; needs a controller that has started."""
    return bundle().digest


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> object:
        """The code of a refusal, None if the call succeeded."""
        try:
            answer = json.loads(self.body)
        except ValueError:
            return None
        if not isinstance(answer, dict):
            return None
        return answer["error"]["code"] if "error" in answer else answer.get("code")

    @property
    def refused(self) -> bool:
        return self.code in (-6, "no-token", "bad-token", "expired-token", "not-allowed", "too-many-failures")


async def ask(
    host: Machine, method: str, path: str, headers: Mapping[str, str] | None = None, **more: object
) -> Answer:
    async with host.http.request(method, yarl.URL(path, encoded=True), headers=headers, **more) as answer:  # type: ignore[arg-type]
        return Answer(answer.status, answer.headers, await answer.read())


async def test_every_route_is_in_the_table_and_every_line_of_it_is_a_route(host: Machine) -> None:
    """A new route needs its scope."""
    routes = {
        (route.method, rights.call_path(route.resource.canonical))
        for route in host.app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    lines = {(method, endpoint.path) for endpoint in ENDPOINTS for method in endpoint.methods}
    assert len(lines) == sum(len(endpoint.methods) for endpoint in ENDPOINTS)
    # Forwarded calls have their own table, and the root of the old API answers "api not found".
    catch_alls = {("*", PASSED_ON), ("*", "/openwx")}
    assert routes - catch_alls == lines
    assert catch_alls <= routes
    for endpoint in ENDPOINTS:
        assert ("{name}" in endpoint.path) == (endpoint.about is About.NAME), endpoint
    endpoints = [each for each in (*ENDPOINTS, *rights.ACCOUNT) if each.path.startswith(("/v1/", "/openwx/"))]
    assert set(judge().operations()) == {
        (method, endpoint.path) for endpoint in endpoints for method in endpoint.methods
    }


CHECKED = [
    # Others have their own form of refusals: test_ilink.py, test_notify.py, tests/unit/fleet.
    *(
        each
        for each in ENDPOINTS
        if not each.path.startswith(("/ilink/", "/for/")) and each.scope not in (Scope.NOTIFY, Scope.FLEET)
    ),
    *rights.ACCOUNT,
    Endpoint(("GET",), "/openwx/unheard_of", Scope.ADMIN, About.CLIENT, ""),
]
CASES = [
    pytest.param(method, endpoint, id=f"{method} {endpoint.path}")
    for endpoint in CHECKED
    for method in endpoint.methods
]


def target(endpoint: Endpoint, account: str) -> str:
    path = endpoint.path.replace("{digest}/{file}", f"{digest()}/main.js")
    path = (
        path.replace("{name}", account).replace("{account}", account).replace("{id}", "a-1").replace("{file}", "page")
    )
    path = path.replace("{consumer}", "helper").replace("{code}", "0").replace("{target}", "ops")
    return f"{path}?client={account}" if endpoint.about in (About.CLIENT, About.OWN) else path


@dataclass(frozen=True)
class World:
    """A controller with a token of each scope, and one with scope admin that is bound to alice."""

    host: Machine
    shown: Mapping[Scope, str]
    bound: str

    async def with_both_accounts(self) -> Machine:
        """Start accounts that the endpoint before has stopped or removed."""
        for name in ("alice", "bob"):
            started = await ask(self.host, "GET", f"/openwx/start_client?client={name}", bearer(ROOT_TOKEN))
            assert (started.status, started.code) == (200, 0)
            self.host.process(name).requests.clear()
        return self.host


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with Machine(tmp_path_factory.mktemp("scopes")) as host:
        host.gate.set_token_failures(1_000_000)
        host.answered_by_others = ("/v1/standbys", "/v1/accounts/")  # stand-in accounts answer these
        yield World(host, token_of_each_scope(host), token(host, Scope.ADMIN, "alice"))


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("method", "endpoint"), CASES)
async def test_the_scope_of_each_endpoint(world: World, method: str, endpoint: Endpoint) -> None:
    host, shown, bound = await world.with_both_accounts(), world.shown, world.bound
    nobody = await ask(host, method, target(endpoint, "alice"))
    wrong = await ask(host, method, target(endpoint, "alice"), bearer("wxc_12345678_" + "0" * 64))
    if endpoint.scope is None:
        expected_status = 410 if endpoint.path == "/v1/login-code" else 200  # 410: it needs a link
        assert nobody.status == wrong.status == expected_status
        return
    expected = (401, "no-token", "bad-token") if endpoint.path.startswith(("/v1", "/mcp")) else (403, -6, -6)
    assert (nobody.status, nobody.code, wrong.code) == expected
    assert nobody.headers["WWW-Authenticate"].startswith("Bearer")
    for scope in shown:
        if not scope.covers(endpoint.scope):
            answer = await ask(host, method, target(endpoint, "alice"), bearer(shown[scope]))
            assert (answer.status, answer.refused) == (403, True), scope
            assert b"needs the scope " + endpoint.scope.value.encode() in answer.body
    assert set(host.units.processes) == {"alice", "bob"}
    assert [line for name in ("alice", "bob") for line in host.process(name).requests] == []
    if endpoint.about in (About.CLIENT, About.NAME):
        other = await ask(host, method, target(endpoint, "bob"), bearer(bound))
        assert (other.status, other.refused) == (403, True)
        unknown = await ask(host, method, target(endpoint, "nobody"), bearer(bound))
        assert (unknown.status, unknown.body) == (other.status, other.body)  # reveals no names of accounts
        assert "bob" in host.units.processes
        assert host.process("bob").requests == []
    if endpoint.path.endswith(("/check_event", "/events")):
        return  # waits
    of_the_machine = endpoint.about is About.MACHINE
    assert (await ask(host, method, target(endpoint, "alice"), bearer(bound))).refused == of_the_machine
    if endpoint.path != "/v1/accounts/{name}":
        for scope in shown:
            if scope.covers(endpoint.scope):
                assert not (await ask(host, method, target(endpoint, "alice"), bearer(shown[scope]))).refused


async def test_endpoint_of_another_scope_needs_its_own_token_even_while_the_api_is_open(
    host: Machine,
) -> None:
    path, outside = "/v1/fleet/self", bearer(token(host, Scope.FLEET))
    assert (await ask(host, "GET", "/v1/accounts")).status == 200  # open to programs on this machine
    assert (await ask(host, "GET", path)).code == "no-token"
    assert (await ask(host, "GET", path, bearer("wxc_12345678_" + "0" * 64))).code == "bad-token"
    assert (await ask(host, "GET", path, bearer(ROOT_TOKEN))).code == "not-allowed"
    assert not (await ask(host, "GET", path, outside)).refused
    token(host, Scope.READ)  # now the API needs one
    refused = {"needed": True, "accepted": False, "scope": None, "bound": False}
    assert json.loads((await ask(host, "GET", "/v1/access", outside)).body) == refused


async def test_first_token_counts_and_expired_ones_are_refused(host: Machine) -> None:
    """The first one counts, also if it is wrong; an expired one is refused."""
    shown = token(host, Scope.READ)
    for headers, expected in (
        (bearer("wrong"), "bad-token"),
        ({"X-Auth-Token": "wrong"}, "bad-token"),
        ({**bearer("wrong"), "X-Auth-Token": shown}, "bad-token"),
        ({"X-Auth-Token": ""}, None),
        (bearer(token(host, Scope.ADMIN, expires=int(time.time()) - 1)), "expired-token"),
    ):
        assert (await ask(host, "GET", f"/v1/accounts?token={shown}", headers)).code == expected
    assert (await ask(host, "POST", "/v1/accounts", json={"token": shown})).code == "no-token"
    for query in ("", "?token=wrong"):
        answer = await ask(host, "POST", f"/openwx/get_user_info{query}", data={"token": shown, "client": "alice"})
        assert answer.refused == bool(query)


async def test_a_bound_token_sees_its_accounts_only(host: Machine) -> None:
    for name in ("alice", "bob", "小店"):
        await host.start(name)
    headers = bearer(token(host, Scope.READ, "bob", "小店"))
    listed = json.loads((await ask(host, "GET", "/v1/accounts", headers)).body)["accounts"]
    assert {each["name"] for each in listed} == {"bob", "小店"}
    states = json.loads((await ask(host, "GET", "/openwx/check_client", headers)).body)["client"]
    assert {state["account"] for state in states} == {"bob", "小店"}
    health = json.loads((await ask(host, "GET", "/v1/health", headers)).body)
    assert health["accounts"]["known"] == 2
    deliveries = json.loads((await ask(host, "GET", "/v1/deliveries", headers)).body)["accounts"]
    assert {each["account"] for each in deliveries} == {"bob", "小店"}
    assert b"alice" not in (await ask(host, "GET", "/metrics", headers)).body
    # Also by its id; and the client of a form does not replace the client of the query.
    assert (await ask(host, "GET", f"/v1/accounts/{host.process('小店').instance}", headers)).status == 200
    assert (await ask(host, "GET", "/openwx/echo?client=alice&client=bob", headers)).code == -6  # admin's
    for sent in ({"client": "alice"}, {"client": "bob"}):
        answer = await ask(host, "GET", "/openwx/check_client?client=bob", headers, data=sent)
        assert answer.refused == (sent["client"] == "alice")
    form = await ask(host, "POST", "/openwx/get_user_info", headers, data={"client": "alice"})
    assert form.refused
    assert not (await ask(host, "POST", "/openwx/get_user_info", headers, data={"client": "bob"})).refused


async def test_a_long_poll_of_a_token_that_is_revoked_meanwhile_gets_nothing(host: Machine) -> None:
    process = await host.start("alice")
    shown = token(host, Scope.READ, "alice")
    token(host, Scope.READ)
    polls = [
        asyncio.create_task(ask(host, "GET", "/openwx/check_event?client=alice", bearer(each)))
        for each in (shown, ROOT_TOKEN)
    ]
    async with asyncio.timeout(PATIENCE):
        while len(process.requests) < 2:
            await process.reached.wait()
            await asyncio.sleep(0)
    TokenFile(host.paths.tokens_file).revoke("read-0")
    process.events.set()
    revoked, roots = await asyncio.gather(*polls)
    assert (revoked.status, revoked.code) == (403, -6)
    assert roots.status == 200


async def test_stream_contains_only_what_its_caller_may_see(host: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eventhub, "_LOOK_SECONDS", 0.05)
    alice, bob = await host.start("alice"), await host.start("bob")
    shown = token(host, Scope.READ, "alice")
    assert (await ask(host, "GET", "/v1/events?account=bob", bearer(shown))).code == "not-allowed"
    assert (await ask(host, "GET", "/v1/events?account=alice,bob", bearer(shown))).code == "not-allowed"
    async with host.http.ws_connect(f"/v1/events?account=alice&token={shown}") as socket:
        await socket.receive_json(timeout=PATIENCE)
    async with host.http.ws_connect(f"/v1/events?token={shown}") as socket:
        assert (await socket.receive_json(timeout=PATIENCE))["type"] == "heartbeat"
        for process, words in ((bob, "for others"), (alice, "for this one")):
            process.log.append({"type": "friend_message", "content": words}, deliver=False)
            assert await process.log.settled(10)
        assert (await socket.receive_json(timeout=PATIENCE))["event"]["account"] == "alice"
        assert host.gate.tokens.by_id


@pytest.mark.parametrize("by", ["event", "heartbeat", "expiry"])
async def test_a_stream_ends_with_its_token(host: Machine, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    """A revoked or expired token gets no more events; the next heartbeat ends the stream at the latest."""
    if by != "event":
        monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.2)
    alice = await host.start("alice")
    token(host, Scope.ADMIN)  # so that the API stays closed
    shown = token(host, Scope.READ, "alice", expires=int(time.time()) + 3 if by == "expiry" else None)
    async with (
        host.http.get(f"/v1/events?token={shown}") as answer,
        host.http.ws_connect("/v1/events", headers=bearer(shown)) as socket,
    ):
        assert answer.status == 200
        assert (await socket.receive_json(timeout=PATIENCE))["type"] == "heartbeat"
        while b"heartbeat" not in await answer.content.readline():
            pass
        if by != "expiry":
            TokenFile(host.paths.tokens_file).revoke("read-1")
        if by == "event":
            alice.log.append({"type": "friend_message", "content": "secret"}, deliver=False)
        async with asyncio.timeout(PATIENCE):
            rest = await answer.content.read()
            received: list[str] = []
            # The connection may be closed before this side has answered the close.
            with contextlib.suppress(aiohttp.ClientConnectionResetError):
                async for message in socket:
                    received += [str(message.data)]
        assert b"secret" not in rest
        assert "secret" not in "".join(received)


@pytest.mark.parametrize("content", ["{", ""])
async def test_a_damaged_token_file_admits_only_root(
    host: Machine, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    shown = token(host, Scope.ADMIN)
    host.paths.tokens_file.write_text(content)
    status, body = await host.v1("GET", "access")  # no token would help
    assert (status, field(body["error"], "code")) == (503, "tokens-unusable")
    for headers in ({}, bearer(shown)):
        answer = await ask(host, "GET", "/v1/accounts", headers)
        assert (answer.status, answer.code) == (503, "tokens-unusable")
    assert (await ask(host, "GET", "/v1/accounts", bearer(ROOT_TOKEN))).status == 200
    assert caplog.text.count("the tokens file cannot be used") == 1


@pytest.mark.parametrize(
    "sent",
    [
        {"headers": {"Authorization": "Bearer {}"}},
        {"headers": {"X-Auth-Token": "{}", "Authorization": "Basic dTpw"}},
        {"query": "token=&a=1&%74oken={}"},
        {"data": {"token": "{}", "content": "你好", "file": "x"}},
        {"form": True},
        {"json": {"content": "你好", "token": "{}"}},
        {"headers": {"X-Auth-Token": "{}"}, "query": "token=wrong", "data": {"token": "{}", "content": "你好"}},
        {"headers": {"X-Auth-Token": "{}", "X-Wx-Holder": "another"}},
    ],
)
async def test_tokens_are_accepted_in_all_places_and_not_forwarded(host: Machine, sent: dict[str, object]) -> None:
    process = await host.start("alice")
    process.echo = True
    shown = token(host, Scope.SEND, "alice")
    parts: dict[str, Any] = json.loads(json.dumps(sent).replace("{}", shown))
    headers, data = parts.get("headers", {}), parts.get("data")
    query = "&".join(["client=alice&b=%2f", *([parts["query"]] if "query" in parts else [])])
    if "json" in parts:
        headers, data = {"Content-Type": "application/json"}, json.dumps(parts["json"], ensure_ascii=False).encode()
    elif "form" in parts:
        data = aiohttp.FormData({"content": "你好", "token": shown})
        data.add_field("media_data", b"\x00\xff" * 1000, filename="a.bin")
    answer = await ask(host, "POST", f"/openwx/send_friend_message?{query}", headers, data=data)
    assert answer.status == 200
    [(line, seen, body)] = process.seen
    assert line.startswith("POST /openwx/send_friend_message?client=alice&b=%2f")
    everything = line + str(seen) + body.decode("latin-1")
    assert shown not in everything
    assert "token" not in everything.lower()
    assert "Authorization" not in seen
    assert seen["X-Wxcontroller"] == f"send {process.secret}"
    # Its id alone, by which the account shares its disk.
    assert CIMultiDict(seen).getall("X-Wx-Holder") == [shown.split("_")[1]]
    if data is not None:
        assert "你好".encode() in body or b"%E4%BD%A0%E5%A5%BD" in body
        assert int(seen["Content-Length"]) == len(body)
        assert "json" not in sent or json.loads(body) == {"content": "你好"}
    # The same token is refused for other accounts.
    assert (await ask(host, "POST", f"/openwx/stick?client=bob&token={shown}")).refused


@pytest.mark.parametrize("where", ["header", "query", "form"])
async def test_accounts_do_not_see_the_tokens_of_calls_of_v1(host: Machine, where: str) -> None:
    process = await host.start("alice")
    process.echo = True
    shown = token(host, Scope.CONTROL)
    headers = {"X-Auth-Token": shown, "Cookie": "a=b"} if where == "header" else {}
    query = f"&token={shown}&t%6fken={shown}" if where == "query" else ""
    data = {"token": shown, "a": "b"} if where == "form" else None
    path = f"/v1/accounts/alice/deliveries/replay?a=%2f{query}"
    assert (await ask(host, "POST", path, headers, data=data)).status == 200
    [(line, seen, body)] = process.seen
    assert line == "POST /v1/deliveries/replay?a=%2f"
    assert body == (b"a=b" if where == "form" else b"")
    assert shown not in line + str(seen) + body.decode()
    assert "Cookie" not in seen
    assert seen["X-Wxcontroller"] == f"control {process.secret}"
    assert seen["X-Wx-Holder"] == shown.split("_")[1]


async def test_large_forms_are_not_searched_for_a_token(host: Machine) -> None:
    """Their callers are not authenticated yet, and must not make the controller store megabytes."""
    process = await host.start("alice")
    shown = token(host, Scope.ADMIN)
    large = {"token": shown, "content": "x" * (1 << 20)}
    answer = await ask(host, "POST", "/openwx/echo?client=alice", data=large)
    assert (answer.code, b"up to 1048576 bytes" in answer.body) == (-6, True)

    async def chunked() -> AsyncIterator[bytes]:
        yield b"content=" + b"x" * (1 << 20)
        yield b"&token=" + shown.encode()

    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await ask(host, "POST", "/openwx/echo?client=alice", kind, data=chunked())).code == -6
    assert process.requests == []
    assert (await ask(host, "POST", "/openwx/echo?client=alice", bearer(shown), data=large)).status == 200


async def test_path_suffix_does_not_bypass_the_table(host: Machine) -> None:
    process = await host.start("alice")
    shown = bearer(token(host, Scope.READ, "alice"))
    calls = (("GET", "start_client"), ("GET", "stop_client"), ("POST", "send_friend_message"))
    for end in ("/", ".json", ".a.b"):
        for method, call in calls:
            assert (await ask(host, method, f"/openwx/{call}{end}?client=alice", shown)).refused
        assert process.requests == []
        assert (await ask(host, "GET", f"/openwx/get_user_info{end}?client=alice", shown)).status != 403
        process.requests.clear()


async def test_invalid_tokens_are_delayed_and_valid_ones_are_not(
    host: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    shown = token(host, Scope.READ, "alice")
    # What a known caller may not do is not counted with invalid tokens, and is summarized in the same way.
    for _ in range(DEFAULTS.token_failures + 2):
        assert (await ask(host, "GET", "/v1/accounts/bob", bearer(shown))).code == "not-allowed"
    wrong = "wxc_12345678_" + "5" * 64
    answers = [await ask(host, "GET", "/v1/accounts", bearer(wrong)) for _ in range(DEFAULTS.token_failures + 2)]
    assert [answer.status for answer in answers] == [401] * DEFAULTS.token_failures + [429] * 2
    assert answers[-1].code == "too-many-failures"
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 3
    old = await ask(host, "GET", f"/openwx/check_client?token={wrong}")
    assert (old.status, old.code) == (429, -6)
    assert (await ask(host, "GET", "/v1/accounts", bearer(shown))).status == 200
    refusals = [record for record in caplog.records if getattr(record, "WX_EVENT", "") == "access-refused"]
    assert len(refusals) == 2  # however many there were
    assert shown not in caplog.text
    assert wrong not in caplog.text


async def test_invalid_port_secret_is_not_sent(host: Machine) -> None:
    """The account writes this file, and must not be able to inject headers with it."""
    process, file = await host.start("alice"), host.paths.port_secret("alice")
    await host.start("bob")
    process.echo = True
    for content in (b"", b"0" * 63, b"x" * 64, b"0" * 64 + b"\r\nX: y", b"0" * 10_000, None):
        if content is None:
            file.unlink()
            file.symlink_to(host.paths.port_secret("bob"))
        else:
            file.write_bytes(content)
        await ask(host, "GET", "/openwx/get_user_info?client=alice")
        assert "X-Wxcontroller" not in process.seen.pop()[1]


async def test_responses_other_than_pages_are_sandboxed(host: Machine) -> None:
    process = await host.start("alice")
    process.serve = fixed(200, {"Content-Type": "text/html", "X-Content-Type-Options": "no"})
    sandboxed = re.compile(r"^sandbox; default-src 'none'")
    for path in ("/v1/accounts", "/v1/nowhere", "/openwx/check_client", "/openwx/status?client=alice", "/openwx"):
        headers = (await ask(host, "GET", path)).headers
        assert sandboxed.match(headers["Content-Security-Policy"]), path
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    for path in ("/", f"/page/{digest()}/main.js"):
        headers = (await ask(host, "GET", path)).headers
        policy = headers["Content-Security-Policy"]
        for rule in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
            assert rule in policy
        assert not any(word in policy for word in ("sandbox", "unsafe", "://"))
        assert (headers["X-Content-Type-Options"], headers["Referrer-Policy"]) == ("nosniff", "no-referrer")
