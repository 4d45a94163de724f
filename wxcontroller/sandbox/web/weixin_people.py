"""A client's operations on contacts and groups, and recalling messages (5.12, 5.14–5.16)."""

import time
from http import HTTPMethod

from aiohttp import web

from wxcontroller.core.jsontypes import JsonObject, JsonValue, field, integer, items, text
from wxcontroller.sandbox.hosts import Role
from wxcontroller.sandbox.web import payloads, socialevents
from wxcontroller.sandbox.web.webcall import (
    ERR_LOGIC,
    PARAMETER,
    SESSION_INVALID,
    WebCall,
    WebEndpoint,
    WebRefusal,
    answer,
    refusing,
)
from wxcontroller.sandbox.world.phone import GroupOperations, SentFriendRequest, ServerAccount
from wxcontroller.sandbox.world.websession import ContactChanged, ServerSession
from wxcontroller.sandbox.world.world import Relation, ServerGroup, ServerMember

TICKET = -14
INVITE_FROM = 40  # members; from here on, people join a group only by invitation
_PINNED = 0x800
_REMARK_LENGTH = 18
_SCENE = 33


async def webwxrevokemsg(call: WebCall) -> web.Response:
    """Revoke a message that this account recently sent from the web."""
    account, session = call.session()
    body = call.json()
    if not text(body.get("ClientMsgId")):
        call.breach(PARAMETER, "ClientMsgId is missing")
    msg_id = text(body.get("SvrMsgId"))
    sent = next((message for message in reversed(account.sent) if message.msg_id == msg_id), None)
    if sent is None:
        raise WebRefusal(ERR_LOGIC, "SvrMsgId is of no message that was sent")
    if session.wxid(text(body.get("ToUserName"))) != sent.wxid:
        raise WebRefusal(ERR_LOGIC, "ToUserName is not the conversation of the message")
    if time.time() - sent.time > call.sandbox.options.revoke_window:
        raise WebRefusal(ERR_LOGIC, "it is too late to revoke the message")
    sent.revoked = True
    account.record(sent.wxid, "notice", "", "你撤回了一条消息", time.time())
    call.sandbox.touch()
    return answer({**payloads.base(), "Introduction": "", "SysWording": ""})


async def webwxoplog(call: WebCall) -> web.Response:
    """Set a remark, pin or unpin a conversation."""
    account, session = call.session()
    body = call.json()
    wxid = session.wxid(text(body.get("UserName")))
    world = account.world
    person, group = world.people.get(wxid or ""), world.groups.get(wxid or "")
    command, remark = integer(body.get("CmdId"), -1), body.get("RemarkName")
    if command not in (2, 3) or (command == 3 and integer(body.get("OP"), -1) not in (0, 1)):
        raise WebRefusal(PARAMETER, "CmdId is neither 2 nor 3, or OP neither 0 nor 1")
    if command == 2 and not isinstance(remark, str):
        raise WebRefusal(PARAMETER, "RemarkName is missing")
    if group is not None and command == 3:
        group.pinned = integer(body.get("OP")) == 1
        call.sandbox.tell(account, ContactChanged(group.wxid))
        return answer(payloads.base())
    if person is None or person.kind not in (Relation.FRIEND, Relation.OFFICIAL):
        raise WebRefusal(ERR_LOGIC, "UserName is no friend")
    if not isinstance(remark, str):
        call.note("RemarkName is not sent along with OP: that erases the remark")
        remark = ""
    if len(remark) > _REMARK_LENGTH:
        call.note(f"RemarkName is longer than {_REMARK_LENGTH} characters")
    if command == 3:
        on = integer(body.get("OP")) == 1
        person.contact_flag = person.contact_flag | _PINNED if on else person.contact_flag & ~_PINNED
    call.sandbox.change(account, person.wxid, None, remark)
    return answer(payloads.base())


async def webwxcreatechatroom(call: WebCall) -> web.Response:
    """Make a group."""
    account, session = call.session()
    body = call.json()
    wanted = items(body.get("MemberList"))
    if not wanted:
        raise WebRefusal(PARAMETER, "MemberList is empty")
    if integer(body.get("MemberCount"), -1) != len(wanted):
        call.breach(PARAMETER, "MemberCount is not the length of MemberList")
    people = [session.wxid(text(field(entry, "UserName"))) or "" for entry in wanted]
    friends = _friends(account, people)
    topic = text(body.get("Topic"))
    if not isinstance(body.get("Topic"), str):
        call.breach(PARAMETER, "Topic is missing")
    if len(friends) < 2:
        call.note("a group is made with one friend; two is the usual minimum")
    check_switch(account)
    empty: JsonObject = {**payloads.base(), "Topic": "", "PYInitial": "", "QuanPin": "", "BlackList": ""}
    if account.group_operations is GroupOperations.PRETEND:
        return answer({**empty, "MemberCount": 0, "MemberList": [], "ChatRoomName": ""})
    group = socialevents.create(call.sandbox, account, friends, topic)
    members: list[JsonValue] = [payloads.member(session, account, ServerMember(wxid)) for wxid in friends]
    return answer(
        {
            **empty,
            "BaseResponse": {"Ret": 0, "ErrMsg": "Everything is OK"},
            "MemberCount": len(members),
            "MemberList": members,
            "ChatRoomName": session.username(group.wxid),
        }
    )


async def webwxupdatechatroom(call: WebCall) -> web.Response:
    """Add, invite, remove members; rename or leave a group."""
    account, session = call.session()
    body = call.json()
    group = account.world.groups.get(session.wxid(text(body.get("ChatRoomName"))) or "")
    if group is None:
        raise WebRefusal(ERR_LOGIC, "ChatRoomName is no group of this login")
    work = {
        "addmember": add,
        "invitemember": invite,
        "delmember": delete,
        "modtopic": _rename,
        "quitchatroom": _quit,
    }.get(call.request.query.get("fun", ""))
    if work is None:
        raise WebRefusal(PARAMETER, "fun is missing or unknown")
    check_switch(account)
    work(call, account, session, group, body)
    return answer({**payloads.base(), "MemberCount": 0, "MemberList": []})


def add(call: WebCall, account: ServerAccount, session: ServerSession, group: ServerGroup, body: JsonObject) -> None:
    friends = _friends(account, listed(session, body, "AddMemberList"))
    if len(group.members) + len(friends) >= INVITE_FROM:
        raise WebRefusal(PARAMETER, f"a group of {INVITE_FROM} takes members by invitation only: invitemember")
    _join(call, account, group, friends)


def invite(
    call: WebCall, account: ServerAccount, session: ServerSession, group: ServerGroup, body: JsonObject
) -> None:
    _join(call, account, group, _friends(account, listed(session, body, "InviteMemberList")))


def _join(call: WebCall, account: ServerAccount, group: ServerGroup, friends: list[str]) -> None:
    inside = {member.wxid for member in group.members}
    if inside.intersection(friends):
        raise WebRefusal(ERR_LOGIC, "somebody is in the group already")
    if account.group_operations is GroupOperations.WORKING:
        socialevents.join(call.sandbox, account, group, friends, by=account.wxid)


def delete(
    call: WebCall, account: ServerAccount, session: ServerSession, group: ServerGroup, body: JsonObject
) -> None:
    people = listed(session, body, "DelMemberList")
    if group.owner != account.wxid:
        raise WebRefusal(ERR_LOGIC, "only the owner removes members")
    if account.wxid in people or not {member.wxid for member in group.members}.issuperset(people):
        raise WebRefusal(ERR_LOGIC, "somebody is no other member of the group")
    if account.group_operations is GroupOperations.WORKING:
        socialevents.leave(call.sandbox, account, group, people, by=account.wxid)


def _rename(
    call: WebCall, account: ServerAccount, session: ServerSession, group: ServerGroup, body: JsonObject
) -> None:
    topic = body.get("NewTopic")
    if not isinstance(topic, str) or not topic:
        raise WebRefusal(PARAMETER, "NewTopic is missing")
    if account.group_operations is GroupOperations.WORKING:
        socialevents.rename(call.sandbox, account, group, topic, by=account.wxid)


def _quit(
    call: WebCall, account: ServerAccount, session: ServerSession, group: ServerGroup, body: JsonObject
) -> None:
    if account.group_operations is GroupOperations.WORKING:
        call.sandbox.remove(account, group.wxid)


def listed(session: ServerSession, body: JsonObject, name: str) -> list[str]:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise WebRefusal(PARAMETER, f"{name} is missing or no text")
    return [session.wxid(username) or "" for username in value.split(",")]


def _friends(account: ServerAccount, people: list[str]) -> list[str]:
    for wxid in people:
        person = account.world.people.get(wxid)
        if person is None or person.kind is not Relation.FRIEND:
            raise WebRefusal(ERR_LOGIC, "somebody is no friend")
    if len(set(people)) != len(people):
        raise WebRefusal(PARAMETER, "somebody is named twice")
    return people


def check_switch(account: ServerAccount) -> None:
    if account.group_operations is GroupOperations.REMOVED:
        raise WebRefusal(SESSION_INVALID, "group operations are removed (group_operations)")


async def webwxverifyuser(call: WebCall) -> web.Response:
    """Send or accept a friend request."""
    account, session = call.session()
    body = call.json()
    users = items(body.get("VerifyUserList"))
    if len(users) != 1:
        raise WebRefusal(PARAMETER, "VerifyUserList has not one entry")
    if integer(body.get("VerifyUserListSize"), -1) != len(users):
        call.breach(PARAMETER, "VerifyUserListSize is not the length of VerifyUserList")
    scenes = body.get("SceneList")
    if not isinstance(scenes, list) or integer(body.get("SceneListCount"), -1) != len(scenes) or _SCENE not in scenes:
        call.breach(PARAMETER, f"SceneList is not [{_SCENE}], or SceneListCount is wrong")
    call.check_skey(session, text(body.get("skey")), "skey in the body")
    who, ticket = text(field(users[0], "Value")), text(field(users[0], "VerifyUserTicket"))
    match integer(body.get("Opcode"), -1):
        case 2:
            person = account.world.people.get(session.wxid(who) or "")
            if person is None or person.kind not in (Relation.STRANGER, Relation.FRIEND):
                raise WebRefusal(ERR_LOGIC, "Value is nobody who could be a friend")
            greeting = text(body.get("VerifyContent"))
            account.asked.append(SentFriendRequest(person.wxid, person.name, greeting, time.time()))
            account.bell.ring()
            call.sandbox.touch()
        case 3:
            alias_id = session.wxid(who)
            stranger = next(
                (stranger for stranger in account.strangers.values() if stranger.alias_id == alias_id), None
            )
            if stranger is None or ticket not in ("", stranger.ticket):
                raise WebRefusal(TICKET, "Value and VerifyUserTicket are not those of a friend request")
            if not ticket:  # itchat never sends it
                call.breach(TICKET, "VerifyUserTicket is missing")
            socialevents.accept(call.sandbox, account, stranger)
        case _:
            raise WebRefusal(PARAMETER, "Opcode is neither 2 nor 3")
    return answer(payloads.base())


_BASE = frozenset({Role.BASE})
_POST = frozenset({HTTPMethod.POST})
ENDPOINTS = (
    WebEndpoint("webwxrevokemsg", _BASE, webwxrevokemsg, refusing(Introduction="", SysWording=""), _POST),
    WebEndpoint("webwxoplog", _BASE, webwxoplog, refusing(), _POST),
    WebEndpoint(
        "webwxcreatechatroom",
        _BASE,
        webwxcreatechatroom,
        refusing(MemberCount=0, MemberList=[], ChatRoomName=""),
        _POST,
    ),
    WebEndpoint("webwxupdatechatroom", _BASE, webwxupdatechatroom, refusing(MemberCount=0, MemberList=[]), _POST),
    WebEndpoint("webwxverifyuser", _BASE, webwxverifyuser, refusing(), _POST),
)
