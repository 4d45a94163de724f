"""What callers of an account's port may take, and what an account takes on: each bound is an option."""

import asyncio
import json

import aiohttp
import pytest

from tests.patience import PATIENCE
from tests.unit.client.conftest import RunningClient, Start, Webhook, running
from tests.unit.client.scripted import message
from wxcontroller.client import api
from wxcontroller.core.jsontypes import JsonObject, obj
from wxcontroller.core.model import MessageKind, MessageMedia


async def waiting(client: RunningClient, number: int) -> list["asyncio.Task[int]"]:
    """Have so many long polls wait, each on a connection of its own."""

    sent = asyncio.Semaphore(0)

    async def is_sent(*_: object) -> None:
        sent.release()

    async def poll() -> int:
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(is_sent)
        async with (
            aiohttp.ClientSession(trace_configs=[trace]) as web,
            web.get(client.address("check_event")) as answer,
        ):
            await answer.read()
            return answer.status

    client.driver.play([message("before")])
    await client.get("check_event")  # what has happened so far
    polls = [asyncio.create_task(poll()) for _ in range(number)]
    for _ in polls:  # a connection without a request would give its place to another one
        await sent.acquire()
    return polls


async def refused(client: RunningClient, call: str) -> tuple[int, JsonObject]:
    """Ask until it is refused; return how."""
    async with asyncio.timeout(PATIENCE), aiohttp.ClientSession() as web:
        while True:
            async with web.get(client.address(call)) as answer:
                if answer.status != 200:
                    assert answer.headers["Retry-After"] == "1"
                    return answer.status, obj(json.loads(await answer.read()))


async def test_long_polls_have_room_of_their_own(start: Start) -> None:
    client = await running(start, WXCLIENT_API_LONG_POLLS_MAX="3")
    polls = await waiting(client, 3)
    status, answer = await refused(client, "consult")  # it would wait too
    assert (status, answer["code"]) == (503, -1)
    assert obj(await client.get("get_client_info"))["code"] == 0
    client.driver.play([message("news")])
    assert await asyncio.gather(*polls) == [200] * 3
    assert obj(await client.get("consult"))["code"] == -1  # there is room again, and nothing to send


async def test_connections_have_an_end(start: Start) -> None:
    client = await running(start, WXCLIENT_API_CONNECTIONS_MAX="8")
    polls = await waiting(client, 8)  # one takes the place of what was asked before, which is idle
    status, answer = await refused(client, "get_client_info")
    assert (status, answer["code"]) == (503, -1)
    client.driver.play([message("news")])
    assert await asyncio.gather(*polls) == [200] * 8
    assert obj(await client.get("get_client_info"))["code"] == 0


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


async def test_a_head_that_comes_bit_by_bit_has_an_end(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "PORT_HEAD_SECONDS", 0.2)
    client = await running(start)
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(b"GET /openwx/get_user_info HTTP/1.1\r\nX: ")
    async with asyncio.timeout(PATIENCE):
        assert await reader.read() == b""
    writer.close()


@pytest.mark.parametrize("asked", [{"timeout": "3000"}, {}])
async def test_consult_waits_no_longer_than_it_may(start: Start, asked: dict[str, str]) -> None:
    client = await running(start, WXCLIENT_CONSULT_MAX="1")
    async with asyncio.timeout(PATIENCE):
        answer = obj(await client.get("consult", id="@ann", content="?", **asked))
    assert (answer["code"], answer["reply_status"]) == (0, "reply timeout")


async def test_reports_carry_media_up_to_a_size(start: Start, webhook: Webhook) -> None:
    client = await running(
        start, MOJO_WEIXIN_PLUGIN_OPENWX_POST_API=webhook.address, WXCLIENT_LIMIT_REPORT_MEDIA_BYTES="10"
    )
    for number, size in enumerate((10, 11)):
        client.driver.contents[f"m{number}"] = b"\xff\xd8\xff" + bytes(size - 3)
        content = MessageMedia(MessageKind.IMAGE, f"m{number}")
        client.driver.play([message("", id=str(number), kind=MessageKind.IMAGE, media=content)])
    small, large = await webhook.messages(2)
    assert small["media_data"]
    assert large["media_data"] == ""
    assert large["media_path"]
