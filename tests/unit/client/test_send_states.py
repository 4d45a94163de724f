"""Sends that are cancelled, that fail and are tried again, or that WeChat cannot be reached for."""

import asyncio
import time
from dataclasses import replace

import pytest

from tests.patience import until
from tests.unit.client.conftest import POST_API, RunningClient, Start, Webhook, running
from tests.unit.client.scripted import ScriptedDriver, logged_in, message
from tests.unit.client.test_kept_sends import busy_disk
from tests.unit.durability.routes import PICTURE
from wxcontroller.client.sends.rules import availability
from wxcontroller.core.condition.verdict import RULES, Cause
from wxcontroller.core.errors import FailureHandling, WeChatError
from wxcontroller.core.jsontypes import JsonObject, integer, items, obj, text
from wxcontroller.drivers.base import Capabilities, ReplyWindow
from wxcontroller.drivers.web.driver import WebDriver

WEB = WebDriver.capabilities
WINDOWED = replace(WEB, window=ReplyWindow(pace=0.0, again=0.0))
both_routes = pytest.mark.parametrize("route", [WEB, WINDOWED], ids=["open", "windowed"])
REJECTED = WeChatError("system error", ret=-1, handling=FailureHandling.RETRY_SAME_ID)
NO_CONNECTION = WeChatError("can't connect", unsure=False)


async def entered(
    start: Start, webhook: Webhook, route: Capabilities, **environ: str
) -> tuple[RunningClient, ScriptedDriver]:
    """An account to which Ann has written, and its driver."""
    driver = ScriptedDriver(capabilities=route)
    client = start(make=driver.make, **{POST_API: webhook.address}, **environ)
    driver.play([*logged_in(), message("hi")])
    await webhook.messages(1)
    return client, driver


async def listed(client: RunningClient) -> list[JsonObject]:
    return [obj(send) for send in items((await client.get_v1("sends"))["sends"])]


def ends(webhook: Webhook) -> list[tuple[object, object]]:
    return [(report["content"], report["code"]) for report in webhook.sends()]


async def test_send_cancelled_during_its_upload_is_not_sent(start: Start, webhook: Webhook) -> None:
    client, driver = await entered(start, webhook, WEB)
    driver.upload_gate = asyncio.Event()
    caller = asyncio.create_task(client.post("send_friend_message", PICTURE, "a.png", id="@ann"))
    async with asyncio.timeout(20):
        await driver.uploading.wait()
    [send] = await listed(client)
    assert await client.v1("DELETE", f"sends/{send['id']}") == (200, {"id": send["id"], "state": "refused"})
    answer = obj(await caller)
    assert (answer["code"], answer["status"]) == (-5, "cancelled")
    assert obj(await client.get("send_friend_message", id="@ann", content="next"))["code"] == 0
    driver.upload_gate.set()
    assert await client.stop() == 0
    assert (driver.media_sends, [words for _, words, _ in driver.sends]) == ([], ["next"])
    assert [report["code"] for report in webhook.sends()] == [-5, ""]


async def test_send_that_is_handed_over_on_a_slow_disk_is_not_cancelled(start: Start, webhook: Webhook) -> None:
    client = await running(start, **{POST_API: webhook.address, "MOJO_WEIXIN_SEND_INTERVAL": "0.3"})
    for words in ("first", "second"):
        await client.get("send_friend_message", id="@ann", content=words, **{"async": "1"})
    async with busy_disk(client):
        [send] = await until(lambda: listed(client), lambda sends: [each["state"] for each in sends] == ["sending"])
        status, answer = await client.v1("DELETE", f"sends/{send['id']}")
        assert (status, obj(answer["error"])["code"]) == (409, "being-sent")
    assert obj(await client.get("send_friend_message", id="@ann", content="third"))["code"] == 0
    await webhook.until_sends(3)
    assert ends(webhook) == [("first", ""), ("second", ""), ("third", "")]
    assert await client.stop() == 0


@both_routes
@pytest.mark.parametrize("failures", [[REJECTED], [None, REJECTED], [NO_CONNECTION], [None, NO_CONNECTION]])
async def test_parts_of_a_message_stay_together(
    start: Start, webhook: Webhook, route: Capabilities, failures: list[WeChatError | None]
) -> None:
    client, driver = await entered(start, webhook, route)
    driver.send_gate = asyncio.Event()
    words = [letter * 1500 + "\n" for letter in "abc"]
    await client.get("send_friend_message", id="@ann", content="".join(words), **{"async": "1"})
    await client.get("send_friend_message", id="@ann", content="other", **{"async": "1"})
    await client.get("send_friend_message", id="@ann", content="urgent", urgent="1", **{"async": "1"})
    driver.outcomes = list(failures)
    driver.send_gate.set()
    await webhook.until_sends(5)
    sent = [report["content"] for report in webhook.sends()]
    begin = sent.index(words[0])
    assert sent[begin : begin + 3] == words
    assert {report["code"] for report in webhook.sends()} == {""}


async def test_parts_of_a_progress_message_stay_together(start: Start, webhook: Webhook) -> None:
    client, driver = await entered(start, webhook, WINDOWED)
    driver.send_gate = asyncio.Event()
    words = [letter * 1500 + "\n" for letter in "ab"]
    for content in ("".join(words), "other"):
        await client.get("send_friend_message", id="@ann", content=content, interim="1", **{"async": "1"})
    driver.outcomes = [None, REJECTED]
    driver.send_gate.set()
    assert [report["content"] for report in await webhook.until_sends(3)] == [*words, "other"]


@both_routes
async def test_caption_precedes_its_file_after_a_failure(start: Start, webhook: Webhook, route: Capabilities) -> None:
    client, driver = await entered(start, webhook, route)
    driver.outcomes = [NO_CONNECTION if route.window else REJECTED]
    answer = obj(await client.post("send_friend_message", PICTURE, "a.png", id="@ann", content="look"))
    assert answer["code"] == 0
    await webhook.until_sends(2)
    assert [report["format"] for report in webhook.sends()] == ["text", "media"]


@both_routes
@pytest.mark.parametrize("content", [b"", PICTURE], ids=["text", "picture"])
async def test_only_attempts_with_a_connection_count(
    start: Start, webhook: Webhook, route: Capabilities, content: bytes
) -> None:
    client, driver = await entered(start, webhook, route)
    driver.outcomes = [*[NO_CONNECTION] * 12, REJECTED]
    words = {} if content else {"content": "x"}
    form = {"id": "@ann", "async": "1", **words}
    assert obj(await client.post("send_friend_message", content, "a.png", **form))["code"] == 0
    [report] = await webhook.until_sends(1)
    assert (report["code"], driver.outcomes) == ("", [])
    assert obj((await client.get_v1())["queue"])["sent_today"] == (1 if content else 2)


async def test_repetition_without_a_connection_uses_up_no_send_of_a_window(start: Start, webhook: Webhook) -> None:
    client, driver = await entered(start, webhook, WINDOWED)
    driver.outcomes = [WeChatError("no answer", unsure=True), NO_CONNECTION, NO_CONNECTION]
    assert obj(await client.get("send_friend_message", id="@ann", content="x"))["code"] == 0
    status = await client.get_v1()
    [row] = items(status["windows"])
    assert (obj(row)["sent"], obj(status["sending"])["sent_24h"]) == (2, 2)  # both may have arrived


@both_routes
async def test_caller_learns_that_wechat_is_unreachable(start: Start, webhook: Webhook, route: Capabilities) -> None:
    client, driver = await entered(start, webhook, route, WXCLIENT_LIMIT_SEND_ANSWER_SECONDS="3")
    driver.outcomes = [NO_CONNECTION] * 100_000
    answer = obj(await client.get("send_friend_message", id="@ann", content="x"))
    assert answer["code"] == -7
    assert "WeChat can be reached" in text(answer["status"])
    assert answer["reason"] == ("unreachable" if route.window else "can't connect")
    assert integer(answer["held_until"]) > time.time() + 3000
    # Between two attempts: while one is made, it is held for nothing.
    [send] = await until(lambda: listed(client), lambda found: found[0]["reason"])
    assert (send["reason"], send["held_until"]) == ("unreachable", answer["held_until"])
    assert obj(send["remedy_text"])["template"] == RULES[Cause.UNREACHABLE].remedy
    driver.outcomes.clear()
    [report] = await webhook.until_sends(1)
    assert report["code"] == ""


async def test_send_that_waited_too_long_for_wechat_is_reported(
    start: Start, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(availability, "_SHORT_OUTAGE", 0.5)
    client, driver = await entered(start, webhook, WEB, WXCLIENT_SEND_KEEP_SECONDS="1")
    driver.outcomes = [NO_CONNECTION] * 100_000
    answer = obj(await client.get("send_friend_message", id="@ann", content="x"))
    assert (answer["code"], answer["status"]) == (-5, "not sent: WeChat could not be reached for 1 s")
    driver.outcomes.clear()
    assert obj(await client.get("send_friend_message", id="@ann", content="y"))["code"] == 0
