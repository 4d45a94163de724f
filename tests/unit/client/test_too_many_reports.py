"""Reports that nobody takes: so many are kept and no more, the oldest go, and each that went is counted."""

import asyncio
from collections.abc import Callable

import pytest
from aiohttp import web

from tests.unit.client.conftest import RunningClient
from tests.unit.client.listener import POST_API, Listener
from tests.unit.client.scripted import message
from wxcontroller.client import delivery
from wxcontroller.core.jsontypes import JsonObject, obj

Start = Callable[..., RunningClient]


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
    client = start(**{POST_API: listener.address})
    await client.login()
    got = await held_up(client, listener, [str(number) for number in range(10)])
    # The first one is under way: it is not what goes, and what comes after it is not taken for it.
    assert got == ["0", "7", "8", "9"]
    info = obj(await client.get("get_client_info"))
    assert (info["reports_dropped"], info["reports_waiting"]) == (6, 0)


async def test_long_texts_are_bounded_too(listener: Listener, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "MOST_HELD", 30_000)
    client = start(**{POST_API: listener.address})
    await client.login()
    got = await held_up(client, listener, [f"{number}{'长' * 2000}" for number in range(10)])
    assert [text.rstrip("长") for text in got] == ["0", "7", "8", "9"]
    assert obj(await client.get("get_client_info"))["reports_dropped"] == 6


async def test_one_report_larger_than_all_may_be_is_delivered(
    listener: Listener, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "MOST_HELD", 1000)
    client = start(**{POST_API: listener.address})
    await client.login()
    assert await held_up(client, listener, ["a" * 5000, "b", "c" * 5000]) == ["a" * 5000, "c" * 5000]
