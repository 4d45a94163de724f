"""What an account tells of itself at GET /v1/status, and the edges of its queue of sends."""

import asyncio
import json
import time

import pytest

from tests.patience import PATIENCE, until
from tests.unit.client.conftest import POST_API, RunningClient, Start, Webhook, running
from tests.unit.client.scripted import message
from wxcontroller.core.jsontypes import JsonObject, obj
from wxcontroller.core.model import MessageKind, MessageMedia
from wxcontroller.core.options import OPTIONS
from wxcontroller.drivers.base import Progress, QrReady

INTERVAL, DAILY = "MOJO_WEIXIN_SEND_INTERVAL", "WXCLIENT_SEND_DAILY_MAX"


async def queue(client: RunningClient) -> JsonObject:
    return obj((await client.told())["queue"])


async def send(client: RunningClient, number: int = 1) -> None:
    for count in range(number):
        await client.get("send_friend_message", id="@ann", content=str(count), **{"async": "1"})


async def test_options_are_shown_without_secrets(start: Start) -> None:
    client = start(
        **{POST_API: "http://127.0.0.1:9/hook?key=secret&client=alice", INTERVAL: "7"},
        WXCLIENT_PROXY="http://u:hidden@127.0.0.1:9",
    )
    await client.until_state("loading")
    told = await client.told("options")
    options = obj(told["options"])
    assert (told["instance"], told["credentials"]) == ("alice", [])
    assert options["send_interval"] == "7"
    assert options["send_jitter"] == OPTIONS["send_jitter"].default
    assert options["proxy"] == "http://127.0.0.1:9"
    assert options["post_api"] == "http://127.0.0.1:9/hook?key=…"
    assert "hidden" not in json.dumps(told)


async def test_status_counts_what_has_happened(client: RunningClient) -> None:
    begun = int(time.time())
    photo = message("", kind=MessageKind.IMAGE, media=MessageMedia(MessageKind.IMAGE, "k"))
    client.driver.contents["k"] = b"\xff\xd8\xff12345"
    client.driver.play([photo, Progress(heard=True)])
    assert obj(await client.get("send_friend_message", id="@ann", content="x"))["code"] == 0
    media = client.paths.media("alice")
    await until(lambda: media.exists() and any(path.name.startswith("mojo_") for path in media.iterdir()))
    told = await client.told()
    assert told["roster"] == {"contacts": 3, "groups": 1, "members": 3, "changes": 2}
    assert told["media"] == {"files": 1, "bytes": 8}
    times = obj(told["last_message_time"])
    assert all(begun <= int(str(each)) <= time.time() for each in (*times.values(), told["last_sync_time"]))
    assert obj(told["queue"])["sent_today"] == 1
    counts = {"received": {"image": 1}, "sent": {"text": 1}, "sent_elsewhere": {}, "not_sent": 0}
    assert told["messages"] == counts


async def test_failed_receiver_is_shown_without_its_secrets(start: Start, webhook: Webhook) -> None:
    webhook.statuses = [500] * 100
    client = await running(start, **{POST_API: webhook.address.replace("127.0.0.1", "user:secret@127.0.0.1")})
    reports = obj((await client.until_told(lambda status: obj(status["reports"])["last_error"]))["reports"])
    assert reports["to"] == f"http://127.0.0.1:{webhook.port}/in?key=…"
    assert (reports["last_error"], reports["delivered"]) == ("the webhook returned 500", 0)
    assert int(str(reports["waiting"])) >= 4
    assert abs(int(str(reports["oldest_since"])) - time.time()) < PATIENCE
    webhook.statuses = []
    await webhook.until(lambda got: any(r.get("params") == ["updating", "running"] for r in got))
    reports = obj((await client.until_told(lambda status: not obj(status["reports"])["waiting"]))["reports"])
    assert (reports["waiting"], reports["oldest_since"], reports["last_error"]) == (0, None, "")


async def test_daily_count_is_kept_without_a_limit(start: Start, client: RunningClient) -> None:
    await send(client, 2)
    await until(lambda: len(client.driver.sends) == 2)
    await client.stop()
    again = await running(start, **{DAILY: "3"})
    await until(lambda: queue(again), lambda queue: queue["sent_today"] == 2)
    assert obj(await again.get("send_friend_message", id="@ann", content="x"))["code"] == 0
    assert obj(await again.get("send_friend_message", id="@ann", content="y"))["code"] == -8


async def test_disconnected_caller_does_not_cancel_its_message(start: Start) -> None:
    client = start()
    client.driver.send_gate = asyncio.Event()
    await client.login()
    await send(client)
    caller = asyncio.create_task(client.get("send_friend_message", id="@ben", content="goes out"))
    await until(lambda: queue(client), lambda queue: queue["waiting"] == 1)
    caller.cancel()
    await asyncio.wait([caller])
    client.driver.send_gate.set()
    await until(lambda: len(client.driver.sends) == 2)
    assert client.driver.sends[1][:2] == ("@ben", "goes out")
    assert obj(await client.get("send_friend_message", id="@ann", content="next"))["code"] == 0


async def test_a_message_to_all_is_queued_whole_or_not_at_all(start: Start) -> None:
    client = await running(start, **{INTERVAL: "60", "WXCLIENT_SEND_QUEUE_MAX": "3"})
    assert obj(await client.get("send_friend_message", id="@all", content="a"))["code"] == 0
    await until(lambda: len(client.driver.sends) == 1)
    answer = obj(await client.get("send_friend_message", id="@all", content="b"))
    assert (answer["code"], answer["status"]) == (-1, "2 sends wait already and 3 more are too many, try again later")
    assert (await queue(client))["waiting"] == 2
    assert obj(await client.get("send_friend_message", id="@ann", content="c", **{"async": "1"}))["code"] == 0


async def test_state_file_has_the_time_of_wechats_last_response(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wxcontroller.client.session._FRESH", 0.1)
    client = start()
    assert (await client.until_state("loading"))["last_sync_uptime"] is None
    began = time.clock_gettime(time.CLOCK_BOOTTIME)
    await client.login()
    first = client.state()["last_sync_uptime"]
    assert isinstance(first, float)
    assert began - 0.1 <= first <= time.clock_gettime(time.CLOCK_BOOTTIME) + 0.1
    await asyncio.sleep(0.1)
    client.driver.play([Progress(heard=True)])
    await until(lambda: client.state()["last_sync_uptime"] != first)


async def test_reply_over_the_limit_is_reported_as_not_sent(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address, INTERVAL: "60", "WXCLIENT_SEND_QUEUE_MAX": "2"})
    webhook.answer = lambda report: b'{"reply":"x"}' if report["post_type"] == "receive_message" else b"{}"
    await client.login()
    await send(client)
    await until(lambda: len(client.driver.sends) == 1)
    await send(client, 2)
    assert (await queue(client))["waiting"] == 2
    client.driver.play([message("hi")])
    reports = await webhook.messages(3)
    assert [(r["content"], r.get("code")) for r in reports] == [("0", ""), ("hi", None), ("x", -1)]
    assert (reports[2]["info"], reports[2]["from"]) == ("2 sends wait already, try again later", "code")


async def test_public_files_are_written_as_soon_as_possible(start: Start) -> None:
    client = start()
    await client.until_state("loading")
    there, away = client.paths.runtime("alice"), client.paths.runtime("alice").with_name("away")
    there.rename(away)  # in place of a full /run
    client.driver.play([QrReady("https://login.weixin.qq.com/l/x", b"code", 1, 3)])
    await client.until_told(lambda status: status["state"] == "scaning")
    away.rename(there)
    await client.until_state("scaning")
    await until(lambda: any(path.read_bytes() == b"code" for path in there.glob("*qrcode*")))
