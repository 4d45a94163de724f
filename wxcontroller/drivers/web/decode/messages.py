"""Entries of AddMsgList as messages (weixin-web-protocol 7). Nothing a peer can send makes this fail."""

import hashlib
import time
from dataclasses import dataclass

from wxcontroller.core.jsontypes import JsonObject, integer, obj, text
from wxcontroller.core.model import Direction, FriendRequest, Message, MessageKind
from wxcontroller.drivers.web.decode import markup
from wxcontroller.drivers.web.decode.answers import names_in
from wxcontroller.drivers.web.decode.contents import FRIEND_REQUEST, NOTICE, TEXT, content_of
from wxcontroller.drivers.web.decode.text import is_group, plain, plain_mentions, plain_name, split_sender

STATUS_NOTIFY = 51
# Not chat messages: the end of a call on the phone, and internal signals of the service.
_SILENT = frozenset({52, 9999})


@dataclass(frozen=True, slots=True)
class Notify:
    """The phone's list of its chats or the one it opened (7.8): ids worth knowing, some with their real id."""

    names: tuple[str, ...]
    real: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class IncomingFriendRequest:
    """A friend request; ``id`` is the same each time WeChat repeats it, ``message_id`` is this time's."""

    id: str
    request: FriendRequest
    message_id: str


def id_of(raw: JsonObject) -> str:
    """Return a message's id, derived from its content if the server gave none."""
    number = text(raw.get("MsgId")) or text(raw.get("NewMsgId"))
    if number and number != "0":
        return number[:64]
    parts = "\0".join(text(raw.get(k)) for k in ("FromUserName", "ToUserName", "CreateTime", "MsgType", "Content"))
    return "x" + hashlib.sha256(parts.encode("utf-8", "replace")).hexdigest()[:24]


def message_of(raw: JsonObject, me: str, emoji_names: bool) -> Message | Notify | IncomingFriendRequest | None:
    """Read one entry; None if it is not a chat message.

    ``me`` is the account's own UserName; ``emoji_names`` as in ``text.plain``. A message that revokes "0" revokes
    the last one that the account sent in that chat.
    """
    kind = integer(raw.get("MsgType"))
    if kind in _SILENT:
        return None
    if kind == STATUS_NOTIFY:
        wanted = integer(raw.get("StatusNotifyCode")) in (2, 4)
        return notify(raw) if wanted else Notify(())
    origin, target, content = (text(raw.get(key)) for key in ("FromUserName", "ToUserName", "Content"))
    if kind == FRIEND_REQUEST:
        return read_friend_request(raw, content, me, emoji_names)
    own = origin in ("", me)
    chat = target if own else origin
    in_group = is_group(chat)
    sender = me if own else chat
    if in_group and not own:
        sender, content = ("", content) if kind == NOTICE else split_sender(content)
    if in_group and kind == TEXT:
        content = plain_mentions(content)
    message_id = id_of(raw)
    found = content_of(raw, kind, message_id, content, emoji_names)
    if found.own and not own:
        own, sender = True, me  # the phone's own recall comes as if the peer had sent it (7.7)
    elif in_group and found.kind is MessageKind.NOTICE:
        own, sender = False, ""  # WeChat's notices, also about actions on the phone
    created = integer(raw.get("CreateTime"))
    return Message(
        id=message_id,
        chat=chat,
        is_group=in_group,
        sender=sender,
        direction=Direction.SENT_ELSEWHERE if own else Direction.RECEIVED,
        kind=found.kind,
        text=found.text,
        time=created if 0 < created < 1 << 40 else int(time.time()),
        raw_kind=found.raw_kind,
        media=found.media,
        app=found.app,
        card=found.card,
        place=found.place,
        revoked=found.revoked,
    )


def notify(raw: JsonObject) -> Notify:
    """Read a list of chats. Its Content names the same ones by their real ids, in the same order if at all (6.5)."""
    joined = text(raw.get("StatusNotifyUserName"))
    names = joined.split(",")
    content = markup.read(text(raw.get("Content")), False)
    real = content.text("op/username").split(",")
    pairs = tuple(zip(names, real, strict=False)) if len(names) == len(real) else ()
    believed = all(
        is_group(name) == is_group(other) if name.startswith("@") else name == other for name, other in pairs
    )
    found = tuple(pair for pair in pairs if pair[0].startswith("@") and 0 < len(pair[1]) <= 100)
    return Notify(names_in(joined), found if believed else ())


def read_friend_request(raw: JsonObject, content: str, me: str, emoji_names: bool) -> IncomingFriendRequest | None:
    """Read a request to be a friend (7.6); None for one's own."""
    who, xml = obj(raw.get("RecommendInfo")), markup.read(content, emoji_names)
    request = FriendRequest(
        id=text(who.get("UserName")) or xml.attribute("msg", "encryptusername", "fromusername"),
        name=plain_name(text(who.get("NickName")), emoji_names) or xml.attribute("msg", "fromnickname"),
        greeting=plain(text(who.get("Content")), emoji_names) or xml.attribute("msg", "content"),
        ticket=text(who.get("Ticket")) or xml.attribute("msg", "ticket"),
    )
    # It may come again with every login (7.6). The ticket itself must not be stored.
    digest = "t" + hashlib.sha256(request.ticket.encode("utf-8", "replace")).hexdigest()[:24]
    message_id = id_of(raw)
    return (
        None
        if request.id == me
        else IncomingFriendRequest(digest if request.ticket else message_id, request, message_id)
    )
