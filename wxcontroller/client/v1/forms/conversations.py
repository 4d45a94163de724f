"""Messages and sends in the form of /v1, from the reports in the log and the sends in the queue.

A message has one permanent id. That of a send of ours is the id that its call answered, from the moment it is queued;
every other message has WeChat's.
"""

from wxcontroller.client.incoming.lastingids import Directory
from wxcontroller.client.sends.model.send import Send
from wxcontroller.client.store.tables.history import Found
from wxcontroller.client.v1.forms.v1outcomes import NO_STATE, state_of_logged
from wxcontroller.core.files.receivedmedia import file_of
from wxcontroller.core.jsontypes import JsonObject, integer, text
from wxcontroller.core.model import MessageKind
from wxcontroller.openwx.contract.media import LABELS
from wxcontroller.openwx.contract.objects import lasting_id

_KINDS = {kind.value: kind for kind in MessageKind}


class Conversations:
    """Shows messages of an account, whose people are in ``directory``."""

    def __init__(self, directory: Directory) -> None:
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
        """Return a send of the queue as a message, without more of its state."""
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
            **NO_STATE,
            "state": send.state.value,
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
