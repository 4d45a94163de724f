"""Replies in webhook answers, and pacing."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing

from tests.unit.client.conftest import POST_API, Start, Webhook, running
from tests.unit.client.scripted import message
from wxcontroller.client.sends.pacer import Pacer, today
from wxcontroller.client.store.sends import days
from wxcontroller.core.jsontypes import JsonObject, obj


def always(**answer: object) -> Callable[[JsonObject], bytes]:
    return lambda _: json.dumps(answer).encode()


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
        assert days(db) == {today(): 2}


async def test_send_beyond_the_daily_limit_is_refused(start: Start, webhook: Webhook) -> None:
    client = await running(start, **{POST_API: webhook.address}, WXCLIENT_SEND_DAILY_MAX="1")
    assert obj(await client.get("send_friend_message", id="@ann", content="x"))["code"] == 0
    answer = obj(await client.get("send_friend_message", id="@ann", content="y"))
    assert (answer["code"], "daily limit" in str(answer["status"])) == (-8, True)
    assert [r["code"] for r in await webhook.messages(2)] == ["", -8]
    assert len(client.driver.sends) == 1
