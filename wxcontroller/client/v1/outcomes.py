"""Verdicts on sends in the form of /v1.

A module of its own: a program of 2.3.0 that runs on after an upgrade loads it then, with those that import it.
"""

import math
from collections.abc import Iterable

from wxcontroller.client.sends.model import Send
from wxcontroller.client.sends.queue import SendQueue
from wxcontroller.client.store.history import RECALLED, Found
from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, text
from wxcontroller.core.messages import text_fields
from wxcontroller.core.verdict import UNKNOWN_CODE, WORST_FIRST, Cause, SendState, Verdict

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
        **_words(verdict),
        "detail": info,
        "held_until": None,
        "handle": handle if ":" in (handle := text(found.report.get("id"))) else None,
        "code": integer(found.report.get("code")),
        "recalled": reason == RECALLED,
    }


def state_of_send(send: Send, sends: SendQueue) -> JsonObject:
    """Return the state or result of a send."""
    of_today: object = send.verdict  # a send of 2.3.0 has only a state
    verdict = sends.verdict(send) if isinstance(of_today, Verdict) else Verdict(SendState(send.state))
    return {
        **_words(verdict),
        "held_until": int(verdict.when) or None if math.isfinite(verdict.when) else None,
        "handle": f"{verdict.message_id}:{send.target}" if verdict.message_id else None,
        "code": verdict.openwx_code,
        "recalled": False,
    }


def answer_of(ids: Iterable[str], states: Iterable[JsonObject], chat: str) -> tuple[JsonObject, int]:
    """Return the response to the caller of a send, and its status: 200 if the outcome is known, else 202."""
    parts = [
        {"id": id_, **{name: value for name, value in state.items() if name != "recalled"}}
        for id_, state in zip(ids, states, strict=True)
    ]
    worst = min(parts, key=lambda part: WORST_FIRST.index(SendState(text(part["state"]))))
    over = all(SendState(text(part["state"])).is_final for part in parts)
    shown: list[JsonValue] = [*parts]
    return {**worst, "id": parts[0]["id"], "chat": chat, "parts": shown}, 200 if over else 202


def _words(verdict: Verdict) -> JsonObject:
    """Return state, cause and texts; the detail also if there is none."""
    texts = {"detail": verdict.detail, "ends": verdict.ends, "remedy": verdict.remedy}
    given = text_fields(**{name: each for name, each in texts.items() if each})
    return {"state": verdict.state.value, "reason": verdict.cause, "detail": None, **given}
