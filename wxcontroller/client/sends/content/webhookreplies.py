"""Replies in a webhook's answer to a report (openwx-api 3.4)."""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass

from wxcontroller.client.incoming.roster import Roster
from wxcontroller.client.store.tables.eventtables import Entry
from wxcontroller.core.jsontypes import JsonObject, field, kept_json, obj, read_json, text

log = logging.getLogger(__name__)
_ADDRESS = re.compile("https?://[^\ud800-\udfff]{1,8000}")


@dataclass(frozen=True, slots=True)
class Reply:
    """A text, or media at an http(s) address ("" for none), for a friend or group.

    ``login`` is one's own id in the login that ``target`` is an id of.
    """

    target: str
    is_group: bool
    content: str
    media: str
    login: str


def reply_of(report: JsonObject, answer: JsonObject) -> Reply | None:
    """Return the reply in a webhook's answer to a report, None if there is none.

    Reports of replies (``from`` is ``code``) are never answered: a webhook that always replies would talk to itself.
    """
    # A lone surrogate: valid in JSON, but cannot be sent.
    content = re.sub("[\ud800-\udfff]", "\ufffd", text(answer.get("reply")))
    address = answer.get("media")
    wanted = address if isinstance(address, str) and _ADDRESS.fullmatch(address) else ""
    kind = report.get("post_type")
    is_group = report.get("type") == "group_message"
    if kind == "send_message":
        wanted = ""
        if report.get("from") == "code" or answer.get("format") not in (None, "text"):
            return None
        target, own = text(report.get("group_id" if is_group else "receiver_id")), text(report.get("sender_id"))
    elif kind == "receive_message" and report.get("type") in ("friend_message", "group_message"):
        target, own = text(report.get("group_id" if is_group else "sender_id")), text(report.get("receiver_id"))
    else:
        return None
    return Reply(target, is_group, content, wanted, own) if target and (content or wanted) else None


@dataclass(slots=True)
class Replies:
    """Sends the replies of webhooks. ``send`` takes a reply and the sequence of the event that it answers."""

    roster: Roster
    send: Callable[[Reply, int], None]

    async def answered(self, entry: Entry, answer: bytes) -> None:
        """Handle a webhook's JSON answer to an event. It may arrive more than once, like the report."""
        try:
            parsed = read_json(answer)
        except ValueError:
            log.warning("the webhook's response is declared as JSON but is not valid JSON")
            return
        if field(parsed, "reply") is None and field(parsed, "media") is None:
            return
        reply = reply_of(kept_json(entry.body), obj(parsed))
        if reply is None:
            return
        people = self.roster.groups if reply.is_group else self.roster.contacts
        # A report of the last run is posted before the login: its recipient is checked later.
        if self.roster.contacts and reply.target not in people:
            log.warning("a webhook's reply is not sent: the chat is unknown or no longer known")
            return
        self.send(reply, entry.seq)
