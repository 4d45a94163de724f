"""Keeping accounts and sessions over a restart of the sandbox, so that clients need no new scan.

People and groups are not kept: they grow again from their seeds.
"""

import base64
import json
from collections import deque
from pathlib import Path

from wxcontroller.core.errors import WxError
from wxcontroller.core.files import replace_file
from wxcontroller.core.jsontypes import JsonObject, JsonValue, field, integer, items, obj, text
from wxcontroller.sandbox.account import GroupOperations, Heard, ServerAccount, WebLogin
from wxcontroller.sandbox.contents import ContentItem
from wxcontroller.sandbox.ilink import snapshot as ilink_snapshot
from wxcontroller.sandbox.sandbox import Sandbox
from wxcontroller.sandbox.session import ContactChanged, ContactGone, Event, ServerMessage, ServerSession
from wxcontroller.sandbox.world import Plan

VERSION = 1


class BadState(WxError):
    """A state file that can't be read or written."""


def save(sandbox: Sandbox, path: Path) -> None:
    """Write everything to ``path``, all or nothing, readable by the owner only. Raises BadState."""
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
        raise BadState(f"can't write {path}: {error.strerror}", "choose another --state file") from error


def load(sandbox: Sandbox, path: Path) -> None:
    """Read ``path`` into an empty sandbox; no file is an empty state. Raises BadState."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise BadState(f"can't read {path}: {error}", "remove it to start over") from error
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
        "uin": account.uin,
        "nickname": account.nickname,
        "wxid": account.wxid,
        "domain": account.domain,
        "plan": [plan.seed, plan.friends, plan.groups, plan.members],
        "web_login": account.web_login.value,
        "push_login": account.push_login,
        "avatar": account.avatar,
        "tickets": dict(account.tickets),
        "sent_count": account.sent_count,
        "group_operations": account.group_operations.value,
        "resend": account.resend,
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
    for kept in items(entry["sessions"]):
        session = session_in(account, obj(kept))
        sandbox.sessions[session.sid] = session
        if session.dead:
            account.dead.append(session)
        else:
            account.session = session
            _hear(account, session)


def _hear(account: ServerAccount, session: ServerSession) -> None:
    """Remember again what the messages in the queue are about."""
    for event in session.queue:
        if isinstance(event, ServerMessage):
            account.hear(event.msg_id, Heard(event.peer, event.sender, event.msg_type, event.item))
            if event.item is not None and (media_id := text(event.fields.get("MediaId"))):
                account.hold(media_id, event.item)


def item_out(item: ContentItem) -> JsonObject:
    return {"kind": item.kind, "md5": item.md5, "size": item.size, "name": item.name, "mime": item.mime}


def item_in(kept: JsonObject) -> ContentItem:
    return ContentItem(
        text(kept["kind"]), text(kept["md5"]), integer(kept["size"]), text(kept["name"]), text(kept["mime"])
    )


def session_out(session: ServerSession) -> JsonObject:
    return {
        "sid": session.sid,
        "domain": session.domain,
        "desktop": session.desktop,
        "opened": session.opened,
        "initialised": session.initialised,
        "dead": session.dead,
        "skeys": list(session.skeys),
        "pass_ticket": session.pass_ticket,
        "data_ticket": session.data_ticket,
        "salt": base64.b64encode(session.salt).decode(),
        "base": session.base,
        "first": session.first,
        "issued": session.issued,
        "acknowledged": session.acknowledged,
        "serial": session.serial,
        "check_key": session.check_key,
        "sends": dict(session.sends),
        "queue": [event_out(event) for event in session.queue],
    }


def session_in(account: ServerAccount, kept: JsonObject) -> ServerSession:
    session = ServerSession(account.uin, text(kept.get("domain")) or account.domain, kept["desktop"] is True)
    session.sid = text(kept["sid"])
    session.opened = integer(kept["opened"])
    session.initialised = kept["initialised"] is True
    session.dead = integer(kept["dead"])
    session.skeys = [text(skey) for skey in items(kept["skeys"])]
    session.pass_ticket = text(kept["pass_ticket"])
    session.data_ticket = text(kept["data_ticket"])
    session.salt = base64.b64decode(text(kept["salt"]))
    session.base = integer(kept["base"])
    session.first = integer(kept["first"])
    session.issued = integer(kept["issued"])
    session.acknowledged = integer(kept.get("acknowledged"))
    session.serial = integer(kept["serial"])
    session.check_key = text(kept["check_key"])
    session.sends = {key: text(value) for key, value in obj(kept["sends"]).items()}
    session.queue = deque(event_in(obj(event)) for event in items(kept["queue"]))
    session.restored = session.head
    return session


def event_out(event: Event) -> JsonObject:
    match event:
        case ServerMessage():
            return {
                "kind": "message",
                "msg_id": event.msg_id,
                "time": event.time,
                "peer": event.peer,
                "sender": event.sender,
                "content": event.content,
                "msg_type": event.msg_type,
                "notify_code": event.notify_code,
                "notify": list(event.notify),
                "fields": event.fields,
                "item": None if event.item is None else item_out(event.item),
            }
        case ContactChanged():
            return {"kind": "changed", "wxid": event.wxid}
        case ContactGone():
            return {"kind": "gone", "wxid": event.wxid}


def event_in(kept: JsonObject) -> Event:
    match kept["kind"]:
        case "message":
            return ServerMessage(
                msg_id=integer(kept["msg_id"]),
                time=integer(kept["time"]),
                peer=text(kept["peer"]),
                sender=text(kept["sender"]),
                content=text(kept["content"]),
                msg_type=integer(kept["msg_type"]),
                notify_code=integer(kept["notify_code"]),
                notify=tuple(text(wxid) for wxid in items(kept["notify"])),
                fields=obj(kept.get("fields")),
                item=item_in(obj(kept["item"])) if kept.get("item") else None,
            )
        case "changed":
            return ContactChanged(text(kept["wxid"]))
        case "gone":
            return ContactGone(text(kept["wxid"]))
        case other:
            raise ValueError(f"an event of kind {other}")
