"""Webhooks that answer anything: replies are sent once, and reports go on."""

import asyncio

import pytest
from aiohttp import web

from tests.patience import PATIENCE, until
from tests.unit.client.conftest import POST_API, RunningClient, Start, running
from tests.unit.client.listener import Listener, Respond, taken
from tests.unit.client.scripted import message
from wxcontroller.core.jsontypes import JsonObject, obj
from wxcontroller.core.model import Direction

SENT = list[tuple[str, str]]


def sends(client: RunningClient) -> SENT:
    return [(to, text) for to, text, _ in client.driver.sends]


async def settled(client: RunningClient, listener: Listener) -> SENT:
    """Return what was sent when a later message has been reported and what was queued before it has gone out."""
    listener.respond = taken
    client.driver.play([message("the last")])
    await listener.until("the last")
    await client.get("send_friend_message", id="@ben", content="end")
    return sends(client)[:-1]


async def sent(client: RunningClient) -> None:
    await until(lambda: client.driver.sends)


def answering(body: bytes, kind: str = "application/json", status: int = 200) -> Respond:
    async def respond(_: web.Request, __: JsonObject) -> web.StreamResponse:
        return web.Response(status=status, body=body, headers={"Content-Type": kind})

    return respond


REPLY = '{"reply":"好"}'


# What a webhook answers, and the reply that it is taken for.
ANSWERS: list[tuple[bytes, str, str | None]] = [
    (REPLY.encode(), "application/json", "好"),
    (REPLY.encode(), "text/json; charset=utf-8", "好"),
    (REPLY.encode(), "Application/JSON;charset=UTF-8", "好"),
    (REPLY.encode("utf-8-sig"), "application/json", "好"),
    (REPLY.encode("utf-16"), "application/json; charset=utf-16", "好"),
    (b'{"reply":5}', "application/json", "5"),
    (b'{"reply":"a\\ud83d\\ude00\\ud800"}', "application/json", "a\U0001f600\ufffd"),
    (REPLY.encode("gb18030"), "application/json; charset=gb18030", None),
    (b'{"reply":"\xff\xfe"}', "application/json", None),
    *((REPLY.encode(), kind, None) for kind in ("text/html", "text/plain", "application/json\x01")),
    *((b, "application/json", None) for b in (b"<html>", b"", b"[" * 100_000, b'{"reply":' + b"1" * 5000 + b"}")),
    *((b, "application/json", None) for b in (b'{"reply":["x"]}', b'{"reply":true}', b'{"reply":null}', b"[]")),
    (b'{"reply":"","media":"file:///etc/passwd"}', "application/json", None),
    (b'{"reply":"' + b"x" * (10 << 20) + b'"}', "application/json", None),
    (b"x" * (10 << 20), "application/octet-stream", None),
]


async def test_reply_in_an_answer(listener: Listener, start: Start) -> None:
    client = await running(start, **{POST_API: listener.address})
    for number, (body, kind, _) in enumerate(ANSWERS):
        listener.respond = answering(body, kind)
        client.driver.play([message(f"hi {number}")])
        await listener.until(f"hi {number}")
    assert await settled(client, listener) == [("@ann", expected) for _, _, expected in ANSWERS if expected]


async def test_webhook_reply_is_sent_once_per_report(listener: Listener, start: Start) -> None:
    async def repeat(_: web.Request, report: JsonObject) -> web.StreamResponse:
        return web.json_response({**report, "reply": f"re {report['content']}"})

    client = await running(start, **{POST_API: listener.address})
    listener.respond = repeat
    client.driver.play(
        [
            message("hi"),
            message("phone", sender="@me", chat="@ben", direction=Direction.SENT_ELSEWHERE),
            message("all", chat="@@team", is_group=True),
        ]
    )
    await listener.until("all")
    await client.get("send_friend_message", id="@ben", content="out")
    for content in ("re hi", "re phone", "re all", "re out"):
        await listener.until(content)
    got = await settled(client, listener)
    assert sorted(got) == [
        ("@@team", "re all"),
        ("@ann", "re hi"),
        *[("@ben", x) for x in ("out", "re out", "re phone")],
    ]


@pytest.mark.parametrize("status", [503, 404])
async def test_reply_in_a_failed_answer_does_not_count(listener: Listener, start: Start, status: int) -> None:
    tries = 0

    async def respond(_: web.Request, __: JsonObject) -> web.StreamResponse:
        nonlocal tries
        tries += 1
        return web.json_response({"reply": f"try {tries}"}, status=status if tries == 1 else 200)

    client = await running(start, **{POST_API: listener.address})
    listener.respond = respond
    client.driver.play([message("hi")])
    await sent(client)
    assert await settled(client, listener) == [("@ann", "try 2")]
    assert listener.contents == ["hi", "hi", "try 2", "the last", "end"][: len(listener.contents)]


async def test_hanging_webhook_does_not_delay_sends(listener: Listener, start: Start) -> None:
    async def hang(_: web.Request, __: JsonObject) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    client = await running(start, **{POST_API: listener.address, "WXCLIENT_WEBHOOK_TIMEOUT": "0.3"})
    listener.respond = hang
    client.driver.play([message("first"), message("second")])
    await listener.until("first")
    answer = await asyncio.wait_for(client.get("send_friend_message", id="@ann", content="x"), PATIENCE)
    assert obj(answer)["code"] == 0
    await settled(client, listener)
    first = [content for content in listener.contents if content != "first"]
    assert first[:3] == ["second", "x", "the last"]
