"""Reports of the event log as messages of the iLink API, for every route (ilink-bot-protocol 20.4).

Reports are an account's permanent record of a message. They hold ids of one login, which ``ids`` replaces by lasting
ones, and paths of content, which ``cdn`` replaces by links.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from wxcontroller.client.ilink.agentcdn import Cdn, OfferedContent
from wxcontroller.client.ilink.consumerbook import Consumer, GroupMessages
from wxcontroller.client.ilink.contexts import token_for
from wxcontroller.client.ilink.ids import Ids
from wxcontroller.client.ilink.sealing import Seals
from wxcontroller.client.store.tables.eventtables import Entry
from wxcontroller.core.jsontypes import JsonObject, integer, kept_json, text
from wxcontroller.core.model import ContactKind, MessageKind
from wxcontroller.openwx.contract.media import LABELS, split_id
from wxcontroller.openwx.contract.objects import CATEGORIES

# Of the event log; own sends and notices in groups may share types and are distinguished by their reports.
TYPES = ("friend_message", "group_message")
_USER, _BOT, _FINISHED = 1, 2, 2
# Encodings of voice (7.1): MP3 on the web route; WeChat's have a type.
_ENCODINGS = {"audio/silk": 6, "audio/amr": 5}
_MP3 = 7
# WeChat's own notices in formats that are not decoded (weixin-web-protocol 7.7).
_SYSTEM = "10002"
_UNKNOWN = "[不支持的消息，请在手机上查看]"
_ITEMS = {
    MessageKind.IMAGE: "image",
    MessageKind.EMOTICON: "image",
    MessageKind.VIDEO: "video",
    MessageKind.MICROVIDEO: "video",
    MessageKind.VOICE: "voice",
    MessageKind.FILE: "file",
}
_KINDS = {kind.value: kind for kind in _ITEMS}


@dataclass(frozen=True, slots=True)
class MessageMapping:
    """Makes messages for consumers."""

    account: str
    ids: Ids
    seals: Seals
    cdn: Cdn

    def message(
        self, entry: Entry, consumer: Consumer, origin: str, play_times: Mapping[str, int]
    ) -> JsonObject | None:
        """Return an entry as a consumer gets it, None if it is not for the consumer; ``origin`` is the base URL of
        links. ``play_times`` are durations of voice messages, by ``voice_of``. The ids in the message may be new: see
        ``Ids.stored``.
        """
        report, options = kept_json(entry.body), consumer.options
        if report.get("format") == "revoke" or text(report.get("raw_kind")).startswith(_SYSTEM):
            return None
        own = report.get("post_type") == "send_message"
        if own and not (options.own and report.get("source") == "outer"):
            return None
        is_group = entry.type == "group_message"
        if not is_group and report.get("sender_category") == CATEGORIES[ContactKind.OFFICIAL] and not options.public:
            return None
        peer, group = self._sides(report, own, is_group)
        mentioned = is_group and mentions(report)
        if is_group:
            if not options.allows_group(group) or (options.groups is GroupMessages.AT and not mentioned):
                return None
        elif not options.allows(peer):
            return None
        author = consumer.bot_id if own else peer
        return {
            "seq": entry.seq,
            "message_id": number_of(text(report.get("id"))),
            "from_user_id": author,
            "to_user_id": consumer.bot_id if author == peer else peer,
            "client_id": hashlib.sha256(f"{entry.id} {consumer.bot_id}".encode()).hexdigest()[:32],
            "create_time_ms": integer(report.get("time")) * 1000,
            "update_time_ms": integer(report.get("time")) * 1000,
            "delete_time_ms": 0,
            "session_id": group,
            "group_id": group,
            "message_type": _BOT if own else _USER,
            "message_state": _FINISHED,
            "item_list": [self._item(entry, report, consumer, origin, play_times)],
            "context_token": token_for(self.seals, consumer, entry.seq, entry.time, peer, group),
            "openwx": {
                "account": self.account,
                "sender_name": text(report.get("sender")),
                "group_name": text(report.get("group")) if is_group else "",
                "at_me": mentioned,
                "event": entry.id,
            },
        }

    def _sides(self, report: JsonObject, own: bool, is_group: bool) -> tuple[str, str]:
        """Return the ids of the person and of the group ("" for a private message)."""
        role = "receiver" if own else "sender"
        peer = (
            self.ids.of(text(report.get(f"{role}_id")), report.get(f"{role}_uid")) if not own or not is_group else ""
        )
        if not is_group:
            return peer, ""
        group = self.ids.of(text(report.get("group_id")), report.get("group_uid"), is_group=True)
        return peer or group, group

    def _item(
        self, entry: Entry, report: JsonObject, consumer: Consumer, origin: str, play_times: Mapping[str, int]
    ) -> JsonObject:
        kind = _KINDS.get(text(report.get("media_type"))) if report.get("format") == "media" else None
        item = _text(_words(report))
        if kind is not None:
            offered = self.cdn.offered(entry, report, consumer, origin)
            playtime = play_times.get(media_key(report), 0)
            item = _media(kind, report, offered, playtime) if offered else _text(missing(kind, report))
        times: JsonObject = {
            name: integer(report.get("time")) * 1000 for name in ("create_time_ms", "update_time_ms")
        }
        quote = _quote(report)
        return {
            **item,
            **times,
            "is_completed": True,
            "msg_id": text(report.get("id")),
            **({"ref_msg": quote} if quote else {}),
        }


def voice_of(entry: Entry) -> str:
    """Return the id under which the content of a voice message is known, "" for other entries."""
    report = kept_json(entry.body) if b"voice" in entry.body else {}
    return media_key(report) if report.get("media_type") == MessageKind.VOICE.value else ""


def number_of(identifier: str) -> int:
    """Return a message's id as a number: WeChat's own if it is one of 64 bits, else one derived from it."""
    if identifier.isascii() and identifier.isdecimal() and len(identifier) <= 20:
        number = int(identifier)
        if number < 1 << 64:
            return number
    return int.from_bytes(hashlib.sha256(identifier.encode("utf-8", "replace")).digest()[:8]) >> 1


def _text(words: str) -> JsonObject:
    return {"type": 1, "text_item": {"text": words}}


def _words(report: JsonObject) -> str:
    """Return a message as text; of links their title and address."""
    if report.get("format") == "app" and (title := text(report.get("app_title"))):
        url = text(report.get("app_url"))
        return f"{title}\n{url}" if url else title
    return text(report.get("content")) or _UNKNOWN


def missing(kind: MessageKind, report: JsonObject) -> str:
    """Return the placeholder text for missing content. Store emoticons never have content."""
    transcript = text(report.get("media_text"))
    if kind is MessageKind.EMOTICON and not text(report.get("media_error")):
        return LABELS[kind]
    if transcript:
        return transcript
    name = text(report.get("media_name"))
    return f"{LABELS[kind]}{f' {name}' if name else ''} (content not available)"


def media_key(report: JsonObject) -> str:
    return split_id(text(report.get("media_id")))[0]


def _media(kind: MessageKind, report: JsonObject, offered: OfferedContent, playtime: int) -> JsonObject:
    """Return the item of content that is offered (7.1)."""
    match _ITEMS[kind]:
        case "image":
            image: JsonObject = {"media": offered.media, "aeskey": offered.key, "mid_size": offered.cipher_size}
            return {"type": 2, "image_item": image}
        case "video":
            return {"type": 5, "video_item": {"media": offered.media, "video_size": offered.cipher_size}}
        case "voice":
            encoding = _ENCODINGS.get(text(report.get("media_mime")), _MP3)
            voice: JsonObject = {"media": offered.media, "encode_type": encoding, "size": offered.size}
            if playtime:
                voice["playtime"] = playtime
            if transcript := text(report.get("media_text")):
                voice["text"] = transcript
            return {"type": 3, "voice_item": voice}
        case _:
            name = text(report.get("media_name")) or f"file.{text(report.get('media_ext')) or 'dat'}"
            return {"type": 4, "file_item": {"media": offered.media, "file_name": name, "len": str(offered.size)}}


def _quote(report: JsonObject) -> JsonObject:
    """Return the quoted message: its id if known, and its text for agents that do not look up ids."""
    identifier, words = text(report.get("quote_id")), text(report.get("quote_content"))
    quote: JsonObject = {"svr_id": number_of(identifier)} if identifier else {}
    if words:
        quote["message_item"] = _text(words)
    return quote


def mentions(report: JsonObject) -> bool:
    """Whether a group's message mentions the account, by the names that it has there."""
    content = text(report.get("content"))
    names = {text(report.get(name)) for name in ("receiver", "receiver_name", "receiver_markname")} - {""}
    return any(f"@{name} " in f"{content} ".replace("\u2005", " ") for name in names)
