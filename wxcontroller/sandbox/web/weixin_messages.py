"""The poll, the sync and sending (5.5–5.7)."""

import asyncio
import time
from dataclasses import dataclass
from http import HTTPMethod

from aiohttp import web

from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, obj, text
from wxcontroller.sandbox.hosts import FILE_PAGES, Role
from wxcontroller.sandbox.media.storedcontent import ContentItem
from wxcontroller.sandbox.web import payloads
from wxcontroller.sandbox.web.webcall import (
    ERR_LOGIC,
    PAGES,
    PARAMETER,
    REFUSED_SEND,
    WebCall,
    WebEndpoint,
    WebRefusal,
    answer,
    refusing,
    script,
)
from wxcontroller.sandbox.world.phone import ServerAccount
from wxcontroller.sandbox.world.websession import (
    BadSyncKey,
    ContactChanged,
    ContactGone,
    ServerMessage,
    ServerSession,
    sync_key_flaw,
)
from wxcontroller.sandbox.world.world import Relation

LONG_TEXT = 2000  # characters; longer ones were cut or refused in reality
_TEXT, _LOCATION = 1, 48


async def synccheck(call: WebCall) -> web.Response:
    """Hold the poll until there is something to sync (5.5)."""
    account, session = call.session()
    query = call.request.query
    for needed in ("sid", "uin", "synckey"):
        if not query.get(needed):
            call.breach(PARAMETER, f"{needed} is missing in the query")
    if "webwx_data_ticket" not in call.cookies:
        call.note("cookie webwx_data_ticket is missing: it is set on the parent domain")
    if query.get("synckey") != session.check_key:
        call.note("synckey is not the last SyncCheckKey")
        return _synccheck(0, "2")
    session.acknowledge(session.issued, account.kept)
    if session.polls:
        call.note("two polls at once")
    session.polls += 1
    deadline = time.monotonic() + call.sandbox.options.sync_hold
    try:
        while True:
            if session.dead:
                raise WebRefusal(session.dead, f"the session ended with {session.dead}")
            if (selector := session.selector()) != "0":
                return _synccheck(0, selector)
            if not await session.bell.wait(deadline - time.monotonic()):
                return _synccheck(0, "0")
    finally:
        session.polls -= 1


def _synccheck(retcode: int, selector: str) -> web.Response:
    return script(f'window.synccheck={{retcode:"{retcode}",selector:"{selector}"}}')


async def webwxsync(call: WebCall) -> web.Response:
    """Return the events since the SyncKey (5.6); an old key gets them again."""
    account, session = call.session(need_skey=False)
    sync_key = call.json().get("SyncKey")
    if flaw := sync_key_flaw(sync_key):
        call.breach(PARAMETER, flaw)
    try:
        position = session.position(sync_key)
    except BadSyncKey as error:
        raise WebRefusal(PARAMETER, str(error)) from None
    session.acknowledge(position, account.kept)
    events = session.after(position, call.sandbox.options.sync_page)
    reached = max(position, session.first - 1) + len(events)
    messages: list[JsonValue] = []
    changed: list[JsonValue] = []
    gone: list[JsonValue] = []
    for event in events:
        match event:
            case ServerMessage():
                messages.append(payloads.message(session, account, event))
            case ContactChanged():
                if (shape := payloads.changed(session, account, event)) is not None:
                    changed.append(shape)
            case ContactGone():
                gone.append(payloads.gone(session, event))
    sync_key, check_key = session.sync_keys(reached)
    if events:
        call.sandbox.touch()
    filled: JsonObject = {
        "AddMsgCount": len(messages),
        "AddMsgList": messages,
        "ModContactCount": len(changed),
        "ModContactList": changed,
        "DelContactCount": len(gone),
        "DelContactList": gone,
        "ContinueFlag": int(reached < session.head),
        "SyncKey": sync_key,
        "SyncCheckKey": check_key,
    }
    return answer(payloads.sync() | filled)


@dataclass(frozen=True, slots=True)
class SubmittedMessage:
    """A message of any kind from the web client, with checked addresses."""

    call: WebCall
    account: ServerAccount
    session: ServerSession
    message: JsonObject
    peer: str
    client_msg_id: str

    @classmethod
    def read(cls, call: WebCall) -> "SubmittedMessage":
        """Read the body of a send endpoint; refuses what is invalid for every kind of message."""
        account, session = call.session()
        body = call.json()
        message = obj(body.get("Msg"))
        client_msg_id = text(message.get("ClientMsgId"))
        if not client_msg_id or text(message.get("LocalID")) != client_msg_id:
            call.breach(PARAMETER, "ClientMsgId and LocalID are missing or differ")
        if session.wxid(text(message.get("FromUserName"))) != account.wxid:
            call.breach(PARAMETER, "FromUserName is not the account itself")
        peer = target(account, session, text(message.get("ToUserName")))
        if "Scene" not in body:
            call.breach(REFUSED_SEND, "Scene is missing")
        return cls(call, account, session, message, peer, client_msg_id)

    def take(self, content: str, kind: str = "text", item: ContentItem | None = None, name: str = "") -> web.Response:
        """Accept the message unless it is a repeat, and answer."""
        msg_id = self.session.sends.get(self.client_msg_id)
        if msg_id is None:
            sandbox, account, session = self.call.sandbox, self.account, self.session
            msg_id = sandbox.sent_by_web(
                account, session, self.peer, content, self.client_msg_id, kind, item, name
            ).msg_id
        return answer({**payloads.base(), "MsgID": msg_id, "LocalID": self.client_msg_id})


async def webwxsendmsg(call: WebCall) -> web.Response:
    """Accept a text, or forward a location (5.7). Content is stored as sent, including wrong escapes."""
    outgoing = SubmittedMessage.read(call)
    kind = integer(outgoing.message.get("Type"), -1)
    if kind not in (_TEXT, _LOCATION):
        call.breach(PARAMETER, "Type is neither 1 nor 48")
    content = text(outgoing.message.get("Content"))
    if not content:
        call.breach(PARAMETER, "Content is missing or empty")
    if len(content) > LONG_TEXT:
        call.note(f"text is longer than {LONG_TEXT} characters")
    if "\\/" in content or "\\u" in content:
        call.note("the JSON body escapes / or non-ASCII characters: the server keeps such escapes as text")
    taken = outgoing.take(content, "location" if kind == _LOCATION else "text")
    if outgoing.account.echo:
        await let_overtake(outgoing.session)
    return taken


async def let_overtake(session: ServerSession) -> None:
    """Delay the response until the client has received, and probably read, the echo of its message."""
    deadline, echo = time.monotonic() + 2, session.head
    while session.issued < echo and await session.bell.wait(deadline - time.monotonic()):
        pass
    await asyncio.sleep(0.1)


def target(account: ServerAccount, session: ServerSession, username: str) -> str:
    wxid, world = session.wxid(username), account.world
    if wxid is None or (wxid not in world.people and wxid not in world.groups):
        raise WebRefusal(ERR_LOGIC, "ToUserName is nobody of this login, or a group that was left")
    if wxid == "filehelper":
        return wxid
    if session.domain in FILE_PAGES:
        raise WebRefusal(PARAMETER, "the File Transfer page has one conversation, filehelper")
    if wxid in world.groups:
        return wxid
    if world.people[wxid].kind not in (Relation.FRIEND, Relation.OFFICIAL):
        raise WebRefusal(REFUSED_SEND, "ToUserName is not a friend")
    return wxid


sendmsg_refusal = refusing(MsgID="", LocalID="")
_POST = frozenset({HTTPMethod.POST})
ENDPOINTS = (
    WebEndpoint("synccheck", frozenset({Role.PUSH, Role.FILE_PAGE}), synccheck, lambda ret: _synccheck(ret, "0")),
    WebEndpoint("webwxsync", PAGES, webwxsync, lambda ret: answer(payloads.sync(ret)), _POST),
    WebEndpoint("webwxsendmsg", PAGES, webwxsendmsg, sendmsg_refusal, _POST),
)
