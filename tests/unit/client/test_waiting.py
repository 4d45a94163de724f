"""Callers that wait: how long at most, and what becomes of the work when they hang up."""

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.patience import PATIENCE, until
from tests.serving import answering
from tests.unit.client.conftest import RunningClient, Start, running
from tests.unit.client.scripted import message
from wxcontroller.client.checkevent import EventRing
from wxcontroller.core.jsontypes import items, obj

SLOW = {"MOJO_WEIXIN_SEND_INTERVAL": "60"}


@pytest.fixture
async def silent() -> AsyncIterator[str]:
    """The address of a server that takes requests and never answers."""
    async with answering(None) as port:
        yield f"http://127.0.0.1:{port}/a.png"


async def queued(client: RunningClient) -> None:
    """Let the account send once, so that everything after it waits for its turn."""
    await client.login()
    await client.get("send_friend_message", id="@ben", content="first")
    await until(lambda: client.driver.sends)


async def test_send_that_times_out_reports_that_it_continues(start: Start) -> None:
    client = start(**SLOW, WXCLIENT_LIMIT_SEND_ANSWER_SECONDS="0.3")
    await queued(client)
    for call in ("send_friend_message", "consult"):
        answer = obj(await client.get(call, id="@ann", content="x"))
        assert (answer["id"], answer["code"]) == (None, -7)
        assert "still queued" in str(answer["status"])
    assert obj(await client.get("get_client_info"))["queued"] == 2


async def test_fetching_and_waiting_share_one_timeout(start: Start, silent: str) -> None:
    client = start(WXCLIENT_MEDIA_PRIVATE_URLS="1", WXCLIENT_LIMIT_SEND_ANSWER_SECONDS="0.3", **SLOW)
    await queued(client)
    async with asyncio.timeout(PATIENCE):  # fetching may take 120 s
        answer = obj(await client.get("send_friend_message", id="@ann", content="x", media_path=silent))
        assert (answer["code"], answer["media_id"]) == (-7, "")
        answer = obj(await client.get("upload_media", media_path=silent))
    assert (answer["code"], answer["media_id"]) == (-1, None)
    assert "not done in" in str(answer["status"])


async def test_all_waiters_get_an_event(client: RunningClient, waiting: list[EventRing]) -> None:
    polls = [asyncio.create_task(client.get("check_event")) for _ in range(40)]
    await until(lambda: len(waiting) == 40)
    for one in polls[:20]:
        one.cancel()
    await asyncio.wait(polls[:20])
    client.driver.play([message("for all")])
    for one in polls[20:]:
        assert [obj(r)["content"] for r in items(await asyncio.wait_for(one, PATIENCE))] == ["for all"]


async def test_empty_search_value_matches_nobody(client: RunningClient) -> None:
    """Most people have no account name and no remark: the first of them is not who was meant."""
    for empty in ("account", "markname", "displayname", "id"):
        assert await client.get("send_friend_message", content="x", **{empty: ""}) == {
            "id": None,
            "code": 100,
            "status": "object not found",
        }
        assert obj(await client.get("set_friend_markname", new_markname="x", **{empty: ""}))["code"] == 100
        with_id = {"content": "x", empty: "", "id": "@ben"}
        found = obj(await client.get("send_friend_message", **with_id))
        assert found["code"] == (100 if empty == "displayname" else 0)  # all that is given must fit
    assert obj(items(await client.get("search_friend", account=""))[0])["id"] == "@ann"


@pytest.mark.parametrize("chunked", [False, True])
async def test_request_bodies_are_limited_each_and_in_total(start: Start, chunked: bool) -> None:
    client = await running(start, WXCLIENT_API_BODY_MAX="20000", WXCLIENT_API_BODIES_MAX="15000")

    async def content(size: int) -> "aiohttp.ClientResponse":
        body = b"id=%40ann&content=" + b"x" * size

        async def pieces() -> "object":
            yield body

        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        data = pieces() if chunked else body
        return await client.http.post(client.address("send_friend_message"), data=data, headers=headers)

    for size, status in ((1000, 200), (16_000, 503), (30_000, 503 if chunked else 413), (14_000, 200)):
        answer = await content(size)
        assert (answer.status, obj(json.loads(await answer.read()))["code"]) == (status, 0 if status == 200 else -1)
    assert [len(text) for _, text, _ in client.driver.sends] == [1000, 14_000]
