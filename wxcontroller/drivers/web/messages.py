"""Entries of AddMsgList as messages (weixin-web-protocol 7). Nothing a peer can send makes this fail."""

import hashlib
import time
from dataclasses import dataclass

from wxcontroller.core.jsontypes import JsonObject, integer, obj, text
from wxcontroller.core.model import Direction, Message, MessageKind
from wxcontroller.drivers.web.decode import names_in
from wxcontroller.drivers.web.text import element, is_group, markup, plain, split_sender

TEXT, FRIEND_REQUEST, CARD, APP, STATUS_NOTIFY, NOTICE, SYSMSG = 1, 37, 42, 49, 51, 10000, 10002
# Not chat messages: the end of a call on the phone, and the service's own signals.
_SILENT = frozenset({52, 9999})
_PLACEHOLDERS = {
    3: "[图片]",
    34: "[语音]",
    43: "[视频]",
    44: "[视频]",
    47: "[表情]",
    48: "[位置]",
    50: "[通话，请在手机上查看]",
    53: "[通话，请在手机上查看]",
    62: "[小视频]",
}
_UNKNOWN = "[不支持的消息，请在手机上查看]"
_OWN_RECALLS = ("你撤回了一条消息", "You recalled a message")
_LONGEST_XML = 1 << 16


@dataclass(frozen=True, slots=True)
class Notify:
    """The phone tells which chats it has or has entered (7.8): ids worth knowing."""

    names: tuple[str, ...]


def id_of(raw: JsonObject) -> str:
    """Return a message's id; one made of its content when the server gave none."""
    given = text(raw.get("MsgId")) or text(raw.get("NewMsgId"))
    if given and given != "0":
        return given[:64]
    parts = "\0".join(text(raw.get(k)) for k in ("FromUserName", "ToUserName", "CreateTime", "MsgType", "Content"))
    return "x" + hashlib.sha256(parts.encode("utf-8", "replace")).hexdigest()[:24]


def message_of(raw: JsonObject, me: str, emoji_names: bool) -> Message | Notify | None:
    """Read one entry; None for what is not a message.

    ``me`` is the account's own UserName; ``emoji_names`` as in ``text.plain``.
    """
    kind = integer(raw.get("MsgType"))
    if kind in _SILENT:
        return None
    if kind == STATUS_NOTIFY:
        wanted = integer(raw.get("StatusNotifyCode")) in (2, 4)
        return Notify(names_in(text(raw.get("StatusNotifyUserName"))) if wanted else ())
    origin, target, content = (text(raw.get(key)) for key in ("FromUserName", "ToUserName", "Content"))
    own = origin in ("", me)
    chat = target if own else origin
    in_group = is_group(chat)
    sender = me if own else chat
    if in_group and not own:
        sender, content = ("", content) if kind == NOTICE else split_sender(content)
    body, found_kind, raw_kind = _content(raw, kind, content, emoji_names)
    if kind == SYSMSG and not own and body.startswith(_OWN_RECALLS):
        own, sender = True, me  # the phone's own recall comes as if the peer had sent it (7.7)
    created = integer(raw.get("CreateTime"))
    return Message(
        id=id_of(raw),
        chat=chat,
        is_group=in_group,
        sender=sender,
        direction=Direction.SENT_ELSEWHERE if own else Direction.RECEIVED,
        kind=found_kind,
        text=body,
        time=created if 0 < created < 1 << 40 else int(time.time()),
        raw_kind=raw_kind,
    )


def _content(raw: JsonObject, kind: int, content: str, emoji_names: bool) -> tuple[str, MessageKind, str]:
    """Return text, kind and the route's own type."""
    if kind == TEXT:
        if integer(raw.get("SubMsgType")) == 48 or "pictype=location" in content:
            name = plain(content.partition(":<br/>")[0], emoji_names)
            return f"[位置]{name}", MessageKind.OTHER, "48"
        if text(raw.get("FromUserName")) == "newsapp":
            return _UNKNOWN, MessageKind.OTHER, "1/newsapp"
        return plain(content, emoji_names), MessageKind.TEXT, "1"
    if kind == NOTICE:
        return plain(content, emoji_names), MessageKind.NOTICE, "10000"
    raw_kind = str(kind)
    xml = markup(content[:_LONGEST_XML])
    if kind == APP:
        shown, app = _app(raw, xml, emoji_names)
        return shown, MessageKind.OTHER, f"{raw_kind}/{app}"
    if kind == SYSMSG:
        words = element(xml, "replacemsg", emoji_names) or element(xml, "plain", emoji_names)
        return words or _UNKNOWN, MessageKind.OTHER, raw_kind
    if kind in (FRIEND_REQUEST, CARD):
        who = obj(raw.get("RecommendInfo"))
        name = plain(text(who.get("NickName")), emoji_names)
        if kind == CARD:
            return f"[名片]{name}", MessageKind.OTHER, raw_kind
        greeting = plain(text(who.get("Content")), emoji_names)
        return f"[好友请求]{name}: {greeting}" if greeting else f"[好友请求]{name}", MessageKind.OTHER, raw_kind
    return _PLACEHOLDERS.get(kind, _UNKNOWN), MessageKind.OTHER, raw_kind


def _app(raw: JsonObject, xml: str, emoji_names: bool) -> tuple[str, int]:
    """Return what to show of an app message, and its type: the XML's is newer than the JSON's (7.4)."""
    app = integer(element(xml, "type", emoji_names), integer(raw.get("AppMsgType")))
    title = plain(text(raw.get("FileName")), emoji_names) or element(xml, "title", emoji_names)
    description = element(xml, "des", emoji_names)
    address = plain(text(raw.get("Url")), emoji_names)
    match app:
        case 6:
            return f"[文件]{title}", app
        case 2:
            return "[图片]", app
        case 8 | 15:
            return "[表情]", app
        case 2000:
            return f"[转账]({description})", app
        case 5:
            lines = [title, description, element(xml, "appname", emoji_names), address]
        case _:
            lines = [title, address]
    return "\n".join(line for line in lines if line) or _UNKNOWN, app
