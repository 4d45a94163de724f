"""The end of the send queue, and the queue and options that an account shows."""

import asyncio
import json
import socket
import time
from pathlib import Path

import pytest

from tests.patience import PATIENCE, until
from tests.unit.client.conftest import POST_API, RunningClient, Start, Webhook, running
from tests.unit.client.scripted import message
from wxcontroller.client.sends.rules.sendbackoff import BackoffPolicy, SendBackoff
from wxcontroller.core.config.limits import DEFAULTS
from wxcontroller.core.config.options import OPTIONS
from wxcontroller.core.errors import FailureHandling, WeChatError
from wxcontroller.core.jsontypes import JsonObject, obj
from wxcontroller.drivers.filehelper.driver import FileHelperDriver
from wxcontroller.drivers.ilink.driver import ILinkDriver
from wxcontroller.drivers.web.driver import WebDriver

INTERVAL, DRAIN, DAILY = "MOJO_WEIXIN_SEND_INTERVAL", "WXCLIENT_STOP_DRAIN", "WXCLIENT_SEND_DAILY_MAX"


async def test_stop_waits_for_sends_up_to_its_limit(start: Start, webhook: Webhook) -> None:
    client = await running(start, **{POST_API: webhook.address, INTERVAL: "0.3", DRAIN: "1"})
    await send(client, 9)
    assert await client.stop() == 0
    sent = [text for _, text, _ in client.driver.sends]
    assert 0 < len(sent) < 9
    # The rest stays for the next start.
    assert [(r["content"], r["code"]) for r in await webhook.messages(len(sent))] == [(text, "") for text in sent]
    await running(start, **{POST_API: webhook.address})
    assert [(r["content"], r["code"]) for r in await webhook.messages(9)] == [(each, "") for each in "012345678"]


async def test_a_stopping_account_refuses_new_sends_with_the_reason(start: Start, webhook: Webhook) -> None:
    client = await running(start, **{POST_API: webhook.address, INTERVAL: "0.5"})
    await send(client, 3)
    stopping = asyncio.create_task(client.stop())
    await until(lambda: str(client.state().get("status", "")).startswith("stopping: "))
    assert client.state()["status"] == "stopping: first sending the queued messages (2), for at most 15 s"
    answer = obj(await client.get("send_friend_message", id="@ann", content="one more"))
    assert (answer["code"], answer["status"]) == (-1, "the account is stopping, nothing more is sent")
    assert await stopping == 0
    assert [r["code"] for r in await webhook.messages(3)] == [""] * 3
    assert len(client.driver.sends) == 3


async def queue(client: RunningClient) -> JsonObject:
    return obj((await client.get_v1())["queue"])


async def send(client: RunningClient, number: int = 1) -> None:
    for count in range(number):
        await client.get("send_friend_message", id="@ann", content=str(count), **{"async": "1"})


async def test_full_queue_refuses_replies_and_the_whole_of_a_message_to_all(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address, INTERVAL: "60", "WXCLIENT_SEND_QUEUE_MAX": "3"})
    webhook.answer = lambda report: b'{"reply":"x"}' if report["post_type"] == "receive_message" else b"{}"
    await client.login()
    assert obj(await client.get("send_friend_message", id="@all", content="a"))["code"] == 0
    await until(lambda: len(client.driver.sends) == 1)
    answer = obj(await client.get("send_friend_message", id="@all", content="b"))
    assert (answer["code"], answer["status"]) == (-1, "2 sends wait already and 3 more are too many, try again later")
    assert (await queue(client))["waiting"] == 2
    await send(client)
    full = "3 sends wait already, try again later"
    assert obj(await client.get("send_friend_message", id="@ann", content="c"))["status"] == full
    client.driver.play([message("hi")])
    reports = await webhook.messages(3)
    assert [(r["content"], r.get("code"), r.get("info")) for r in reports[1:]] == [
        ("hi", None, None),
        ("x", -1, full),
    ]
    assert (await queue(client))["waiting"] == 3


async def test_repeated_throttling_pauses_the_queue_longer(start: Start) -> None:
    client = start(BackoffPolicy(throttled_first=0.3, throttled_max=5.0))
    too_frequent = WeChatError("too frequent", ret=1205, handling=FailureHandling.WAIT)
    client.driver.outcomes = [None, too_frequent, too_frequent]
    await client.login()
    begun = time.monotonic()
    await send(client, 5)
    await until(lambda: len(client.driver.sends) == 5)
    assert time.monotonic() - begun > 0.3 + 0.6
    assert [content for _, content, _ in client.driver.sends] == list("01234")


def test_pauses_and_times_of_sends_are_the_documented_ones() -> None:
    backoff, retry, wait = SendBackoff(), FailureHandling.RETRY_SAME_ID, FailureHandling.WAIT
    assert [backoff.next_pause(retry, attempt) for attempt in range(1, 7)] == [1, 2, 4, 8, 15, 15]
    assert [backoff.next_pause(wait, 1) for _ in range(6)] == [60, 120, 240, 480, 600, 600]
    for driver in (WebDriver, ILinkDriver, FileHelperDriver):
        assert driver.capabilities.repeat_seconds == 300
    assert (DEFAULTS.send_tries, DEFAULTS.send_answer_seconds) == (5, 100)


async def test_throttled_queue_shows_the_reason(start: Start) -> None:
    client = start(BackoffPolicy(throttled_first=3600, throttled_max=3600))
    client.driver.outcomes = [None, WeChatError("too frequent", ret=1205, handling=FailureHandling.WAIT)]
    await client.login()
    await send(client, 5)
    await until(lambda: queue(client), lambda now: (now["waiting"], now["last_error"]) == (3, "too frequent"))
    assert len(client.driver.sends) == 2


async def test_options_are_shown_without_secrets(start: Start) -> None:
    client = start(
        **{POST_API: "http://127.0.0.1:9/hook?key=secret&client=alice", INTERVAL: "7"},
        MOJO_WEIXIN_SYNCCHECK_INTERVAL="2",
        WXCLIENT_PROXY="http://u:hidden@127.0.0.1:9",
    )
    await client.until_state("loading")
    shown = await client.get_v1("options")
    options = obj(shown["options"])
    assert (shown["instance"], shown["credentials"]) == ("alice", [])
    assert options["send_interval"] == "7"
    assert options["send_jitter"] == OPTIONS["send_jitter"].default
    assert options["proxy"] == "http://127.0.0.1:9"
    assert options["post_api"] == "http://127.0.0.1:9/hook?key=…"
    assert "hidden" not in json.dumps(shown)
    # As in the original's state file: text if set, a number by default.
    state = client.state()
    assert (state["synccheck_interval"], state["ua_retry_times"]) == ("2", int(OPTIONS["ua_retry_times"].default))


async def test_daily_count_is_kept_without_a_limit(start: Start, client: RunningClient) -> None:
    await send(client, 2)
    await until(lambda: len(client.driver.sends) == 2)
    await client.stop()
    again = await running(start, **{DAILY: "3"})
    await until(lambda: queue(again), lambda queue: queue["sent_today"] == 2)
    assert obj(await again.get("send_friend_message", id="@ann", content="x"))["code"] == 0
    assert obj(await again.get("send_friend_message", id="@ann", content="y"))["code"] == -8


async def test_status_counts_the_messages_of_a_day(client: RunningClient) -> None:
    await send(client, 2)
    client.driver.play([message("hi")])
    await client.until_v1(lambda status: status["messages_24h"] == 3)


async def test_systemd_learns_that_a_stop_takes_longer(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(PATIENCE)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        client = await running(start, **{INTERVAL: "0.5"})
        await send(client, 3)
        await client.stop()
        heard: list[bytes] = []
        while b"STATUS=stopped: stopped" not in heard:
            heard.append(systemd.recv(4096))
    assert heard.index(b"STOPPING=1") < heard.index(b"EXTEND_TIMEOUT_USEC=10000000")
