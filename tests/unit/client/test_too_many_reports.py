"""Reports that nobody takes: so many are kept and no more, the oldest go, and each that went is counted."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web

from tests.unit.client.conftest import RunningClient
from tests.unit.client.listener import POST_API, Listener
from tests.unit.client.scripted import message
from wxcontroller.client import delivery
from wxcontroller.core.jsontypes import JsonObject, obj
from wxcontroller.core.paths import Paths

Start = Callable[..., RunningClient]
MESSAGES = {"MOJO_WEIXIN_POST_EVENT": "0"}  # and no events


async def held_up(client: RunningClient, listener: Listener, texts: list[str]) -> list[str]:
    """Let texts come while the first one is being posted; return which of them arrive in the end."""
    go_on = asyncio.Event()

    async def hold(_: web.Request, __: JsonObject) -> web.StreamResponse:
        await go_on.wait()
        return web.Response()

    listener.respond = hold
    client.driver.play([message(texts[0])])
    await listener.until(texts[0])
    client.driver.play([message(text) for text in texts[1:]])
    while not client.driver.script.empty():
        await asyncio.sleep(0)
    await client.get("get_client_info")  # the last one is queued
    go_on.set()
    return await listener.until(texts[-1])


async def test_beyond_the_limit_the_oldest_go_and_are_counted(
    listener: Listener, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "MOST_WAITING", 4)
    client = start(**{POST_API: listener.address, **MESSAGES})
    await client.login()
    got = await held_up(client, listener, [str(number) for number in range(10)])
    # The first one is under way: it is not what goes, and what comes after it is not taken for it.
    assert got == ["0", "7", "8", "9"]
    info = obj(await client.get("get_client_info"))
    assert (info["reports_dropped"], info["reports_waiting"]) == (6, 0)


async def test_long_texts_are_bounded_too(listener: Listener, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "MOST_HELD", 30_000)
    client = start(**{POST_API: listener.address, **MESSAGES})
    await client.login()
    got = await held_up(client, listener, [f"{number}{'长' * 2000}" for number in range(10)])
    assert [text.rstrip("长") for text in got] == ["0", "7", "8", "9"]
    assert obj(await client.get("get_client_info"))["reports_dropped"] == 6


async def test_one_report_larger_than_all_may_be_is_delivered(
    listener: Listener, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "MOST_HELD", 1000)
    client = start(**{POST_API: listener.address, **MESSAGES})
    await client.login()
    assert await held_up(client, listener, ["a" * 5000, "b", "c" * 5000]) == ["a" * 5000, "c" * 5000]


@pytest.mark.parametrize(
    "stored",
    [
        *(b"", b"{", b"[", b"[" * 100_000, b"\xff", b"null", b'{"a":1}', b"[]", b"[1,null,[]]"),
        json.dumps(["no json", "[]", "\ud800", '{"post_type":"x"', "[" * 100_000]).encode(),
    ],
    ids=range(10),
)
async def test_what_is_damaged_in_the_store_is_left_out_and_holds_nothing_up(
    listener: Listener, start: Start, stored: bytes, tmp_path: Path
) -> None:
    store = Paths(tmp_path).state("alice") / "undelivered.json"
    store.write_bytes(stored)
    client = start(**{POST_API: listener.address})
    await client.login()
    client.driver.play([message("hi")])
    assert await listener.until("hi") == ["hi"]
    assert {str(obj(json.loads(body))["post_type"]) for _, body in listener.raw} == {"event", "receive_message"}
    assert await client.stop() == 0
    assert not store.exists()


async def test_what_is_whole_in_the_store_is_delivered(listener: Listener, start: Start, tmp_path: Path) -> None:
    report = {"post_type": "receive_message", "content": "old", "type": "friend_message"}
    store = Paths(tmp_path).state("alice") / "undelivered.json"
    store.write_text(json.dumps(["no json", json.dumps(report)]))
    start(**{POST_API: listener.address})
    assert await listener.until("old") == ["old"]
