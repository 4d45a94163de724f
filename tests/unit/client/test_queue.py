"""The queue of sends on bad days, and at its end."""

import asyncio
import socket
import time
from pathlib import Path

import pytest

from tests.patience import PATIENCE, until
from tests.unit.client.conftest import POST_API, Start, Webhook
from tests.unit.client.scripted import logged_in
from tests.unit.client.test_status import queue, send
from wxcontroller.client.sends.backoff import BackoffPolicy
from wxcontroller.core.errors import FailureHandling, WeChatError
from wxcontroller.core.jsontypes import obj
from wxcontroller.core.messages import Text
from wxcontroller.drivers.base import LossReason, Offline, SessionLost

INTERVAL, DRAIN = "MOJO_WEIXIN_SEND_INTERVAL", "WXCLIENT_STOP_DRAIN"


# -- the end


async def test_a_stop_waits_so_long_and_no_longer(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address, INTERVAL: "0.3", DRAIN: "1"})
    await client.login()
    await send(client, 9)
    assert await client.stop() == 0
    sent = [text for _, text, _ in client.driver.sends]
    assert 3 <= len(sent) < 6
    # The rest stays for the next start.
    assert [(r["content"], r["code"]) for r in await webhook.messages(len(sent))] == [(text, "") for text in sent]
    again = start(**{POST_API: webhook.address})
    await again.login()
    assert [(r["content"], r["code"]) for r in await webhook.messages(9)] == [(each, "") for each in "012345678"]


@pytest.mark.parametrize("options", [{INTERVAL: "3600", DRAIN: "300"}, {INTERVAL: "300", DRAIN: "0"}])
async def test_a_stop_does_not_wait_for_what_could_not_go_out_in_time(
    start: Start, webhook: Webhook, options: dict[str, str]
) -> None:
    client = start(**{POST_API: webhook.address, **options})
    await client.login()
    await send(client, 3)
    await until(lambda: len(client.driver.sends) == 1)
    begun = time.monotonic()
    assert await client.stop() == 0
    assert time.monotonic() - begun < PATIENCE  # the drain would take 300, and what waits without one 600
    assert [r["info"] for r in await webhook.messages(1)] == ["success"]


async def test_while_it_stops_an_account_takes_nothing_new_and_says_so(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address, INTERVAL: "0.5"})
    await client.login()
    await send(client, 3)
    stopping = asyncio.create_task(client.stop())
    await until(lambda: str(client.state().get("status", "")).startswith("stopping: "))
    assert client.state()["status"] == "stopping: sending 2 queued messages first, for at most 15 s"
    answer = obj(await client.get("send_friend_message", id="@ann", content="one more"))
    assert (answer["code"], answer["status"]) == (-1, "the account is stopping, nothing more is sent")
    assert await stopping == 0
    assert [r["code"] for r in await webhook.messages(3)] == [""] * 3
    assert len(client.driver.sends) == 3


async def test_systemd_hears_that_a_stop_takes_longer(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(PATIENCE)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        client = start(**{INTERVAL: "0.5"})
        await client.login()
        await send(client, 3)
        await client.stop()
        told: list[bytes] = []
        while b"STATUS=stopped: stopped" not in told:
            told.append(systemd.recv(4096))
    assert told.index(b"STOPPING=1") < told.index(b"EXTEND_TIMEOUT_USEC=10000000")


async def test_an_account_that_is_offline_stops_at_once(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address, INTERVAL: "100", DRAIN: "300"})
    await client.login()
    await send(client, 3)
    client.driver.play([Offline(Text("no answer"))])
    await client.until_state("updating")
    begun = time.monotonic()
    assert await client.stop() == 0
    assert time.monotonic() - begun < PATIENCE  # they could go out in 200


# -- bad days


async def test_five_tries_outlast_a_moment_of_trouble(start: Start) -> None:
    client = start(BackoffPolicy(transient_first=0.2, transient_max=0.4))
    client.driver.outcomes = [WeChatError("no answer") for _ in range(3)]
    await client.login()
    begun = time.monotonic()
    assert obj(await client.get("send_friend_message", id="@ann", content="a"))["code"] == 0
    assert time.monotonic() - begun > 0.2 + 0.4 + 0.4
    # What is sent next does not wait any longer, and has tries of its own.
    assert (await queue(client))["next_send_at"] is None
    assert obj(await client.get("send_friend_message", id="@ann", content="b"))["code"] == 0
    client.driver.outcomes = [WeChatError("no answer") for _ in range(10)]
    for _ in range(2):
        begun = time.monotonic()
        assert obj(await client.get("send_friend_message", id="@ann", content="c"))["code"] == -1
        assert time.monotonic() - begun > 0.2 + 0.4 + 0.4 + 0.4
    assert client.driver.outcomes == []  # five tries each
    assert (await queue(client))["next_send_at"] is None  # after the last try nothing is waited for
    assert obj(await client.get("send_friend_message", id="@ann", content="d"))["code"] == 0


async def test_too_frequent_makes_the_queue_rest_longer_each_time(start: Start) -> None:
    client = start(BackoffPolicy(throttled_first=1.0, throttled_max=5.0))
    client.driver.outcomes = [
        None,
        *[WeChatError("too frequent", ret=1205, handling=FailureHandling.WAIT) for _ in range(2)],
    ]
    await client.login()
    begun = time.monotonic()
    await send(client, 5)
    await until(lambda: len(client.driver.sends) == 2)
    now = await queue(client)
    assert (now["waiting"], now["last_error"]) == (3, "too frequent")
    assert float(str(now["next_send_at"])) - time.time() <= 1.01
    await until(lambda: len(client.driver.sends) == 5)
    assert time.monotonic() - begun > 1.0 + 2.0
    assert [content for _, content, _ in client.driver.sends] == list("01234")


async def test_what_is_queued_when_the_session_ends_is_not_sent_to_ids_of_the_past(
    start: Start, webhook: Webhook
) -> None:
    client = start(**{POST_API: webhook.address, INTERVAL: "0.3"})
    await client.login()
    await send(client, 4)
    await until(lambda: len(client.driver.sends) == 1)
    client.driver.play([SessionLost(LossReason.LOGGED_OUT, 1100), *logged_in()])
    got = await webhook.messages(4)
    assert [r["code"] for r in got] == ["", -5, -5, -5]
    assert {r["info"] for r in got[1:]} == {"not sent: the session is over, and ids change with the next one"}
    await client.until_state("running")
    assert obj(await client.get("send_friend_message", id="@ann", content="new"))["code"] == 0
    assert [content for _, content, _ in client.driver.sends] == ["0", "new"]
