"""Authentication at an account's own port once there are tokens."""

import asyncio
import json
import logging
import re
import stat
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.patience import PATIENCE
from tests.unit.client.conftest import RunningClient, Start, running
from tests.unit.client.test_heartbeat import Commander, commander
from wxcontroller.client import port as own_port
from wxcontroller.client import service
from wxcontroller.controller.apis.v1.index import ENDPOINTS
from wxcontroller.core.access import rights
from wxcontroller.core.access.porttokens import publish
from wxcontroller.core.access.rights import About, Scope
from wxcontroller.core.access.tokenfile import Tokens, minted
from wxcontroller.core.text.templates import Text
from wxcontroller.openwx.http.credentials import PORT_HEADER

__all__ = ["commander"]
# Routes of unknown paths and preflights.
CATCH_ALLS = ("/v1/{rest}", "/ilink/{call}", "/{path}", "/openwx/{name}.{format}")


def close(client: RunningClient, *made: tuple[Scope, tuple[str, ...]]) -> list[str]:
    """Create tokens and publish them to the accounts; return their texts."""
    shown, kept = zip(*(minted(f"t{number}", *each, None) for number, each in enumerate(made)), strict=True)
    client.paths.port_tokens.parent.mkdir(parents=True, exist_ok=True)
    publish(client.paths, Tokens({token.id: token for token in kept}))
    return list(shown)


async def ask(
    client: RunningClient, path: str, headers: Mapping[str, str] | None = None, data: object = None, method: str = ""
) -> tuple[int, object]:
    """Call the account's port; return the status, and the code of a refusal or None."""
    url = f"http://127.0.0.1:{client.port}{path}"
    method = method or ("POST" if data else "GET")
    async with client.http.request(method, url, headers=headers, data=data) as answer:
        try:
            content = json.loads(await answer.read())
        except ValueError:
            return answer.status, None
    if isinstance(content, dict) and answer.status in (401, 403, 429):
        return answer.status, content["error"]["code"] if "error" in content else content["code"]
    return answer.status, None


def secret_of(client: RunningClient) -> str:
    return client.paths.port_secret("alice").read_text().strip()


async def test_slow_unauthenticated_forms_do_not_block_the_controller(start: Start) -> None:
    client = await running(start, WXCLIENT_API_CONNECTIONS_MAX="64")
    close(client, (Scope.READ, ()))
    head = b"POST /openwx/get_user_info HTTP/1.1\r\nHost: localhost\r\n"
    head += b"Content-Type: application/x-www-form-urlencoded\r\n"
    peers = []
    for _ in range(60):
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(head + b"Content-Length: 9\r\n\r\ntoken=")
        peers.append((reader, writer))
    async with asyncio.timeout(PATIENCE):
        assert b" 503 " in await peers[-1][0].readuntil(b"\r\n")
    for _ in range(3):
        shown = {PORT_HEADER: f"read {secret_of(client)}"}
        assert await ask(client, "/openwx/get_user_info", shown) == (200, None)
    for _, writer in peers:
        writer.close()


async def test_calls_without_a_token_are_refused_while_tokens_exist(client: RunningClient) -> None:
    assert await ask(client, "/openwx/get_user_info") == (200, None)
    close(client, (Scope.READ, ()))
    assert await ask(client, "/openwx/get_user_info") == (403, -6)  # takes effect at once
    assert await ask(client, "/openwx/send_friend_message", data={"id": "@ann", "content": "x"}) == (403, -6)
    assert await ask(client, "/openwx/nothing") == (403, -6)
    assert await ask(client, "/v1/status") == (401, "no-token")
    assert await ask(client, "/v1/nothing") == (401, "no-token")
    assert client.driver.sends == []


async def test_controller_presents_the_ports_secret_and_its_callers_scope(start: Start) -> None:
    client = await running(start)
    close(client, (Scope.READ, ()))
    secret = secret_of(client)
    assert stat.S_IMODE(client.paths.port_secret("alice").stat().st_mode) == 0o640
    send = {"id": "@ann", "content": "x"}
    assert await ask(client, "/v1/status", {PORT_HEADER: f"read {secret}"}) == (200, None)
    assert await ask(client, "/openwx/send_friend_message", {PORT_HEADER: f"read {secret}"}, send) == (403, -6)
    assert await ask(client, "/openwx/send_friend_message", {PORT_HEADER: f"send {secret}"}, send) == (200, None)
    for wrong in (f"admin {secret[:-1]}", f"all {secret}", secret, f"admin  {secret}", "admin ", f"admin {secret}é"):
        assert await ask(client, "/v1/status", {PORT_HEADER: wrong}) == (401, "no-token"), wrong
    assert len(client.driver.sends) == 1
    await client.stop()
    client = await running(start)
    assert await ask(client, "/v1/status", {PORT_HEADER: f"read {secret}"}) == (401, "no-token")
    assert await ask(client, "/v1/status", {PORT_HEADER: f"read {secret_of(client)}"}) == (200, None)


# Also where one file is larger than the quota of all.
@pytest.mark.parametrize("keep", ["4000000", "400000"])
async def test_tokens_at_the_own_port_have_shares_of_the_disk(start: Start, keep: str) -> None:
    client = await running(start, WXCLIENT_MEDIA_KEEP_BYTES=keep, MOJO_WEIXIN_SEND_INTERVAL="600")
    one, other = close(client, (Scope.SEND, ("alice",)), (Scope.SEND, ("alice",)))

    async def upload(token: str) -> int:
        form = aiohttp.FormData({"to": "@ann", "wait": "0"})
        form.add_field("file", bytes(100_000), filename="a.bin")
        return (await ask(client, "/v1/messages", {"X-Auth-Token": token}, form))[0]

    assert [await upload(one) for _ in range(8)].count(429) >= 3
    assert await upload(other) == 202


async def test_token_bound_to_this_account_is_accepted(start: Start) -> None:
    client = await running(start, WXCLIENT_LIMIT_TOKEN_FAILURES="100")
    own, bobs, wide, both = close(
        client, (Scope.SEND, ("alice",)), (Scope.SEND, ("bob",)), (Scope.ADMIN, ()), (Scope.ADMIN, ("alice", "bob"))
    )
    path, form = "/openwx/send_friend_message", {"id": "@ann", "content": "x"}

    async def send(shown: str) -> set[tuple[int, object]]:
        """Send with a token in each place that is allowed; return the responses."""
        multipart = aiohttp.FormData({**form, "token": shown}, default_to_multipart=True)
        return {
            await ask(client, path, {"Authorization": f"Bearer {shown}"}, form),
            await ask(client, path, {"X-Auth-Token": shown}, form),
            await ask(client, f"{path}?token={shown}", {}, form),
            await ask(client, path, {}, {**form, "token": shown}),
            await ask(client, path, {}, multipart),
        }

    assert await send(own) == {(200, None)}
    # A program in the account's place would see the token, so a token with more rights is refused.
    for other in (bobs, wide, both, "wxc_12345678_" + "0" * 64, ""):
        assert await send(other) == {(403, -6)}
    assert len(client.driver.sends) == 5


async def test_commands_of_poll_api_need_no_token_and_leak_no_secret(commander: Commander, start: Start) -> None:
    client = start(MOJO_WEIXIN_PLUGIN_OPENWX_POLL_API=commander.address, MOJO_WEIXIN_POLL_INTERVAL="0.1")
    close(client, (Scope.READ, ()))
    own = f"http://127.0.0.1:{client.port}/openwx/send_friend_message?id=@ann&content=x"
    commander.locations = [own, f"http://127.0.0.1:{commander.port}/openwx/stop_client"]
    await client.login()
    await commander.beats(3)
    assert [(to, text) for to, text, _ in client.driver.sends] == [("@ann", "x")]
    headers = str([dict(request.headers) for request, _ in commander.asked])
    assert secret_of(client) not in headers
    assert PORT_HEADER not in headers


def test_scope_of_a_call_is_the_same_at_controller_and_account() -> None:
    """An account's own port must not allow what the controller reserves for administrators."""

    def scopes(endpoints: tuple[rights.Endpoint, ...], prefix: str) -> dict[tuple[str, str], Scope | None]:
        return {
            (method, re.sub("{[a-z]+}", "{}", endpoint.path.removeprefix(prefix))): endpoint.scope
            for endpoint in endpoints
            for method in endpoint.methods
            if endpoint.path.startswith(prefix)
        }

    at_controller, own = scopes(ENDPOINTS, "/v1/accounts/{name}/"), scopes(rights.OWN_PORT, "/v1/")
    both = at_controller.keys() & own.keys()
    assert {call: own[call] for call in both} == {call: at_controller[call] for call in both}
    assert ("PUT", "consumers/{}") in both


async def test_each_call_needs_its_scope(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every route of the account is in the table, and requires the scope given there."""
    apps: list[web.Application] = []
    original = own_port.listening

    def noted(app: web.Application, *others: Any) -> AbstractAsyncContextManager[None]:
        apps.append(app)
        return original(app, *others)

    monkeypatch.setattr(service, "listening", noted)
    client = await running(start)
    [app] = apps
    routes = {
        (route.method, rights.call_path(route.resource.canonical))
        for route in app.router.routes()
        if route.resource is not None and route.resource.canonical not in CATCH_ALLS and route.method != "HEAD"
    }
    table = [*rights.ACCOUNT, *rights.OWN_PORT]
    assert routes == {(method, endpoint.path) for endpoint in table for method in endpoint.methods}
    assert all(endpoint.about is About.CLIENT for endpoint in rights.ACCOUNT)
    scopes: list[Scope] = list(rights.LADDER)
    tokens = dict(zip(scopes, close(client, *((scope, ("alice",)) for scope in scopes)), strict=True))
    for endpoint in table:
        path, method = re.sub("[{}]", "", endpoint.path), endpoint.methods[-1]
        if endpoint.scope is None:
            assert await ask(client, path, method=method) == (200, None)
            continue
        for scope, shown in tokens.items():
            if not scope.covers(endpoint.scope):
                status, code = await ask(client, path, {"X-Auth-Token": shown}, method=method)
                assert (status, code) in ((403, -6), (403, "not-allowed")), (endpoint.path, scope)
        if endpoint.path.endswith(("/check_event", "/stop_client")):
            continue  # waits, ends
        _, code = await ask(client, path, {"X-Auth-Token": tokens[endpoint.scope]}, method=method)
        assert code is None, endpoint.path
    assert await ask(client, "/openwx/unheard_of", {"X-Auth-Token": tokens[Scope.CONTROL]}) == (403, -6)
    assert await ask(client, "/openwx/unheard_of", {"X-Auth-Token": tokens[Scope.ADMIN]}) == (403, None)


async def test_wrong_tokens_are_delayed_and_not_logged(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = await running(start, WXCLIENT_LIMIT_TOKEN_FAILURES="3")
    [own] = close(client, (Scope.READ, ("alice",)))
    wrong = "wxc_12345678_" + "5" * 64
    url = f"http://127.0.0.1:{client.port}/v1/status?token={wrong}"
    for status, header in [(401, "WWW-Authenticate")] * 3 + [(429, "Retry-After")] * 2:
        async with client.http.get(url) as answer:
            assert (answer.status, header in answer.headers) == (status, True)
    assert await ask(client, "/v1/status", {"X-Auth-Token": own}) == (200, None)
    assert await ask(client, f"/openwx/stop_client?token={own}") == (403, -6)
    logged = [record for record in caplog.records if getattr(record, "WX_EVENT", "") == "access-refused"]
    assert len(logged) == 1
    assert wrong not in caplog.text
    assert own not in caplog.text


async def test_revoked_token_is_refused_at_once(client: RunningClient) -> None:
    [own] = close(client, (Scope.READ, ("alice",)))
    assert await ask(client, "/v1/status", {"X-Auth-Token": own}) == (200, None)
    publish(client.paths, Tokens(broken=Text("x")))
    assert await ask(client, "/v1/status", {"X-Auth-Token": own}) == (401, "no-token")
    publish(client.paths, Tokens())
    assert await ask(client, "/v1/status") == (200, None)
