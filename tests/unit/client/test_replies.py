"""Replies in webhook answers, and pacing."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.client.conftest import RunningClient, Webhook
from tests.unit.client.scripted import message
from wxcontroller.client.pacing import DailyLimit, Pacing
from wxcontroller.core.jsontypes import JsonObject, obj
from wxcontroller.core.model import MessageKind

Start = Callable[..., RunningClient]
POST_API = "MOJO_WEIXIN_PLUGIN_OPENWX_POST_API"


def always(**answer: object) -> Callable[[JsonObject], bytes]:
    return lambda _: json.dumps(answer).encode()


async def test_a_reply_goes_back_to_friend_and_group_once(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address})
    webhook.answer = always(reply="你好", code=5)
    await client.login()
    client.driver.play([message("hi"), message("all", chat="@@team", is_group=True, sender="@ann")])
    got = await webhook.messages(4)
    assert sorted((r["post_type"], str(r.get("from"))) for r in got) == [
        *[("receive_message", "None")] * 2,
        *[("send_message", "code")] * 2,
    ]
    # Replies are reported, and what is answered to that is not sent: nothing comes after the next message's reply.
    client.driver.play([message("again")])
    await webhook.messages(6)
    assert [(to, text) for to, text, _ in client.driver.sends] == [
        ("@ann", "你好"),
        ("@@team", "你好"),
        ("@ann", "你好"),
    ]


async def test_a_sent_text_may_be_answered_and_media_may_not(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address})
    webhook.answer = always(reply="and this", media="http://127.0.0.1/x.png")
    await client.login()
    await client.get("send_group_message", id="@@team", content="x")
    await webhook.messages(2)
    await client.get("send_friend_message", id="@ann", media_id="@m:3")
    await webhook.messages(3)
    assert [(to, text) for to, text, _ in client.driver.sends] == [("@@team", "x"), ("@@team", "and this")]


async def test_media_of_a_reply_are_fetched_from_the_web_only(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address}, WXCLIENT_MEDIA_PATHS="/etc")
    webhook.answer = lambda report: json.dumps({"media": report.get("content")}).encode()
    await client.login()
    client.driver.play([message("/etc/hostname"), message("http://127.0.0.1:1/a.png")])
    _, _, failed = await webhook.messages(3)
    assert (failed["from"], failed["info"], failed["media_path"]) == (
        ("code", "invaild media_path", "http://127.0.0.1:1/a.png")
    )
    assert client.driver.uploads == []


@pytest.mark.parametrize(
    "answer",
    [b"{", b"[]", b'"x"', b"{}", b'{"reply":null}', b"[" * 100000, bytes(10 << 20)],
    ids=["cut", "array", "string", "empty", "null", "deep", "large"],
)
async def test_answers_that_are_no_replies_stop_nothing(start: Start, webhook: Webhook, answer: bytes) -> None:
    client = start(**{POST_API: webhook.address})
    webhook.answer = lambda _: answer
    await client.login()
    client.driver.play([message("a"), message("b"), message("notice", kind=MessageKind.NOTICE)])
    assert [r["content"] for r in await webhook.messages(3)] == ["a", "b", "notice"]
    assert client.driver.sends == []


async def test_notices_of_groups_and_strangers_get_no_reply(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address})
    webhook.answer = always(reply="x")
    await client.login()
    notice = message("A joined", chat="@@team", is_group=True, sender="", kind=MessageKind.NOTICE)
    client.driver.play([notice, message("?", sender="@who", chat="@who"), message("hi")])
    got = await webhook.messages(4)
    assert got[0]["type"] == "group_notice"
    assert [to for to, _, _ in client.driver.sends] == ["@ann"]


def test_pauses_have_jitter_and_bursts_an_end() -> None:
    pacing = Pacing(interval=10, jitter=5)
    waits = set()
    for _ in range(20):
        pacing.sent()
        waits.add(pacing.pause())
    assert 9.9 < min(waits) < max(waits) <= 15
    burst = Pacing(interval=0, burst=3)
    for _ in range(3):
        assert burst.pause() <= 0
        burst.claim()
        burst.sent()
    assert 59 < burst.pause() <= 60


def test_a_days_sends_are_counted_over_a_restart(tmp_path: Path) -> None:
    store = tmp_path / "sent"
    first = Pacing(interval=0, daily=3, store=store)
    first.claim()
    first.claim()
    again = Pacing(interval=0, daily=3, store=store)
    again.claim()
    with pytest.raises(DailyLimit):
        again.claim()
    store.write_text(json.dumps({"day": "2001-01-01", "count": 3}))
    Pacing(interval=0, daily=3, store=store).claim()
    store.write_text("nonsense")
    Pacing(interval=0, daily=3, store=store).claim()


async def test_a_send_beyond_the_daily_limit_is_refused_in_words(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address}, WXCLIENT_SEND_DAILY_MAX="1")
    await client.login()
    assert obj(await client.get("send_friend_message", id="@ann", content="x"))["code"] == 0
    began = time.monotonic()
    answer = obj(await client.get("send_friend_message", id="@ann", content="y"))
    assert time.monotonic() - began < 1
    assert (answer["code"], "daily limit" in str(answer["status"])) == (-8, True)
    assert [r["code"] for r in await webhook.messages(2)] == ["", -8]
    assert len(client.driver.sends) == 1


async def test_what_is_queued_is_sent_before_a_stop_as_far_as_time_allows(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address}, MOJO_WEIXIN_SEND_INTERVAL="0.3")
    await client.login()
    for number in range(9):
        await client.get("send_friend_message", id="@ann", content=str(number), **{"async": "1"})
    assert await client.stop() == 0
    sent = [text for _, text, _ in client.driver.sends]
    assert 2 <= len(sent) < 9
    got = await webhook.messages(len(sent))
    assert [(r["content"], r["code"]) for r in got] == [(text, "") for text in sent]
