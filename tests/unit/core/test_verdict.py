"""Every cause on every surface: none invents or loses a state, a cause or what to do, whatever the route."""

import time

import pytest

from wxcontroller.client.ilink.sendmessage import form_of
from wxcontroller.client.sends.model.send import Send
from wxcontroller.client.sends.model.sendstates import QueuedSends, SendStep
from wxcontroller.client.v1.forms.v1outcomes import words_of_verdict
from wxcontroller.controller.apis.mcp.tools import brief
from wxcontroller.controller.apis.notify.passing import result_of
from wxcontroller.core.condition.facts import Code
from wxcontroller.core.condition.verdict import NOT_SENT, RULES, Cause, SendState, Verdict, for_agents, words_of
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.text.templates import Text

LOCAL = time.strftime("%Y-%m-%d %H:%M %Z", time.localtime(5.0))
HOLDS = [cause for cause, rule in RULES.items() if rule.ends]
VERDICTS = [
    *(Verdict(SendState.HELD, cause, when=5.0) for cause in HOLDS),
    *(Verdict(SendState.WAITING, cause, Text("evidence"), 5.0) for cause in (Cause.OFFLINE, Cause.UNREACHABLE)),
    *(Verdict(SendState.REFUSED, cause, Text("evidence")) for cause in RULES if cause not in HOLDS),
    Verdict(SendState.UNKNOWN, Cause.NO_ANSWER, Text("evidence")),
]


@pytest.mark.parametrize("verdict", VERDICTS, ids=lambda verdict: verdict.mark)
async def test_journal_has_one_line_for_each_verdict(verdict: Verdict, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    sends, send = QueuedSends(), Send("@ann", False, "the words", client_id="7", step=SendStep.QUEUED)
    sends.add(send)
    if verdict.state is SendState.WAITING:  # of all sends, not of one
        return
    if verdict.state is SendState.HELD:
        for _ in range(2):
            sends.move(send, SendStep.HELD, verdict)
            sends.move(send, SendStep.QUEUED)
    else:
        sends.move(send, SendStep.ENDED, verdict)
        sends.move(send, SendStep.SETTLED)
    [record] = [each for each in caplog.records if "WX_EVENT" in vars(each)]  # not asyncio's of a slow moment
    line = record.getMessage()
    assert line.startswith(f"send {verdict.state} (id=7, cause={verdict.cause}): ")
    assert str(words_of({**words_of_verdict(verdict), "held_until": int(verdict.when)})) in line
    assert verdict.rule.remedy in line
    assert "the words" not in line
    assert (vars(record)["WX_EVENT"], vars(record)["WX_STATE"]) == ("send", verdict.state)
    asked_for = verdict.cause in (Cause.CANCELLED, Cause.OVERTAKEN)
    assert record.levelname == ("INFO" if verdict.state is SendState.HELD or asked_for else "WARNING")


def test_every_cause_has_a_rule_with_words() -> None:
    assert {*RULES} == {*Cause}
    assert all(rule.text and rule.remedy for rule in RULES.values())
    assert {rule.condition for rule in RULES.values()} <= {"", *Code}


@pytest.mark.parametrize("cause", Cause)
def test_agents_are_told_nothing_that_they_cannot_do(cause: Cause) -> None:
    words = for_agents(cause)
    assert words
    assert not any(foreign in words for foreign in ("wxctl", "/v1", "/openwx", "docs/", "GET "))


@pytest.mark.parametrize("verdict", VERDICTS, ids=lambda verdict: verdict.mark)
def test_surfaces_agree(verdict: Verdict) -> None:
    rule = verdict.rule
    shown: JsonObject = {"id": "7", "handle": None, "held_until": int(verdict.when), **words_of_verdict(verdict)}
    assert (shown["state"], shown["reason"], shown["remedy"]) == (verdict.state, verdict.cause, rule.remedy)
    if verdict.evidence and rule.text == "{why}":
        assert "evidence" in str(shown["detail"])
    # Notifications and wxctl.
    result = result_of(shown)
    for words in (str(result.reason), str(words_of(shown))):
        assert str(shown["detail"]) in words
        assert rule.remedy in words
        if verdict.ends:
            assert f"{verdict.ends}, but not after {LOCAL}: " in words
    assert (result.state, result.cause) == (verdict.state, verdict.cause)
    refused = verdict.state is SendState.REFUSED
    assert (result.refused, result.status, result.passing) == (refused, rule.status, rule.passes)
    # MCP.
    reduced = brief(shown)
    assert (reduced["state"], reduced["reason"], reduced["remedy"]) == (
        verdict.state,
        verdict.cause,
        for_agents(verdict.cause or ""),
    )
    # iLink: 0 means that it is on its way.
    answer = form_of(shown, "key")
    waits = verdict.state is SendState.WAITING
    assert answer["ret"] == (0 if waits else rule.ret)
    assert waits or str(shown["detail"]) in str(answer["errmsg"])
    assert verdict.state is not SendState.HELD or form_of(shown, "key", accepts_held=True)["ret"] == 0
    # /openwx: a status for people, and codes that tell what was not sent from what may have arrived.
    codes = {SendState.HELD: -7, SendState.WAITING: -7, SendState.UNKNOWN: -1}
    assert verdict.openwx_code == codes.get(verdict.state, rule.code)
    assert (verdict.openwx_status == "unknown data") is (verdict.state is SendState.UNKNOWN)
    assert refused is (verdict.openwx_code in (NOT_SENT, -1, -3, -8) and verdict.state is not SendState.UNKNOWN)
