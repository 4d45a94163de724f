"""Following the words of a verdict cures it: each test has a real account and the sandbox as WeChat, does what the
remedy says, and sees the message go out.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import pytest

from tests.patience import until
from tests.unit.client.ilink_agent import Agent
from tests.unit.client.stage import Stage
from wxcontroller.client.sends.rules import window, windowed
from wxcontroller.client.sends.rules.sendbackoff import SendBackoff
from wxcontroller.core.condition.verdict import RULES, Cause, SendState
from wxcontroller.core.jsontypes import JsonObject, items, obj, text
from wxcontroller.sandbox.faults.faults import FaultKind
from wxcontroller.sandbox.world.ilinkbots import SendVerdict, SessionState

WORDS = "the message"
CURED: set[Cause] = set()
T = TypeVar("T")


def cures(*causes: Cause) -> Callable[[T], T]:
    """Mark a test that cures these causes; test_rare_verdicts counts them."""
    CURED.update(causes)
    return lambda test: test


async def sent(stage: Stage, words: str = WORDS, **more: object) -> JsonObject:
    """Send by /v1; return its response."""
    return (await stage.client.v1("POST", "messages", {"to": stage.route.recipient(stage), "text": words, **more}))[1]


async def looked_up(stage: Stage, answer: JsonObject) -> JsonObject:
    return (await stage.client.v1("GET", f"messages/{answer['id']}"))[1]


async def ended(stage: Stage, answer: JsonObject) -> JsonObject:
    return await until(partial(looked_up, stage, answer), lambda found: found["state"] == "refused")


async def arrives(stage: Stage, words: str = WORDS) -> None:
    await until(stage.sent, lambda texts: words in texts)


async def told(stage: Stage, answer: JsonObject, cause: Cause, state: SendState) -> None:
    """The caller, readers and the webhook get the same verdict, and words that follow from the table."""
    _, shown = await stage.client.v1("GET", f"messages/{answer['id']}")
    _, row = await stage.client.v1("GET", f"sends/{answer['id']}")
    for found in (answer, shown, row):
        assert (found["state"], found["reason"]) == (state, cause), found
        assert found["remedy"] == RULES[cause].remedy
        assert found["detail"]
        assert found.get("ends", "") == (RULES[cause].ends if state is SendState.HELD else "")
    if state.is_final:
        got = await stage.webhook.until(lambda reports: any(one.get("uid") == answer["id"] for one in reports))
        [report] = [one for one in got if one.get("uid") == answer["id"]]
        assert (report["code"], report["info"]) == (answer["code"], answer["detail"])
        if state is SendState.REFUSED and stage.route.name == "ilink":
            assert report["refusal"] == cause


async def no_context(ilink: Stage) -> JsonObject:
    await ilink.enter()
    return await sent(ilink)


async def budget(ilink: Stage) -> JsonObject:
    # The last of two is kept for the answer.
    await ilink.enter(WXCLIENT_BUDGET_PER_INBOUND="2")
    await ilink.hear("hello")
    for words in ("first", "second"):
        await sent(ilink, words)
    return await sent(ilink)


async def closed(ilink: Stage) -> JsonObject:
    await ilink.enter()
    await ilink.hear("hello")
    ilink.wechat.fault("sendmessage", FaultKind.RETCODE, -14)
    return await sent(ilink)


async def throttled(ilink: Stage) -> JsonObject:
    await ilink.enter()
    await ilink.hear("hello")
    ilink.wechat.fault("sendmessage", FaultKind.RETCODE, -2)
    return await sent(ilink)


@cures(Cause.NO_CONTEXT, Cause.BUDGET, Cause.WINDOW, Cause.THROTTLED)
@pytest.mark.parametrize(
    ("begin", "cause"),
    [
        (no_context, Cause.NO_CONTEXT),
        (budget, Cause.BUDGET),
        (closed, Cause.WINDOW),
        (throttled, Cause.THROTTLED),
    ],
    ids=lambda value: str(value) if isinstance(value, Cause) else "",
)
async def test_send_that_is_held_until_the_person_writes(
    ilink: Stage, begin: Callable[[Stage], Awaitable[JsonObject]], cause: Cause
) -> None:
    answer = await begin(ilink)
    await told(ilink, answer, cause, SendState.HELD)
    code = {Cause.WINDOW: "(-14", Cause.THROTTLED: "(-2"}.get(cause, "")
    assert code in text((await looked_up(ilink, answer))["detail"])  # WeChat's answer is the evidence
    assert WORDS not in ilink.sent()
    await ilink.hear("go on")
    await arrives(ilink)
    assert ilink.sent().count(WORDS) == 1


@cures(Cause.ANSWER)
async def test_send_behind_the_answer_goes_out_by_itself(ilink: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "_ANSWER_SECONDS", 3.0)
    await ilink.enter(WXCLIENT_BUDGET_PER_INBOUND="1")
    await ilink.hear("hello")
    await sent(ilink, "first")
    answer = await sent(ilink)
    await told(ilink, answer, Cause.BUDGET, SendState.HELD)
    await ilink.hear("go on")
    # The person has written: the words must not ask for that again.
    shown = await until(partial(looked_up, ilink, answer), lambda found: found["reason"] != Cause.BUDGET)
    await told(ilink, {**answer, **shown}, Cause.ANSWER, SendState.HELD)
    await arrives(ilink)


@cures(Cause.BUDGET_24H)
async def test_send_above_the_limit_of_a_day_goes_out_when_the_limit_is_raised(ilink: Stage) -> None:
    limit = "WXCLIENT_BUDGET_24H"
    await ilink.enter(**{limit: "1"})
    await ilink.hear("hello")
    await sent(ilink, "first")
    await told(ilink, await sent(ilink), Cause.BUDGET_24H, SendState.HELD)
    await ilink.hear("a message ends nothing")
    assert WORDS not in ilink.sent()
    await ilink.restart(**{limit: "5"})
    await arrives(ilink)


@cures(Cause.RESTRICTED)
async def test_progress_for_a_restricted_person_is_sent_without_interim(ilink: Stage) -> None:
    await ilink.enter()
    await ilink.hear("hello")
    ilink.ilink.user.settings.answer = SendVerdict.NO_ID
    for number in range(3):
        assert (await sent(ilink, str(number)))["state"] == "accepted"
    answer = await sent(ilink, "progress", interim=True)
    await told(ilink, answer, Cause.RESTRICTED, SendState.HELD)
    # A message of the person changes nothing, so the words must not ask for one.
    assert RULES[Cause.RESTRICTED].ends != RULES[Cause.WINDOW].ends
    await ilink.hear("hello?")
    assert (await sent(ilink))["state"] == "accepted"
    assert (await ilink.client.v1("GET", f"sends/{answer['id']}"))[1]["state"] != "delivered"
    await arrives(ilink)


@cures(Cause.OFFLINE)
async def test_send_while_logged_out_goes_out_after_a_login(ilink: Stage) -> None:
    await ilink.enter()
    await ilink.hear("hello")
    ilink.ilink.bot.set_state(SessionState.DEAD)
    await ilink.client.until_state("scaning")
    answer = await sent(ilink)
    await told(ilink, answer, Cause.OFFLINE, SendState.HELD)
    await ilink.scan()
    # WeChat's tokens are gone: the send says what is needed now.
    shown = await until(partial(looked_up, ilink, answer), lambda found: found["reason"] != Cause.OFFLINE)
    await told(ilink, {**answer, **shown}, Cause.NO_CONTEXT, SendState.HELD)
    await ilink.hear("go on")
    await arrives(ilink)


@cures(Cause.NOT_WANTED)
async def test_send_without_holding_is_refused_and_waits_without_that(ilink: Stage) -> None:
    await ilink.enter()
    await told(ilink, await sent(ilink, hold=0), Cause.NOT_WANTED, SendState.REFUSED)
    await told(ilink, await sent(ilink), Cause.NO_CONTEXT, SendState.HELD)
    await ilink.hear("go on")
    await arrives(ilink)
    assert ilink.sent() == [WORDS]


@cures(Cause.EXPIRED)
async def test_send_that_expired_can_be_sent_again(ilink: Stage) -> None:
    await ilink.enter()
    answer = await sent(ilink, hold=1)
    shown = await ended(ilink, answer)
    await told(ilink, shown, Cause.EXPIRED, SendState.REFUSED)
    await ilink.hear("go on")
    assert (await sent(ilink))["state"] == "delivered"
    assert ilink.sent() == [WORDS]


@cures(Cause.QUEUE_FULL)
async def test_one_too_many_can_be_sent_again_when_fewer_wait(ilink: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windowed, "MAX_HELD", 1)
    await ilink.enter()
    await sent(ilink, "first")
    await told(ilink, await sent(ilink), Cause.QUEUE_FULL, SendState.REFUSED)
    await ilink.hear("go on")
    await arrives(ilink, "first")
    assert (await sent(ilink))["state"] == "delivered"


@cures(Cause.CANCELLED)
async def test_cancelled_send_can_be_sent_again(ilink: Stage) -> None:
    client = await ilink.enter()
    answer = await sent(ilink)
    assert (await client.v1("DELETE", f"sends/{answer['id']}"))[0] == 200
    shown = (await client.v1("GET", f"messages/{answer['id']}"))[1]
    await told(ilink, shown, Cause.CANCELLED, SendState.REFUSED)
    await ilink.hear("go on")
    assert (await sent(ilink))["state"] == "delivered"
    assert ilink.sent() == [WORDS]


@cures(Cause.BAD_RECIPIENT)
async def test_send_that_wechat_refused_goes_out_corrected(ilink: Stage) -> None:
    await ilink.enter()
    await ilink.hear("hello")
    ilink.wechat.fault("sendmessage", FaultKind.RETCODE, -3)
    await told(ilink, await sent(ilink, "wrong"), Cause.BAD_RECIPIENT, SendState.REFUSED)
    assert (await sent(ilink))["state"] == "delivered"
    assert ilink.sent() == [WORDS]


@cures(Cause.REFUSED_TWICE)
async def test_message_that_wechat_dislikes_goes_out_changed(ilink: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "_ANSWER_SECONDS", 0.0)
    await ilink.enter()
    await ilink.hear("hello")
    ilink.wechat.fault("sendmessage", FaultKind.RETCODE, -2, 2)
    answer = await sent(ilink, "disliked")
    await told(ilink, answer, Cause.THROTTLED, SendState.HELD)
    await ilink.hear("and?")
    shown = await ended(ilink, answer)
    await told(ilink, shown, Cause.REFUSED_TWICE, SendState.REFUSED)
    # WeChat may have meant the bot: the changed one waits for the person's next message.
    await told(ilink, await sent(ilink), Cause.THROTTLED, SendState.HELD)
    await ilink.hear("and now?")
    await arrives(ilink)
    assert ilink.sent() == [WORDS]


@cures(Cause.MEDIA_FAILED, Cause.TOO_LARGE)
async def test_media_that_are_not_there_or_too_large_go_out_otherwise(ilink: Stage) -> None:
    await ilink.enter(MOJO_WEIXIN_MEDIA_SIZE_MAX="1000")
    await ilink.hear("hello")
    answer = await ilink.send("", media_id="12345:3")
    assert (answer["code"], answer["refusal"]) == (-1, Cause.MEDIA_FAILED)
    answer = await ilink.send("", b"\x89PNG\r\n\x1a\n" + bytes(2000))
    assert (answer["code"], answer["refusal"]) == (-1, Cause.TOO_LARGE)
    assert (await ilink.send("", b"\x89PNG\r\n\x1a\n" + bytes(500)))["state"] == "delivered"
    assert len(ilink.contents()) == 1


@cures(Cause.NO_ANSWER)
async def test_send_without_an_answer_may_have_arrived(ilink: Stage) -> None:
    await ilink.enter()
    await ilink.hear("hello")
    ilink.wechat.fault("sendmessage", FaultKind.RESET, "after", 2)
    await told(ilink, await sent(ilink), Cause.NO_ANSWER, SendState.UNKNOWN)
    assert WORDS in ilink.sent()  # as the words say: the phone shows it


@cures(Cause.DAILY_LIMIT)
async def test_send_above_the_daily_limit_goes_out_when_it_is_raised(web: Stage) -> None:
    limit = "WXCLIENT_SEND_DAILY_MAX"
    await web.enter(**{limit: "1"})
    await sent(web, "first")
    await told(web, await sent(web), Cause.DAILY_LIMIT, SendState.REFUSED)
    await web.restart(**{limit: "5"})
    assert (await sent(web))["state"] == "delivered"


@cures(Cause.TOO_FREQUENT)
async def test_send_of_the_web_route_that_came_too_fast_goes_out_later(
    web: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SendBackoff, "next_pause", lambda *_: 0.1)
    await web.enter()
    web.wechat.fault("webwxsendmsg", FaultKind.RETCODE, 1205)
    await told(web, await sent(web), Cause.TOO_FREQUENT, SendState.REFUSED)
    assert (await sent(web))["state"] == "delivered"


async def test_agent_gets_the_verdict_of_v1(ilink: Stage) -> None:
    agent = Agent(await ilink.enter(WXCLIENT_BUDGET_PER_INBOUND="2"))
    await agent.attend()
    await ilink.hear("hello")
    [message] = await agent.until()
    peer = text(message["from_user_id"])
    for words in ("first", "second"):
        assert (await agent.send_text(words, peer))["ret"] == 0
    answer = await agent.send_text(WORDS, peer)
    [held] = [obj(one) for one in items((await ilink.client.get_v1("sends"))["sends"])]
    rule = RULES[Cause(text(held["reason"]))]
    assert (answer["ret"], held["reason"]) == (rule.ret, Cause.BUDGET)
    assert text(held["ends"]) in answer["errmsg"]
    assert text(held["detail"]) in answer["errmsg"]
    await ilink.hear("go on")
    await arrives(ilink)
