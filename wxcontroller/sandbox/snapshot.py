"""Saving accounts and sessions for a restart of the sandbox, so that clients need no new scan. People and groups are
not saved, but made again from their seeds.
"""

import base64
import json
from collections import deque
from pathlib import Path

from wxcontroller.core.errors import WxError
from wxcontroller.core.files import replace_file
from wxcontroller.core.jsontypes import JsonObject, JsonValue, field, integer, items, obj, text
from wxcontroller.sandbox.account import GroupOperations, Heard, ServerAccount, WebLogin
from wxcontroller.sandbox.attributes import kept, restore
from wxcontroller.sandbox.contents import ContentItem
from wxcontroller.sandbox.ilink import snapshot as ilink_snapshot
from wxcontroller.sandbox.sandbox import Sandbox
from wxcontroller.sandbox.session import ContactChanged, ContactGone, Event, ServerMessage, ServerSession
from wxcontroller.sandbox.world import Plan

VERSION = 1
_ACCOUNT = ("uin", "nickname", "wxid", "domain", "push_login", "avatar", "sent_count", "resend")
_SESSION = (
    *("sid", "opened", "initialised", "dead", "pass_ticket", "data_ticket", "base", "first", "issued", "serial"),
    "check_key",
)


class BadState(WxError):
    """The state file cannot be read or written."""


def save(sandbox: Sandbox, path: Path) -> None:
    """Write everything to ``path`` atomically, readable only by the owner. Raises BadState."""
    sessions: dict[int, list[JsonValue]] = {}
    for session in sandbox.sessions.values():
        sessions.setdefault(session.uin, []).append(session_out(session))
    ilink = sandbox.ilink
    accounts: list[JsonValue] = [
        account_out(account)
        | {"sessions": sessions.get(account.uin, []), "ilink": ilink_snapshot.user_out(ilink.users[account.uin])}
        for account in sandbox.accounts.values()
    ]
    value: JsonObject = {
        "version": VERSION,
        "accounts": accounts,
        "clock": sandbox.clock.offset,
        "files": ilink_snapshot.files_out(ilink),
    }
    content = json.dumps(value, ensure_ascii=False)
    try:
        replace_file(path, content.encode())
    except OSError as error:
        raise BadState(f"cannot write {path}: {error.strerror}", "choose another --state file") from error


def load(sandbox: Sandbox, path: Path) -> None:
    """Read ``path`` into an empty sandbox; without the file it stays empty. Raises BadState."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise BadState(f"cannot read {path}: {error}", "remove it to start over") from error
    if integer(field(value, "version")) != VERSION:
        raise BadState(f"{path} is not a state file of this version", "remove it to start over")
    try:
        for entry in items(field(value, "accounts")):
            account_in(sandbox, obj(entry))
        ilink_snapshot.files_in(sandbox.ilink, field(value, "files"))
        offset = field(value, "clock")
        sandbox.clock.offset = float(offset) if isinstance(offset, int | float) else 0.0
    except (ValueError, KeyError, TypeError) as error:
        raise BadState(f"{path} makes no sense: {error!r}", "remove it to start over") from error


def account_out(account: ServerAccount) -> JsonObject:
    plan = account.plan
    return {
        **kept(account, _ACCOUNT),
        "plan": [plan.seed, plan.friends, plan.groups, plan.members],
        "web_login": account.web_login.value,
        "tickets": dict(account.tickets),
        "group_operations": account.group_operations.value,
    }


def account_in(sandbox: Sandbox, entry: JsonObject) -> None:
    seed, friends, groups, members = (integer(number) for number in items(entry["plan"]))
    account = ServerAccount(
        uin=integer(entry["uin"]),
        nickname=text(entry["nickname"]),
        wxid=text(entry["wxid"]),
        domain=text(entry["domain"]),
        plan=Plan(seed, friends, groups, members),
        web_login=WebLogin(text(entry["web_login"])),
        push_login=entry["push_login"] is True,
        avatar=entry["avatar"] is True,
        tickets={key: text(value) for key, value in obj(entry["tickets"]).items()},
        sent_count=integer(entry["sent_count"]),
        group_operations=GroupOperations(text(entry.get("group_operations"), "working") or "working"),
        resend=entry.get("resend") is not False and sandbox.options.resend,
    )
    sandbox.enter(account)
    ilink_snapshot.user_in(sandbox.ilink, sandbox.ilink.users[account.uin], obj(entry.get("ilink")))
    for stored in items(entry["sessions"]):
        session = session_in(account, obj(stored))
        sandbox.sessions[session.sid] = session
        if session.dead:
            account.dead.append(session)
        else:
            account.session = session
            _register_queue(account, session)


def _register_queue(account: ServerAccount, session: ServerSession) -> None:
    """Register the messages in the queue and their content again."""
    for event in session.queue:
        if isinstance(event, ServerMessage):
            account.hear(event.msg_id, Heard(event.peer, event.sender, event.msg_type, event.item))
            if event.item is not None and (media_id := text(event.fields.get("MediaId"))):
                account.hold(media_id, event.item)


def item_out(item: ContentItem) -> JsonObject:
    return {"kind": item.kind, "md5": item.md5, "size": item.size, "name": item.name, "mime": item.mime}


def item_in(stored: JsonObject) -> ContentItem:
    return ContentItem(
        text(stored["kind"]), text(stored["md5"]), integer(stored["size"]), text(stored["name"]), text(stored["mime"])
    )


def session_out(session: ServerSession) -> JsonObject:
    return {
        **kept(session, ("domain", "desktop", "acknowledged", *_SESSION)),
        "skeys": list(session.skeys),
        "salt": base64.b64encode(session.salt).decode(),
        "sends": dict(session.sends),
        "queue": [event_out(event) for event in session.queue],
    }


def session_in(account: ServerAccount, stored: JsonObject) -> ServerSession:
    session = ServerSession(account.uin, text(stored.get("domain")) or account.domain, stored["desktop"] is True)
    restore(session, stored, _SESSION)
    session.skeys = [text(skey) for skey in items(stored["skeys"])]
    session.salt = base64.b64decode(text(stored["salt"]))
    session.acknowledged = integer(stored.get("acknowledged"))
    session.sends = {key: text(value) for key, value in obj(stored["sends"]).items()}
    session.queue = deque(event_in(obj(event)) for event in items(stored["queue"]))
    session.restored = session.head
    return session


def event_out(event: Event) -> JsonObject:
    match event:
        case ServerMessage():
            return {
                "kind": "message",
                **kept(event, ("msg_id", "time", "peer", "sender", "content", "msg_type", "notify_code", "fields")),
                "notify": list(event.notify),
                "item": None if event.item is None else item_out(event.item),
            }
        case ContactChanged():
            return {"kind": "changed", "wxid": event.wxid}
        case ContactGone():
            return {"kind": "gone", "wxid": event.wxid}


def event_in(stored: JsonObject) -> Event:
    match stored["kind"]:
        case "message":
            return ServerMessage(
                msg_id=integer(stored["msg_id"]),
                time=integer(stored["time"]),
                peer=text(stored["peer"]),
                sender=text(stored["sender"]),
                content=text(stored["content"]),
                msg_type=integer(stored["msg_type"]),
                notify_code=integer(stored["notify_code"]),
                notify=tuple(text(wxid) for wxid in items(stored["notify"])),
                fields=obj(stored.get("fields")),
                item=item_in(obj(stored["item"])) if stored.get("item") else None,
            )
        case "changed":
            return ContactChanged(text(stored["wxid"]))
        case "gone":
            return ContactGone(text(stored["wxid"]))
        case other:
            raise ValueError(f"an event of kind {other}")
