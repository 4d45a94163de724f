"""Bodies of the reports to post_api (openwx-api 3.2, 3.3): the original's fields, all of them, always."""

import base64
from dataclasses import dataclass

from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.model import Contact, Direction, FriendRequest, Group, Member, Message, MessageKind
from wxcontroller.openwx import media
from wxcontroller.openwx.formats import shape
from wxcontroller.openwx.media import MediaFacts
from wxcontroller.openwx.objects import (
    UNKNOWN_GROUP,
    UNKNOWN_PERSON,
    category,
    friend_displayname,
    group_displayname,
    member_displayname,
    uid_of,
    user_displayname,
)


def event(name: str, *params: JsonValue) -> JsonObject:
    """An event report: login, stop, state_change, …"""
    return {"post_type": "event", "event": name, "params": list(params)}


def qrcode_event(path: str, image: bytes) -> JsonObject:
    """input_qrcode: the local path and the JPEG as base64 in lines of 76 with a final newline."""
    return event("input_qrcode", path, base64.encodebytes(image).decode("ascii"))


def friend_request(request: FriendRequest) -> JsonObject:
    return event("friend_request", request.id, request.name, request.greeting, request.ticket)


@dataclass(frozen=True, slots=True)
class Chat:
    """Who a message is between, as far as the roster knows them.

    In a friend's chat ``friend`` is the other side; in a group ``group`` is set and ``member`` is the sender.
    """

    me: Contact
    friend: Contact | None = None
    group: Group | None = None
    member: Member | None = None


@dataclass(frozen=True, slots=True)
class SendResult:
    """How a send of ours ended.

    ``code`` is WeChat's code, 0 for success, -5 when it never went out. ``status`` is the contract's word for it,
    ``info`` says what is known.
    """

    message_id: str
    local_id: str
    target: str
    is_group: bool
    content: str
    time: int
    code: int
    status: str
    info: str
    attempts_left: int
    media: MediaFacts | None = None
    origin: str = "api"  # "code": a webhook's reply

    @property
    def handle(self) -> str:
        """The contract's id of a sent message, good for revoking it: ``<msgid>:<receiver or group>``."""
        return f"{self.message_id}:{self.target}" if self.message_id else self.local_id


def received(message: Message, chat: Chat, facts: MediaFacts | None = None) -> JsonObject:
    """Report of a message that arrived, or that another device of the account sent; ``facts`` are of its media."""
    own_revoke = message.kind is MessageKind.REVOKE and bool(chat.me.id) and message.sender == chat.me.id
    outer = message.direction is Direction.SENT_ELSEWHERE or own_revoke
    form = shape(message, facts)
    body: JsonObject = {
        "post_type": "send_message" if outer else "receive_message",
        "id": message.id,
        "type": _type(message),
        "class": "send" if outer else "recv",
        "format": form.format,
        "time": message.time or "",
        "content": form.content,
        **form.fields,
    }
    if outer:
        body.update(source="outer", code="", msg="发送成功", info="来自其他设备")
    _add_sides(body, message, chat, outer)
    return body


def sent(result: SendResult, chat: Chat) -> JsonObject:
    """Report of a send through the API, also of a failed one."""
    body: JsonObject = {
        "post_type": "send_message",
        "id": result.handle,
        "uid": result.local_id,
        "type": "group_message" if result.is_group else "friend_message",
        "class": "send",
        "format": "media" if result.media else "text",
        "time": result.time,
        "content": media.content_of(result.media) if result.media else result.content,
        "source": "local",
        "from": result.origin,
        "code": result.code or "",
        "msg": "发送成功" if result.code == 0 else "发送失败",
        "info": result.info,
        "ttl": result.attempts_left or "",
    }
    if result.media:
        body.update(media.fields(result.media, own=True))
    return {**body, **sent_sides(result.is_group, result.target, chat)}


def sent_sides(is_group: bool, target: str, chat: Chat) -> JsonObject:
    """Return the part of a send's report that says who it is between."""
    if is_group:
        return {**_sender(chat.me), "receiver_id": "", **_group(chat.group, target, chat.me.id)}
    return {**_sender(chat.me), "group_id": "", **_receiver(chat.friend, target)}


def _type(message: Message) -> str:
    if not message.is_group:
        return "friend_message"
    return "group_notice" if message.kind is MessageKind.NOTICE else "group_message"


def _add_sides(body: JsonObject, message: Message, chat: Chat, outer: bool) -> None:
    if message.is_group:
        body.update(_group(chat.group, message.chat, chat.me.id))
        if body["type"] == "group_message":
            body.update(_sender(chat.me) if outer else _member(chat.member, message.sender))
        if not outer:
            body.update(_receiver_me(chat.me))
    elif outer:
        body.update(_sender(chat.me))
        body.update(_receiver(chat.friend, message.chat))
    else:
        body.update(_friend_sender(chat.friend, message.sender))
        body.update(_receiver_me(chat.me))


def _sender(me: Contact) -> JsonObject:
    return {
        "sender_id": me.id,
        "sender": user_displayname(me),
        "sender_account": me.account,
        "sender_name": me.name,
        "sender_markname": me.markname,
        "sender_uid": uid_of(me.uid),
    }


def _friend_sender(friend: Contact | None, sender: str) -> JsonObject:
    if friend is None:
        return {
            "sender_id": sender,
            "sender": UNKNOWN_PERSON,
            "sender_account": None,
            "sender_name": None,
            "sender_markname": None,
            "sender_uid": "",
            "sender_category": "好友",
        }
    return {
        "sender_id": friend.id,
        "sender": friend_displayname(friend),
        "sender_account": friend.account,
        "sender_name": friend.name,
        "sender_markname": friend.markname,
        "sender_uid": uid_of(friend.uid),
        "sender_category": category(friend),
    }


def _member(member: Member | None, sender: str) -> JsonObject:
    if member is None:
        return {
            "sender_id": sender,
            "sender": UNKNOWN_PERSON,
            "sender_account": None,
            "sender_name": None,
            "sender_markname": None,
            "sender_uid": "",
        }
    return {
        "sender_id": member.id,
        "sender": member_displayname(member),
        "sender_account": member.account,
        "sender_name": "",
        "sender_markname": member.nickname,
        "sender_uid": uid_of(member.uid),
    }


def _receiver_me(me: Contact) -> JsonObject:
    return {
        "receiver_id": me.id,
        "receiver": user_displayname(me),
        "receiver_account": me.account,
        "receiver_uid": uid_of(me.uid),
        "receiver_name": me.name,
        "receiver_markname": me.markname,
    }


def _receiver(friend: Contact | None, target: str) -> JsonObject:
    return {
        "receiver_id": target,
        "receiver": friend_displayname(friend) if friend else UNKNOWN_PERSON,
        "receiver_account": friend.account if friend else None,
        "receiver_uid": uid_of(friend.uid) if friend else "",
        "receiver_name": friend.name if friend else None,
        "receiver_markname": friend.markname if friend else None,
    }


def _group(group: Group | None, target: str, me: str) -> JsonObject:
    return {
        "group_id": target,
        "group": group_displayname(group, me) if group else UNKNOWN_GROUP,
        "group_name": group.name if group else None,
        "group_uid": uid_of(group.uid) if group else "",
    }
