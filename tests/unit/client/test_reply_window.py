"""Sends on a route with a reply window: held when they can't go, released by the person's next message."""

import asyncio
import base64

import pytest

from tests.patience import PATIENCE
from tests.unit.client.conftest import RunningClient, Start, Webhook
from tests.unit.client.test_ilink_account import begin, enter, entered, quickly
from tests.unit.client.test_v1_messages import until_history
from tests.unit.drivers.ilink_kit import Bench
from wxcontroller.client.sends import order
from wxcontroller.client.sends.model import Send
from wxcontroller.client.sends.window import Hold, Windows
from wxcontroller.core.jsontypes import JsonObject, items, obj
from wxcontroller.drivers.base import DriverFactory, ReplyWindow
from wxcontroller.sandbox.faults import FaultKind
from wxcontroller.sandbox.ilink import phone
from wxcontroller.sandbox.ilink.model import SessionState


async def send(client: RunningClient, wechat: Bench, content: str, **more: str) -> JsonObject:
    return obj(await client.post("send_friend_message", id=wechat.peer, content=content, **more))


async def window_of(client: RunningClient) -> JsonObject:
    return obj(items((await client.told())["windows"])[0])


async def until_sent(wechat: Bench, number: int) -> list[str]:
    async with asyncio.timeout(PATIENCE):
        while len(wechat.sent()) < number:
            await wechat.sandbox.ilink.bell.wait(PATIENCE)
    return [one.text for one in wechat.sent()]


async def write(wechat: Bench, webhook: Webhook, words: str) -> None:
    phone.write_text(wechat.sandbox, wechat.account, words)
    await webhook.until(lambda reports: any(report.get("content") == words for report in reports))


async def greeted(
    start: Start, wechat: Bench, webhook: Webhook, make: DriverFactory = quickly, **environ: str
) -> RunningClient:
    client = await entered(start, wechat, webhook, make, **environ)
    await write(wechat, webhook, "hello")
    return client


@pytest.fixture
async def client(start: Start, wechat: Bench, webhook: Webhook) -> RunningClient:
    return await entered(start, wechat, webhook)


async def test_sends_over_budget_are_held_and_replies_precede_them(
    start: Start, wechat: Bench, webhook: Webhook
) -> None:
    client = await greeted(start, wechat, webhook, WXCLIENT_BUDGET_PER_INBOUND="2")
    answers = [await send(client, wechat, str(number)) for number in range(5)]
    assert [answer["code"] for answer in answers] == [0, 0, -7, -7, -7]
    assert (await window_of(client))["state"] == "spent"
    await write(wechat, webhook, "and?")
    # The budget is two: the oldest send, and the answer to the new message.
    assert (await send(client, wechat, "the answer"))["code"] == 0
    assert sorted(await until_sent(wechat, 4)) == ["0", "1", "2", "the answer"]
    assert wechat.requests("sendmessage") == 4


async def test_fifty_held_sends_go_out_in_order(start: Start, wechat: Bench, webhook: Webhook) -> None:
    client = await greeted(
        start, wechat, webhook, lambda context: quickly(context, pace=0.0), WXCLIENT_STOP_DRAIN="0"
    )
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


async def test_queued_sends_outlive_a_logout(start: Start, wechat: Bench, webhook: Webhook) -> None:
    client = await greeted(start, wechat, webhook, lambda context: quickly(context, pace=0.4))
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


async def test_held_sends_survive_a_restart_in_order(start: Start, wechat: Bench, webhook: Webhook) -> None:
    client = await greeted(start, wechat, webhook, WXCLIENT_BUDGET_PER_INBOUND="1")
    for number in range(4):
        await send(client, wechat, str(number))
    await client.stop()
    client = begin(start, wechat, webhook, WXCLIENT_BUDGET_PER_INBOUND="3")
    await client.until_state("running")
    assert await until_sent(wechat, 3) == ["0", "1", "2"]  # a larger budget lets some go at once
    await write(wechat, webhook, "more")
    assert await until_sent(wechat, 4) == ["0", "1", "2", "3"]


async def test_send_held_too_long_is_refused(start: Start, wechat: Bench, webhook: Webhook) -> None:
    client = await entered(start, wechat, webhook, WXCLIENT_HOLD_SECONDS="1")
    assert (await send(client, wechat, "too late"))["state"] == "held"
    [report] = await webhook.until_sends(1)
    assert (report["code"], report["state"], report["refusal"]) == (-5, "refused", "expired")
    assert (await send(client, wechat, "again"))["state"] == "held"
    await client.stop()


async def test_progress_messages_leave_the_last_sends_for_replies(
    start: Start, wechat: Bench, webhook: Webhook
) -> None:
    client = await greeted(start, wechat, webhook, WXCLIENT_BUDGET_PER_INBOUND="4")
    codes = [(await send(client, wechat, f"working {number}", interim="1"))["code"] for number in range(3)]
    assert codes == [0, 0, -7]
    assert (await send(client, wechat, "done"))["code"] == 0
    assert await until_sent(wechat, 3) == ["working 0", "working 1", "done"]
    reports = await webhook.until(lambda got: any(one.get("content") == "working 2" for one in got))
    assert [one["code"] for one in reports if one.get("content") == "working 2"] == [-5]


async def test_send_with_a_lost_response_is_not_repeated_over_budget(
    start: Start, wechat: Bench, webhook: Webhook
) -> None:
    client = await greeted(start, wechat, webhook, WXCLIENT_BUDGET_PER_INBOUND="2")
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


async def test_a_text_has_the_worst_state_of_its_pieces(start: Start, wechat: Bench, webhook: Webhook) -> None:
    client = await greeted(start, wechat, webhook, WXCLIENT_BUDGET_PER_INBOUND="2")
    text = "\n".join(f"line {number}" for number in range(500))
    answer = await send(client, wechat, text)
    assert (answer["state"], answer["reason"], answer["parts"]) == ("held", "budget", [2, 3])
    await write(wechat, webhook, "go on")
    assert "".join(await until_sent(wechat, 3)) == text


async def test_text_is_sent_although_its_picture_is_not(
    client: RunningClient, wechat: Bench, webhook: Webhook
) -> None:
    await write(wechat, webhook, "a picture?")
    data = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(100)).decode()
    picture = {"media_data": data, "media_name": "a.png", "id": wechat.peer}
    # Failed uploads are retried and do not use up the budget.
    wechat.sandbox.faults.add("upload", FaultKind.STATUS, 500, 3, None)
    assert obj(await client.post("send_friend_message", **picture))["state"] == "delivered"
    wechat.sandbox.faults.add("upload", FaultKind.STATUS, 500, 5, None)
    answer = obj(await client.post("send_friend_message", content="look", **picture))
    assert (answer["state"], answer["refusal"], answer["parts"]) == ("refused", "media-failed", [1, 2])
    assert [one.text or one.kind for one in wechat.sent()] == ["image", "look"]
    assert (await window_of(client))["sent"] == 2


# -- the state table


def table(per_message: int = 10, per_day: int = 0) -> Windows:
    return Windows(ReplyWindow(), per_message, per_day)


def test_window_opens_with_a_message_and_closes_after_a_day() -> None:
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


def test_each_throttling_doubles_the_pause_of_all_sends() -> None:
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


def test_stricter_budget_applies_and_the_daily_one_survives_messages() -> None:
    windows = table(per_message=10, per_day=3)
    for at in range(3):
        windows.heard("a", float(at + 1), has_held=False)
        assert windows.hold("a", False, float(at + 1)) is None
        windows.taken("a", True, float(at + 1))
    windows.heard("a", 10.0, has_held=False)
    assert windows.hold("a", False, 10.0) is Hold.BUDGET
    assert windows.hold("a", False, 86400.0 + 1.5) is None


async def test_last_send_of_a_window_is_reserved_for_the_reply() -> None:
    windows = table(per_message=2)
    windows.heard("a", 100.0, has_held=True)
    windows.taken("a", True, 101.0)
    older, answer = (Send("a", False, words, queued_at=at) for words, at in (("older", 50.0), ("answer", 102.0)))
    both = [older, answer]
    assert [*order.held(both, windows, 103.0)] == [order.HeldSend(older, Hold.BUDGET, 1), answer]
    assert order.following(both, windows, 103.0) is answer
    # Without an answer, the oldest goes after a minute.
    assert [*order.held(both, windows, 161.0)] == both
    assert order.following(both, windows, 161.0) is older


def test_the_state_is_the_same_after_a_restart() -> None:
    windows = table()
    windows.heard("O9Cq", 100.0, has_held=True)
    windows.taken("O9Cq", False, 101.0)
    windows.throttle("O9Cq", 102.0)
    again = table()
    again.restore(windows.as_bytes())
    assert again == windows
    table().restore(b"damaged")


async def test_held_send_is_released_by_a_message(start: Start, wechat: Bench, webhook: Webhook) -> None:
    client = await entered(start, wechat, webhook)
    status, held = await client.v1("POST", "messages", {"to": wechat.peer, "text": "first"}, "k")
    assert (status, held["state"], held["reason"]) == (202, "held", "no-context")
    assert held["held_until"] and held["detail"]
    assert await client.v1("POST", "messages", {"to": wechat.peer, "text": "first"}, "k") == (202, held)
    status, waiting = await client.v1("GET", f"messages/{held['id']}")
    assert (status, waiting["state"], waiting["text"], waiting["chat"]) == (200, "held", "first", wechat.peer)
    refused = (await client.v1("POST", "messages", {"to": wechat.peer, "text": "now", "hold": 0}))[1]
    assert (refused["state"], refused["reason"]) == ("refused", "not-wanted")
    await write(wechat, webhook, "hello")
    assert await until_sent(wechat, 1) == ["first"]
    # The history and a repeated request show its outcome under the same id.
    *_, question, answer = await until_history(client, 3, f"?chat={wechat.peer}")
    assert (question["direction"], question["text"]) == ("in", "hello")
    assert (answer["id"], answer["state"]) == (held["id"], "delivered")
    status, again = await client.v1("POST", "messages", {"to": wechat.peer, "text": "first"}, "k")
    assert (status, again["id"], again["state"]) == (200, held["id"], "delivered")
    assert wechat.requests("sendmessage") == 1
