"""Answers to callers, in the form of their dialect, with the state of the send added."""

import time
from datetime import UTC, datetime
from hashlib import sha256

from aiohttp import web

from wxcontroller.controller.apis.notify.notification import Notification
from wxcontroller.controller.apis.notify.passing import NotifyVerdict
from wxcontroller.controller.edge.failureanswers import json_response
from wxcontroller.controller.edge.publisherforms import gotify_failure, ntfy_failure
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.text.templates import N_, Text, text_fields

# Clients show or store until when the server keeps a message; ours keeps none.
_EXPIRES_SECONDS = 12 * 3600


def ntfy(target: str, notification: Notification, verdict: NotifyVerdict) -> web.Response:
    """Return ntfy's message, or its form of an error."""
    if verdict.refused:
        return ntfy_failure(verdict.status, str(verdict.reason), _state(verdict, notification))
    now, tags = int(time.time()), list[JsonValue](notification.tags)
    answer: JsonObject = {
        "id": short(verdict.id or f"{target}{time.time_ns()}"),
        "time": now,
        "expires": now + _EXPIRES_SECONDS,
        "event": "message",
        "topic": target,
        "message": notification.message or "triggered",
        "priority": notification.priority,
    }
    if notification.title:
        answer["title"] = notification.title
    if tags:
        answer["tags"] = tags
    return json_response({**answer, **_state(verdict, notification)})


def gotify(_: str, notification: Notification, verdict: NotifyVerdict) -> web.Response:
    """Return Gotify's message, or its form of an error."""
    if verdict.refused:
        return gotify_failure(verdict.status, str(verdict.reason), _state(verdict, notification))
    answer: JsonObject = {
        "id": time.time_ns() // 1_000_000,
        "appid": 1,
        "message": notification.message,
        "title": notification.title,
        "priority": notification.priority,
        "date": datetime.now(UTC).isoformat(),
    }
    return json_response({**answer, **_state(verdict, notification)})


def _state(verdict: NotifyVerdict, notification: Notification) -> JsonObject:
    found: JsonObject = {"state": verdict.state}
    reason, left_out = verdict.reason, notification.left_out
    if left_out and not verdict.refused:
        found["left_out"] = left_out
        reason = reason or Text(
            N_("the text is too long: its last {number} characters were not sent"), number=left_out
        )
    if reason:
        found |= text_fields(reason=reason)
    if verdict.id:
        found["send_id"] = verdict.id
    if verdict.parts:
        found["parts"] = [*verdict.parts]
    return found


def short(value: str) -> str:
    """Return an id as short as ntfy's, which clients expect."""
    return sha256(value.encode()).hexdigest()[:12]
