"""Verdicts on sends in the form of /v1."""

import math
from collections.abc import Iterable, Sequence

from wxcontroller.client.calls.call import Parts
from wxcontroller.client.sends.model.causes import refusal_of
from wxcontroller.client.sends.model.send import Send
from wxcontroller.client.sends.queue import SendQueue
from wxcontroller.client.store.tables.history import RECALLED, Found
from wxcontroller.client.v1.forms.finding import look_up
from wxcontroller.client.v1.forms.v1answers import RequestRefused
from wxcontroller.core.condition.verdict import UNKNOWN_CODE, WORST_FIRST, Cause, SendState, Verdict
from wxcontroller.core.jsontypes import JsonObject, integer, text
from wxcontroller.core.text.templates import text_fields

NO_STATE: JsonObject = {
    **dict.fromkeys(("state", "reason", "detail", "held_until", "handle", "code")),
    "recalled": False,
}
# For a send whose report is no longer stored.
GONE: JsonObject = {
    **NO_STATE,
    "state": SendState.UNKNOWN.value,
    "detail": "its report is not kept any more",
    "code": UNKNOWN_CODE,
}


def state_of_logged(found: Found) -> JsonObject:
    """Return the result of an own send, from the log."""
    state, _, reason = found.indexed.verdict.partition(" ")
    verdict = Verdict(
        SendState(state) if state in set(SendState) else SendState.UNKNOWN,
        Cause(reason) if reason in set(Cause) else None,
    )
    # The report has the evidence, in English.
    info = None if verdict.state is SendState.DELIVERED else text(found.report.get("info")) or None
    return {
        **words_of_verdict(verdict),
        "detail": info,
        "held_until": None,
        "handle": handle if ":" in (handle := text(found.report.get("id"))) else None,
        "code": integer(found.report.get("code")),
        "recalled": reason == RECALLED,
    }


def state_of_send(send: Send, sends: SendQueue) -> JsonObject:
    """Return the state or result of a send."""
    verdict = sends.verdict(send)
    return {
        **words_of_verdict(verdict),
        "held_until": int(verdict.when) or None if math.isfinite(verdict.when) else None,
        "handle": f"{verdict.message_id}:{send.target}" if verdict.message_id else None,
        "code": verdict.openwx_code,
        "recalled": False,
    }


async def outcomes_of(parts: Parts, ids: Sequence[str], latest: float) -> list[JsonObject]:
    """Return the results of messages, or where they are at ``latest``, by the loop's time."""
    # Those that are not among them have ended: the log says how.
    queued = {send.client_id: send for send in await parts.sending.unsettled() if send.client_id in ids}
    await parts.sending.wait([*queued.values()], latest)
    found: list[JsonObject] = []
    for id_ in ids:
        if id_ in queued:
            state = state_of_send(queued[id_], parts.sends)
        else:
            logged = (await look_up(parts, id_)).logged
            state = GONE if logged is None else state_of_logged(logged)
        found.append({"id": id_, **{name: value for name, value in state.items() if name != "recalled"}})
    return found


def worst_of(states: Iterable[JsonObject]) -> JsonObject:
    """Return the worst state of the messages of a send, the first of several; unknown if there is none."""
    return min(states, key=lambda state: WORST_FIRST.index(SendState(text(state["state"]))), default=GONE)


def check_state(parts: Parts, number: int) -> None:
    """Raise RequestRefused while ``number`` more messages cannot be sent or queued."""
    if (verdict := refusal_of(parts, number)) is not None:
        raise RequestRefused(verdict.rule.status, verdict.cause or "", verdict.reason, verdict.remedy)


def words_of_verdict(verdict: Verdict) -> JsonObject:
    """Return state, cause and texts; the detail also if there is none."""
    texts = {"detail": verdict.detail, "ends": verdict.ends, "remedy": verdict.remedy}
    given = text_fields(**{name: each for name, each in texts.items() if each})
    return {"state": verdict.state.value, "reason": verdict.cause, "detail": None, **given}
