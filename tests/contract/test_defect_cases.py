"""Defects of the original (openwx-api 5) that no other test covers."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.patience import PATIENCE, until
from tests.unit.client.conftest import POST_API, Start, Webhook
from tests.unit.client.scripted import logged_in, message
from wxcontroller.client.incoming.checkevent import EventRing
from wxcontroller.client.sends.content.webhookreplies import reply_of
from wxcontroller.core.errors import WeChatError
from wxcontroller.core.jsontypes import JsonObject, items, obj
from wxcontroller.core.model import MessageKind, MessageMedia
from wxcontroller.drivers.base import QrReady, Scanned

QR = QrReady("https://login.weixin.qq.com/l/abc==", b"\xff\xd8jpeg", 1, 10)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def test_unknown_calls_are_refused_without_an_echo(start: Start) -> None:
    client = start(WXCLIENT_JSONP="1")
    await client.login()
    script = {"datatype": "jsonp", "callback": "<script>alert(1)</script>"}
    unknown = [client.address(path) for path in ("send_message", "", "get_user_info/x", "../v1x")]
    for url in (*unknown, f"http://127.0.0.1:{client.port}/"):
        for method in ("GET", "POST"):
            async with client.http.request(method, url, params=script) as answer:
                assert (answer.status, await answer.read()) == (403, b"api not found"), url


async def test_falsy_values_are_empty_strings(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address})
    client.driver.contents["empty"] = b""
    await client.login()
    await client.get("send_friend_message", id="@ben", content="x")
    client.driver.play([message("?", kind=MessageKind.FILE, media=MessageMedia(MessageKind.FILE, "empty"))])
    sent, received = await webhook.messages(2)
    assert (sent["code"], sent["receiver_uid"], sent["receiver_account"]) == ("", "", "")
    assert (received["media_size"], received["media_data"], received["sender_uid"]) == ("", "", "")
    for report in (sent, received):
        assert not [key for key, value in report.items() if value in (0, None, False)]


@pytest.mark.parametrize(
    "options", [{"MOJO_WEIXIN_PLUGIN_OPENWX_POST_MEDIA_DATA": "0"}, {"WXCLIENT_LIMIT_REPORT_MEDIA_BYTES": "1024"}]
)
async def test_content_may_be_left_out_of_reports(start: Start, webhook: Webhook, options: dict[str, str]) -> None:
    client = start(**{POST_API: webhook.address, **options})
    client.driver.contents["large"] = bytes(1025)
    await client.login()
    client.driver.play([message("?", kind=MessageKind.FILE, media=MessageMedia(MessageKind.FILE, "large"))])
    [report] = await webhook.messages(1)
    assert (report["media_size"], report["media_data"], "media_url" in report) == (1025, "", True)


async def test_a_caller_that_leaves_as_its_event_comes_loses_none() -> None:
    ring, report = EventRing(20), obj({"content": "news"})
    waiting = asyncio.create_task(ring.take(PATIENCE))
    await asyncio.sleep(0)
    ring.put(report)
    waiting.cancel()
    await asyncio.wait({waiting})
    assert await ring.take(0.0) == [report]


def media(number: int, size: int) -> JsonObject:
    return {"media_path": f"/m/{number}", "media_data": "x" * size}


async def test_events_for_check_event_lose_their_media_before_they_are_dropped() -> None:
    ring = EventRing(20, limit=100)
    assert await ring.take(0.0) == []
    for number in range(3):
        ring.put(media(number, 60))
    ring.put({"content": "y" * 50})
    assert (ring.dropped, await ring.take(0.0)) == (
        0,
        [*(media(number, 0) for number in range(3)), {"content": "y" * 50}],
    )
    for letter in "abc":
        ring.put({"content": letter * 60})
    assert (ring.dropped, await ring.take(0.0)) == (2, [{"content": "c" * 60}])


async def test_media_for_check_event_are_few_until_it_is_called() -> None:
    ring, size = EventRing(20), 700_000
    for expected in ([0, 0, size], [size] * 3):
        for number in range(3):
            ring.put(media(number, size))
        assert [len(str(report["media_data"])) for report in await ring.take(0.0)] == expected


FRIEND: JsonObject = {"type": "friend_message", "sender_id": "@ann", "receiver_id": "@me"}
TEAM: JsonObject = {"type": "group_message", "sender_id": "@c", "receiver_id": "@me", "group_id": "@@team"}
RECEIVED: JsonObject = {"post_type": "receive_message"}
SENT: JsonObject = {"post_type": "send_message", "type": "friend_message", "sender_id": "@me", "receiver_id": "@ann"}
PICTURE = "https://pictures.example/a.png"


@pytest.mark.parametrize(
    ("report", "answer", "expected"),
    [
        (RECEIVED | FRIEND, {"reply": "hi"}, ("@ann", False, "hi", "")),
        (RECEIVED | FRIEND, {"reply": "hi", "media": PICTURE}, ("@ann", False, "hi", PICTURE)),
        (RECEIVED | FRIEND, {"media": "/etc/passwd"}, None),
        (RECEIVED | FRIEND, {"reply": ""}, None),
        (RECEIVED | TEAM, {"reply": "hi"}, ("@@team", True, "hi", "")),
        (RECEIVED | TEAM | {"type": "group_notice"}, {"reply": "hi"}, None),
        (SENT, {"reply": "hi", "media": PICTURE}, ("@ann", False, "hi", "")),
        (SENT, {"reply": "hi", "format": "text"}, ("@ann", False, "hi", "")),
        (SENT, {"reply": "hi", "format": "media"}, None),
        (SENT | {"from": "code"}, {"reply": "hi"}, None),
        ({"post_type": "event", "event": "login"}, {"reply": "hi"}, None),
    ],
)
def test_answers_of_webhooks(
    report: JsonObject, answer: JsonObject, expected: tuple[str, bool, str, str] | None
) -> None:
    """Which become sends (openwx-api 3.4)."""
    found = reply_of(report, answer)
    assert (found and (found.target, found.is_group, found.content, found.media)) == expected


async def test_failing_handler_returns_json_without_details(start: Start) -> None:
    client = start()
    await client.login()
    client.driver.contents["avatar @ann"] = RuntimeError("a bug, with a secret")
    async with client.http.get(client.address("get_avatar"), params={"id": "@ann"}) as answer:
        assert (answer.status, answer.content_type) == (500, "application/json")
        error = obj(json.loads(await answer.read()))
    assert error["code"] == -1
    assert "journal" in str(error["status"])
    assert "secret" not in str(error)
    assert obj(await client.get("get_client_info"))["code"] == 0


async def test_private_files_are_readable_by_their_account_only(start: Start) -> None:
    client = start()
    client.driver.play([QR])
    await client.until_state("scaning")
    assert client.driver.context
    client.driver.context.store.save(b"session")
    paths = client.paths
    log = paths.state("alice") / "events.db"
    writing = await until(lambda: log.with_name("events.db-wal"), Path.exists)
    assert mode(paths.cookie_file("alice")) == mode(log) == mode(writing) == 0o600
    # What the controller's group reads.
    assert mode(paths.state_file("alice")) == mode(paths.qrcode_file("alice")) == 0o640


async def test_a_slow_wechat_blocks_no_other_call(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    client = start()
    await client.login()
    asked, gate = asyncio.Event(), asyncio.Event()

    async def slow(*_: object) -> None:
        asked.set()
        await gate.wait()

    monkeypatch.setattr(client.driver, "pin", slow)
    waiting = asyncio.create_task(client.get("stick", id="@ann"))
    await asked.wait()
    assert obj(await asyncio.wait_for(client.get("get_user_info"), PATIENCE))["id"] == "@me"
    sent = asyncio.wait_for(client.get("send_friend_message", id="@ben", content="x"), PATIENCE)
    assert obj(await sent)["code"] == 0
    client.driver.play([message("received")])
    events = items(await asyncio.wait_for(client.get("check_event"), PATIENCE))
    assert obj(events[-1])["content"] in ("x", "received")
    gate.set()
    assert obj(await waiting)["code"] == 0


async def test_messages_are_not_logged(start: Start, webhook: Webhook, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    webhook.answer = lambda _: b'{"reply":"tell-nobody-3"}'
    webhook.statuses = [500]
    client = start(**{POST_API: f"{webhook.address}&token=tell-nobody-4"}, MOJO_WEIXIN_LOG_LEVEL="debug")
    client.driver.outcomes = [WeChatError("no answer")]
    client.driver.play([QR, Scanned(), *logged_in()])
    await client.until_state("running")
    client.driver.play([message("tell-nobody-1")])
    await client.get("send_friend_message", id="@ann", content="tell-nobody-2")
    await webhook.messages(3)
    ours = [record.getMessage() for record in caplog.records if record.name != "aiohttp.access"]  # the webhook's own
    assert ours
    assert "tell-nobody" not in "\n".join(ours)
    assert "abc==" not in "\n".join(ours)  # of the code to scan
