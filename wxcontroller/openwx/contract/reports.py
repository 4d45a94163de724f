"""Bodies of the reports to post_api (openwx-api 3.2, 3.3): the original's fields, all of them, always."""

import base64
from dataclasses import dataclass, field, replace

from wxcontroller.core.condition.verdict import SendState, Verdict
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.model import (
    Contact,
    ContactKind,
    Direction,
    FriendRequest,
    Group,
    Member,
    Message,
    MessageKind,
)
from wxcontroller.openwx.contract import media
from wxcontroller.openwx.contract.formats import shape
from wxcontroller.openwx.contract.media import MediaFacts
from wxcontroller.openwx.contract.objects import (
    CATEGORIES,
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
    """The people of a message, as far as the roster knows them.

    In a friend's chat ``friend`` is the other side; in a group ``group`` is set and ``member`` is the sender.
    """

    me: Contact
    friend: Contact | None = None
    group: Group | None = None
    member: Member | None = None


@dataclass(frozen=True, slots=True)
class SendResult:
    """The result of a send.

    ``with_state``: on a route whose reports also have ``state`` and ``refusal``. ``quote`` describes the quoted
    message.
    """

    verdict: Verdict
    local_id: str
    target: str
    is_group: bool
    content: str
    time: int
    attempts_left: int
    media: MediaFacts | None = None
    origin: str = "api"  # "code": a webhook's reply
    with_state: bool = False
    quote: JsonObject = field(default_factory=dict)

    @property
    def handle(self) -> str:
        """The contract's id of a sent message, good for revoking it: ``<msgid>:<receiver or group>``."""
        return f"{message_id}:{self.target}" if (message_id := self.verdict.message_id) else self.local_id

    @property
    def state(self) -> JsonObject:
        """State and cause for programs, where reports have them."""
        if not self.with_state:
            return {}
        found: JsonObject = {"state": self.verdict.state.value}
        return {**found, "refusal": self.verdict.cause} if self.verdict.state is SendState.REFUSED else found


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
    add_sides(body, message, chat, outer)
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
        "code": (code := result.verdict.openwx_code) or "",
        "msg": "发送成功" if code == 0 else "发送失败",
        "info": result.verdict.openwx_info,
        "ttl": result.attempts_left or "",
        **result.state,
        **result.quote,
    }
    if result.media:
        body.update(media.fields(result.media, own=True))
    return {**body, **sent_sides(result.is_group, result.target, chat)}


def sent_sides(is_group: bool, target: str, chat: Chat) -> JsonObject:
    """Return the sender and receiver fields of a send's report."""
    if is_group:
        return {**_me("sender", chat, is_group), "receiver_id": "", **_group(chat.group, target, chat.me.id)}
    return {**_me("sender", chat, is_group), "group_id": "", **_friend("receiver", chat.friend, target)}


def _type(message: Message) -> str:
    if not message.is_group:
        return "friend_message"
    return "group_notice" if message.kind is MessageKind.NOTICE else "group_message"


def add_sides(body: JsonObject, message: Message, chat: Chat, outer: bool) -> None:
    if not outer:
        body.update(_me("receiver", chat, message.is_group))
    elif body["type"] != "group_notice":
        body.update(_me("sender", chat, message.is_group))
    if message.is_group:
        body.update(_group(chat.group, message.chat, chat.me.id))
        if not outer and body["type"] == "group_message":
            body.update(_member("sender", chat.member, message.sender))
    elif outer:
        body.update(_friend("receiver", chat.friend, message.chat))
    else:
        body.update(_friend("sender", chat.friend, message.sender))
        body["sender_category"] = category(chat.friend) if chat.friend else CATEGORIES[ContactKind.FRIEND]


def _me(role: str, chat: Chat, is_group: bool) -> JsonObject:
    """Return oneself as ``role``; in a group as a member, like the original."""
    me = chat.me
    if not is_group:
        return side(role, me.id, user_displayname(me), me.account, me.name, me.markname, me.uid)
    members = chat.group.members if chat.group else ()
    oneself = next((member for member in members if member.id == me.id), Member(me.id, me.name, account=me.account))
    return _member(role, replace(oneself, uid=oneself.uid or me.uid), me.id)


def _friend(role: str, friend: Contact | None, identifier: str) -> JsonObject:
    if friend is None:
        return side(role, identifier, UNKNOWN_PERSON)
    name = friend_displayname(friend)
    return side(role, friend.id, name, friend.account, friend.name, friend.markname, friend.uid)


def _member(role: str, member: Member | None, identifier: str) -> JsonObject:
    if member is None:
        return side(role, identifier, UNKNOWN_PERSON)
    return side(role, member.id, member_displayname(member), member.account, "", member.nickname, member.uid)


def side(
    role: str,
    identifier: str,
    displayname: str,
    account: str | None = None,
    name: str | None = None,
    markname: str | None = None,
    uid: int = 0,
) -> JsonObject:
    return {
        f"{role}_id": identifier,
        role: displayname,
        f"{role}_account": account,
        f"{role}_name": name,
        f"{role}_markname": markname,
        f"{role}_uid": uid_of(uid),
    }


def _group(group: Group | None, target: str, me: str) -> JsonObject:
    return {
        "group_id": target,
        "group": group_displayname(group, me) if group else UNKNOWN_GROUP,
        "group_name": group.name if group else None,
        "group_uid": uid_of(group.uid) if group else "",
    }
