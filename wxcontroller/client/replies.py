"""What a webhook answers to a report: a reply to send (openwx-api 3.4)."""

import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass

from wxcontroller.client.eventtables import Entry
from wxcontroller.client.roster import Roster
from wxcontroller.core.jsontypes import JsonObject, field, obj, text

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reply:
    """A text, or media at an http(s) address ("" for none), for a friend or group."""

    target: str
    is_group: bool
    content: str
    media: str


def reply_of(report: JsonObject, answer: JsonObject) -> Reply | None:
    """Return what a webhook's answer to a report asks for, None when it asks for nothing.

    Reports of replies (``from`` is ``code``) are never answered: a webhook that always replies would talk to itself.
    """
    # Half of a character, which JSON can spell but nobody can send.
    content = re.sub("[\ud800-\udfff]", "\ufffd", text(answer.get("reply")))
    address = answer.get("media")
    wanted = address if isinstance(address, str) and address.startswith(("http://", "https://")) else ""
    kind = report.get("post_type")
    is_group = report.get("type") == "group_message"
    if kind == "send_message":
        wanted = ""
        if report.get("from") == "code" or report.get("format", "text") != "text":
            return None
        target = text(report.get("group_id" if is_group else "receiver_id"))
    elif kind == "receive_message" and report.get("type") in ("friend_message", "group_message"):
        target = text(report.get("group_id" if is_group else "sender_id"))
    else:
        return None
    return Reply(target, is_group, content, wanted) if target and (content or wanted) else None


@dataclass(slots=True)
class Replies:
    """Sends what webhooks answer. ``send`` takes a reply and the sequence of the event it answers."""

    roster: Roster
    send: Callable[[Reply, int], None]

    async def answered(self, entry: Entry, answer: bytes) -> None:
        """Take a webhook's JSON answer to an event. It may come more than once: so may the report."""
        try:
            parsed = json.loads(answer)
        except (ValueError, RecursionError):
            log.warning("the webhook's answer says it is JSON and is not")
            return
        if field(parsed, "reply") is None and field(parsed, "media") is None:
            return
        reply = reply_of(obj(json.loads(entry.body)), obj(parsed))
        if reply is None:
            return
        if reply.target not in (self.roster.groups if reply.is_group else self.roster.contacts):
            log.warning("a webhook's reply is not sent: the chat is not known (any more)")
            return
        self.send(reply, entry.seq)
