"""/v1/events at the account's port: pages and streams."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from tests.patience import PATIENCE
from tests.unit.client.conftest import RunningClient, Start
from tests.unit.client.scripted import message
from wxcontroller.client.v1.reads import eventreads
from wxcontroller.core.jsontypes import JsonObject, items, obj
from wxcontroller.drivers.base import QrReady


@asynccontextmanager
async def stream(client: RunningClient, query: str = "") -> "AsyncIterator[AsyncIterator[tuple[str, JsonObject]]]":
    url = f"http://127.0.0.1:{client.port}/v1/events{query}"
    async with client.http.get(url, headers={"Accept": "text/event-stream"}) as answer:
        assert answer.status == 200
        yield parsed(answer)


async def parsed(answer: aiohttp.ClientResponse) -> "AsyncIterator[tuple[str, JsonObject]]":
    kind = ""
    async with asyncio.timeout(PATIENCE):
        async for line in answer.content:
            if line.startswith(b"event: "):
                kind = line[7:].decode().strip()
            elif line.startswith(b"data: "):
                yield kind, json.loads(line[6:])


async def settled(client: RunningClient, number: int) -> list[JsonObject]:
    page = await client.until_v1(lambda page: len(items(page["events"])) >= number, "events?types=friend_message")
    return [obj(event) for event in items(page["events"])]


async def test_pages_contain_all_events_in_order_with_or_without_a_webhook(client: RunningClient) -> None:
    client.driver.play([message(str(number)) for number in range(5)])
    found = await settled(client, 5)
    assert [obj(one["report"])["content"] for one in found] == ["0", "1", "2", "3", "4"]
    everything = await client.get_v1("events")
    seqs = [int(str(obj(event)["seq"])) for event in items(everything["events"])]
    assert seqs == list(range(1, len(seqs) + 1))
    types = [obj(event)["type"] for event in items(everything["events"])]
    assert types.count("state_change") == 3
    assert "login" in types
    part = await client.get_v1(f"events?after={found[1]['id']}&types=friend_message&limit=2")
    assert [obj(event)["id"] for event in items(part["events"])] == [found[2]["id"], found[3]["id"]]
    assert part["more"] is True
    again = await client.get_v1(f"events?since={found[3]['stamp']}&types=friend_message")
    assert [obj(event)["id"] for event in items(again["events"])][-2:] == [found[3]["id"], found[4]["id"]]
    # With an id of another log, reading starts at the beginning.
    assert items((await client.get_v1("events?after=00000000-99"))["events"])
    async with client.http.get(f"http://127.0.0.1:{client.port}/v1/events?after=x") as answer:
        assert answer.status == 400


async def test_stream_continues_at_the_readers_position(client: RunningClient) -> None:
    client.driver.play([message("one"), message("two")])
    first, _ = await settled(client, 2)
    async with stream(client, f"?after={first['id']}") as got:
        kind, opened = await anext(got)
        assert (kind, opened["account"]) == ("open", "alice")
        kind, event = await anext(got)
        assert (kind, obj(event["report"])["content"]) == ("friend_message", "two")
        client.driver.play([message("three")])
        kind, event = await anext(got)
        assert obj(event["report"])["content"] == "three"
    async with stream(client) as got:
        await anext(got)
        client.driver.play([message("four")])
        kind, event = await anext(got)
        assert obj(event["report"])["content"] == "four"


async def test_idle_stream_sends_keepalives(client: RunningClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eventreads, "HEARTBEAT_SECONDS", 0.1)
    async with stream(client, "?types=friend_message") as got:
        await anext(got)
        assert (await anext(got))[0] == "here"
        client.driver.play([message("two")])
        while (event := await anext(got))[0] == "here":
            pass
        assert event[0] == "friend_message"


async def test_events_have_no_login_code(start: Start) -> None:
    client = start()
    client.driver.play([QrReady("https://login.weixin.qq.com/l/abc==", b"\xff\xd8jpeg", 1, 10)])
    await client.until_state("scaning")
    page = await client.until_v1(lambda page: page["events"], "events?types=input_qrcode")
    [event, *_], shown = map(obj, items(page["events"])), [str(client.paths.qrcode_file("alice"))]
    assert obj(event["report"])["params"] == shown
    delivery = await client.get_v1(f"deliveries/{event['id']}")
    assert obj(delivery["report"])["params"] == shown


async def test_stop_ends_streams_without_waiting(client: RunningClient) -> None:
    async with stream(client, "?types=stop") as got:
        await anext(got)
        await client.stop()
        assert (await anext(got))[0] == "stop"
        with pytest.raises(StopAsyncIteration):
            await anext(got)
