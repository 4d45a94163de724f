"""The iLink API of an account: messages to agents and from them, on the iLink and on the web route."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.patience import PATIENCE
from tests.unit.client.conftest import Webhook
from tests.unit.client.ilink_agent import Agent, Stage, Start, stage_of
from wxcontroller.client.ilink import polling


@pytest.fixture(params=["ilink", "web"])
async def stage(request: pytest.FixtureRequest, start: Start, webhook: Webhook) -> AsyncIterator[Stage]:
    async with stage_of(request.param, start, webhook) as found:
        yield found


@pytest.fixture
async def ilink(start: Start, webhook: Webhook) -> AsyncIterator[Stage]:
    async with stage_of("ilink", start, webhook) as found:
        yield found


@pytest.fixture
async def web(start: Start, webhook: Webhook) -> AsyncIterator[Stage]:
    async with stage_of("web", start, webhook) as found:
        yield found


def texts(messages: list[dict[str, object]]) -> list[object]:
    return [message["item_list"][0]["text_item"]["text"] for message in messages]  # type: ignore[index]


async def test_a_message_in_and_an_answer_out(stage: Stage) -> None:
    agent = Agent(await stage.enter())
    await agent.attend()
    stage.hear("where is my parcel?")
    [message] = await agent.until()
    assert texts([message]) == ["where is my parcel?"]
    assert (message["message_type"], message["message_state"], message["group_id"]) == (1, 2, "")
    peer, bot = message["from_user_id"], message["to_user_id"]
    assert isinstance(message["message_id"], int) and len(message["context_token"]) == 136
    shown = await agent.shown()
    assert (shown["ilink_bot_id"], shown["bot_agent"], shown["channel_version"]) == (bot, "Test/1.0", "2.4.9")
    if stage.ilink is not None:
        assert peer == stage.ilink.peer == shown["ilink_user_id"]
        secrets = [stage.ilink.bot.bot_id, stage.ilink.bot.token]
        secrets += [one for window in stage.ilink.bot.windows.values() for one in window.tokens]
        assert not [one for one in secrets if one in str(message)]
    answer = await agent.send(peer, "on its way", client_id="1")
    assert answer["ret"] == 0
    assert isinstance(answer["message_id"], int)
    assert await agent.send(peer, "on its way", client_id="1") == answer  # a retry
    assert (await agent.send(peer, "on its way", client_id="2"))["ret"] == 0  # somebody says it again
    assert stage.sent() == ["on its way", "on its way"]


async def test_what_was_not_acknowledged_comes_again_to_each_consumer_for_itself(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await stage.enter()
    one, other = Agent(client, "one"), Agent(client, "other")
    await one.attend()
    await other.attend()
    stage.hear("first")
    first = await one.until()
    assert texts(first) == ["first"]
    assert [again["message_id"] for again in await one.updates("")] == [first[0]["message_id"]]
    before = one.cursor
    stage.hear("second")
    assert texts(await one.until()) == ["second"]  # and acknowledges the first
    assert texts(await one.updates("")) == ["second"]
    # The other has had nothing yet, and what one's cursor says means nothing to it.
    assert texts(await other.updates(one.cursor)) == ["first", "second"]
    assert texts(await other.updates("")) == ["first", "second"]
    assert {"first", "second"} & {one.cursor, other.cursor} == set()
    # A backup of one's is not believed.
    assert texts(await one.updates(before)) == ["second"]
    assert await client.stop() == 0
    client = stage.begin()
    await client.until_state("running")
    one.client = other.client = client
    assert texts(await other.updates("")) == ["first", "second"]
    assert [each["name"] for each in await one.consumers()] == ["one", "other"]
    monkeypatch.setattr(polling, "HOLD_SECONDS", 0.05)
    assert await other.updates() == []
    assert [each["behind"] for each in await one.consumers() if each["name"] == "other"] == [0]


async def test_one_poll_at_a_time_and_none_without_its_consumer(stage: Stage) -> None:
    client = await stage.enter()
    agent = Agent(client)
    await agent.attend()
    older = asyncio.ensure_future(agent.call("getupdates", get_updates_buf=""))
    async with asyncio.timeout(PATIENCE):
        while not (await agent.shown())["polling"]:
            await asyncio.sleep(0.01)
    newer = asyncio.ensure_future(agent.call("getupdates", get_updates_buf=""))
    assert (await older)["msgs"] == []
    stage.hear("hello")
    assert len((await newer)["msgs"]) == 1
    waiting = asyncio.ensure_future(agent.call("getupdates", get_updates_buf=(await newer)["get_updates_buf"]))
    async with asyncio.timeout(PATIENCE):
        while not (await agent.shown())["polling"]:
            await asyncio.sleep(0.01)
    assert (await agent.manage("DELETE", "/v1/consumers/agent"))[0] == 200
    assert (await waiting)["errcode"] == -14
    assert await agent.consumers() == []


async def test_only_the_controller_gets_in(stage: Stage) -> None:
    """Also while the account's API needs no token."""
    agent = Agent(await stage.enter())
    for headers in ({}, {"X-Wx-Consumer": "agent"}, {**agent.headers, "X-Wx-Consumer": "Not A Name"}):
        async with agent.client.http.post(agent.url("/ilink/bot/getupdates"), json={}, headers=headers) as answer:
            assert answer.status == 403
    assert await agent.call("getcontacts", status=404) == {"ret": -1, "errmsg": "no such call"}
