"""Sends on a route with a reply window: held when they can't go, released by the person's next message."""

import asyncio
from functools import partial
from pathlib import Path

import pytest

from tests.patience import until
from tests.unit.client import stage
from tests.unit.client.conftest import RunningClient
from tests.unit.client.stage import Stage
from tests.unit.client.test_v1_messages import until_history
from tests.unit.drivers.ilink_kit import quick
from tests.unit.durability.routes import PICTURE
from wxcontroller.client.sends.model import order
from wxcontroller.client.sends.model.send import Media, Send
from wxcontroller.client.sends.model.sendstates import QueuedSends, SendStep
from wxcontroller.client.sends.rules import window
from wxcontroller.client.sends.rules.policy import RoutePolicy
from wxcontroller.client.sends.rules.window import Windows
from wxcontroller.client.sends.rules.windowed import WindowedRoute
from wxcontroller.core.condition.verdict import Cause
from wxcontroller.core.jsontypes import JsonObject, items, obj
from wxcontroller.core.model import MessageKind
from wxcontroller.drivers.base import ReplyWindow, Upload
from wxcontroller.openwx.contract.media import MediaFacts
from wxcontroller.sandbox.faults.faults import FaultKind
from wxcontroller.sandbox.world.ilinkbots import SendVerdict, SessionState


async def window_of(client: RunningClient) -> JsonObject:
    return obj(items((await client.get_v1())["windows"])[0])


async def greeted(ilink: Stage, budget: str = "", pace: float = 0.0, **environ: str) -> RunningClient:
    """Log in and let the person write; ``budget`` is that of sends for each of their messages."""
    budgeted = {"WXCLIENT_BUDGET_PER_INBOUND": budget} if budget else {}
    client = await ilink.enter(pace, **budgeted, **environ)
    await ilink.hear("hello")
    return client


async def test_sends_over_budget_are_held_and_replies_precede_them(ilink: Stage) -> None:
    client = await greeted(ilink, budget="2", pace=1.0)
    answers = [await ilink.send(str(number)) for number in range(5)]
    assert [answer["code"] for answer in answers] == [0, 0, -7, -7, -7]
    assert (await window_of(client))["state"] == "spent"
    await ilink.hear("and?")
    # The budget is two: the oldest send, and the answer to the new message.
    assert (await ilink.send("the answer"))["code"] == 0
    assert sorted(await ilink.until_sent(4)) == ["0", "1", "2", "the answer"]
    assert ilink.ilink.requests("sendmessage") == 4


async def test_held_sends_go_out_in_order_and_leave_one_for_the_answer(
    ilink: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "_ANSWER_SECONDS", 3600.0)
    client = await greeted(ilink, WXCLIENT_STOP_DRAIN="0")
    for number in range(60):
        await ilink.send(str(number))
    assert len(await ilink.until_sent(10)) == 10
    rows = await window_of(client)
    assert (rows["state"], rows["left"], rows["held"]) == ("spent", 0, 50)
    for count in range(1, 6):
        await ilink.hear(f"go on {count}")
        await ilink.until_sent(10 * count + 9)
        assert (await ilink.send(f"answer {count}"))["code"] == 0
    sent = ilink.sent()
    assert sent[19:60:10] == [f"answer {count}" for count in range(1, 6)]
    assert [words for words in sent if "answer" not in words] == [str(number) for number in range(55)]


async def test_queued_sends_outlive_a_logout(ilink: Stage) -> None:
    client = await greeted(ilink, pace=0.4)
    for number in range(4):
        await ilink.send(str(number), **{"async": "1"})
    await ilink.until_sent(1)
    ilink.ilink.bot.set_state(SessionState.DEAD)
    await client.until_state("scaning")
    attempts = ilink.ilink.requests("sendmessage")
    await asyncio.sleep(2.5)  # longer than all attempts of one message take
    assert ilink.ilink.requests("sendmessage") == attempts
    await ilink.scan()
    await ilink.hear("here again")
    assert await ilink.until_sent(4) == ["0", "1", "2", "3"]
    assert not [report for report in ilink.webhook.reports if report.get("code") == -5]


async def test_held_sends_survive_a_restart_in_order(ilink: Stage) -> None:
    await greeted(ilink, budget="1")
    for number in range(4):
        await ilink.send(str(number))
    await ilink.restart(WXCLIENT_BUDGET_PER_INBOUND="3")
    assert await ilink.until_sent(3) == ["0", "1", "2"]  # a larger budget lets some go at once
    await ilink.hear("more")
    assert await ilink.until_sent(4) == ["0", "1", "2", "3"]


async def test_send_held_too_long_is_refused(ilink: Stage) -> None:
    await ilink.enter(WXCLIENT_HOLD_SECONDS="1")
    assert (await ilink.send("too late"))["state"] == "held"
    [report] = await ilink.webhook.until_sends(1)
    assert (report["code"], report["state"], report["refusal"]) == (-5, "refused", "expired")


async def test_one_refusal_holds_a_send_until_the_next_message_only(ilink: Stage) -> None:
    client = await greeted(ilink)
    assert (await ilink.send("first"))["state"] == "delivered"
    await ilink.hear("and?")
    ilink.wechat.fault("sendmessage", FaultKind.RETCODE, -2)
    assert (await ilink.send("second"))["reason"] == "throttled"
    await ilink.hear("hello?")
    assert await ilink.until_sent(2) == ["first", "second"]
    for number in range(4):
        assert (await ilink.send(f"{number}"))["state"] == "delivered"
    assert obj((await client.get_v1())["sending"])["limit_24h"] == 0


async def test_refusals_of_three_sends_are_a_limit_that_the_account_reports(
    ilink: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "_ANSWER_SECONDS", 0.0)
    client = await greeted(ilink)
    for number in range(5):
        await ilink.send(f"{number}")
    await ilink.hear("and?")
    ilink.wechat.fault("sendmessage", FaultKind.RETCODE, -2, 5)
    for words in "abc":
        assert (await ilink.send(words))["reason"] == "throttled"
    sent = ilink.ilink.requests("sendmessage")
    for number in range(1, 5):  # the second refusal of a message in a new window ends it
        await ilink.hear(f"and {number}?")
        await until(partial(ilink.ilink.requests, "sendmessage"), (sent + number).__le__)
    await until(client.state, lambda state: state["limit_24h"] == 5)
    await ilink.restart()
    assert ilink.client.state()["limit_24h"] == 5
    # One is tried after the next message, and WeChat takes it.
    await ilink.hear("well?")
    assert (await ilink.until_sent(6))[-1] == "c"
    await until(ilink.client.state, lambda state: state["limit_24h"] == 0)
    assert (await ilink.send("more"))["state"] == "delivered"


async def test_messages_without_an_id_mark_a_person_as_restricted(ilink: Stage) -> None:
    client = await greeted(ilink)
    ilink.ilink.user.settings.answer = SendVerdict.NO_ID
    for number in range(3):
        answer = await ilink.send(str(number))
        assert (answer["code"], answer["state"]) == (0, "accepted")
    assert (await window_of(client))["restricted"] is True
    assert client.state()["restricted"] == 1


async def test_progress_messages_leave_the_last_sends_for_replies(ilink: Stage) -> None:
    await greeted(ilink, budget="4")
    codes = [(await ilink.send(f"working {number}", interim="1"))["code"] for number in range(3)]
    assert codes == [0, 0, -7]
    assert (await ilink.send("done"))["code"] == 0
    assert await ilink.until_sent(3) == ["working 0", "working 1", "done"]
    reports = await ilink.webhook.until(lambda got: any(one.get("content") == "working 2" for one in got))
    assert [report["code"] for report in reports if report.get("content") == "working 2"] == [-5]


async def test_only_progress_older_than_an_answer_is_dropped(ilink: Stage) -> None:
    await greeted(ilink, pace=1.0)
    await ilink.send("first")
    for content, interim in (("older", "1"), ("answer", ""), ("newer", "1")):
        await ilink.send(content, interim=interim, **{"async": "1"})
    assert await ilink.until_sent(3) == ["first", "answer", "newer"]
    reports = await ilink.webhook.until_sends(4)
    assert {str(one["content"]): one.get("refusal") for one in reports}["older"] == "overtaken"


async def test_send_with_a_lost_response_is_not_repeated_over_budget(ilink: Stage) -> None:
    await greeted(ilink, budget="2", pace=1.0)
    ilink.wechat.fault("sendmessage", FaultKind.STATUS, 502)
    assert (await ilink.send("1"))["code"] == 0  # once more, and both may count
    first, second = (
        exchange.time for exchange in ilink.wechat.sandbox.ilink.exchanges if exchange.endpoint == "sendmessage"
    )
    assert second - first >= 2.0
    assert (await ilink.send("2"))["reason"] == "budget"
    await ilink.hear("hello again")
    assert await ilink.until_sent(2) == ["1", "2"]
    ilink.wechat.fault("sendmessage", FaultKind.STATUS, 502)
    assert (await ilink.send("3"))["status"] == "unknown data"
    assert ilink.ilink.requests("sendmessage") == 4


async def test_a_text_has_the_worst_state_of_its_pieces(ilink: Stage) -> None:
    await greeted(ilink, budget="2")
    text = "\n".join(f"line {number}" for number in range(500))
    answer = await ilink.send(text)
    assert (answer["state"], answer["reason"], answer["parts"]) == ("held", "budget", [2, 3])
    await ilink.hear("go on")
    assert "".join(await ilink.until_sent(3)) == text


async def test_held_send_is_released_by_a_message(ilink: Stage) -> None:
    client = await ilink.enter()
    peer = ilink.ilink.peer
    status, held = await client.v1("POST", "messages", {"to": peer, "text": "first"}, "k")
    assert (status, held["state"], held["reason"]) == (202, "held", "no-context")
    assert held["held_until"] and held["detail"]
    assert await client.v1("POST", "messages", {"to": peer, "text": "first"}, "k") == (202, held)
    status, waiting = await client.v1("GET", f"messages/{held['id']}")
    assert (status, waiting["state"], waiting["text"], waiting["chat"]) == (200, "held", "first", peer)
    refused = (await client.v1("POST", "messages", {"to": peer, "text": "now", "hold": 0}))[1]
    assert (refused["state"], refused["reason"]) == ("refused", "not-wanted")
    await ilink.hear("hello")
    assert await ilink.until_sent(1) == ["first"]
    # The history and a repeated request show its outcome under the same id.
    *_, question, answer = await until_history(client, 3, f"?chat={peer}")
    assert (question["direction"], question["text"]) == ("in", "hello")
    assert (answer["id"], answer["state"]) == (held["id"], "delivered")
    status, again = await client.v1("POST", "messages", {"to": peer, "text": "first"}, "k")
    assert (status, again["id"], again["state"]) == (200, held["id"], "delivered")
    assert ilink.ilink.requests("sendmessage") == 1


async def test_text_is_sent_although_its_picture_is_not(ilink: Stage) -> None:
    client = await greeted(ilink)
    # Failed uploads are retried and do not use up the budget.
    ilink.wechat.fault("upload", FaultKind.STATUS, 500, 3)
    assert (await ilink.send("", PICTURE))["state"] == "delivered"
    ilink.wechat.fault("upload", FaultKind.STATUS, 500, 5)
    answer = await ilink.send("look", PICTURE)
    assert (answer["state"], answer["refusal"], answer["parts"]) == ("refused", "media-failed", [1, 2])
    assert (ilink.sent()[1:], len(ilink.contents())) == (["look"], 1)
    assert (await window_of(client))["sent"] == 2


async def test_send_is_held_while_it_is_checked_whether_the_session_is_over(
    ilink: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "QUICK", quick(confirm_pause=4.0))
    client = await greeted(ilink)
    announced = ilink.ilink.requests("notifystart")
    ilink.ilink.bot.set_state(SessionState.ASLEEP)
    await until(lambda: ilink.ilink.requests("notifystart") > announced)
    held = await ilink.send("wait")
    assert (held["code"], held["state"], held["reason"]) == (-7, "held", "confirming")
    assert await ilink.until_sent(1) == ["wait"]
    assert client.state()["state"] == "running"


async def test_missing_content_delays_its_whole_request() -> None:
    fetched = Media(MediaFacts(MessageKind.IMAGE), file=Upload(Path("a"), "a", "image/png", 1))
    coming = Media(MediaFacts(MessageKind.IMAGE))
    picture, paper = (Send("a", False, "", media=media, bundle="k") for media in (coming, fetched))
    later, progress = Send("a", False, "2", bundle="l"), Send("a", False, "…", interim=True, bundle="m")
    other = Send("b", False, "3", bundle="n")
    waiting = [picture, paper, later, progress, other]
    windowed = WindowedRoute(window=ReplyWindow(), table=table())
    assert [*order.prepared(waiting, RoutePolicy().line)] == [later, progress, other]
    assert [*order.prepared(waiting, windowed.line)] == [progress, other]
    coming.file = fetched.file
    assert [*order.prepared(waiting, windowed.line)] == [picture, later, progress, other]


# -- the state table


def table(per_message: int = 10, per_day: int = 0) -> Windows:
    return Windows(ReplyWindow(), per_message, per_day)


def test_window_opens_with_a_message_and_closes_after_a_day() -> None:
    windows = table()
    assert windows.hold("a", False, 0.0) is Cause.NO_CONTEXT
    windows.heard("a", 0.0, has_held=False)
    windows.heard("a", 1.0, has_held=False)
    day = 1.0 + 86400
    assert windows.hold("a", False, day - 1) is None
    assert windows.hold("a", False, day + 1) is None
    windows.attempted("a", day + 1)
    assert windows.hold("a", False, day + 2) is Cause.WINDOW
    windows.heard("a", day + 3, has_held=False)
    assert windows.hold("a", False, day + 4) is None
    windows.login_changed()
    assert windows.hold("a", False, day + 4) is Cause.NO_CONTEXT


def test_a_send_is_reserved_for_the_answer_for_a_minute() -> None:
    windows = table(per_message=1)
    windows.heard("a", 1000.0, has_held=True)
    assert [windows.keeps_for_answer("a", 1000.0 + seconds) for seconds in (0, 59, 61)] == [True, True, False]


async def test_progress_is_held_for_ten_minutes_at_most() -> None:
    route = WindowedRoute(window=ReplyWindow(), table=table(), seconds=86400.0)
    held = []
    for interim, hold in ((False, None), (False, 60.0), (True, None), (True, 60.0), (True, 0.0)):
        send = Send("a", False, "x", interim=interim, hold=hold, queued_at=1000.0)
        route.limit(send)
        held.append(send.hold_until)
    assert held == [87400.0, 1060.0, 1600.0, 1060.0, 0.0]


def test_each_throttling_doubles_the_pause_of_all_sends() -> None:
    windows = table()
    for peer in ("a", "b"):
        windows.heard(peer, 1000.0, has_held=False)
    windows.throttle("a", 1000.0, "1")
    assert windows.hold("b", False, 1000.0 + 3599) is Cause.THROTTLED
    assert windows.hold("b", False, 1000.0 + 3601) is None
    windows.throttle("b", 5000.0, "2")
    assert windows.hold("a", False, 5000.0 + 7199) is Cause.THROTTLED
    windows.heard("a", 5001.0, has_held=False)  # an attempt to another person would only lengthen it
    assert windows.hold("a", False, 5002.0) is Cause.THROTTLED
    windows.heard("a", 5001.0, has_held=True)
    assert windows.hold("a", False, 5002.0) is None
    for number in range(10):
        windows.throttle("a", 6000.0, str(number))
    assert windows.throttled_until == 6000.0 + 86400


def refused(windows: Windows, at: float, *sends: str) -> None:
    """Let a person write, and WeChat refuse these sends, each the first of this window."""
    windows.heard("a", at, has_held=True)
    for send in sends:
        windows.throttle("a", at + 1.0, send)


def delivered(windows: Windows, at: float, number: int) -> None:
    """Let a person write, and WeChat take sends."""
    windows.heard("a", at, has_held=True)
    for number_of_one in range(number):
        windows.taken("a", True, at + number_of_one)


@pytest.mark.parametrize(
    "refusals",
    [
        [("1",)],
        [("1",), ("1",), ("1",)],  # one message that WeChat dislikes
        [("1", "2", "3")],  # one window: the bot may be throttled
        [("1",), ("2",)],
    ],
)
def test_few_refusals_teach_no_limit(refusals: list[tuple[str, ...]]) -> None:
    windows = table()
    delivered(windows, 1000.0, 5)
    for number, sends in enumerate(refusals):
        refused(windows, 2000.0 + 10 * number, *sends)
    assert windows.learned_limit(2100.0) == (0, 0)
    delivered(windows, 3000.0, 0)
    windows.taken("a", True, 3001.0)
    assert windows.hold("a", False, 3002.0) is None


def test_three_refused_sends_in_two_windows_teach_a_limit_for_a_day() -> None:
    windows = table()
    delivered(windows, 1000.0, 6)
    refused(windows, 2000.0, "1", "2")
    windows.heard("b", 2500.0, has_held=True)
    assert windows.hold("b", False, 2501.0) is None
    refused(windows, 3000.0, "3")
    assert windows.learned_limit(3001.0) == (6, 3001 + 86400)
    windows.heard("b", 3500.0, has_held=True)  # ends the silence
    # One send is tried after each message, and while it is refused, no more than that.
    assert windows.hold("a", False, 3501.0) is Cause.LEARNED
    assert windows.hold("b", False, 3501.0) is None
    windows.throttle("b", 3502.0, "4")
    windows.heard("a", 3600.0, has_held=True)
    assert windows.hold("b", False, 3601.0) is Cause.LEARNED
    assert windows.hold("a", False, 3601.0) is None
    # After a day nothing is held for it, although nobody wrote.
    assert windows.learned_limit(3001.0 + 86401) == (0, 0)
    assert windows.hold("b", False, 3600.0 + 86399) is not Cause.LEARNED


def test_a_learned_limit_ends_with_the_first_message_taken_above_it() -> None:
    windows = table()
    delivered(windows, 1000.0, 6)
    for number in range(3):
        refused(windows, 2000.0 + 10 * number, f"{number}")
    shown = obj(windows.gauge({}, 2100.0)["sending"])
    assert (shown["limit_24h"], shown["limit_24h_from"]) == (6, "learned")
    assert [obj(one)["sent_24h"] for one in items(shown["limit_24h_refusals"])] == [6, 6, 6]
    again = table()
    again.restore(windows.as_bytes())
    assert again == windows
    delivered(windows, 3000.0, 1)
    assert windows.learned_limit(3001.0) == (0, 0)
    assert windows.hold("a", False, 3001.0) is None


def test_clock_set_back_does_not_prolong_a_learned_limit() -> None:
    windows, year = table(), 365 * 86400
    delivered(windows, year + 1000.0, 6)
    for number in range(3):
        refused(windows, year + 2000.0 + 10 * number, f"{number}")
    assert windows.learned_limit(year + 2100.0)[0] == 6
    assert windows.learned_limit(3000.0) == (0, 0)


def test_refusals_of_a_clock_that_was_ahead_teach_nothing() -> None:
    windows, year = table(), 365 * 86400
    delivered(windows, year + 1000.0, 6)
    for number in range(2):
        refused(windows, year + 2000.0 + 10 * number, f"{number}")
    delivered(windows, 3000.0, 6)
    refused(windows, 4000.0, "2")
    assert windows.learned_limit(4100.0) == (0, 0)


def test_a_learned_limit_is_never_below_four() -> None:
    windows = table()
    delivered(windows, 1000.0, 1)
    for number in range(3):
        refused(windows, 2000.0 + 10 * number, f"{number}")
    assert windows.learned_limit(2100.0)[0] == 4
    delivered(windows, 3000.0, 3)
    assert windows.hold("a", False, 3003.0) is Cause.LEARNED


def test_refusals_at_counts_that_wechat_took_later_teach_nothing() -> None:
    windows = table()
    delivered(windows, 1000.0, 1)
    for number in range(2):
        refused(windows, 2000.0 + 10 * number, f"{number}")
    delivered(windows, 3000.0, 4)
    refused(windows, 4000.0, "3")
    assert windows.learned_limit(4001.0) == (0, 0)


def test_stricter_budget_applies_and_the_daily_one_survives_messages() -> None:
    windows = table(per_message=10, per_day=3)
    for at in range(3):
        windows.heard("a", float(at + 1), has_held=False)
        assert windows.hold("a", False, float(at + 1)) is None
        windows.taken("a", True, float(at + 1))
    windows.heard("a", 10.0, has_held=False)
    assert windows.hold("a", False, 10.0) is Cause.BUDGET_24H
    assert windows.next_change(10.0) == 86401.0
    assert windows.hold("a", False, 86400.0 + 1.5) is None


async def test_last_send_of_a_window_is_reserved_for_the_reply() -> None:
    windows = table(per_message=2)
    windows.heard("a", 100.0, has_held=True)
    windows.taken("a", True, 101.0)
    older, answer = (Send("a", False, words, queued_at=at) for words, at in (("older", 50.0), ("answer", 102.0)))
    queued = QueuedSends()
    for number, send in enumerate((older, answer)):
        send.step, send.bundle = SendStep.QUEUED, str(number)
        send.hold_until = 1000.0
        queued.add(send)
    now = 103.0
    policy = WindowedRoute(window=ReplyWindow(), table=windows, now=lambda: now)
    assert [*policy.review(queued, None)] == []
    assert (older.step, older.verdict.cause, answer.step) == (SendStep.HELD, Cause.ANSWER, SendStep.QUEUED)
    assert policy.next(queued, probing=False) is answer
    # Without an answer, the oldest goes after a minute.
    now = 161.0
    assert [*policy.review(queued, None)] == []
    assert policy.next(queued, probing=False) is older


def test_the_state_is_the_same_after_a_restart() -> None:
    windows = table()
    windows.heard("O9Cq", 100.0, has_held=True)
    windows.taken("O9Cq", False, 101.0)
    windows.throttle("O9Cq", 102.0, "c1")
    again = table()
    again.restore(windows.as_bytes())
    assert again == windows
    table().restore(b"damaged")


def test_clock_jump_affects_windows_only_briefly() -> None:
    windows, noon, year = table(per_day=3), 1e9, 365 * 86400
    windows.heard("a", noon, has_held=False)
    windows.taken("a", True, noon + year)
    windows.throttle("a", noon + year, "1")
    # Set back by a year: pauses and counts of a future day do not count.
    assert windows.hold("a", False, noon) is None
    assert windows.sent_today(noon) == 0
    # Nor is a send kept for the answer to a message of that day.
    tight = table(per_message=2)
    tight.heard("b", noon + year, has_held=True)
    tight.taken("b", True, noon + year + 1)
    assert tight.keeps_for_answer("b", noon + year + 2)
    assert not tight.keeps_for_answer("b", noon)
