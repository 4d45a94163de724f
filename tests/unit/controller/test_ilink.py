"""The iLink API for agents: tokens, polls, pairing and media, with a stand-in for the account."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pytest
import pytest_asyncio
from aiohttp import web

from tests import tokens
from tests.patience import PATIENCE
from tests.tokens import bearer
from tests.unit.controller.machine import Machine, Process, raw
from wxcontroller.controller.apis.ilink import agentcalls
from wxcontroller.controller.callers import pairings
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.jsontypes import JsonObject, JsonValue, items, obj, text
from wxcontroller.openwx.http.credentials import PORT_HEADER

SESSION_OVER = {"ret": -14, "errcode": -14, "errmsg": "session timeout"}
NO_MORE = {"ret": 0, "msgs": [], "longpolling_timeout_ms": 35000}


@dataclass
class Agent:
    """The account's side of an agent's calls."""

    seen: list[tuple[str, Mapping[str, str], bytes]] = field(default_factory=list)
    polled: asyncio.Event = field(default_factory=asyncio.Event)
    message: asyncio.Event = field(default_factory=asyncio.Event)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.seen.append((f"{request.method} {request.raw_path}", request.headers, body))
        match request.path:
            case "/ilink/bot/getupdates":
                self.polled.set()
                try:
                    await asyncio.wait_for(self.message.wait(), PATIENCE)
                except asyncio.CancelledError:
                    self.hung_up.set()
                    raise
                return web.json_response({"ret": 0, "msgs": [{"message_id": 1}], "get_updates_buf": "next"})
            case "/ilink/c2c/upload":
                return web.Response(headers={"x-encrypted-param": "alice.helper.new", "x-secret": "of the account"})
            case "/ilink/c2c/download":
                return web.Response(body=b"ciphertext" * 100_000)
        if request.path.startswith("/v1/consumers") and request.method == "PUT":
            name = request.path.rpartition("/")[2]
            return web.json_response(
                {"name": name, "ilink_bot_id": "b0f5860fdecb@im.bot", "ilink_user_id": "o9cq8@im.wechat"}, status=201
            )
        if request.path == "/v1/consumers":
            rows: list[JsonValue] = [{"name": "helper", "online": True, "behind": 2}, {"name": "made-up"}]
            return web.json_response({"account": "alice", "instance": "alice", "consumers": rows})
        return web.json_response({"ret": 0, "message_id": 7})


@dataclass
class Stage:
    """A controller that serves the iLink API, and the account alice."""

    host: Machine
    process: Process
    agent: Agent

    async def token(self, consumer: str = "helper", **options: JsonValue) -> str:
        status, answer = await self.host.v1("PUT", f"accounts/alice/consumers/{consumer}", options)
        assert status == 200, answer
        return text(answer["token"])

    async def call(self, call: str, token: str | None, body: JsonValue = None, prefix: str = "") -> JsonObject:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        async with self.host.http.post(f"{prefix}/ilink/bot/{call}", json=body or {}, headers=headers) as answer:
            assert answer.status == 200
            return obj(json.loads(await answer.read()))

    def polling(self, token: str, cursor: str = "c1") -> "asyncio.Task[JsonObject]":
        self.agent.polled.clear()
        return asyncio.create_task(self.call("getupdates", token, {"get_updates_buf": cursor}))


@contextlib.asynccontextmanager
async def served(root: Path, **settings: object) -> AsyncIterator[Stage]:
    async with Machine(root, ilink_serve=True, **settings) as host:
        process, agent = await host.start("alice"), Agent()
        process.serve = agent.serve
        yield Stage(host, process, agent)


@pytest_asyncio.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with served(tmp_path) as made:
        yield made


async def within(work: "asyncio.Task[JsonObject]") -> JsonObject:
    return await asyncio.wait_for(work, PATIENCE)


async def test_a_call_reaches_the_account_without_the_token(stage: Stage) -> None:
    token = await stage.token()
    headers = {
        "Authorization": f"Bearer {token}",
        "X-Wx-Consumer": "other",
        "X-Wx-Origin": "https://evil.example",
        PORT_HEADER: "admin 00",
        "X-WECHAT-UIN": "MzA1NDE5ODk2",
    }
    for prefix in ("", "/for/alice"):
        async with stage.host.http.post(
            f"{prefix}/ilink/bot/sendmessage", data=b'{"a": 1}', headers=headers
        ) as answer:
            assert await answer.json() == {"ret": 0, "message_id": 7}
        line, seen, body = stage.agent.seen[-1]
        assert (line, body) == ("POST /ilink/bot/sendmessage", b'{"a": 1}')
        assert seen.getall("X-Wx-Consumer") == ["helper"]  # type: ignore[attr-defined]
        assert seen.getall("X-Wx-Origin") == [stage.host.url + prefix]  # type: ignore[attr-defined]
        assert seen[PORT_HEADER] == f"ilink {stage.process.secret}"
        assert token not in str(seen)


async def test_off_by_default(host: Machine) -> None:
    await host.start("alice")
    async with host.http.post("/ilink/bot/getupdates", headers=bearer("x")) as answer:
        assert await answer.json() == SESSION_OVER
    async with host.http.get("/ilink/bot/get_bot_qrcode") as answer:
        assert answer.status == 404
    status, refused = await host.v1("PUT", "accounts/alice/consumers/helper")
    assert (status, obj(refused["error"])["code"]) == (409, "not-served")


@pytest.mark.parametrize("closed", [False, True])
async def test_ilink_api_accepts_only_ilink_tokens(stage: Stage, closed: bool) -> None:
    host, token = stage.host, await stage.token()
    admin = bearer(tokens.token(host, Scope.ADMIN) if closed else "")
    before = len(stage.agent.seen)
    host.limit(token_failures=1000)
    for wrong in (None, "", "wxc_00000000_" + "1" * 64, token[:-1] + ("0" if token[-1] != "0" else "1")):
        for call in agentcalls.CALLS:
            assert await stage.call(call, wrong) == SESSION_OVER
    for query, form in ((f"?token={token}", None), ("", {"token": token})):  # logs would contain it
        async with host.http.post(f"/ilink/bot/getconfig{query}", data=form) as answer:
            assert await answer.json() == SESSION_OVER
    if closed:
        async with host.http.post("/ilink/bot/getupdates", headers=admin) as answer:
            assert (answer.status, (await answer.json())["ret"]) == (403, -1)
        own = bearer(token)
        for path in ("/v1/accounts", "/metrics", "/openwx/check_client", "/openwx/get_user_info?client=alice"):
            async with host.http.get(path, headers=own) as answer:
                assert answer.status == 403
        async with host.http.post("/openwx/send_friend_message?client=alice", headers=own) as answer:
            assert answer.status == 403
    assert len(stage.agent.seen) == before
    assert (await stage.call("getconfig", token))["ret"] == 0


async def test_revoking_ends_a_poll(stage: Stage) -> None:
    token, other = await stage.token(), await stage.token("other")
    poll, others = stage.polling(token), stage.polling(other)
    await asyncio.wait_for(stage.agent.polled.wait(), PATIENCE)
    status, _ = await stage.host.v1("DELETE", "accounts/alice/consumers/helper")
    assert status == 200
    assert await within(poll) == SESSION_OVER
    await asyncio.wait_for(stage.agent.hung_up.wait(), PATIENCE)
    assert await stage.call("sendmessage", token) == SESSION_OVER
    stage.agent.message.set()
    assert (await within(others))["get_updates_buf"] == "next"


async def test_a_restart_of_the_controller_ends_a_poll_with_an_empty_answer(stage: Stage) -> None:
    poll = stage.polling(await stage.token())
    await asyncio.wait_for(stage.agent.polled.wait(), PATIENCE)
    stage.host.shared.draining.set()
    assert await within(poll) == {**NO_MORE, "get_updates_buf": "c1"}


async def test_agents_stay_logged_in_while_the_account_is_stopped(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agentcalls, "_HOLD_SECONDS", 0.0)
    token = await stage.token()
    await stage.host.v1("POST", "accounts/alice/stop")
    assert (await stage.call("getupdates", token, {"get_updates_buf": "c1"}))["ret"] == 0
    answer = await stage.call("sendmessage", token)
    assert (answer["ret"], answer["errmsg"]) == (-2, "not sent: account alice is not running")
    assert (await stage.call("sendtyping", token))["ret"] == 0
    monkeypatch.undo()
    poll = stage.polling(token)
    stage.host.units.serve = stage.agent.serve
    await stage.host.start("alice")  # the poll that is held goes to the new process
    await asyncio.wait_for(stage.agent.polled.wait(), PATIENCE)
    stage.agent.message.set()
    assert (await within(poll))["get_updates_buf"] == "next"


async def test_sends_are_limited(stage: Stage) -> None:
    now = [0.0]
    stage.host.server._runner.app[agentcalls.AGENTS].clock = lambda: now[0]
    token, other = await stage.token(), await stage.token("other")

    async def send(shown: str, body: bytes = b"{}") -> tuple[int, str | None]:
        headers = {"Authorization": f"Bearer {shown}"}
        async with stage.host.http.post("/ilink/bot/sendmessage", headers=headers, data=body) as answer:
            return answer.status, answer.headers.get("Retry-After")

    assert [await send(token) for _ in range(10)] == [(200, None)] * 10
    before = len(stage.agent.seen)
    assert await send(token) == (429, "1")
    assert len(stage.agent.seen) == before
    assert await send(other) == (200, None)
    now[0] = 1.0
    assert await send(token) == (200, None)
    stage.host.limit(token_failures=3)
    assert [(await send("wrong"))[0] for _ in range(4)] == [200, 200, 200, 429]


async def test_removing_an_account_ends_its_agents_tokens(stage: Stage) -> None:
    token = await stage.token()
    status, _ = await stage.host.v1("DELETE", "accounts/alice")
    assert status == 200
    process = await stage.host.start("alice")
    process.serve = stage.agent.serve
    assert await stage.call("getupdates", token) == SESSION_OVER


async def test_tokens_of_agents_are_listed_with_the_others(stage: Stage) -> None:
    made = await stage.host.v1("PUT", "accounts/alice/consumers/second", {})
    assert made[0] == 200
    rows = [obj(row) for row in items((await stage.host.v1("GET", "tokens"))[1]["tokens"])]
    [found] = [row for row in rows if row["consumer"] == "second"]
    assert (found["scope"], found["accounts"], found["expired"]) == ("ilink", ["alice"], False)
    assert text(made[1]["token"]) not in json.dumps(rows)
    assert (await stage.host.v1("DELETE", "accounts/alice/consumers/second"))[0] == 200
    rows = [obj(row) for row in items((await stage.host.v1("GET", "tokens"))[1]["tokens"])]
    assert "second" not in [row["consumer"] for row in rows]


async def test_a_new_token_of_a_consumer_replaces_the_one_before(stage: Stage) -> None:
    first = await stage.token()
    status, answer = await stage.host.v1("PUT", "accounts/alice/consumers/helper", {"when_held": "accept"})
    assert (status, "token" in answer) == (200, False)
    wrong_ones: list[JsonObject] = [{"token": "yes"}, {"expires": True}, {"expires": "soon"}]
    for wrong in wrong_ones:
        assert (await stage.host.v1("PUT", "accounts/alice/consumers/helper", wrong))[0] == 400, wrong
    second = await stage.token(token=True)
    assert await stage.call("getconfig", first) == SESSION_OVER
    assert (await stage.call("getconfig", second))["ret"] == 0
    assert second[13:] not in stage.host.paths.ilink_tokens.read_text()
    assert second[13:] not in json.dumps(await stage.host.v1("GET", "accounts/alice/consumers"))


async def test_media_urls_lead_to_their_account_and_consumer(stage: Stage) -> None:
    token = await stage.token()
    url = f"/ilink/c2c/upload?encrypted_query_param={quote('alice.helper.SeCret-_')}&filekey=ab%2Bc"
    async with stage.host.http.post(url, data=b"x" * 3_000_000, headers={"X-Wx-Consumer": "other"}) as answer:
        assert answer.status == 200
        assert answer.headers["x-encrypted-param"] == "alice.helper.new"
        assert "x-secret" not in answer.headers
    line, seen, body = stage.agent.seen[-1]
    assert line == "POST " + url
    assert "X-Wx-Consumer" not in seen
    assert len(body) == 3_000_000
    down = "/ilink/c2c/download?encrypted_query_param="
    async with stage.host.http.get(f"{down}alice.helper.x") as answer:
        assert len(await answer.read()) == 1_000_000
    before = len(stage.agent.seen)
    for parameter in ("", "alice", "alice.helper", "alice.other.x", "bob.helper.x", "..", "alice..x"):
        async with stage.host.http.get(down + parameter) as answer:
            assert (answer.status, (await answer.json())["ret"]) == (404, -1)
    await stage.host.v1("DELETE", "accounts/alice/consumers/helper")
    async with stage.host.http.get(f"{down}alice.helper.x") as answer:
        assert answer.status == 404
    assert await stage.call("getconfig", token) == SESSION_OVER
    assert len([line for line, _, _ in stage.agent.seen[before:] if "c2c" in line]) == 0


async def asks(
    stage: Stage, headers: Mapping[str, str] | None = None, prefix: str = "", **body: JsonValue
) -> JsonObject:
    path = f"{prefix}/ilink/bot/get_bot_qrcode?bot_type=3"
    async with stage.host.http.post(path, headers=headers, json=body) as answer:
        return obj(json.loads(await answer.read()))


async def status_of(stage: Stage, asked: JsonObject, **query: str) -> JsonObject:
    query["qrcode"] = text(asked["qrcode"])
    async with stage.host.http.get("/ilink/bot/get_qrcode_status", params=query) as answer:
        assert answer.status == 200
        return obj(json.loads(await answer.read()))


def code_of(asked: JsonObject) -> str:
    return text(asked["qrcode_img_content"]).rpartition("/")[2]


async def test_agent_is_paired_after_approval(stage: Stage) -> None:
    asked = await asks(stage, {"User-Agent": "Helper/1.0"}, "/for/alice")
    assert text(asked["qrcode_img_content"]).startswith(f"{stage.host.url}/ilink/pair/")
    status, listed = await stage.host.v1("GET", "ilink/pairings")
    assert [obj(row)["agent"] for row in items(listed["pairings"])] == ["Helper/1.0"]
    assert code_of(asked) not in json.dumps(listed)
    assert text(asked["qrcode"]) not in json.dumps(listed)
    waiting = asyncio.create_task(status_of(stage, asked))
    _, shown = await stage.host.v1("GET", f"ilink/pairings/{code_of(asked)}")
    assert shown["account"] == "alice"
    assert await within(waiting) == {"ret": 0, "status": "scaned"}
    waiting = asyncio.create_task(status_of(stage, asked))
    approval: JsonObject = {"account": "alice", "consumer": "helper", "when_held": "accept"}
    status, _ = await stage.host.v1("POST", f"ilink/pairings/{code_of(asked)}", approval)
    assert status == 200
    confirmed = await within(waiting)
    assert (confirmed["status"], confirmed["ilink_bot_id"]) == ("confirmed", "b0f5860fdecb@im.bot")
    assert (confirmed["ilink_user_id"], confirmed["baseurl"]) == ("o9cq8@im.wechat", stage.host.url + "/for/alice")
    assert json.loads(stage.agent.seen[-1][2]) == {"when_held": "accept"}
    assert await status_of(stage, asked) == {"ret": 0, "status": "expired"}
    token = text(confirmed["bot_token"])
    assert (await stage.call("getconfig", token, prefix="/for/alice"))["ret"] == 0
    assert await status_of(stage, await asks(stage, local_token_list=["x", token])) == {
        "ret": 0,
        "status": "binded_redirect",
    }


async def test_pairing_can_be_refused_and_is_limited(stage: Stage) -> None:
    asked = await asks(stage)
    unknown: JsonObject = {"account": "nobody", "consumer": "helper"}
    assert (await stage.host.v1("POST", f"ilink/pairings/{code_of(asked)}", unknown))[0] == 404
    assert (await stage.host.v1("DELETE", f"ilink/pairings/{code_of(asked)}"))[0] == 200
    assert await status_of(stage, asked) == {"ret": 0, "status": "expired"}
    approval: JsonObject = {"account": "alice", "consumer": "helper"}
    assert (await stage.host.v1("POST", f"ilink/pairings/{code_of(asked)}", approval))[0] == 404
    for _ in range(pairings.PER_MINUTE - 1):
        assert (await asks(stage))["ret"] == 0
    async with stage.host.http.get("/ilink/bot/get_bot_qrcode") as answer:
        assert answer.status == 429


async def test_one_address_cannot_block_pairing_of_others(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairings, "PER_MINUTE", 2 * pairings.MAX_OPEN)
    answers = [await asks(stage) for _ in range(pairings.MAX_OPEN)]
    assert {"qrcode" in answer for answer in answers} == {True, False}
    other = pairings.Pairing("192.0.2.7", "Helper/1.0", "", stage.host.url)
    found = stage.host.server._runner.app[pairings.PAIRINGS]
    found.add(other)
    assert other in found.open()
    # Nor can all together open any number, or keep one open for long.
    monkeypatch.setattr(pairings, "MAX_OPEN", len(found.open()))
    with pytest.raises(pairings.TooManyPairings):
        found.add(pairings.Pairing("192.0.2.8", "Helper/1.0", "", stage.host.url))
    monkeypatch.setattr(pairings, "LIVES_SECONDS", 0.0)
    found.forget(other)
    late = pairings.Pairing("192.0.2.7", "Helper/1.0", "", stage.host.url)
    found.add(late)
    assert late not in found.open()
    with pytest.raises(pairings.NoPairing):
        found.of_link(late.code)


async def test_pairing_may_require_digits(tmp_path: Path) -> None:
    async with served(tmp_path, ilink_pair_digits=True) as stage:
        approval: JsonObject = {"account": "alice", "consumer": "helper"}

        async def approved() -> tuple[JsonObject, str]:
            asked = await asks(stage)
            _, shown = await stage.host.v1("POST", f"ilink/pairings/{code_of(asked)}", approval)
            assert await status_of(stage, asked) == {"ret": 0, "status": "need_verifycode"}
            return asked, text(shown["digits"])

        asked, digits = await approved()
        wrong = f"{(int(digits) + 1) % 10**6:06}"
        assert (await status_of(stage, asked, verify_code=wrong))["status"] == "need_verifycode"
        assert (await status_of(stage, asked, verify_code=digits))["status"] == "confirmed"
        asked, digits = await approved()
        for status in ("need_verifycode", "need_verifycode", "verify_code_blocked"):
            assert (await status_of(stage, asked, verify_code="x"))["status"] == status
        assert (await status_of(stage, asked, verify_code=digits))["status"] == "expired"


HOSTS = [
    (None, "evil.example", 403),
    (None, "127.0.0.1:1", 403),
    (None, "evil.example@127.0.0.1", 403),
    ({"allow_hosts": ("*",)}, "evil.example", 403),
    ({"allow_origins": ("https://panel.example",)}, "panel.example", "https://panel.example"),
    ({"public_url": "https://wx.example", "allow_hosts": ("*",)}, "evil.example", "https://wx.example"),
]


@pytest.mark.parametrize(("settings", "name", "expected"), HOSTS)
async def test_agents_are_given_no_foreign_base_url(
    tmp_path: Path, settings: dict[str, object] | None, name: str, expected: int | str
) -> None:
    async with served(tmp_path, **(settings or {})) as stage:
        status, answer = await raw(
            stage.host,
            f"GET /ilink/bot/get_bot_qrcode HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode(),
        )
        content = json.loads(answer.partition(b"\r\n\r\n")[2])
        if isinstance(expected, int):
            assert (status, content["ret"]) == (expected, -1)
            assert "qrcode" not in content
            return
        assert content["qrcode_img_content"].startswith(f"{expected}/ilink/pair/")
        approval: JsonObject = {"account": "alice", "consumer": "helper"}
        await stage.host.v1("POST", f"ilink/pairings/{code_of(content)}", approval)
        assert (await status_of(stage, content))["baseurl"] == expected
