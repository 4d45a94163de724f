"""The server's JSON responses (6.3, 7.1, 11), made from the sandbox's types."""

import time

from wxcontroller.core.jsontypes import JsonObject, JsonValue, obj, text
from wxcontroller.sandbox.media.webmarkup import encode
from wxcontroller.sandbox.world.phone import ServerAccount
from wxcontroller.sandbox.world.websession import ContactChanged, ContactGone, ServerMessage, ServerSession
from wxcontroller.sandbox.world.world import Person, Relation, ServerGroup, ServerMember

_CGI = "/cgi-bin/mmwebwx-bin"
# Fields of everybody: of oneself in webwxinit, and of people and groups.
_TEXTS = "UserName NickName HeadImgUrl RemarkName PYInitial PYQuanPin RemarkPYInitial RemarkPYQuanPin Signature"
_NUMBERS = "Uin HideInputBarFlag StarFriend Sex AppAccountFlag VerifyFlag ContactFlag SnsFlag"
# Further ones of people and groups.
_CONTACT_TEXTS = "Province City Alias DisplayName KeyWord EncryChatRoomId"
_CONTACT_NUMBERS = "MemberCount OwnerUin Statues AttrStatus UniFriend ChatRoomId IsOwner"


def base(ret: int = 0) -> JsonObject:
    """Return a response with only a BaseResponse."""
    return {"BaseResponse": {"Ret": ret, "ErrMsg": "操作太频繁，请稍后再试。" if ret == 1205 else ""}}


def zero(texts: str, numbers: str) -> JsonObject:
    """Return fields with zero values, by their names."""
    blank: JsonObject = dict.fromkeys(texts.split(), "")
    return blank | dict.fromkeys(numbers.split(), 0)


def no_contact() -> JsonObject:
    """Return a person or group with zero values."""
    return {**zero(f"{_TEXTS} {_CONTACT_TEXTS}", f"{_NUMBERS} {_CONTACT_NUMBERS}"), "MemberList": []}


def person_head(session: ServerSession, person: Person, skey: str = "") -> str:
    """Return a person's HeadImgUrl."""
    username = session.username(person.wxid)
    return f"{_CGI}/webwxgeticon?seq={person.head_seq}&username={username}&skey={skey}"


def contact(session: ServerSession, person: Person) -> JsonObject:
    """Return a person as in the address book and batch-get."""
    special = person.kind is Relation.SPECIAL
    return {
        **no_contact(),
        "Uin": session.uin if person.kind is Relation.SELF else 0,
        "UserName": session.username(person.wxid),
        "NickName": encode(person.name),
        "HeadImgUrl": person_head(session, person, session.skey),
        "ContactFlag": person.contact_flag,
        "RemarkName": encode(person.remark),
        "HideInputBarFlag": int(person.wxid == "newsapp"),
        "Sex": person.sex,
        "Signature": encode(person.signature),
        "VerifyFlag": person.verify,
        "PYInitial": person.pinyin[:1].upper(),
        "PYQuanPin": person.pinyin,
        "RemarkPYInitial": person.remark_pinyin[:1].upper(),
        "RemarkPYQuanPin": person.remark_pinyin,
        "StarFriend": person.star,
        "AttrStatus": person.attr,
        "Province": person.province,
        "City": person.city,
        "Alias": person.alias,
        "SnsFlag": person.sns,
        "KeyWord": person.wxid[:3] if special or person.kind is Relation.OFFICIAL else person.alias[:3],
    }


def group(session: ServerSession, account: ServerAccount, room: ServerGroup, members: bool) -> JsonObject:
    """Return a group; ``members`` False for the address book, where lists are empty."""
    username = session.username(room.wxid)
    listed: list[JsonValue] = [member(session, account, m) for m in room.members] if members else []
    return {
        **no_contact(),
        "UserName": username,
        "NickName": encode(room.name),
        "HeadImgUrl": f"{_CGI}/webwxgetheadimg?seq={room.head_seq}&username={username}&skey=",
        "ContactFlag": (3 if room.saved else 2) | (0x800 if room.pinned else 0),
        "MemberCount": len(listed),
        "MemberList": listed,
        "Statues": 0 if room.muted else 1,
        "EncryChatRoomId": session.room_id(room.wxid) if members else "",
        "IsOwner": int(room.owner == account.wxid),
    }


def group_at_init(session: ServerSession, account: ServerAccount, room: ServerGroup) -> JsonObject:
    """Return a group as in webwxinit: members without names, which is useless (5.1)."""
    shape = group(session, account, room, members=True)
    shape["MemberList"] = [
        {**member(session, account, m), "NickName": "", "DisplayName": "", "AttrStatus": 0, "KeyWord": ""}
        for m in room.members
    ]
    shape["EncryChatRoomId"] = ""
    return shape


def member(session: ServerSession, account: ServerAccount, place: ServerMember) -> JsonObject:
    """Return an entry of a group's MemberList."""
    person = account.world.people[place.wxid]
    return {
        **zero("PYInitial PYQuanPin RemarkPYInitial RemarkPYQuanPin", "Uin MemberStatus"),
        "UserName": session.username(person.wxid),
        "NickName": encode(person.name),
        "AttrStatus": person.attr,
        "DisplayName": encode(place.display),
        "KeyWord": person.alias[:3],
    }


def myself(session: ServerSession, me: Person) -> JsonObject:
    """Return ``User`` of webwxinit: no Alias, Province or City in it."""
    return {
        **nobody(),
        "Uin": session.uin,
        "UserName": session.username(me.wxid),
        "NickName": encode(me.name),
        "HeadImgUrl": person_head(session, me),
        "Sex": me.sex,
        "Signature": encode(me.signature),
        "HeadImgFlag": 1,
        "SnsFlag": me.sns,
    }


def nobody() -> JsonObject:
    """Return ``User`` with zero values."""
    return zero(_TEXTS, f"{_NUMBERS} WebWxPluginSwitch HeadImgFlag")


def message(session: ServerSession, account: ServerAccount, event: ServerMessage) -> JsonObject:
    """Return an entry of AddMsgList."""
    me = account.wxid
    outgoing = event.sender == me
    content = event.content
    if event.peer.endswith("@chatroom") and not outgoing and event.sender != event.peer:
        content = f"{session.username(event.sender)}:<br/>{content}"
    texts = "FileName FileSize MediaId Url Ticket OriContent EncryFileName"
    numbers = "VoiceLength PlayLength AppMsgType ForwardFlag HasProductId ImgHeight ImgWidth SubMsgType"
    shown: JsonObject = {
        **zero(texts, numbers),
        "MsgId": str(event.msg_id),
        "FromUserName": session.username(me if outgoing else event.peer),
        "ToUserName": session.username(event.peer if outgoing else me),
        "MsgType": event.msg_type,
        "Content": content,
        "Status": 3,
        "ImgStatus": 1,
        "CreateTime": event.time,
        "StatusNotifyCode": event.notify_code,
        "StatusNotifyUserName": ",".join(session.username(wxid) for wxid in event.notify),
        "RecommendInfo": no_recommendation(),
        "AppInfo": {"AppID": "", "Type": 0},
        "NewMsgId": event.msg_id,
    }
    shown |= event.fields
    if info := obj(event.fields.get("RecommendInfo")):
        shown["RecommendInfo"] = no_recommendation() | info | {"UserName": session.meet(text(info.get("UserName")))}
    return shown


def no_recommendation() -> JsonObject:
    """Return RecommendInfo with zero values."""
    texts = "UserName NickName Province City Content Signature Alias Ticket"
    return zero(texts, "QQNum Scene VerifyFlag AttrStatus Sex OpCode")


def changed(session: ServerSession, account: ServerAccount, event: ContactChanged) -> JsonObject | None:
    """Return an entry of ModContactList, a partial object; None for a person removed since."""
    room = account.world.groups.get(event.wxid)
    person = account.world.people.get(event.wxid)
    if room is not None:
        full = group(session, account, room, members=True)
        full["ChatRoomOwner"] = session.username(room.owner)
    elif person is not None:
        full = contact(session, person)
    else:
        return None
    for absent in ("Uin", "PYInitial", "PYQuanPin", "RemarkPYInitial", "RemarkPYQuanPin", "UniFriend", "IsOwner"):
        del full[absent]
    return full | {"HeadImgUpdateFlag": 1, "ContactType": 0}


def gone(session: ServerSession, event: ContactGone) -> JsonObject:
    """Return an entry of DelContactList."""
    return {"UserName": session.username(event.wxid), "ContactFlag": 0}


def init(account: ServerAccount | None, session: ServerSession | None, ret: int = 0) -> JsonObject:
    """Return webwxinit's answer; without a session, all fields have zero values (11.2)."""
    numbers = "Count ClientVersion SystemTime GrayScale InviteStartCount MPSubscribeMsgCount ClickReportInterval"
    answer: JsonObject = {
        **base(ret),
        **zero("ChatSet SKey", numbers),
        "ContactList": [],
        "SyncKey": no_key(),
        "User": nobody(),
        "MPSubscribeMsgList": [],
    }
    if account is None or session is None:
        return answer
    world = account.world
    chats: list[JsonValue] = []
    chat_set: list[str] = []
    for wxid in world.recent:
        room = world.groups.get(wxid)
        if room is not None and room.seen.value in ("saved", "init"):
            chats.append(group_at_init(session, account, room))
        elif room is None:
            chats.append(contact(session, world.people[wxid]))
        if room is None or room.seen.value != "notify":
            chat_set.append(session.username(wxid))
    answer |= {
        "Count": len(chats[:10]),
        "ContactList": chats[:10],
        "SyncKey": session.fresh_sync_key(),
        "User": myself(session, world.me),
        "ChatSet": "".join(f"{username}," for username in chat_set),
        "SKey": session.skey,
        "ClientVersion": 671090481,
        "SystemTime": int(time.time()),
        "GrayScale": 1,
        "InviteStartCount": 40,
        "ClickReportInterval": 600000,
    }
    official = next((p for p in world.people.values() if p.kind is Relation.OFFICIAL), None)
    if official is not None:
        article: JsonObject = {
            "Title": "标题 &amp; 副标题",
            "Digest": "摘要",
            "Cover": "http://example.invalid/c.jpg",
            "Url": "http://example.invalid/a?x=1&y=2",
        }
        answer["MPSubscribeMsgCount"] = 1
        answer["MPSubscribeMsgList"] = [
            {
                "UserName": session.username(official.wxid),
                "MPArticleCount": 1,
                "MPArticleList": [article],
                "Time": int(time.time()) - 3600,
                "NickName": encode(official.name),
            }
        ]
    return answer


def no_key() -> JsonObject:
    """Return the empty SyncKey."""
    return {"Count": 0, "List": []}


def sync(ret: int = 0) -> JsonObject:
    """Return an empty response of webwxsync."""
    return {
        **base(ret),
        **zero("SKey", "AddMsgCount ModContactCount DelContactCount ModChatRoomMemberCount ContinueFlag"),
        "AddMsgList": [],
        "ModContactList": [],
        "DelContactList": [],
        "ModChatRoomMemberList": [],
        "Profile": {
            **zero("Alias HeadImgUrl Signature", "BitFlag BindUin Status Sex PersonalCard HeadImgUpdateFlag"),
            **{name: {"Buff": ""} for name in ("UserName", "NickName", "BindEmail", "BindMobile")},
        },
        "SyncKey": no_key(),
        "SyncCheckKey": no_key(),
    }


def conversation_list(account: ServerAccount) -> tuple[str, tuple[str, ...]]:
    """Return the content and people of the status notification that lists the conversations (7.8)."""
    listed = tuple(account.world.recent)
    lines = ("<msg>", "<op id='4'>", f"<username>{','.join(listed)}</username>", "<unreadchatlist>")
    return encode("\n".join((*lines, "</unreadchatlist>", "</op>", "</msg>"))), listed
