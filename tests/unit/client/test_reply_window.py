"""Sends on a route with a reply window: held when they can't go, released by the person's next message."""

import asyncio
import base64
import time
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from tests.unit.client.conftest import RunningClient, Start, Webhook
from tests.unit.client.test_ilink_account import begin, enter, quickly
from tests.unit.drivers.ilink_kit import Bench, quick
from wxcontroller.client.sends import order
from wxcontroller.client.sends.model import Media, Send
from wxcontroller.client.sends.splitting import split_text
from wxcontroller.client.sends.window import REMINDER, Hold, Windows
from wxcontroller.core.jsontypes import JsonObject, items, obj
from wxcontroller.core.model import MessageKind
from wxcontroller.drivers.base import ReplyWindow, Upload
from wxcontroller.openwx.media import MediaFacts
from wxcontroller.sandbox.faults import FaultKind
from wxcontroller.sandbox.ilink import phone
from wxcontroller.sandbox.ilink.model import SendVerdict, SessionState


async def send(client: RunningClient, wechat: Bench, content: str, **more: str) -> JsonObject:
    return obj(await client.post("send_friend_message", id=wechat.peer, content=content, **more))


async def window_of(client: RunningClient) -> JsonObject:
    return obj(items((await client.told())["windows"])[0])


async def until_reason(client: RunningClient, reason: str) -> None:
    """Wait until the first send that waits is held for a reason."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = items((await client.told("sends"))["sends"])
            if found and obj(found[0])["reason"] == reason:
                return
            await asyncio.sleep(0.05)


async def until_sent(wechat: Bench, number: int) -> list[str]:
    async with asyncio.timeout(PATIENCE):
        while len(wechat.sent()) < number:
            await wechat.sandbox.ilink.bell.wait(PATIENCE)
    return [one.text for one in wechat.sent()]


async def until_ended(webhook: Webhook, number: int) -> list[JsonObject]:
    """Wait for so many reports of sends, and return them."""

    def ended(reports: list[JsonObject]) -> list[JsonObject]:
        return [one for one in reports if one["post_type"] == "send_message"]

    return ended(await webhook.until(lambda reports: len(ended(reports)) >= number))


async def write(wechat: Bench, webhook: Webhook, words: str) -> None:
    phone.write_text(wechat.sandbox, wechat.account, words)
    await webhook.until(lambda reports: any(report.get("content") == words for report in reports))


@pytest.fixture
async def client(start: Start, wechat: Bench, webhook: Webhook) -> RunningClient:
    one = begin(start, wechat, webhook)
    await enter(one, wechat)
    return one


async def test_the_budget_holds_the_rest_and_the_answer_overtakes(
    start: Start, wechat: Bench, webhook: Webhook
) -> None:
    client = begin(start, wechat, webhook, WXCLIENT_BUDGET_PER_INBOUND="2")
    await enter(client, wechat)
    await write(wechat, webhook, "hello")
    answers = [await send(client, wechat, str(number)) for number in range(5)]
    assert [answer["code"] for answer in answers] == [0, 0, -7, -7, -7]
    assert (await window_of(client))["state"] == "spent"
    await write(wechat, webhook, "and?")
    # Two may go: the oldest, and the answer to what was just written.
    assert (await send(client, wechat, "the answer"))["code"] == 0
    assert sorted(await until_sent(wechat, 4)) == ["0", "1", "2", "the answer"]
    assert wechat.requests("sendmessage") == 4


async def test_fifty_that_wait_go_out_in_order_ten_after_each_message(
    start: Start, wechat: Bench, webhook: Webhook
) -> None:
    client = start(
        make=lambda context: quickly(context, pace=0.0),
        WXCLIENT_DRIVER="ilink",
        WXCLIENT_STOP_DRAIN="0",
        WXCLIENT_SERVER=wechat.url,
        MOJO_WEIXIN_PLUGIN_OPENWX_POST_API=webhook.address,
    )
    await enter(client, wechat)
    await write(wechat, webhook, "hello")
    for number in range(60):
        await send(client, wechat, str(number))
    assert len(await until_sent(wechat, 10)) == 10
    rows = await window_of(client)
    assert (rows["state"], rows["left"], rows["held"]) == ("spent", 0, 50)
    for count in range(1, 6):
        await write(wechat, webhook, f"go on {count}")
        # One is kept for the answer to what was just written.
        await until_sent(wechat, 10 + 9 * count)
    assert [one.text for one in wechat.sent()] == [str(number) for number in range(55)]
    assert wechat.requests("sendmessage") == 55


async def test_somebody_silent_for_25_hours_gets_it_with_the_next_message(
    client: RunningClient, wechat: Bench, webhook: Webhook
) -> None:
    await write(wechat, webhook, "hello")
    wechat.sandbox.forward(25 * 3600)
    assert [(await send(client, wechat, one))["reason"] for one in ("1", "2", "3")] == ["window"] * 3
    assert wechat.requests("sendmessage") == 1
    assert client.state()["state"] == "running"
    phone.write_text(wechat.sandbox, wechat.account, "sorry, I was away")
    assert await until_sent(wechat, 3) == ["1", "2", "3"]


async def test_one_attempt_while_throttled_then_silence(start: Start, wechat: Bench, webhook: Webhook) -> None:
    client = begin(start, wechat, webhook, WXCLIENT_STOP_DRAIN="0")
    await enter(client, wechat)
    await write(wechat, webhook, "hello")
    wechat.bot.throttled_until = time.time() + 3600 * 24
    answers = await asyncio.gather(*(send(client, wechat, str(number)) for number in range(200)))
    assert {(answer["code"], answer["reason"]) for answer in answers} == {(-7, "throttled")}
    assert wechat.requests("sendmessage") == 1
    phone.write_text(wechat.sandbox, wechat.account, "hello?")  # lifts the sandbox's penalty, as the real one's
    assert await until_sent(wechat, 1) == ["0"]


async def test_a_closed_window_of_one_send_is_no_logout(start: Start, wechat: Bench, webhook: Webhook) -> None:
    client = begin(start, wechat, webhook)
    await enter(client, wechat)
    await write(wechat, webhook, "hello")
    wechat.bot.windows[wechat.peer].closed = True
    assert (await send(client, wechat, "late"))["reason"] == "window"
    assert client.state()["state"] == "running"
    phone.write_text(wechat.sandbox, wechat.account, "hello again")
    assert await until_sent(wechat, 1) == ["late"]


async def test_what_is_queued_when_the_session_ends_goes_out_after_the_next_login(
    start: Start, wechat: Bench, webhook: Webhook
) -> None:
    client = start(
        make=lambda context: quickly(context, pace=0.4),
        WXCLIENT_DRIVER="ilink",
        WXCLIENT_SERVER=wechat.url,
        MOJO_WEIXIN_PLUGIN_OPENWX_POST_API=webhook.address,
    )
    await enter(client, wechat)
    await write(wechat, webhook, "hello")
    for number in range(4):
        await client.post("send_friend_message", id=wechat.peer, content=str(number), **{"async": "1"})
    await until_sent(wechat, 1)
    wechat.bot.set_state(SessionState.DEAD)
    await client.until_state("scaning")
    attempts = wechat.requests("sendmessage")
    await asyncio.sleep(2.5)  # more than all tries of one message take
    assert wechat.requests("sendmessage") == attempts
    await enter(client, wechat)
    await write(wechat, webhook, "here again")
    assert await until_sent(wechat, 4) == ["0", "1", "2", "3"]
    assert not [one for one in webhook.reports if one.get("code") == -5]


async def test_nothing_goes_while_it_is_checked_whether_the_session_is_over(
    start: Start, wechat: Bench, webhook: Webhook
) -> None:
    client = start(
        make=lambda context: quickly(context, timing=quick(confirm_pause=4.0)),
        WXCLIENT_DRIVER="ilink",
        WXCLIENT_SERVER=wechat.url,
        MOJO_WEIXIN_PLUGIN_OPENWX_POST_API=webhook.address,
    )
    await enter(client, wechat)
    await write(wechat, webhook, "hello")
    announced = wechat.requests("notifystart")
    wechat.bot.set_state(SessionState.ASLEEP)
    async with asyncio.timeout(PATIENCE):
        while wechat.requests("notifystart") == announced:
            await wechat.sandbox.ilink.bell.wait(PATIENCE)
    held = await send(client, wechat, "wait")
    assert (held["code"], held["state"], held["reason"]) == (-7, "held", "confirming")
    assert await until_sent(wechat, 1) == ["wait"]
    assert obj((await client.told())["sending"])["revived"] == 1
    assert client.state()["state"] == "running"


async def test_without_holding_nothing_waits_for_a_login(start: Start, wechat: Bench, webhook: Webhook) -> None:
    client = begin(start, wechat, webhook, WXCLIENT_HOLD_SECONDS="0")
    await enter(client, wechat)
    await write(wechat, webhook, "hello")
    wechat.bot.set_state(SessionState.DEAD)
    await client.until_state("scaning")
    refused = await send(client, wechat, "now or never")
    assert (refused["code"], refused["state"], refused["refusal"]) == (-5, "refused", "not-wanted")
    assert (await send(client, wechat, "later", hold="60"))["state"] == "held"
    assert (await send(client, wechat, "never", hold="a day"))["code"] == -1


async def test_held_sends_survive_a_restart_in_order(start: Start, wechat: Bench, webhook: Webhook) -> None:
    client = begin(start, wechat, webhook, WXCLIENT_BUDGET_PER_INBOUND="1")
    await enter(client, wechat)
    await write(wechat, webhook, "hello")
    for number in range(4):
        await send(client, wechat, str(number))
    await client.stop()
    client = begin(start, wechat, webhook, WXCLIENT_BUDGET_PER_INBOUND="3")
    await client.until_state("running")
    assert await until_sent(wechat, 3) == ["0", "1", "2"]  # a larger budget lets some go at once
    await write(wechat, webhook, "more")
    assert await until_sent(wechat, 4) == ["0", "1", "2", "3"]


async def test_what_is_held_too_long_is_refused(start: Start, wechat: Bench, webhook: Webhook) -> None:
    client = begin(start, wechat, webhook, WXCLIENT_HOLD_SECONDS="1")
    await enter(client, wechat)
    assert (await send(client, wechat, "too late"))["state"] == "held"
    reports = await webhook.until(lambda got: any(one["post_type"] == "send_message" for one in got))
    [report] = [one for one in reports if one["post_type"] == "send_message"]
    assert (report["code"], report["state"], report["refusal"]) == (-5, "refused", "expired")
    assert (await send(client, wechat, "again"))["state"] == "held"
    await client.stop()


async def test_the_time_of_a_held_send_runs_out_while_nobody_is_logged_in(
    start: Start, wechat: Bench, webhook: Webhook
) -> None:
    client = begin(start, wechat, webhook, WXCLIENT_HOLD_SECONDS="2")
    await enter(client, wechat)
    assert (await send(client, wechat, "too late"))["state"] == "held"
    wechat.bot.set_state(SessionState.DEAD)
    await client.until_state("scaning")
    reports = await webhook.until(lambda got: any(one["post_type"] == "send_message" for one in got))
    assert [one["code"] for one in reports if one["post_type"] == "send_message"] == [-5]
    assert client.state()["state"] == "scaning"


async def test_a_repeated_request_is_answered_with_the_present_state(
    client: RunningClient, wechat: Bench, webhook: Webhook
) -> None:
    assert (await send(client, wechat, "later", idempotency_key="k"))["reason"] == "no-context"
    wechat.bot.set_state(SessionState.DEAD)
    await client.until_state("scaning")
    await until_reason(client, "offline")
    assert (await send(client, wechat, "later", idempotency_key="k"))["reason"] == "offline"
    await enter(client, wechat)
    await write(wechat, webhook, "hello")
    await until_ended(webhook, 1)
    again = await send(client, wechat, "later", idempotency_key="k")
    assert (again["code"], again["state"]) == (0, "delivered")
    assert [one.text for one in wechat.sent()] == ["later"]


async def test_a_held_send_can_be_followed_and_given_up(
    start: Start, client: RunningClient, wechat: Bench, webhook: Webhook
) -> None:
    first, second = [str((await send(client, wechat, words))["id"]) for words in ("first", "second")]
    found = items((await client.told("sends"))["sends"])
    assert [(obj(one)["id"], obj(one)["state"], obj(one)["reason"]) for one in found] == [
        (first, "held", "no-context"),
        (second, "held", "no-context"),
    ]
    assert (await client.v1("DELETE", f"sends/{first}"))[0] == 200
    reports = await webhook.until(lambda got: any(one["post_type"] == "send_message" for one in got))
    assert [(one["content"], one["code"]) for one in reports if one["post_type"] == "send_message"] == [("first", -5)]
    assert (await client.v1("DELETE", f"sends/{first}"))[0] == 404
    phone.write_text(wechat.sandbox, wechat.account, "hello")
    assert await until_sent(wechat, 1) == ["second"]
    await until_ended(webhook, 2)
    # Also when they have ended, and by another process.
    for _ in range(2):
        assert [await followed(client, one) for one in (first, second)] == ["refused cancelled", "delivered None"]
        await client.stop()
        client = begin(start, wechat, webhook)
        await client.until_state("running")
    assert (await client.v1("GET", "sends/nobody"))[0] == 404


async def followed(client: RunningClient, identifier: str) -> str:
    """Return state and reason of a send by its id."""
    found = await client.told(f"sends/{identifier}")
    assert (found["id"], found["kind"], found["is_group"]) == (identifier, "text", False)
    return f"{found['state']} {found['reason']}"


async def test_messages_that_nobody_sees_mark_the_person_as_restricted(
    start: Start, client: RunningClient, wechat: Bench, webhook: Webhook
) -> None:
    await write(wechat, webhook, "hello")
    wechat.user.settings.answer = SendVerdict.NO_ID
    for number in range(3):
        answer = await send(client, wechat, str(number))
        assert answer["code"] == 0 and "without an id" in str(answer["reason"])
    assert (await window_of(client))["restricted"] is True
    assert client.state()["restricted"] == 1
    await client.stop()
    client = begin(start, wechat, webhook)
    await client.until_state("running")
    assert client.state()["restricted"] == 1
    wechat.user.settings.answer = SendVerdict.ID
    await send(client, wechat, "seen")
    assert (await window_of(client))["restricted"] is False
    assert client.state()["restricted"] == 0


async def test_an_hour_without_ids_is_told_once(
    start: Start, wechat: Bench, webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    client = start(
        make=lambda context: quickly(context, pace=0.0),
        WXCLIENT_DRIVER="ilink",
        WXCLIENT_SERVER=wechat.url,
        MOJO_WEIXIN_PLUGIN_OPENWX_POST_API=webhook.address,
    )
    await enter(client, wechat)
    wechat.user.settings.answer = SendVerdict.NO_ID
    caplog.set_level("INFO")
    for hour in range(6):
        await write(wechat, webhook, f"are you there? {hour}")
        for number in range(3):
            assert (await send(client, wechat, f"{hour} {number}"))["code"] == 0  # each may end it
        wechat.sandbox.forward(600)
    assert (await send(client, wechat, "working", interim="1"))["reason"] == "restricted"
    told = [record.getMessage() for record in caplog.records if "does not show them" in record.getMessage()]
    assert len(told) == 1
    assert not any(word in told[0].lower() for word in ("scan", "qr", "扫"))
    wechat.user.settings.answer = SendVerdict.ID
    assert (await send(client, wechat, "seen"))["code"] == 0
    assert any("shows messages for" in record.getMessage() for record in caplog.records)
    assert (await window_of(client))["restricted"] is False


async def test_the_last_send_of_a_window_may_ask_the_person_to_write(
    start: Start, wechat: Bench, webhook: Webhook
) -> None:
    client = begin(start, wechat, webhook, WXCLIENT_BUDGET_PER_INBOUND="3", WXCLIENT_WINDOW_REMINDER="1")
    await enter(client, wechat)
    await write(wechat, webhook, "hello")
    for words in ("1", "2"):
        assert (await send(client, wechat, words))["state"] == "delivered"
    assert len(wechat.sent()) == 2  # nothing waits, so nobody is asked
    assert (await send(client, wechat, "3"))["reason"] == "budget"
    assert (await until_sent(wechat, 3))[2] == REMINDER
    assert (await send(client, wechat, "4"))["reason"] == "budget"
    await write(wechat, webhook, "go on")
    assert (await until_sent(wechat, 5))[3:] == ["3", "4"]
    assert wechat.requests("sendmessage") == 5
    reports = await until_ended(webhook, 5)
    assert [one["from"] for one in reports].count("reminder") == 1


async def test_progress_leaves_the_last_sends_to_answers(start: Start, wechat: Bench, webhook: Webhook) -> None:
    client = begin(start, wechat, webhook, WXCLIENT_BUDGET_PER_INBOUND="4")
    await enter(client, wechat)
    await write(wechat, webhook, "hello")
    codes = [(await send(client, wechat, f"working {number}", interim="1"))["code"] for number in range(3)]
    assert codes == [0, 0, -7]
    assert (await send(client, wechat, "done"))["code"] == 0
    assert await until_sent(wechat, 3) == ["working 0", "working 1", "done"]
    reports = await webhook.until(lambda got: any(one.get("content") == "working 2" for one in got))
    assert [one["code"] for one in reports if one.get("content") == "working 2"] == [-5]


async def test_a_lost_answer_at_the_end_of_the_budget_is_not_asked_for_again(
    start: Start, wechat: Bench, webhook: Webhook
) -> None:
    client = begin(start, wechat, webhook, WXCLIENT_BUDGET_PER_INBOUND="2")
    await enter(client, wechat)
    await write(wechat, webhook, "hello")
    wechat.sandbox.faults.add("sendmessage", FaultKind.STATUS, 502, 1, None)
    assert (await send(client, wechat, "1"))["code"] == 0  # once more, and both may count
    first, second = (one.time for one in wechat.sandbox.ilink.exchanges if one.endpoint == "sendmessage")
    assert second - first >= 2.0
    assert (await send(client, wechat, "2"))["reason"] == "budget"
    await write(wechat, webhook, "hello again")
    assert await until_sent(wechat, 2) == ["1", "2"]
    wechat.sandbox.faults.add("sendmessage", FaultKind.STATUS, 502, 1, None)
    assert (await send(client, wechat, "3"))["status"] == "unknown data"
    assert wechat.requests("sendmessage") == 4


async def test_long_texts_go_in_pieces(start: Start, wechat: Bench, webhook: Webhook) -> None:
    client = begin(start, wechat, webhook)
    await enter(client, wechat)
    await write(wechat, webhook, "hello")
    text = "\n".join(f"line {number}" for number in range(500))
    answer = await send(client, wechat, text)
    assert (answer["code"], answer["state"], answer["parts"]) == (0, "delivered", [3, 3])
    assert "".join(await until_sent(wechat, 3)) == text


async def test_a_text_has_the_worst_state_of_its_pieces(start: Start, wechat: Bench, webhook: Webhook) -> None:
    client = begin(start, wechat, webhook, WXCLIENT_BUDGET_PER_INBOUND="2")
    await enter(client, wechat)
    await write(wechat, webhook, "hello")
    text = "\n".join(f"line {number}" for number in range(500))
    answer = await send(client, wechat, text)
    assert (answer["state"], answer["reason"], answer["parts"]) == ("held", "budget", [2, 3])
    await write(wechat, webhook, "go on")
    assert "".join(await until_sent(wechat, 3)) == text


async def test_what_wechat_refuses_in_two_fresh_windows_ends(
    client: RunningClient, wechat: Bench, webhook: Webhook
) -> None:
    await write(wechat, webhook, "hello")
    wechat.user.settings.burst = -1  # refuses everything
    assert (await send(client, wechat, "disliked"))["reason"] == "throttled"
    assert (await send(client, wechat, "next"))["reason"] == "throttled"
    await write(wechat, webhook, "hello?")
    [report] = await until_ended(webhook, 1)
    assert (report["content"], report["state"], report["refusal"]) == ("disliked", "refused", "refused-twice")
    wechat.user.settings.burst = 0
    await write(wechat, webhook, "anybody?")
    assert await until_sent(wechat, 1) == ["next"]


async def test_a_text_goes_although_its_picture_does_not(
    client: RunningClient, wechat: Bench, webhook: Webhook
) -> None:
    await write(wechat, webhook, "a picture?")
    data = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(100)).decode()
    picture = {"media_data": data, "media_name": "a.png", "id": wechat.peer}
    # Three of four refused are tried again, and none of that uses up the budget.
    wechat.sandbox.faults.add("upload", FaultKind.STATUS, 500, 3, None)
    assert obj(await client.post("send_friend_message", **picture))["state"] == "delivered"
    wechat.sandbox.faults.add("upload", FaultKind.STATUS, 500, 5, None)
    answer = obj(await client.post("send_friend_message", content="look", **picture))
    assert (answer["state"], answer["refusal"], answer["parts"]) == ("refused", "media-failed", [1, 2])
    assert [one.text or one.kind for one in wechat.sent()] == ["image", "look"]
    assert (await window_of(client))["sent"] == 2


async def test_media_that_the_account_may_not_send_say_so(
    client: RunningClient, wechat: Bench, webhook: Webhook
) -> None:
    await write(wechat, webhook, "a picture?")
    wechat.user.settings.media_refused = True
    data = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(100)).decode()
    for _ in range(2):
        answer = obj(await client.post("send_friend_message", id=wechat.peer, media_data=data, media_name="a.png"))
        assert (answer["state"], answer["refusal"]) == ("refused", "media-refused")
    sending = obj((await client.told())["sending"])
    assert sending["media"] == "refused" and isinstance(sending["media_since"], int)
    assert (await send(client, wechat, "no, sorry"))["state"] == "delivered"


def test_pieces_tear_no_character_apart() -> None:
    content = "e\u0301" * 10 + "👩\u200d👧" * 10
    for limit in range(2, 12):
        found = [*split_text(content, limit)]
        assert "".join(found) == content
        assert all(len(piece) <= limit for piece in found)
    assert all(not piece.startswith("\u0301") for piece in split_text("e\u0301" * 10, 3))


# -- the state table


def table(per_message: int = 10, per_day: int = 0) -> Windows:
    return Windows(ReplyWindow(), per_message, per_day)


def test_a_window_opens_with_a_message_and_closes_after_a_day_or_with_a_new_login() -> None:
    windows = table()
    assert windows.hold("a", False, 0.0) is Hold.NO_CONTEXT
    windows.heard("a", 0.0, has_held=False)
    windows.heard("a", 1.0, has_held=False)
    day = 1.0 + 86400
    assert windows.hold("a", False, day - 1) is None
    assert windows.hold("a", False, day + 1) is None
    windows.attempted("a", day + 1)
    assert windows.hold("a", False, day + 2) is Hold.WINDOW
    windows.heard("a", day + 3, has_held=False)
    assert windows.hold("a", False, day + 4) is None
    windows.login_changed()
    assert windows.hold("a", False, day + 4) is Hold.NO_CONTEXT


def test_a_repetition_counts_twice_and_needs_room_for_that() -> None:
    windows = table(per_message=3, per_day=3)
    windows.heard("a", 1.0, has_held=False)
    windows.taken("a", True, 1.0)
    assert windows.may_repeat("a", 2.0)
    windows.attempted("a", 2.0, again=True)
    assert not windows.may_repeat("a", 3.0)
    windows.taken("a", True, 3.0)
    assert (windows.left(windows.peers["a"], 4.0), windows.sent_today(4.0)) == (0, 3)


def test_the_count_of_a_day_is_small_on_disk_and_forgets_after_a_day() -> None:
    windows, noon = table(per_message=0), 1e9
    windows.heard("a", noon, has_held=False)
    for number in range(20_000):
        windows.taken("a", True, noon + number)
    again = table(per_message=0)
    again.restore(windows.as_bytes())
    assert len(windows.as_bytes()) < 5_000
    assert again.sent_today(noon + 20_000) == 20_000
    left = again.sent_today(noon + 86_400 + 10_000)
    assert 10_000 <= left <= 10_300
    assert again.sent_today(noon + 86_400 + 20_000) == 0


def test_a_clock_that_jumps_opens_and_closes_nothing_for_long() -> None:
    windows, noon = table(per_message=10, per_day=3), 1e9
    windows.heard("a", noon, has_held=False)
    windows.taken("a", True, noon)
    # Forward, across the window's end: one attempt, then held until the person writes.
    assert windows.hold("a", False, noon + 90_000) is None
    windows.attempted("a", noon + 90_000)
    assert windows.hold("a", False, noon + 90_001) is Hold.WINDOW
    windows.heard("a", noon + 90_002, has_held=True)
    windows.taken("a", True, noon + 90_003)
    windows.throttle("a", noon + 90_004)
    # And back by a year: neither a silence nor sends of a future day last.
    year = 365 * 86400
    assert windows.hold("a", False, noon - year) is None
    assert windows.sent_today(noon - year) == 0
    windows.throttle("a", noon - year)
    assert windows.hold("a", False, noon - year + 10) is Hold.THROTTLED


def test_each_refusal_doubles_the_silence_and_nobody_is_sent_to() -> None:
    windows = table()
    for peer in ("a", "b"):
        windows.heard(peer, 1000.0, has_held=False)
    windows.throttle("a", 1000.0)
    assert windows.hold("b", False, 1000.0 + 3599) is Hold.THROTTLED
    assert windows.hold("b", False, 1000.0 + 3601) is None
    windows.throttle("b", 5000.0)
    assert windows.hold("a", False, 5000.0 + 7199) is Hold.THROTTLED
    windows.heard("a", 5001.0, has_held=True)
    assert windows.hold("a", False, 5002.0) is None


def test_a_refusal_in_a_fresh_window_teaches_the_limit_of_a_day_for_a_week() -> None:
    windows = table(per_message=0)
    windows.heard("a", 1000.0, has_held=False)
    for at in range(4):
        windows.taken("a", True, 1000.0 + at)
    windows.heard("a", 2000.0, has_held=False)
    windows.throttle("a", 2001.0)
    windows.heard("a", 3000.0, has_held=True)  # ends the silence
    assert windows.hold("a", False, 3001.0) is Hold.BUDGET
    day, week = 86400.0, 7 * 86400.0
    windows.heard("a", 4 * day, has_held=True)
    for at in range(4):
        assert windows.hold("a", False, 4 * day + at) is None
        windows.taken("a", True, 4 * day + at)
    assert windows.hold("a", False, 4 * day + 5) is Hold.BUDGET
    windows.heard("a", 2001.0 + week - 60, has_held=True)
    for at in range(4):
        windows.taken("a", True, 2001.0 + week - 60 + at)
    assert windows.hold("a", False, 2001.0 + week - 1) is Hold.BUDGET
    assert windows.hold("a", False, 2001.0 + week + 1) is None


def test_the_stricter_budget_acts_and_one_of_them_outlives_messages() -> None:
    windows = table(per_message=10, per_day=3)
    for at in range(3):
        windows.heard("a", float(at + 1), has_held=False)
        assert windows.hold("a", False, float(at + 1)) is None
        windows.taken("a", True, float(at + 1))
    windows.heard("a", 10.0, has_held=False)
    assert windows.hold("a", False, 10.0) is Hold.BUDGET
    assert windows.hold("a", False, 86400.0 + 1.5) is None


def test_somebody_who_was_silent_for_twenty_hours_is_asked_with_the_last_send() -> None:
    windows = Windows(ReplyWindow(), 2, 0, reminder=True)
    windows.heard("a", 1.0, has_held=False)
    windows.taken("a", True, 2.0)
    day = 3600.0
    assert not windows.needs_reminder("a", False, 19 * day)
    assert windows.next_change(19 * day) == 1.0 + 20 * day
    assert windows.needs_reminder("a", False, 21 * day)
    assert not windows.needs_reminder("a", False, 25 * day)
    windows.taken("a", True, 21 * day)
    assert not windows.needs_reminder("a", True, 22 * day)


async def test_the_last_send_of_a_window_is_kept_for_the_answer() -> None:
    windows = table(per_message=2)
    windows.heard("a", 100.0, has_held=True)
    windows.taken("a", True, 101.0)
    older, answer = (Send("a", False, words, queued_at=at) for words, at in (("older", 50.0), ("answer", 102.0)))
    both = [older, answer]
    assert [*order.held(both, windows, 103.0)] == [order.HeldSend(older, Hold.BUDGET, 1), answer]
    assert order.following(both, windows, 103.0) is answer
    # Nobody answers for ever: then the oldest goes.
    assert [*order.held(both, windows, 161.0)] == both
    assert order.following(both, windows, 161.0) is older


async def test_a_send_waits_behind_those_of_its_person_and_of_nobody_else() -> None:
    windows = table()
    windows.heard("open", 100.0, has_held=False)
    first, progress, other = (
        Send("shut", False, "1"),
        Send("shut", False, "…", interim=True),
        Send("open", False, "2"),
    )
    found = [*order.held([first, progress, other], windows, 101.0)]
    assert found == [order.HeldSend(first, Hold.NO_CONTEXT, 1), order.HeldSend(progress, Hold.NO_CONTEXT, 2), other]


async def test_what_is_held_for_whoever_ends_a_silence_goes_first() -> None:
    windows = table()
    for peer in ("a", "b"):
        windows.heard(peer, 100.0, has_held=False)
    other, progress, own = Send("a", False, "1"), Send("b", False, "…", interim=True), Send("b", False, "2")
    waiting = [other, progress, own]
    assert order.following(waiting, windows, 101.0) is other
    assert order.following(waiting, windows, 101.0, writer="b") is own


async def test_an_urgent_send_overtakes_but_not_an_answer_nor_one_that_may_have_arrived() -> None:
    windows = table()
    for peer in ("a", "b"):
        windows.heard(peer, 100.0, has_held=peer == "b")
    plain, urgent = Send("a", False, "1"), Send("a", False, "2", urgent=True)
    answer, lost = Send("b", False, "3", queued_at=101.0), Send("a", False, "4", unsure=True)
    assert order.following([plain, urgent], windows, 102.0, writer="b") is urgent
    assert order.following([plain, urgent, answer], windows, 102.0) is answer
    assert order.following([plain, urgent, answer, lost], windows, 102.0) is lost
    # Windows count for it as for others, and what is held ahead of it stays ahead of it in the count.
    shut, held = Send("c", False, "5"), Send("c", False, "6", urgent=True)
    found = [*order.held([shut, held], windows, 102.0)]
    assert found == [order.HeldSend(shut, Hold.NO_CONTEXT, 1), order.HeldSend(held, Hold.NO_CONTEXT, 2)]
    assert order.first([plain, urgent]) is urgent
    assert order.first([plain, urgent, lost]) is lost


def test_the_state_is_the_same_after_a_restart() -> None:
    windows = table()
    windows.heard("O9Cq", 100.0, has_held=True)
    windows.taken("O9Cq", False, 101.0)
    windows.throttle("O9Cq", 102.0)
    again = table()
    again.restore(windows.as_bytes())
    assert again == windows
    table().restore(b"damaged")


async def test_what_waits_for_its_content_holds_up_its_request_and_on_this_route_its_person() -> None:
    fetched = Media(MediaFacts(MessageKind.IMAGE), file=Upload(Path("a"), "a", "image/png", 1))
    caption, coming = Send("a", False, "1", request="k"), Media(MediaFacts(MessageKind.IMAGE))
    picture, paper = (Send("a", False, "", media=media, request="k") for media in (coming, fetched))
    later, progress = Send("a", False, "2"), Send("a", False, "…", interim=True)
    other = Send("b", False, "3")
    waiting = [caption, picture, paper, later, progress, other]
    assert [*order.prepared(waiting, per_peer=False)] == [caption, later, progress, other]
    assert [*order.prepared(waiting, per_peer=True)] == [caption, progress, other]
    coming.file = fetched.file
    assert [*order.prepared(waiting, per_peer=True)] == waiting
