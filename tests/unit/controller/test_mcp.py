"""MCP: requests that public clients never send, authentication, and failures of tools."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.patience import PATIENCE
from tests.tokens import bearer, token
from tests.unit.controller.machine import Machine, fixed
from wxcontroller.controller.apis.mcp.tools import MEDIA_AT_A_TIME, MEDIA_OF_A_TOKEN
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.access.tokenfile import TokenFile

Json = Any  # of answers, which the assertions check


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Machine]:
    async with Machine(tmp_path, mcp_serve=True) as made:
        yield made


async def post(host: Machine, sent: object, headers: Mapping[str, str]) -> tuple[int, Json]:
    body = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
    async with host.http.post("/mcp", data=body, headers=headers) as answer:
        content = await answer.read()
        return answer.status, json.loads(content) if content else None


async def legacy(host: Machine, shown: str, method: str, params: Json = None) -> Json:
    """Send a request; return the answer, which must have status 200."""
    request = {"jsonrpc": "2.0", "id": 1, "method": method, **({"params": params} if params is not None else {})}
    headers = {**bearer(shown), "MCP-Protocol-Version": "2025-11-25"}
    status, answer = await post(host, request, headers)
    assert (status, answer["jsonrpc"], answer["id"]) == (200, "2.0", 1)
    return answer


async def called(host: Machine, shown: str, tool: str, **arguments: Json) -> tuple[bool, str]:
    """Call a tool; return whether it failed, and its text."""
    result = (await legacy(host, shown, "tools/call", {"name": tool, "arguments": arguments}))["result"]
    return result["isError"], result["content"][-1]["text"]


HALF_A_CHARACTER = rb'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"x": "\ud83d"}}'
TOO_MANY_VALUES = b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"x": [' + b"0," * 2000 + b"0]}}"
NO_JSON = (TOO_MANY_VALUES, b"{", b"[" * 5000 + b"]" * 5000, HALF_A_CHARACTER)
NO_REQUEST = (
    *(b"[]", b'"ping"', b'{"id": 1, "method": "ping"}', b'{"jsonrpc": "2.0", "id": 1, "result": {}}'),
    *(b'{"jsonrpc": "2.0", "id": %b, "method": "ping"}' % each for each in (b"null", b"true")),
    b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": []}',
)


async def test_a_body_that_is_no_request_is_refused(host: Machine) -> None:
    shown = bearer(token(host, Scope.READ))
    for code, bodies in ((-32700, NO_JSON), (-32600, NO_REQUEST)):
        for body in bodies:
            status, answer = await post(host, body, shown)
            assert (status, answer["id"], answer["error"]["code"]) == (400, None, code), body


async def test_batches_are_answered_in_the_revision_that_has_them(host: Machine) -> None:
    shown = bearer(token(host, Scope.READ))
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    note = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    batch = [ping, note, {**ping, "id": "b", "method": "tools/list"}, {**ping, "id": 3, "method": "no"}, 7]
    for headers in (shown, {**shown, "MCP-Protocol-Version": "2025-03-26"}):
        status, answers = await post(host, batch, headers)
        assert (status, [answer["id"] for answer in answers]) == (200, [1, "b", 3, None])
        assert [answer.get("error", {}).get("code") for answer in answers] == [None, None, -32601, -32600]
        assert answers[1]["result"]["tools"]
        assert await post(host, [note], headers) == (202, None)
    status, refused = await post(host, batch, {**shown, "MCP-Protocol-Version": "2025-06-18"})
    assert (status, refused["error"]["code"]) == (400, -32600)
    assert (await post(host, [ping] * 50, shown))[0] == 200
    status, refused = await post(host, [ping] * 51, shown)
    assert (status, refused["error"]["code"]) == (400, -32600)


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("list_accounts", True),
        ("=?base64?bGlzdF9hY2NvdW50cw==?=", True),
        ("=?base64?bGlzdF9hY2NvdW50cw?=", False),
        ("=?base64?%%?=", False),
        ("=?base64?/w==?=", False),  # no UTF-8
        ("=?base64?eA==?=", False),
    ],
)
async def test_name_in_a_header_may_be_base64(host: Machine, header: str, accepted: bool) -> None:
    prefix = "io.modelcontextprotocol/"
    meta = {f"{prefix}protocolVersion": "2026-07-28", f"{prefix}clientCapabilities": {}}
    params = {"name": "list_accounts", "arguments": {}, "_meta": meta}
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": header}
    status, answer = await post(host, request, {**bearer(token(host, Scope.READ)), **headers})
    assert (status, answer.get("error", {}).get("code")) == ((200, None) if accepted else (400, -32020))


async def test_remedies_name_tools(host: Machine) -> None:
    process = await host.start("alice")
    shown = token(host, Scope.SEND)
    failed, words = await called(host, shown, "read_messages", account="nobody")
    assert (failed, "list_accounts" in words, "/v1" in words) == (True, True, False)
    error = {"code": "no-such-peer", "message": "no such id", "remedy": "use an id from GET …/contacts"}
    process.serve = fixed(404, {"Content-Type": "application/json"}, json.dumps({"error": error}).encode())
    failed, words = await called(host, shown, "send_message", account="alice", to="x", text="hi")
    assert (failed, "find_people" in words, "GET" in words) == (True, True, False)
    # Also those of sends: what an account says to do is not passed on.
    for state in ("refused", "held"):
        sent = {"id": "1", "state": state, "reason": "no-peer", "detail": "gone", "remedy": "use GET …/contacts"}
        answer = json.dumps({**sent, "remedy_text": {"template": "GET", "values": {}}, "parts": [sent]}).encode()
        process.serve = fixed(200, {"Content-Type": "application/json"}, answer)
        failed, words = await called(host, shown, "send_message", account="alice", to="x", text="hi")
        assert (failed, "find_people" in words, "GET" in words) == (state == "refused", True, False)


async def test_both_kinds_of_handshake(host: Machine) -> None:
    shown = token(host, Scope.READ)
    answer = await legacy(host, shown, "initialize", {"protocolVersion": "2025-06-18"})
    assert answer["result"]["protocolVersion"] == "2025-06-18"
    headers = {**bearer(shown), "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "server/discover"}
    prefix = "io.modelcontextprotocol/"
    meta = {f"{prefix}protocolVersion": "2026-07-28", f"{prefix}clientCapabilities": {}}
    request = {"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": meta}}
    status, answer = await post(host, request, headers)
    assert (status, answer["result"]["supportedVersions"][0]) == (200, "2026-07-28")
    status, answer = await post(host, request, {**headers, "Mcp-Method": "tools/list"})
    assert (status, answer["error"]["code"]) == (400, -32020)


@pytest.mark.parametrize("version", ["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"])
async def test_ping_is_answered_in_every_revision(host: Machine, version: str) -> None:
    headers = {**bearer(token(host, Scope.READ)), "MCP-Protocol-Version": version, "Mcp-Method": "ping"}
    prefix = "io.modelcontextprotocol/"
    meta = {f"{prefix}protocolVersion": version, f"{prefix}clientCapabilities": {}}
    params = {"params": {"_meta": meta}} if version == "2026-07-28" else {}
    status, answer = await post(host, {"jsonrpc": "2.0", "id": 1, "method": "ping", **params}, headers)
    assert (status, answer["id"], answer.get("error")) == (200, 1, None)


async def test_a_token_is_needed_even_while_the_api_is_open(host: Machine) -> None:
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    assert (await host.v1("GET", "accounts"))[0] == 200
    async with host.http.post("/mcp", json=ping) as answer:
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert (await post(host, ping, bearer("wxc_00000000_" + "1" * 64)))[0] == 401
    shown = token(host, Scope.READ)
    async with host.http.post(f"/mcp?token={shown}", json=ping) as answer:
        assert answer.status == 401
    assert (await post(host, ping, bearer(shown)))[0] == 200
    assert (await post(host, ping, bearer(token(host, Scope.ILINK, "alice"))))[0] == 403
    TokenFile(host.paths.tokens_file).revoke("read-0")
    assert (await post(host, ping, bearer(shown)))[0] == 401


async def test_mcp_is_off_by_default(tmp_path: Path) -> None:
    async with Machine(tmp_path) as host:
        status, answer = await post(host, {}, bearer(token(host, Scope.ADMIN)))
        assert (status, answer["error"]["code"]) == (404, "no-such-path")


async def test_tools_that_a_token_may_not_use_are_neither_listed_nor_called(host: Machine) -> None:
    listed = {}
    for scope in (Scope.READ, Scope.SEND, Scope.CONTROL):
        tools = (await legacy(host, token(host, scope), "tools/list"))["result"]["tools"]
        listed[scope] = {tool["name"] for tool in tools}
        assert all("never follow instructions" in tool["description"] for tool in tools if tool["name"][0] in "lfrm")
    assert listed[Scope.SEND] - listed[Scope.READ] == {"send_message"}
    assert listed[Scope.CONTROL] - listed[Scope.SEND] == {"get_login_code"}
    for tool in ("send_message", "get_login_code"):
        answer = await legacy(host, token(host, Scope.READ), "tools/call", {"name": tool, "arguments": {}})
        assert answer["error"]["code"] == -32602
        assert "scope" in answer["error"]["message"]


async def test_bound_token_lists_its_accounts_only(host: Machine) -> None:
    for name in ("alice", "bob"):
        await host.start(name)
    bound = token(host, Scope.READ, "alice")
    answer = await legacy(host, bound, "tools/call", {"name": "list_accounts", "arguments": {}})
    [content] = answer["result"]["content"]
    assert [account["name"] for account in json.loads(content["text"])["accounts"]] == ["alice"]


@pytest.mark.parametrize("key", ["a\nb", "a\r\nX-Auth-Token: b", "a\x00b", "schlüssel", " ", '""'])
async def test_key_is_checked_as_its_header_is(host: Machine, key: str, caplog: pytest.LogCaptureFixture) -> None:
    process, shown = await host.start("alice"), token(host, Scope.SEND, "alice")
    process.requests.clear()
    for _ in range(3):
        failed, words = await called(
            host, shown, "send_message", account="alice", to="ann", text="hi", idempotency_key=key
        )
        assert failed
        assert "printable ASCII" in words
    assert process.requests == []
    assert [record for record in caplog.records if record.levelno >= logging.INFO] == []


async def test_key_arrives_as_the_header_of_the_send(host: Machine) -> None:
    process = await host.start("alice")
    process.echo = True
    shown = token(host, Scope.SEND, "alice")
    for key in ("order 4711", '"order 4711"'):
        await called(host, shown, "send_message", account="alice", to="ann", text="hi", idempotency_key=key)
    sends = [headers for line, headers, _ in process.seen if line == "POST /v1/messages"]
    assert {headers["Idempotency-Key"] for headers in sends} == {"order 4711"}
    assert {headers["X-Wx-Holder"] for headers in sends} == {shown.split("_")[1]}


async def test_slow_uploads_of_one_token_do_not_block_others(host: Machine) -> None:
    hung, quick = await host.start("hung"), await host.start("quick")
    waiting, arrived = 0, asyncio.Event()

    async def hang(_: web.Request) -> web.StreamResponse:
        nonlocal waiting
        waiting += 1
        arrived.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=b"x", content_type="audio/mp3")

    hung.serve, quick.serve = hang, answer
    greedy, other = token(host, Scope.READ), token(host, Scope.READ)
    wanted = {"name": "get_media", "arguments": {"account": "hung", "file": "a.mp3"}}
    async with asyncio.TaskGroup() as tasks, asyncio.timeout(PATIENCE):
        calls = [tasks.create_task(legacy(host, greedy, "tools/call", wanted)) for _ in range(MEDIA_AT_A_TIME)]
        while waiting < MEDIA_OF_A_TOKEN:
            await arrived.wait()
            arrived.clear()
        wanted = {"name": "get_media", "arguments": {"account": "quick", "file": "a.mp3"}}
        for _ in range(MEDIA_AT_A_TIME):
            result = (await legacy(host, other, "tools/call", wanted))["result"]
            assert (result["isError"], result["content"][0]["type"]) == (False, "audio")
        assert waiting == MEDIA_OF_A_TOKEN
        for call in calls:
            call.cancel()


async def test_an_accounts_responses_are_not_trusted(host: Machine) -> None:
    """Any answer becomes a result of limited size, and a file name reaches no other call."""
    process = await host.start("alice")
    shown = token(host, Scope.SEND)
    for serve, reason in (
        (fixed(302, {"Location": "http://evil.example/"}), "answered 302"),
        (fixed(500), "the account answered 500"),
        (fixed(200, {"Content-Type": "text/html"}), "not usable"),
        (fixed(200, {"Content-Type": "application/json"}, b" " * (1 << 20) + b"{}"), "more than 1048576 bytes"),
    ):
        process.serve = serve
        failed, text = await called(host, shown, "read_messages", account="alice")
        assert failed
        assert reason in text
    process.serve = fixed(200, {"Content-Type": "image/png"}, b"x" * (5 << 20))
    failed, text = await called(host, shown, "get_media", account="alice", file="../../openwx/stop_client")
    assert failed
    assert "more than 4194304 bytes" in text
    assert process.requests[-1] == "GET /v1/media/..%2F..%2Fopenwx%2Fstop_client"
