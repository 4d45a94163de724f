"""Defects of the original (openwx-api 5) that no other test looks at by itself."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from tests.patience import PATIENCE, until
from tests.unit.client.conftest import POST_API, Start, Webhook
from tests.unit.client.scripted import logged_in, message
from tests.unit.controller.machine import Machine
from wxcontroller.core.errors import WeChatError
from wxcontroller.core.jsontypes import items, obj
from wxcontroller.core.model import MessageKind, MessageMedia
from wxcontroller.core.options import check_options
from wxcontroller.drivers.base import QrReady, Scanned

QR = QrReady("https://login.weixin.qq.com/l/abc==", b"\xff\xd8jpeg", 1, 10)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def test_no_6_log_level_of_a_start_takes_effect(host: Machine, start: Start) -> None:
    answer = await host.get("start_client", client="alice", log_level="debug", http_debug="1")
    assert (answer["log_level"], answer["http_debug"]) == ("debug", "1")
    assert 'MOJO_WEIXIN_LOG_LEVEL="debug"' in host.paths.account_file("alice").read_text()
    client = start(MOJO_WEIXIN_LOG_LEVEL="debug", MOJO_WEIXIN_HTTP_DEBUG="1")
    await client.until_state("loading")
    told = obj(await client.get("get_client_info"))
    assert (told["log_level"], told["http_debug"]) == ("debug", "1")
    assert client.state()["log_level"] == "debug"


async def test_no_10_stop_leaves_the_session_and_state(start: Start) -> None:
    client = start()
    client.driver.play([QR, Scanned(), *logged_in()])
    await client.until_state("running")
    assert client.driver.context
    client.driver.context.store.save(b"session")
    assert client.paths.pid_file("alice").exists()
    await client.stop()
    assert client.state()["state"] == "stop"
    assert client.paths.cookie_file("alice").read_bytes() == b"session"
    assert not client.paths.pid_file("alice").exists()
    assert not client.paths.qrcode_file("alice").exists()


@pytest.mark.parametrize("path", ["send_message", "sticky_group", "", "get_user_info/x", "../v1x"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_no_14_44_54_unknown_calls_are_refused_without_an_echo(start: Start, method: str, path: str) -> None:
    client = start(WXCLIENT_JSONP="1")
    await client.login()
    script = {"datatype": "jsonp", "callback": "<script>alert(1)</script>"}
    async with client.http.request(method, client.address(path), params=script) as answer:
        assert (answer.status, await answer.read()) == (403, b"api not found")
    async with client.http.request(method, f"http://127.0.0.1:{client.port}/", params=script) as answer:
        assert (answer.status, await answer.read()) == (403, b"api not found")


async def test_no_30_falsy_values_are_empty_strings(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address})
    client.driver.contents["empty"] = b""
    await client.login()
    await client.get("send_friend_message", id="@ben", content="x")
    client.driver.play([message("?", kind=MessageKind.FILE, media=MessageMedia(MessageKind.FILE, "empty"))])
    sent, received = await webhook.messages(2)
    assert (sent["code"], sent["receiver_uid"], sent["receiver_account"]) == ("", "", "")
    assert (received["media_size"], received["media_data"], received["sender_uid"]) == ("", "", "")
    for report in (sent, received):
        assert not [key for key, value in report.items() if value in (0, None, False) and value != ""]


async def test_no_39_failing_handler_returns_json_without_details(start: Start) -> None:
    client = start()
    await client.login()
    client.driver.contents["avatar @ann"] = RuntimeError("a bug, with a secret")
    async with client.http.get(client.address("get_avatar"), params={"id": "@ann"}) as answer:
        assert (answer.status, answer.content_type) == (500, "application/json")
        told = obj(json.loads(await answer.read()))
    assert told["code"] == -1
    assert "journal" in str(told["status"])
    assert "secret" not in str(told)
    assert obj(await client.get("get_client_info"))["code"] == 0


async def test_no_52_private_files_are_readable_by_their_account_only(start: Start) -> None:
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


async def test_no_53_76_the_login_makes_no_foreign_requests(start: Start, webhook: Webhook) -> None:
    """Neither is the code uploaded nor a notice fetched: the only lines are to the webhook and to the API."""
    seen: list[object] = []

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if event == "socket.connect":
            seen.append(arguments[1])
        elif event == "socket.getaddrinfo":
            seen.append(arguments[:2])

    sys.addaudithook(watch)  # for good: there is no way to take one off, and it only notes
    client = start(**{POST_API: webhook.address})
    client.driver.play([QR, Scanned(), *logged_in(), message("last")])
    await webhook.messages()
    await client.get("get_user_info")
    assert {("127.0.0.1", webhook.port), ("127.0.0.1", client.port)} >= set(seen)
    assert seen
    assert check_options([("is_fetch_notice", "1"), ("notice_api", "http://x/")]).options == {}


async def test_no_66_state_file_is_replaced_atomically(start: Start) -> None:
    client = start()
    await client.until_state("loading")
    client.driver.play([QR, Scanned(), *logged_in()] * 20)
    path, words = client.paths.state_file("alice"), set()

    def read() -> None:
        while client.driver.script.qsize():
            if path.exists():
                words.add(json.loads(path.read_bytes())["state"])

    await asyncio.to_thread(read)
    assert words


async def test_no_71_a_slow_wechat_blocks_no_other_call(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    client = start()
    await client.login()
    asked, gate = asyncio.Event(), asyncio.Event()

    async def slow(*_: object) -> None:
        asked.set()
        await gate.wait()

    for command in ("pin", "revoke", "kick", "set_remark"):
        monkeypatch.setattr(client.driver, command, slow)
    waiting = [
        asyncio.create_task(client.get("stick", id="@ann")),
        asyncio.create_task(client.get("revoke_message", id="1:@ann")),
        asyncio.create_task(client.get("kick_group_member", id="@@team", members="@c")),
        asyncio.create_task(client.get("set_friend_markname", id="@ann", new_markname="x")),
    ]
    await asked.wait()
    assert obj(await asyncio.wait_for(client.get("get_user_info"), PATIENCE))["id"] == "@me"
    assert (
        obj(await asyncio.wait_for(client.get("send_friend_message", id="@ben", content="x"), PATIENCE))["code"] == 0
    )
    client.driver.play([message("still heard")])
    assert obj(items(await asyncio.wait_for(client.get("check_event"), PATIENCE))[-1])["content"] in (
        "x",
        "still heard",
    )
    gate.set()
    assert {obj(await one)["code"] for one in waiting} == {0}


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
