"""Init, status notify and the address book (5.1–5.4)."""

from http import HTTPMethod

from aiohttp import web

from wxcontroller.core.jsontypes import JsonObject, JsonValue, field, integer, items, text
from wxcontroller.sandbox.hosts import Role
from wxcontroller.sandbox.web import payloads
from wxcontroller.sandbox.web.webcall import (
    ERR_LOGIC,
    ERR_SYS,
    PAGES,
    PARAMETER,
    TOO_OFTEN,
    WebCall,
    WebEndpoint,
    WebRefusal,
    answer,
    refusing,
)
from wxcontroller.sandbox.world.phone import ServerAccount
from wxcontroller.sandbox.world.websession import ServerMessage, ServerSession

BATCH_LIMIT = 50
_SEQ_BASE = 684_000_000  # Seq of a page is opaque to clients; the sandbox counts from here


async def webwxinit(call: WebCall) -> web.Response:
    """Return the initial state (5.1)."""
    account, session = call.session(need_skey=False)
    session.initialised = True
    return answer(payloads.init(account, session))


async def webwxstatusnotify(call: WebCall) -> web.Response:
    """Accept that the client has started (code 3), or that a conversation was read (code 1) (5.2)."""
    account, session = call.session()
    body = call.json()
    code = integer(body.get("Code"), -1)
    if session.wxid(text(body.get("FromUserName"))) != account.wxid:
        call.breach(PARAMETER, "FromUserName is not the account itself")
    if not text(body.get("ClientMsgId")):
        call.breach(PARAMETER, "ClientMsgId is missing")
    peer = session.wxid(text(body.get("ToUserName")))
    if code not in (1, 3) or peer is None or (code == 3 and peer != account.wxid):
        call.breach(PARAMETER, "Code or ToUserName is wrong")
    msg_id = call.sandbox.next_msg_id()
    if code == 3:
        content, listed = payloads.conversation_list(account)
        me = account.wxid
        session.push(
            ServerMessage(msg_id, session.opened, me, me, content, msg_type=51, notify_code=4, notify=listed)
        )
        msg_id = call.sandbox.next_msg_id()
    return answer({**payloads.base(), "MsgID": str(msg_id)})


async def webwxstatreport(call: WebCall) -> web.Response:
    """Accept any statistics of the page (5.18)."""
    call.session()
    return answer(payloads.base())


async def webwxgetcontact(call: WebCall) -> web.Response:
    """Return one page of the address book (5.3)."""
    account, session = call.session()
    world = account.world
    everybody = [person.wxid for person in world.contacts()]
    everybody += [group.wxid for group in world.groups.values() if group.saved]
    seq = integer(call.request.query.get("seq", "0"), -1)
    start = seq - _SEQ_BASE if seq else 0
    if not 0 <= start < max(1, len(everybody)):
        call.breach(PARAMETER, "seq is not from an earlier response")
        start = 0
    end = start + call.sandbox.options.contact_page
    members: list[JsonValue] = [
        payloads.contact(session, world.people[wxid])
        if wxid in world.people
        else payloads.group(session, account, world.groups[wxid], members=False)
        for wxid in everybody[start:end]
    ]
    return answer(
        {
            **payloads.base(),
            "MemberCount": len(members),
            "MemberList": members,
            "Seq": _SEQ_BASE + end if end < len(everybody) else 0,
        }
    )


async def webwxbatchgetcontact(call: WebCall) -> web.Response:
    """Return details of up to 50 people or groups (5.4), not in the client's order and without unknown ones."""
    account, session = call.session()
    body = call.json()
    wanted = items(body.get("List"))
    if integer(body.get("Count"), -1) != len(wanted):
        call.breach(PARAMETER, "Count is not the length of List")
    if len(wanted) > BATCH_LIMIT:
        raise WebRefusal(ERR_SYS, f"more than {BATCH_LIMIT} at once")
    if call.request.query.get("type") != "ex":
        call.note("type is not ex")
    if not session.batch_allowance(call.sandbox.options.batch_rate, call.sandbox.options.batch_burst):
        raise WebRefusal(TOO_OFTEN, "too many batch-gets a second")
    found: list[JsonValue] = []
    for entry in reversed(wanted):
        shape = details(call, account, session, text(field(entry, "UserName")), text(field(entry, "EncryChatRoomId")))
        if shape is not None:
            found.append(shape)
    return answer({**payloads.base(), "Count": len(found), "ContactList": found})


def details(
    call: WebCall, account: ServerAccount, session: ServerSession, username: str, room: str
) -> JsonObject | None:
    wxid = session.wxid(username)
    if wxid is None:
        return None
    world = account.world
    if wxid in world.groups:
        return payloads.group(session, account, world.groups[wxid], members=True)
    if wxid not in world.people:
        return None  # a group that was left
    shape = payloads.contact(session, world.people[wxid])
    if room:
        inside = [g for g in world.groups.values() if room in (session.room_id(g.wxid), session.username(g.wxid))]
        if not inside:
            call.breach(ERR_LOGIC, "EncryChatRoomId is of no group")
            return shape
        place = next((m for m in inside[0].members if m.wxid == wxid), None)
        if place is None:
            return None
        shape["DisplayName"] = payloads.member(session, account, place)["DisplayName"]
        shape["EncryChatRoomId"] = session.room_id(inside[0].wxid)
    return shape


_BASE = frozenset({Role.BASE})
_POST = frozenset({HTTPMethod.POST})
ENDPOINTS = (
    WebEndpoint("webwxinit", PAGES, webwxinit, lambda ret: answer(payloads.init(None, None, ret)), _POST),
    WebEndpoint("webwxstatusnotify", _BASE, webwxstatusnotify, refusing(MsgID=""), _POST),
    WebEndpoint("webwxstatreport", _BASE, webwxstatreport, refusing(), _POST),
    WebEndpoint(
        "webwxgetcontact",
        _BASE,
        webwxgetcontact,
        refusing(MemberCount=0, MemberList=[], Seq=0),
        frozenset({HTTPMethod.GET, HTTPMethod.POST}),
    ),
    WebEndpoint("webwxbatchgetcontact", _BASE, webwxbatchgetcontact, refusing(Count=0, ContactList=[]), _POST),
)
