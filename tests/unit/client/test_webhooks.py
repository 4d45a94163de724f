"""Replies in the responses of webhooks, which may be anything, and the limits of sends."""

import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import date

import pytest
from aiohttp import web

from tests.patience import PATIENCE, until
from tests.unit.client.conftest import POST_API, RunningClient, Start, running
from tests.unit.client.scripted import message
from tests.unit.client.webhook import Respond, Webhook, accept
from wxcontroller.client.sends.rules.pacer import Pacer
from wxcontroller.client.store.sendstore import days
from wxcontroller.core.jsontypes import JsonObject, obj
from wxcontroller.core.model import Direction, MessageKind

SENT = list[tuple[str, str]]


def sends(client: RunningClient) -> SENT:
    return [(to, text) for to, text, _ in client.driver.sends]


async def settled(client: RunningClient, webhook: Webhook) -> SENT:
    """Wait until a later message is reported and the queue is empty; return what was sent before."""
    webhook.respond = accept
    client.driver.play([message("the last")])
    await webhook.until_tried("the last")
    await client.get("send_friend_message", id="@ben", content="end")
    return sends(client)[:-1]


async def sent(client: RunningClient) -> None:
    await until(lambda: client.driver.sends)


def answering(body: bytes, kind: str = "application/json", status: int = 200) -> Respond:
    async def respond(_: web.Request, __: JsonObject) -> web.StreamResponse:
        return web.Response(status=status, body=body, headers={"Content-Type": kind})

    return respond


REPLY = '{"reply":"好"}'


# Responses of a webhook, and the reply that each of them means.
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


async def test_reply_in_an_answer(webhook: Webhook, start: Start) -> None:
    client = await running(start, **{POST_API: webhook.address})
    for number, (body, kind, _) in enumerate(ANSWERS):
        webhook.respond = answering(body, kind)
        client.driver.play([message(f"hi {number}")])
        await webhook.until_tried(f"hi {number}")
    assert await settled(client, webhook) == [("@ann", expected) for _, _, expected in ANSWERS if expected]


async def test_webhook_reply_is_sent_once_per_report(webhook: Webhook, start: Start) -> None:
    async def repeat(_: web.Request, report: JsonObject) -> web.StreamResponse:
        return web.json_response({**report, "reply": f"re {report['content']}"})

    client = await running(start, **{POST_API: webhook.address})
    webhook.respond = repeat
    client.driver.play(
        [
            message("hi"),
            message("phone", sender="@me", chat="@ben", direction=Direction.SENT_ELSEWHERE),
            message("notice", chat="@@team", is_group=True, sender="", kind=MessageKind.NOTICE),
            message("stranger", sender="@who", chat="@who"),
            message("all", chat="@@team", is_group=True),
        ]
    )
    await webhook.until_tried("all")
    await client.get("send_friend_message", id="@ben", content="out")
    for content in ("re hi", "re phone", "re all", "re out"):
        await webhook.until_tried(content)
    got = await settled(client, webhook)
    assert sorted(got) == [
        ("@@team", "re all"),
        ("@ann", "re hi"),
        *[("@ben", x) for x in ("out", "re out", "re phone")],
    ]


@pytest.mark.parametrize("status", [503, 404])
async def test_reply_in_a_failed_answer_does_not_count(webhook: Webhook, start: Start, status: int) -> None:
    tries = 0

    async def respond(_: web.Request, __: JsonObject) -> web.StreamResponse:
        nonlocal tries
        tries += 1
        return web.json_response({"reply": f"try {tries}"}, status=status if tries == 1 else 200)

    client = await running(start, **{POST_API: webhook.address})
    webhook.respond = respond
    client.driver.play([message("hi")])
    await sent(client)
    assert await settled(client, webhook) == [("@ann", "try 2")]
    assert webhook.contents == ["hi", "hi", "try 2", "the last", "end"][: len(webhook.contents)]


async def test_hanging_webhook_does_not_delay_sends(webhook: Webhook, start: Start) -> None:
    async def hang(_: web.Request, __: JsonObject) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    client = await running(start, **{POST_API: webhook.address, "WXCLIENT_WEBHOOK_TIMEOUT": "0.3"})
    webhook.respond = hang
    client.driver.play([message("first"), message("second")])
    await webhook.until_tried("first")
    answer = await asyncio.wait_for(client.get("send_friend_message", id="@ann", content="x"), PATIENCE)
    assert obj(answer)["code"] == 0
    await settled(client, webhook)
    first = [content for content in webhook.contents if content != "first"]
    assert first[:3] == ["second", "x", "the last"]


async def test_media_of_a_reply_are_fetched_from_the_web_only(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address}, WXCLIENT_MEDIA_PATHS="/etc")
    webhook.answer = lambda report: json.dumps({"media": report.get("content")}).encode()
    await client.login()
    client.driver.play([message("/etc/hostname"), message("http://127.0.0.1:1/a.png")])
    _, _, failed = await webhook.messages(3)
    assert (failed["from"], failed["media_path"]) == ("code", "http://127.0.0.1:1/a.png")
    assert "media_private_urls" in str(failed["info"])
    assert client.driver.uploads == []


async def test_text_of_a_reply_is_sent_without_its_media(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address})
    webhook.answer = lambda _: json.dumps({"reply": "yes", "media": "http://127.0.0.1:1/a.png"}).encode()
    await client.login()
    client.driver.play([message("is it there?")])
    _, *sends = await webhook.messages(3)
    assert {(send["format"], send["code"]) for send in sends} == {("text", ""), ("media", -1)}
    assert [words for _, words, _ in client.driver.sends] == ["yes"]


def test_pauses_have_jitter_and_bursts_are_limited() -> None:
    pacer = Pacer(interval=10, jitter=5)
    waits = set()
    for _ in range(20):
        pacer.sent()
        waits.add(pacer.pause())
    assert 9.9 < min(waits) < max(waits) <= 15
    burst = Pacer(interval=0, burst=3)
    for _ in range(3):
        assert burst.pause() <= 0
        burst.count()
        burst.sent()
    assert 59 < burst.pause() <= 60


async def test_kill_does_not_reset_the_limits(start: Start) -> None:
    client = await running(start, WXCLIENT_SEND_DAILY_MAX="3")
    for _ in range(2):
        assert obj(await client.get("send_friend_message", id="@ann", content="x"))["code"] == 0
    # What a kill at this moment would leave on disk.
    with closing(sqlite3.connect(client.paths.state("alice") / "events.db")) as db:
        assert days(db) == {date.today().isoformat(): 2}


async def test_send_beyond_the_daily_limit_is_refused(start: Start, webhook: Webhook) -> None:
    client = await running(start, **{POST_API: webhook.address}, WXCLIENT_SEND_DAILY_MAX="1")
    assert obj(await client.get("send_friend_message", id="@ann", content="x"))["code"] == 0
    answer = obj(await client.get("send_friend_message", id="@ann", content="y"))
    assert (answer["code"], "daily limit" in str(answer["status"])) == (-8, True)
    assert [r["code"] for r in await webhook.messages(2)] == ["", -8]
    assert len(client.driver.sends) == 1


async def test_reply_during_a_stop_is_sent_after_the_next_start(start: Start, webhook: Webhook) -> None:
    client = await running(start, **{POST_API: webhook.address})
    answer = asyncio.Event()

    async def late(_: web.Request, __: JsonObject) -> web.StreamResponse:
        webhook.respond = accept
        await answer.wait()
        return web.json_response({"reply": "late"})

    webhook.respond = late
    client.driver.play([message("hi")])
    await webhook.until_tried("hi")
    stop = asyncio.create_task(client.stop())
    await client.until_state("stop")
    answer.set()
    assert await stop == 0
    assert client.driver.sends == []
    again = await running(start, **{POST_API: webhook.address})
    await webhook.until_tried("late")
    assert (sends(again), webhook.contents) == ([("@ann", "late")], ["hi", "late"])
