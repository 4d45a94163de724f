"""What an account tells of itself at GET /v1/status, and the edges of its queue of sends."""

import asyncio
import json
import time

import pytest

from tests.patience import PATIENCE, until
from tests.unit.client.conftest import POST_API, RunningClient, Start, Webhook
from tests.unit.client.scripted import ANN, ME, message
from wxcontroller.client.sends.queue import MAX_WAITING
from wxcontroller.core.errors import FailureHandling, WeChatError
from wxcontroller.core.jsontypes import JsonObject, obj
from wxcontroller.core.model import Contact, Direction, MessageKind, MessageMedia
from wxcontroller.core.options import OPTIONS
from wxcontroller.drivers.base import Accepted, LoginWay, Online, Profile, Progress, QrReady, RosterLoaded

INTERVAL, JITTER = "MOJO_WEIXIN_SEND_INTERVAL", "WXCLIENT_SEND_JITTER"
BURST, DAILY = "WXCLIENT_SEND_BURST_MAX", "WXCLIENT_SEND_DAILY_MAX"


async def queue(client: RunningClient) -> JsonObject:
    return obj((await client.told())["queue"])


async def send(client: RunningClient, number: int = 1) -> None:
    """Queue messages without waiting for them."""
    for count in range(number):
        await client.get("send_friend_message", id="@ann", content=str(count), **{"async": "1"})


async def test_the_proxy_is_told_without_its_password(start: Start) -> None:
    client = start(WXCLIENT_PROXY="http://u:hidden@127.0.0.1:9")
    await client.until_state("loading")
    assert (await client.told())["proxy"] == "http://127.0.0.1:9"


async def test_what_it_runs_by_is_told_without_secrets(start: Start) -> None:
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


async def test_what_has_happened_is_told(client: RunningClient) -> None:
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


async def test_when_the_last_messages_were_is_known_after_a_restart(start: Start, client: RunningClient) -> None:
    client.driver.play([message("hello")])
    assert obj(await client.get("send_friend_message", id="@ann", content="x"))["code"] == 0
    before = obj((await client.told())["last_message_time"])
    assert all(before.values())
    assert await client.stop() == 0
    again = start()
    await again.until_state("loading")
    async with asyncio.timeout(PATIENCE):  # its log is read meanwhile
        while None in (after := obj((await again.told())["last_message_time"])).values():
            await asyncio.sleep(0.01)
    assert all(abs(int(str(after[key])) - int(str(before[key]))) <= 1 for key in before)
    await again.login()
    again.driver.play([message("from the phone", direction=Direction.SENT_ELSEWHERE)])
    again.driver.outcomes.append(WeChatError("refused", ret=1101))
    assert obj(await again.get("send_friend_message", id="@ann", content="x"))["code"] == 1101
    assert obj((await again.told())["last_message_time"]) == after  # neither was received, or sent by it


async def test_messages_from_the_phone_and_those_that_were_not_sent_are_counted(client: RunningClient) -> None:
    client.driver.play([message("from the phone", direction=Direction.SENT_ELSEWHERE)])
    client.driver.outcomes.append(WeChatError("refused", ret=1101))
    assert obj(await client.get("send_friend_message", id="@ann", content="x"))["code"] == 1101
    async with asyncio.timeout(PATIENCE):
        while (counts := obj((await client.told())["messages"]))["sent_elsewhere"] != {"text": 1}:
            await asyncio.sleep(0.01)
    assert (counts["not_sent"], counts["sent"]) == (1, {})


async def test_media_of_an_earlier_run_count(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address})
    media = client.paths.media("alice")
    await client.stop()
    media.mkdir(parents=True, exist_ok=True)
    (media / "mojo_weixin_media_1.jpg").write_bytes(b"12345")
    again = start(**{POST_API: webhook.address})
    async with asyncio.timeout(PATIENCE):
        while (await status_when_up(again)).get("media") != {"files": 1, "bytes": 5}:
            await asyncio.sleep(0.01)


async def status_when_up(client: RunningClient) -> JsonObject:
    try:
        return await client.told()
    except OSError:
        return {}


async def test_a_receiver_that_is_down_is_told_without_its_secrets(start: Start, webhook: Webhook) -> None:
    webhook.statuses = [500] * 100
    client = start(**{POST_API: webhook.address.replace("127.0.0.1", "user:secret@127.0.0.1")})
    await client.login()
    async with asyncio.timeout(PATIENCE):
        while not (reports := obj((await client.told())["reports"]))["last_error"]:
            await asyncio.sleep(0.01)
    assert reports["to"] == f"http://127.0.0.1:{webhook.port}/in?key=…"
    assert (reports["last_error"], reports["delivered"]) == ("it answers 500", 0)
    assert int(str(reports["waiting"])) >= 4
    assert abs(int(str(reports["oldest_since"])) - time.time()) < 10
    webhook.statuses = []
    await webhook.until(lambda got: any(r.get("params") == ["updating", "running"] for r in got))
    async with asyncio.timeout(PATIENCE):
        while (reports := obj((await client.told())["reports"]))["waiting"]:
            await asyncio.sleep(0.01)
    assert (reports["waiting"], reports["oldest_since"], reports["last_error"]) == (0, None, "")


async def test_the_interval_and_its_jitter_are_seen_and_kept(start: Start) -> None:
    client = start(**{INTERVAL: "60", JITTER: "30"})
    await client.login()
    begun = time.time()
    await send(client, 4)
    now = await queue(client)
    assert (now["interval"], now["jitter"], now["waiting"]) == (60, 30, 3)
    assert begun + 30 <= float(str(now["next_send_at"])) <= time.time() + 90
    assert begun - 1 <= float(str(now["oldest_since"])) <= time.time()


async def test_a_burst_makes_the_next_one_wait_for_a_minute(start: Start) -> None:
    client = start(**{BURST: "2"})
    await client.login()
    await send(client, 3)
    await until(lambda: len(client.driver.sends) == 2)
    now = await queue(client)
    assert (now["waiting"], now["burst_limit"]) == (1, 2)
    assert 30 < float(str(now["next_send_at"])) - time.time() <= 60.01
    begun = time.monotonic()
    assert await client.stop() == 0
    assert time.monotonic() - begun < 10  # the drain would take 15


async def test_what_the_daily_limit_refuses_takes_no_place_in_a_burst(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address, DAILY: "1", BURST: "2"})
    await client.login()
    await send(client, 5)
    assert [r["code"] for r in await webhook.messages(5)] == ["", -8, -8, -8, -8]
    now = await queue(client)
    assert (now["sent_today"], now["daily_limit"], now["waiting"]) == (1, 1, 0)


async def test_the_days_count_is_there_before_there_is_a_limit(start: Start, client: RunningClient) -> None:
    await send(client, 2)
    await until(lambda: len(client.driver.sends) == 2)
    await client.stop()
    again = start(**{DAILY: "3"})
    await again.login()
    async with asyncio.timeout(PATIENCE):
        while (await queue(again))["sent_today"] != 2:
            await asyncio.sleep(0.01)
    assert obj(await again.get("send_friend_message", id="@ann", content="x"))["code"] == 0
    assert obj(await again.get("send_friend_message", id="@ann", content="y"))["code"] == -8


async def test_one_under_way_is_told_apart(start: Start) -> None:
    client = start(**{INTERVAL: "60"})
    client.driver.send_gate = asyncio.Event()
    await client.login()
    await send(client, 2)
    now = await queue(client)
    assert (now["in_flight"], now["waiting"]) == (1, 1)
    assert 30 < float(str(now["next_send_at"])) - time.time() <= 60.01
    client.driver.send_gate.set()
    async with asyncio.timeout(PATIENCE):
        while (await queue(client))["in_flight"]:
            await asyncio.sleep(0.01)
    assert len(client.driver.sends) == 1


async def test_why_the_last_one_failed_is_told_until_one_succeeds(start: Start) -> None:
    client = start(**{DAILY: "2"})
    client.driver.outcomes = [WeChatError("too frequent", ret=1205, handling=FailureHandling.WAIT)]
    await client.login()
    for code, error in ((1205, "too frequent"), (0, ""), (-8, "the daily limit of 2 sends is used up")):
        assert obj(await client.get("send_friend_message", id="@ann", content="x"))["code"] == code
        assert str((await queue(client))["last_error"]).startswith(error)
        assert bool((await queue(client))["last_error"]) == bool(error)


async def test_a_caller_that_hangs_up_takes_no_message_back(start: Start) -> None:
    client = start()
    client.driver.send_gate = asyncio.Event()
    await client.login()
    await send(client)
    caller = asyncio.create_task(client.get("send_friend_message", id="@ben", content="goes out"))
    async with asyncio.timeout(PATIENCE):
        while (await queue(client))["waiting"] != 1:
            await asyncio.sleep(0.01)
    caller.cancel()
    await asyncio.wait([caller])
    client.driver.send_gate.set()
    await until(lambda: len(client.driver.sends) == 2)
    assert client.driver.sends[1][:2] == ("@ben", "goes out")
    assert obj(await client.get("send_friend_message", id="@ann", content="next"))["code"] == 0


async def test_only_so_many_may_wait_and_the_account_answers_meanwhile(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address, INTERVAL: "3600", "WXCLIENT_STOP_DRAIN": "300"})
    everybody = tuple(Contact(id=f"@{number}", name=f"{number}") for number in range(300))
    client.driver.play([Accepted(LoginWay.SCAN), Profile(ME), RosterLoaded((ANN, *everybody), ()), Online()])
    await client.until_state("running")
    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            _ = group.create_task(fill(client))
    now = await queue(client)
    waiting = now["waiting"]
    assert MAX_WAITING - 1 - len(everybody) < int(str(waiting)) <= MAX_WAITING
    while int(str((await queue(client))["waiting"])) < MAX_WAITING:
        await client.get("send_friend_message", id="@ann", content="x", **{"async": "1"})
    waiting = MAX_WAITING
    answer = obj(await client.get("send_friend_message", id="@ann", content="one more"))
    assert (answer["code"], answer["status"]) == (-1, f"{waiting} sends wait already, try again later")
    await client.told()
    begun = time.monotonic()
    assert await client.stop() == 0
    assert time.monotonic() - begun < PATIENCE  # the drain would take 300


async def fill(client: RunningClient) -> None:
    while obj(await client.get("send_friend_message", id="@all", content="x"))["code"] == 0:
        pass


async def test_a_message_to_all_is_queued_whole_or_not_at_all(start: Start) -> None:
    client = start(**{INTERVAL: "60", "WXCLIENT_SEND_QUEUE_MAX": "3"})
    await client.login()
    assert obj(await client.get("send_friend_message", id="@all", content="a"))["code"] == 0
    await until(lambda: len(client.driver.sends) == 1)
    answer = obj(await client.get("send_friend_message", id="@all", content="b"))
    assert (answer["code"], answer["status"]) == (-1, "2 sends wait already and 3 more are too many, try again later")
    assert (await queue(client))["waiting"] == 2
    assert obj(await client.get("send_friend_message", id="@ann", content="c", **{"async": "1"}))["code"] == 0


async def test_a_reply_that_is_too_much_is_reported_as_not_sent(start: Start, webhook: Webhook) -> None:
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


async def test_a_retry_keeps_its_age(start: Start) -> None:
    client = start(**{INTERVAL: "60"})
    client.driver.outcomes = [WeChatError("busy", ret=-1, handling=FailureHandling.RETRY_SAME_ID)]
    await client.login()
    begun = time.time()
    await send(client, 2)
    await until(lambda: len(client.driver.sends) == 1)
    async with asyncio.timeout(PATIENCE):
        while (now := await queue(client))["in_flight"]:
            await asyncio.sleep(0.01)
    assert now["waiting"] == 2
    assert int(begun) <= int(str(now["oldest_since"])) <= begun + 2


async def test_what_waits_for_a_login_says_so(start: Start) -> None:
    client = start(**{INTERVAL: "60"})
    await client.login()
    await send(client, 3)
    await client.stop()
    again = start()
    async with asyncio.timeout(PATIENCE):
        while obj((await status_when_up(again)).get("queue")).get("waiting") != 2:
            await asyncio.sleep(0.01)
    now = await queue(again)
    assert (now["held"], now["next_send_at"]) == (True, None)
    answer = obj(await again.get("get_client_info"))
    assert answer["queued"] == 2
    await again.login()
    await until(lambda: len(again.driver.sends) == 2)
    assert (await queue(again))["held"] is False


async def test_web_pages_may_not_ask_and_other_paths_are_answered_in_words(start: Start) -> None:
    client = start()
    await client.until_state("loading")
    address = f"http://127.0.0.1:{client.port}/v1/"
    for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
        async with client.http.get(f"{address}status", headers=headers) as answer:
            assert answer.status == 403, headers
    for method, path in (("POST", "status"), ("GET", "nothing"), ("GET", "")):
        async with client.http.request(method, address + path) as answer:
            assert answer.status == 404, (method, path)
            assert obj((await answer.json())["error"])["code"] == "no-such-path"


async def test_when_wechat_was_heard_is_in_the_state_file(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wxcontroller.client.session._FRESH", 3600)
    client = start()
    assert (await client.until_state("loading"))["last_sync_uptime"] is None
    began = time.clock_gettime(time.CLOCK_BOOTTIME)
    await client.login()
    first = client.state()["last_sync_uptime"]
    assert isinstance(first, float)
    assert began - 0.1 <= first <= time.clock_gettime(time.CLOCK_BOOTTIME) + 0.1
    # Not written at each answer, but before it is old.
    client.driver.play([Progress(heard=True)] * 5)
    await asyncio.sleep(0.25)
    assert client.state()["last_sync_uptime"] == first
    monkeypatch.setattr("wxcontroller.client.session._FRESH", 0.2)
    client.driver.play([Progress(heard=True)])
    await until(lambda: client.state()["last_sync_uptime"] != first)


async def test_public_files_are_right_as_soon_as_they_can_be_written(start: Start) -> None:
    client = start()
    await client.until_state("loading")
    there, away = client.paths.runtime("alice"), client.paths.runtime("alice").with_name("away")
    there.rename(away)  # in place of a full /run
    client.driver.play([QrReady("https://login.weixin.qq.com/l/x", b"code", 1, 3)])
    await until_status(client, "scaning")
    away.rename(there)
    await client.until_state("scaning")
    await until(lambda: any(path.read_bytes() == b"code" for path in there.glob("*qrcode*")))


async def until_status(client: RunningClient, word: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await client.told())["state"] != word:
            await asyncio.sleep(0.01)
