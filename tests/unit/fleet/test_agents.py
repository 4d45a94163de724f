"""Agents: their tokens are the host's that has issued them, and work at every host."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest_asyncio
from aiohttp import web

from tests.patience import until
from tests.unit.controller.test_ilink import SESSION_OVER, Agent, Stage, within
from tests.unit.fleet.hosts import FleetHost, hosts_of, impostor, introduce
from wxcontroller.core.access import Scope
from wxcontroller.core.jsontypes import JsonObject

Stages = tuple[Stage, Stage]


@pytest_asyncio.fixture
async def stages(tmp_path: Path) -> AsyncIterator[Stages]:
    """Host b with account alice, and host a through which its agents call."""
    async with hosts_of(tmp_path, "a", "b") as hosts:
        for host in hosts:
            host.settings = host.accounts.settings = replace(host.settings, ilink_serve=True)
        a, b = hosts
        process, agent = await b.start("alice"), Agent()
        process.serve = agent.serve
        await introduce(hosts)
        yield Stage(a, process, agent), Stage(b, process, agent)


async def known(a: Stage, token: str) -> None:
    """Wait until the host knows whose a token is."""
    assert isinstance(a.host, FleetHost)
    fleet = a.host.fleet
    await until(lambda: fleet.calls.agent(token) is not None)


async def test_agent_calls_are_forwarded_to_the_accounts_host(stages: Stages) -> None:
    a, b = stages
    token = await b.token()
    await known(a, token)
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


async def test_other_tokens_are_not_sent_to_other_hosts(stages: Stages) -> None:
    a, b = stages
    token = await b.token()
    await known(a, token)
    seen = len(b.agent.seen)
    forged = token[:13] + "0" * 64  # the id of the real one
    for wrong in (forged, "wxc_12345678_" + "0" * 64, None):
        assert await a.call("sendmessage", wrong, {}) == SESSION_OVER
    assert len(b.agent.seen) == seen
    assert await b.host.v1("DELETE", "accounts/alice/consumers/helper")
    assert await a.call("sendmessage", token, {}) == SESSION_OVER
