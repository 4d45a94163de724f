"""Messages and sends in the form of /v1, from the reports in the log and the sends in the queue.

A message has one permanent id. That of a send of ours is the id that its call answered, from the moment it is queued;
every other message has WeChat's.
"""

from collections.abc import Iterable

from wxcontroller.client.config import ClientConfig
from wxcontroller.client.directory import Directory
from wxcontroller.client.sends.model import Send
from wxcontroller.client.sends.outcomes import verdict_of
from wxcontroller.client.store.history import RECALLED, Found
from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, text
from wxcontroller.core.model import MessageKind
from wxcontroller.core.receivedmedia import file_of
from wxcontroller.core.verdict import UNKNOWN_CODE, WORST_FIRST, SendState
from wxcontroller.openwx.media import LABELS
from wxcontroller.openwx.objects import lasting_id

_KINDS = {kind.value: kind for kind in MessageKind}
# For a send whose report is no longer stored.
GONE: JsonObject = {
    "state": SendState.UNKNOWN.value,
    "reason": None,
    "detail": "its report is not kept any more",
    "code": UNKNOWN_CODE,
}


class Conversations:
    """Shows messages of an account, whose people are in ``directory``."""

    def __init__(self, _: ClientConfig, directory: Directory) -> None:
        # As in 2.3.0: a program that runs on after an upgrade may have loaded this module before it, and loads its
        # callers later.
        self._directory = directory

    def logged(self, found: Found, log: str) -> JsonObject:
        """Return a message of the ``log``."""
        report, place = found.report, found.indexed
        own = report.get("post_type") == "send_message"
        chat, is_group = self._directory.canonical(place.chat), found.type != "friend_message"
        return {
            "id": place.send or text(report.get("id")),
            "cursor": f"{log}-{found.seq}",
            "chat": chat,
            "chat_name": self._directory.name(chat) or text(report.get(role(is_group, own))),
            "is_group": is_group,
            "direction": "out" if own else "in",
            "sender": self._sender(report) if report.get("sender_id") else None,
            "time": integer(report.get("time")) or int(found.time),
            "kind": kind_of(found).value,
            "text": text_of(found),
            "media": self._media(report) if report.get("format") == "media" else None,
            "quote": quote(report),
            "origin": _origin(report) if own else None,
            **(state_of_logged(found) if place.send else NO_STATE),
        }

    def queued(self, send: Send) -> JsonObject:
        """Return a send that has not ended, as a message."""
        directory, media, quoted = self._directory, send.media, send.quoted
        return {
            "id": send.client_id,
            "cursor": None,
            "chat": directory.canonical(send.target),
            "chat_name": directory.name(send.target),
            "is_group": send.is_group,
            "direction": "out",
            "sender": {"id": directory.own_id, "name": directory.own_name},
            "time": int(send.queued_at),
            "kind": send.kind.value,
            "text": send.content,
            "media": described(send.kind, media.facts.name, media.facts.mime, media.facts.size) if media else None,
            "quote": None
            if quoted is None
            else {
                "id": quoted.id,
                "sender": {"id": quoted.sender_id, "name": quoted.sender},
                "text": quoted.content,
            },
            "origin": send.origin,
            **state_of_send(send),
            "recalled": False,
        }

    def _sender(self, report: JsonObject) -> JsonObject:
        return {
            "id": lasting_id(text(report.get("sender_id")), report.get("sender_uid")),
            "name": text(report.get("sender")),
        }

    def _media(self, report: JsonObject) -> JsonObject:
        kind = _KINDS.get(text(report.get("media_type")), MessageKind.FILE)
        name, mime = text(report.get("media_name")), text(report.get("media_mime"))
        shown = described(kind, name, mime, integer(report.get("media_size")))
        path = text(report.get("media_path"))
        file = file_of(path) if report.get("source") != "local" else ""
        return {
            **shown,
            "id": text(report.get("media_id")) or None,
            "file": file or None,
            "error": text(report.get("media_error")) or None,
        }


def role(is_group: bool, own: bool) -> str:
    """Return which member of a report names its chat."""
    return "group" if is_group else "receiver" if own else "sender"


def kind_of(found: Found) -> MessageKind:
    """Return what a message is."""
    report = found.report
    form = text(report.get("format"))
    if form == "media":
        return _KINDS.get(text(report.get("media_type")), MessageKind.FILE)
    if found.is_notice or found.type == "group_notice":
        return MessageKind.NOTICE
    return _KINDS.get(form, MessageKind.OTHER)


def text_of(found: Found) -> str:
    """Return a message's text; for media their caption."""
    media = found.report.get("format") == "media"
    return text(found.report.get("media_text" if media else "content"))


def summary_of(found: Found) -> str:
    """Return the preview of a quoted message."""
    return text_of(found) or LABELS.get(kind_of(found), "")


NO_STATE: JsonObject = {
    **dict.fromkeys(("state", "reason", "detail", "held_until", "handle", "code")),
    "recalled": False,
}


def state_of_logged(found: Found) -> JsonObject:
    """Return the result of an own send, from the log."""
    state, _, reason = found.indexed.verdict.partition(" ")
    recalled = reason == RECALLED
    return {
        "state": state or SendState.UNKNOWN.value,
        "reason": reason if reason and not recalled else None,
        "detail": None if state == SendState.DELIVERED.value else text(found.report.get("info")) or None,
        "held_until": None,
        "handle": handle if ":" in (handle := text(found.report.get("id"))) else None,
        "code": integer(found.report.get("code")),
        "recalled": recalled,
    }


def state_of_send(send: Send) -> JsonObject:
    """Return the state or result of a send."""
    verdict = verdict_of(send)
    return {
        "state": verdict.state.value,
        "reason": verdict.cause,
        "detail": str(verdict.detail) or None,
        "held_until": int(verdict.when) or None,
        "handle": f"{verdict.message_id}:{send.target}" if verdict.message_id else None,
        "code": verdict.openwx_code,
    }


def answer_of(ids: Iterable[str], states: Iterable[JsonObject], chat: str) -> tuple[JsonObject, int]:
    """Return the response to the caller of a send, and its status: 200 if the outcome is known, else 202."""
    keys = ("state", "reason", "detail", "held_until", "handle", "code")
    parts = [{"id": id_, **{key: state.get(key) for key in keys}} for id_, state in zip(ids, states, strict=True)]
    worst = min(parts, key=lambda part: WORST_FIRST.index(SendState(text(part["state"]))))
    over = all(SendState(text(part["state"])).is_final for part in parts)
    shown: list[JsonValue] = [*parts]
    return {**worst, "id": parts[0]["id"], "chat": chat, "parts": shown}, 200 if over else 202


def described(kind: MessageKind, name: str, mime: str, size: int) -> JsonObject:
    return {
        "type": kind.value,
        "name": name or None,
        "mime": mime or None,
        "size": size or None,
        "id": None,
        "file": None,
        "error": None,
    }


def quote(report: JsonObject) -> JsonObject | None:
    if "quote_id" not in report:
        return None
    sender = text(report.get("quote_sender_id"))
    return {
        "id": text(report.get("quote_id")),
        "sender": {"id": sender, "name": text(report.get("quote_sender"))} if sender else None,
        "text": text(report.get("quote_content")),
    }


def _origin(report: JsonObject) -> str:
    return text(report.get("from")) or "api" if report.get("source") == "local" else "device"
