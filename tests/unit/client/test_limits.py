"""What callers of an account's port may take, and what an account takes on: each bound is an option."""

import asyncio
import json

import aiohttp
import pytest

from tests.patience import PATIENCE
from tests.unit.client.conftest import Start, running
from wxcontroller.core.jsontypes import obj


@pytest.mark.parametrize("chunked", [False, True])
async def test_bodies_have_so_much_room_each_and_together(start: Start, chunked: bool) -> None:
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


@pytest.mark.parametrize("asked", [{"timeout": "3000"}, {}])
async def test_consult_waits_no_longer_than_it_may(start: Start, asked: dict[str, str]) -> None:
    client = await running(start, WXCLIENT_CONSULT_MAX="1")
    async with asyncio.timeout(PATIENCE):
        answer = obj(await client.get("consult", id="@ann", content="?", **asked))
    assert (answer["code"], answer["reply_status"]) == (0, "reply timeout")
