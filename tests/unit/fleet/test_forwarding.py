"""Calls and streams of accounts of other hosts: forwarded once, with the rights of the caller and no more.

Tokens of agents belong to the host that has issued them, and work at every host.
"""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from tests.patience import PATIENCE, until
from tests.unit.controller.test_ilink import SESSION_OVER, Agent, Stage, within
from tests.unit.controller.test_stream import Reader, reading, say
from tests.unit.controller.test_watching import STREAM, Stream
from tests.unit.fleet.hosts import FleetHost, fleet_of, hosts_of, impostor, introduce
from wxcontroller.client.v1.reads import eventreads as account_events
from wxcontroller.controller.account_port import eventhub
from wxcontroller.controller.hosts import hoststreams
from wxcontroller.core.access.rights import CALLER_HEADER, Scope
from wxcontroller.core.backoff import Backoff
from wxcontroller.core.config.fleetsettings import HostSettings
from wxcontroller.core.jsontypes import JsonObject, JsonValue, field, items, obj, text
from wxcontroller.core.states import LoginState

Pair = tuple[FleetHost, FleetHost]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_events, "HEARTBEAT_SECONDS", 0.2)
    monkeypatch.setattr(eventhub, "_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(hoststreams, "Backoff", lambda *_: Backoff(0.1, 0.1))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_account_of_another_host_is_listed_and_served(pair: Pair) -> None:
    a, b = pair
    process = await b.start("bob")
    process.echo = True
    await a.finds("bob", "b")
    assert {name: row["host"] for name, row in (await a.listed()).items()} == {"bob": "b"}
    # The old API: by query, form and JSON, with method and body as they came.
    async with a.http.post("/openwx/send_friend_message", data={"client": "bob", "content": "hi"}) as answer:
        seen = await answer.json()
    assert (answer.status, seen["method"], seen["target"]) == (200, "POST", "/openwx/send_friend_message")
    async with a.http.get("/openwx/get_friend_info?client=bob&x=%E4%B8%AD") as answer:
        assert (await answer.json())["target"] == "/openwx/get_friend_info?client=bob&x=%E4%B8%AD"
    assert [state["account"] for state in await a.states(client="bob")] == ["bob"]
    # /v1, answered by the other controller and by the account's program.
    status, account = await a.v1("GET", "accounts/bob")
    assert (status, account["name"], account["host"]) == (200, "bob", "b")
    process.sends, process.friends = [], [{"id": "ann"}]
    status, found = await a.v1("GET", "accounts/bob/contacts?q=%E4%B8%AD")
    assert (status, process.seen[-1][0]) == (200, "GET /v1/contacts?q=%E4%B8%AD")
    assert [field(each, "id") for each in items(found["contacts"])] == ["ann"]
    status, _ = await a.v1("POST", "accounts/bob/stop")
    assert (status, "bob" in b.units.processes) == (200, False)
    assert (await a.get("start_client", client="bob"))["code"] == 0
    assert "bob" in b.units.processes
    assert not a.units.calls


async def test_large_bodies_stream_both_ways(pair: Pair) -> None:
    a, b = pair
    process = await b.start("bob")
    await a.finds("bob", "b")
    data = aiohttp.FormData({"client": "bob"})
    data.add_field("media_data", b"m" * 3_000_000, filename="m")
    async with a.http.post("/openwx/upload_media", data=data) as answer:
        assert (await answer.json())["size"] > 3_000_000
    async with a.http.post("/openwx/upload_media?client=bob", data=b"m" * 3_000_000) as answer:
        assert (await answer.json())["size"] == 3_000_000
    async with a.http.get("/openwx/stream?client=bob&bytes=5000000") as answer:
        assert len(await answer.read()) == 5_000_000
    # A caller that hangs up ends the call at the account.
    process.hung_up.clear()
    answer = await a.http.get("/openwx/stream?client=bob&bytes=900000000")
    answer.close()
    async with asyncio.timeout(PATIENCE):
        await process.hung_up.wait()


async def test_forwarded_call_has_no_more_rights_than_its_caller(pair: Pair) -> None:
    a, b = pair
    await b.start("bob")
    await b.start("eve")
    process = b.process("bob")
    process.echo = True
    await a.finds("bob", "b")
    await a.finds("eve", "b")
    read, bound = a.token(Scope.READ), a.token(Scope.SEND, "bob")
    admin = a.token(Scope.ADMIN)
    for host in pair:  # closed on both sides
        host.token(Scope.ADMIN, name="operator")
    assert (await a.v1("GET", "accounts/bob", headers=bearer(read)))[0] == 200
    assert (await a.v1("POST", "accounts/bob/stop", headers=bearer(read)))[0] == 403
    assert (await a.v1("GET", "accounts/eve", headers=bearer(bound)))[0] == 403
    assert list(await a.listed(**bearer(bound))) == ["bob"]
    async with a.http.get("/openwx/check_client", headers=bearer(bound)) as answer:
        assert [state["account"] for state in (await answer.json())["client"]] == ["bob"]
    assert (await a.v1("GET", "accounts/bob"))[0] == 401
    # The other host checks the same: it learns who calls, and never sees a token of the first.
    async with a.http.get("/openwx/get_friend_info?client=bob", headers=bearer(read)) as answer:
        seen = await answer.json()
    assert seen["headers"]["X-Wxcontroller"].startswith("read ")
    assert not any(word in json.dumps(seen) for word in (read, CALLER_HEADER, "Authorization"))
    assert (await a.v1("DELETE", "accounts/bob", headers=bearer(admin)))[0] == 200


def caller_header(**changed: object) -> dict[str, str]:
    content = {"host": "a", "scope": "admin", "accounts": None, "caller": "root on this machine", "origin": ""}
    return {CALLER_HEADER: json.dumps({**content, **changed})}


async def test_caller_header_needs_a_host_credential(pair: Pair) -> None:
    _, b = pair
    await b.start("bob")
    fleet, admin = b.token(Scope.FLEET, name="a"), b.token(Scope.ADMIN)

    async def asked(path: str, **headers: str) -> tuple[int, JsonObject]:
        async with b.http.get(path, headers=headers) as answer:
            return answer.status, obj(json.loads(await answer.read()))

    for path in ("/v1/accounts/bob", "/openwx/get_friend_info?client=bob", "/openwx/check_client"):
        for shown in ({}, bearer(admin), bearer("wxc_12345678_" + "0" * 64)):
            status, _ = await asked(path, **caller_header(), **shown)
            assert status == 403, (path, shown)
        # And the credential counts for nothing without the header.
        assert (await asked(path, **bearer(fleet)))[0] == 403
        assert (await asked(path, **bearer(fleet), **caller_header()))[0] == 200
    for changed in ({"scope": "notify"}, {"scope": "root"}, {"accounts": ["../x"]}, {"more": 1}, {"origin": "x\ny"}):
        assert (await asked("/v1/accounts/bob", **bearer(fleet), **caller_header(**changed)))[0] == 400, changed
    narrow = caller_header(scope="read", accounts=["eve"])
    assert (await asked("/v1/accounts/bob", **bearer(fleet), **narrow))[0] == 403
    assert (await asked("/v1/accounts", **bearer(fleet), **narrow))[1] == {"accounts": []}


ABOUT_THE_HOST = (
    ("GET", "tokens"),
    ("GET", "targets"),
    ("POST", "targets"),
    ("POST", "alerts/test"),
    ("GET", "fleet"),
    ("GET", "ilink/pairings"),
    ("POST", "ilink/pairings/abcd"),
)


async def forged(
    host: FleetHost, method: str, path: str, body: JsonValue = None, **changed: object
) -> tuple[int, JsonObject]:
    """Make a call with host a's token and a header that its holder has made up."""
    headers = {**bearer(host.token(Scope.FLEET, name="a")), **caller_header(**changed)}
    return await host.v1(method, path, body, headers)


async def test_host_has_the_scope_and_the_accounts_of_its_table(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    a, b = pair
    await b.start("bob")
    await b.start("eve")
    settings = replace(b.describe(a), scope=Scope.SEND, accounts=("bob",))
    await b.join(settings)
    assert (await forged(b, "GET", "accounts/bob"))[0] == 200
    for method, path in (("POST", "accounts/bob/stop"), ("DELETE", "accounts/bob"), ("GET", "accounts/eve")):
        assert (await forged(b, method, path))[0] == 403, path
    assert "host a (for root on this machine) lacks permission" in caplog.text
    assert [field(each, "name") for each in items((await forged(b, "GET", "accounts"))[1]["accounts"])] == ["bob"]
    assert items((await forged(b, "GET", "accounts", accounts=["eve"]))[1]["accounts"]) == []
    assert "bob" in b.units.processes
    await b.join(replace(settings, scope=Scope.CONTROL))
    assert (await forged(b, "POST", "accounts/bob/stop"))[0] == 200
    assert (await forged(b, "POST", "accounts/bob/start", scope="send"))[0] == 403


@pytest.mark.parametrize(("method", "path"), ABOUT_THE_HOST)
async def test_calls_about_a_host_are_for_its_own_callers(pair: Pair, method: str, path: str) -> None:
    _, b = pair
    before = b.paths.notify_targets.exists()
    status, answer = await forged(b, method, path, {"name": "phone", "account": "bob", "to": "ann"})
    assert (status, obj(answer["error"])["code"]) == (403, "not-allowed")
    assert b.paths.notify_targets.exists() == before


async def test_token_is_for_the_host_that_it_is_named_after(pair: Pair) -> None:
    _, b = pair
    for name, claimed in (("d", "d"), ("d", "a"), ("a", "c"), ("a", "b")):
        headers = {**bearer(b.token(Scope.FLEET, name=name)), **caller_header(host=claimed)}
        status, answer = await b.v1("GET", "accounts", headers=headers)
        assert (status, obj(answer["error"])["code"]) == (403, "not-a-hop"), (name, claimed)


async def test_calls_of_a_host_may_be_limited_to_addresses(pair: Pair) -> None:
    a, b = pair
    for network, status in (("192.0.2.0/24", 403), ("127.0.0.0/8", 200)):
        await b.join(replace(b.describe(a), sources=(ip_network(network),)))
        assert (await forged(b, "GET", "accounts"))[0] == status


async def test_host_without_a_url_only_calls(pair: Pair) -> None:
    a, b = pair
    await a.start("alice")
    await b.join(HostSettings("a", ""))
    assert (await forged(b, "GET", "accounts"))[0] == 200
    assert await b.listed() == {}
    assert (await b.v1("GET", "fleet"))[1]["hosts"] == []


async def test_forwarded_call_is_not_forwarded_again(pair: Pair) -> None:
    a, b = pair
    await a.start("alice")
    await b.finds("alice", "a")
    shown = {**bearer(b.token(Scope.FLEET, name="a")), **caller_header()}
    async with b.http.get("/v1/accounts/alice", headers=shown) as answer:
        problem = obj((await answer.json())["error"])
    assert (answer.status, problem["code"]) == (409, "wrong-host")
    for call in ("start_client", "get_friend_info"):  # not even a start makes the account there
        async with b.http.get(f"/openwx/{call}?client=alice", headers=shown) as answer:
            assert answer.status == 409, call
    async with b.http.get("/v1/accounts", headers=shown) as answer:
        assert await answer.json() == {"accounts": []}
    assert "alice" not in b.units.processes


async def test_pictures_ranges_and_streams_are_forwarded(pair: Pair) -> None:
    a, b = pair
    process = await b.start("bob")
    process.show_qrcode()
    await a.finds("bob", "b")
    async with a.http.get("/openwx/get_qrcode?client=bob") as answer:
        assert (answer.content_type, await answer.read()) == ("image/jpg", b"\xff\xd8jpeg")
    _, link = await a.v1("POST", "accounts/bob/login-links")
    assert str(link["url"]).startswith(f"{b.tls_url}/page/login#")

    async def part(request: web.Request) -> web.Response:
        headers = {"Content-Range": "bytes 0-3/9", "Set-Cookie": "x=y", "Access-Control-Allow-Origin": "*"}
        assert request.headers["Range"] == "bytes=0-3"
        return web.Response(status=206, body=b"part", headers=headers)

    process.serve = part
    async with a.http.get("/v1/accounts/bob/media/x.jpg", headers={"Range": "bytes=0-3"}) as answer:
        assert (answer.status, await answer.read()) == (206, b"part")
        assert answer.headers["Content-Range"] == "bytes 0-3/9"
        assert "Set-Cookie" not in answer.headers
        assert "Access-Control-Allow-Origin" not in answer.headers
    async with a.http.get("/v1/accounts/bob/events", headers={"Accept": "text/event-stream"}) as answer:
        assert answer.content_type == "text/event-stream"
        say(process, "live")
        async with asyncio.timeout(PATIENCE):
            while b"live" not in await answer.content.readline():
                pass


@pytest_asyncio.fixture
async def stages(tmp_path: Path) -> AsyncIterator[tuple[Stage, Stage]]:
    """Host b with account alice, and host a through which its agents call."""
    async with hosts_of(tmp_path, "a", "b") as hosts:
        for host in hosts:
            host.settings = host.accounts.settings = replace(host.settings, ilink_serve=True)
        a, b = hosts
        process, agent = await b.start("alice"), Agent()
        process.serve = agent.serve
        await introduce(hosts)
        yield Stage(a, process, agent), Stage(b, process, agent)


async def test_agent_calls_with_a_valid_token_are_forwarded(stages: tuple[Stage, Stage]) -> None:
    a, b = stages
    assert isinstance(a.host, FleetHost)
    token, known = await b.token(), a.host.fleet.calls.agent
    await until(lambda: known(token))
    assert await a.call("sendmessage", token, {"msg": {}}) == {"ret": 0, "message_id": 7}
    line, headers, _ = b.agent.seen[-1]
    assert (line, headers["X-Wx-Consumer"]) == ("POST /ilink/bot/sendmessage", "helper")
    assert headers["X-Wx-Origin"] == a.host.url  # where the agent reaches its media
    assert token not in str(headers)
    poll = a.polling(token)
    await b.agent.polled.wait()
    b.agent.message.set()
    answer: JsonObject = await within(poll)
    assert answer["get_updates_buf"] == "next"
    # Media go to the account that their URL names.
    upload = "/ilink/c2c/upload?encrypted_query_param=alice.helper.secret"
    async with a.host.http.post(upload, data=b"x" * 100_000) as response:
        assert (response.status, response.headers["x-encrypted-param"]) == (200, "alice.helper.new")
        assert "x-secret" not in response.headers
    async with a.host.http.get("/ilink/c2c/download?encrypted_query_param=alice.helper.secret") as response:
        assert len(await response.read()) == 1_000_000
    calls = len(b.agent.seen)
    forged = token[:13] + "0" * 64  # the id of the real one
    for wrong in (forged, "wxc_12345678_" + "0" * 64, None):
        assert await a.call("sendmessage", wrong, {}) == SESSION_OVER
    assert len(b.agent.seen) == calls
    assert await b.host.v1("DELETE", "accounts/alice/consumers/helper")
    assert await a.call("sendmessage", token, {}) == SESSION_OVER


async def test_local_token_is_not_shown_to_other_hosts(tmp_path: Path) -> None:
    seen: list[str] = []

    async def note(request: web.Request) -> web.Response:
        seen.append(str(request.headers))
        return web.json_response({})

    async with hosts_of(tmp_path, "a") as [a]:
        a.settings = a.accounts.settings = replace(a.settings, ilink_serve=True)
        a.paths.fleet_state.write_text('{"hosts": {"b": [{"name": "alice", "instance": "alice"}]}}')
        async with impostor(a, web.route("*", "/for/alice/ilink/{rest:.*}", note)):
            await until(lambda: a.other("b").is_up)
            shown = a.token(Scope.ADMIN)
            headers = {"Authorization": f"Bearer {shown}", "X-Auth-Token": shown}
            async with a.http.get("/for/alice/ilink/bot/get_bot_qrcode", headers=headers) as answer:
                assert answer.status == 200
    assert (len(seen), shown in str(seen)) == (1, False)


async def test_reader_misses_nothing_of_a_disconnected_host(pair: Pair) -> None:
    a, b = pair
    bob = await b.start("bob")
    async with reading(a, Reader()) as reader:
        say(bob, "one")
        await reader.until(1)
    say(bob, "while nobody read")
    described = a.other("b").settings
    async with reading(a, reader):
        assert await reader.until(2) == ["one", "while nobody read"]
        await a.join()  # the host is gone, for this one
        say(bob, "unheard")
    await a.join(described)
    await a.sees("b")
    async with reading(a, reader):
        say(bob, "last")
        assert await reader.until(4) == ["one", "while nobody read", "unheard", "last"]
    assert len({text(one["id"]) for one in reader.got}) == 4


async def test_bound_token_gets_only_its_accounts_events_of_all_hosts(pair: Pair) -> None:
    a, b = pair
    bob, eve = await b.start("bob"), await b.start("eve")
    shown = a.token(Scope.READ, "bob")
    async with reading(a, Reader(), f"?token={shown}") as reader:
        say(eve, "no")
        say(bob, "yes")
        assert await reader.until(1) == ["yes"]


@pytest.mark.parametrize(("at", "query"), [("a", ""), ("c", "?account=eve,bob")])
async def test_stream_continues_while_an_account_is_moved(tmp_path: Path, at: str, query: str) -> None:
    async with fleet_of(tmp_path, "a", "b", "c") as (a, b, c):
        eve, bob = await a.start("eve"), await b.start("bob")
        for host, name, there in ((c, "eve", "a"), (c, "bob", "b"), (a, "bob", "b")):
            await host.finds(name, there)
        async with reading(a if at == "a" else c, Reader(), query) as reader:
            say(eve, "one")
            await reader.until(1)
            say(bob, "two")
            await reader.until(2)
            await a.v1("PUT", "departures/eve", {"to": "b", "id": "5f2c", "sent": True})
            shutil.copytree(a.paths.state("eve"), b.paths.state("eve"))  # with its log
            await b.v1("POST", "accounts", {"name": "eve", "epoch": 2, "arrived": "5f2c"})
            assert (await b.v1("POST", "arrivals/eve?id=5f2c"))[0] == 200
            say(b.process("eve"), "three")
            await reader.until(3)
            assert (await a.v1("POST", "departures/eve?id=5f2c"))[0] == 200
            say(b.process("eve"), "four")
            assert await reader.until(4) == ["one", "two", "three", "four"]
        assert [one["host"] for one in reader.got] == ["a", "b", "b", "b"]


async def test_an_account_cannot_claim_a_host(pair: Pair) -> None:
    a, _ = pair
    alice = await a.start("alice")
    async with reading(a, Reader()) as reader:
        alice.log.append({"host": "b", "post_type": "x"}, deliver=False)
        say(alice, "real")
        await reader.until(1)
    assert [(obj(one).get("host"), obj(one["report"]).get("content")) for one in reader.got][-1] == ("a", "real")
    assert all(one["host"] == "a" for one in reader.got)


async def test_dashboard_rows_of_all_hosts_are_live(pair: Pair) -> None:
    a, b = pair
    await a.start("alice")
    async with a.http.get("/v1/accounts", headers=STREAM) as answer:
        stream = Stream(answer)
        rows: dict[str, JsonObject] = {}

        async def until(name: str, key: str, value: object) -> None:
            async with asyncio.timeout(PATIENCE):
                while name not in rows or rows[name].get(key) != value:
                    event = await stream.next()
                    rows.update({text(obj(row)["name"]): obj(row) for row in items(event["accounts"])})
                    for gone in items(event["gone"]):
                        del rows[text(gone)]

        await until("alice", "host", "a")
        bob = await b.start("bob")
        await until("bob", "host", "b")
        bob.say(LoginState.RUNNING)
        await until("bob", "login_state", "running")
        assert rows["bob"]["condition"] == "running"
        b.paths.tokens_file.write_text('{"tokens": []}')  # for this host it is away now
        await until("bob", "condition", "unreachable")
        assert (rows["alice"]["condition"] == "unreachable", rows["bob"]["login_state"]) == (False, None)
