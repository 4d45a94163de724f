"""Decoding of the iLink API's answers. Section numbers are those of ilink-bot-protocol.

Unknown fields, statuses and items are expected: they are passed over or reported as unsupported, never an error.
Identifiers are opaque texts, compared byte for byte; numbers above 2^53 arrive as numbers or strings and become
strings here.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from typing import TypeAlias

from wxcontroller.core.errors import FailureHandling, WeChatError
from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, items, obj, objects, read_json, text
from wxcontroller.core.model import Direction, Message, MessageKind, MessageMedia, Quote
from wxcontroller.core.text.templates import N_, Text
from wxcontroller.drivers.ilink.wire import Credentials

SESSION_TIMEOUT = -14  # "session timeout": of the poll perhaps a logout, of a send one peer's closed window (4)
REFUSED = -2
_INVALID_ARGUMENTS = "invalid arguments"
_USER_MESSAGE = 1


class QrStatus(StrEnum):
    """The status of a login code (5.2)."""

    WAIT = "wait"
    SCANNED = "scaned"
    DIGITS = "need_verifycode"
    BLOCKED = "verify_code_blocked"
    EXPIRED = "expired"
    REDIRECT = "scaned_but_redirect"
    CONFIRMED = "confirmed"
    BOUND = "binded_redirect"


@dataclass(frozen=True, slots=True)
class QrAnswer:
    """One answer about a login code. ``word`` is the original status; an unknown one counts as WAIT."""

    status: QrStatus
    word: str
    redirect_host: str = ""
    credentials: Credentials | None = None


@dataclass(frozen=True, slots=True)
class ILinkFailure:
    """A failure code, and the server's text, which is often empty."""

    call: str
    ret: int
    said: str


@dataclass(frozen=True, slots=True)
class Arrived:
    """One message of a poll: its model, and data that only this route needs. ``ids`` identify a repetition;
    ``fingerprint`` identifies one under different ids (6). ``parts`` are the message's items, usually one.
    """

    peer: str
    context: str = field(repr=False)
    ids: tuple[str, ...]
    fingerprint: str
    parts: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Updates:
    """An answer of getupdates. ``cursor`` is "" when the old one stays; ``hint`` is in seconds, 0 for none.

    ``batch`` are its raw messages; ``messages`` decodes them.
    """

    batch: Sequence[JsonValue] = field(repr=False)
    cursor: str = field(repr=False)
    hint: float


Verdict: TypeAlias = ILinkFailure | None


def verdict(call: str, answer: JsonObject) -> Verdict:
    """Return the failure that an answer states, None for success. Either field may be missing or zero (4)."""
    ret = integer(answer.get("ret")) or integer(answer.get("errcode"))
    return ILinkFailure(call, ret, text(answer.get("errmsg"))[:200]) if ret else None


def failure_error(failure: ILinkFailure) -> WeChatError:
    """Return the error of a call other than a send: it fails, but does not affect the login (4)."""
    return WeChatError(
        Text(
            N_("WeChat refused the call {call} ({ret}: {said})"),
            call=failure.call,
            ret=failure.ret,
            said=failure.said or Text("no text"),
        ),
        N_("try again later"),
        ret=failure.ret,
        handling=FailureHandling.NEVER,
    )


def send_failure(failure: ILinkFailure) -> WeChatError:
    """Return the error for a send that was answered with a failure code (4).

    The same number means different things for different calls: ``-14`` is a closed window here, not a logout.
    """
    reason = failure.said or Text("no text")
    what = Text(N_("WeChat refused the message ({ret}: {said})"), ret=failure.ret, said=reason)
    match failure.ret:
        case -14:
            return WeChatError(
                Text(N_("the reply window of this person is closed ({ret})"), ret=failure.ret),
                N_("the person has to write first; their next message opens the window"),
                ret=failure.ret,
                handling=FailureHandling.WAIT_FOR_PEER,
            )
        case -3:
            return WeChatError(
                what,
                N_("check the recipient's id: it must be exactly as it came"),
                ret=-3,
                handling=FailureHandling.NEVER,
            )
        case -2 if failure.said.strip().lower() == _INVALID_ARGUMENTS:
            return WeChatError(what, N_("check recipient and content"), ret=-2, handling=FailureHandling.NEVER)
        case -2:
            return WeChatError(
                what,
                N_("WeChat limits how much a bot can send; do not retry before the person writes"),
                ret=-2,
                handling=FailureHandling.WAIT,
            )
        case _:
            return WeChatError(what, N_("WeChat gave no reason"), ret=failure.ret, handling=FailureHandling.NEVER)


def qrcode(answer: JsonObject) -> tuple[str, str]:
    """Return the poll key of a new login code, and the text to show as a QR code. Raises WeChatError."""
    failure = verdict("get_bot_qrcode", answer)
    if failure is not None:
        raise failure_error(failure)
    key, content = text(answer.get("qrcode")), text(answer.get("qrcode_img_content"))
    if not key or not content:
        raise WeChatError(N_("get_bot_qrcode: the answer has no code"), N_("try again later"))
    return key, content


def qr_answer(answer: JsonObject) -> QrAnswer:
    """Decode an answer of get_qrcode_status."""
    state = text(answer.get("status"))[:60]
    try:
        status = QrStatus(state)
    except ValueError:
        status = QrStatus.WAIT
    found = QrAnswer(status, state, redirect_host=text(answer.get("redirect_host")).partition(":")[0])
    if status is not QrStatus.CONFIRMED:
        return found
    token, bot, user = (text(answer.get(name)) for name in ("bot_token", "ilink_bot_id", "ilink_user_id"))
    if not token or not bot:
        return found
    return replace(found, credentials=Credentials(token, bot, user, text(answer.get("baseurl"))))


def updates(answer: JsonObject) -> Updates:
    """Decode a successful answer of getupdates."""
    cursor, hint = text(answer.get("get_updates_buf")), integer(answer.get("longpolling_timeout_ms")) / 1000
    return Updates(items(answer.get("msgs")), cursor, hint)


def messages(batch: Sequence[JsonValue]) -> list[Arrived]:
    """Decode the messages of one answer. Only messages of users are kept (6)."""
    return [
        arrived(obj(message), number)
        for number, message in enumerate(batch)
        if integer(obj(message).get("message_type")) == _USER_MESSAGE and text(obj(message).get("from_user_id"))
    ]


def sent_id(answer: JsonObject) -> str:
    """Return the id of a message that was sent, "" if WeChat accepted it without one. Raises WeChatError."""
    failure = verdict("sendmessage", answer)
    if failure is not None:
        raise send_failure(failure)
    return text(answer.get("message_id"))


# -- messages


def arrived(message: JsonObject, number: int) -> Arrived:
    content = objects(message.get("item_list"))
    sender, created = text(message.get("from_user_id")), integer(message.get("create_time_ms"))
    rough = json.dumps([substance(item) for item in content], sort_keys=True)
    fingerprint = _hash(sender, str(created), rough)
    first = text(content[0].get("msg_id")) if content else ""
    ids = tuple(text(id_) for id_ in (message.get("message_id"), first, message.get("client_id")) if text(id_))
    # Two equal messages without ids in one answer are two messages (6).
    own = ids[0] if ids else _hash(fingerprint, str(number))
    group = text(message.get("group_id"))
    parts = tuple(
        _message(own if part == 0 else f"{own}.{part}", sender, group, created, item)
        for part, item in enumerate(content or [{}])
    )
    return Arrived(sender, text(message.get("context_token")), ids[:1] or (own,), fingerprint, parts)


def substance(item: JsonObject) -> JsonValue:
    """Return what of an item stays the same when it is delivered again."""
    return {name: value for name, value in item.items() if name.endswith("_item")}


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:32]


def _message(own: str, sender: str, group: str, created: int, item: JsonObject) -> Message:
    kind, words, media = _content(own, item)
    return Message(
        id=own,
        chat=group or sender,
        is_group=bool(group),
        sender=sender,
        direction=Direction.RECEIVED,
        kind=kind,
        text=words,
        time=created // 1000,
        raw_kind=str(integer(item.get("type"))),
        media=media,
        quote=_quote(obj(item.get("ref_msg"))),
    )


def _content(own: str, item: JsonObject) -> tuple[MessageKind, str, MessageMedia | None]:
    """Return the kind of an item, its text, and its media (7.1)."""
    for name, kind in _MEDIA_ITEMS.items():
        found = obj(item.get(name))
        if found:
            return kind, text(found.get("text")), _media(own, kind, found)
    if "text_item" in item:
        return MessageKind.TEXT, text(obj(item.get("text_item")).get("text")), None
    return MessageKind.OTHER, "", None


_MEDIA_ITEMS: Mapping[str, MessageKind] = {
    "image_item": MessageKind.IMAGE,
    "voice_item": MessageKind.VOICE,
    "file_item": MessageKind.FILE,
    "video_item": MessageKind.VIDEO,
}


def _media(own: str, kind: MessageKind, found: JsonObject) -> MessageMedia | None:
    content = obj(found.get("media"))
    key = MediaKey(
        url=text(content.get("full_url")),
        parameter=text(content.get("encrypt_query_param")),
        aes_key=text(content.get("aes_key")),
        hex_key=text(found.get("aeskey")) if kind is MessageKind.IMAGE else "",
    )
    if not key.url and not key.parameter:
        return None
    size = integer(found.get("len")) or integer(found.get("size"))
    return MessageMedia(
        kind=kind,
        key=key.as_text(),
        name=text(found.get("file_name")),
        size=max(0, size),
        seconds=max(0, integer(found.get("playtime"))) / 1000,
        public=own,
    )


@dataclass(frozen=True, slots=True)
class MediaKey:
    """The location of received content, and the key that it is encrypted with; both raw forms of the key."""

    url: str = field(repr=False)
    parameter: str = field(repr=False)
    aes_key: str = field(repr=False)
    hex_key: str = field(repr=False)

    def as_text(self) -> str:
        return json.dumps([self.url, self.parameter, self.aes_key, self.hex_key])

    @classmethod
    def from_text(cls, kept: str) -> "MediaKey":
        """Read what ``as_text`` wrote. Raises ValueError."""
        url, parameter, aes_key, hex_key = map(text, items(read_json(kept)))
        return cls(url, parameter, aes_key, hex_key)


# -- quotes


def _quote(reference: JsonObject) -> Quote | None:
    """Decode the quoted message, which may be complete, an id, or both (7.3)."""
    if not reference:
        return None
    inner = obj(reference.get("message_item"))
    words = text(obj(inner.get("text_item")).get("text")) or text(reference.get("title"))
    identifier = text(reference.get("svr_id")) or text(inner.get("msg_id"))
    if not identifier and not words:
        return None
    return Quote(id=identifier, text=words, select=partial(quoted_part, chosen=obj(reference.get("partial_text"))))


def quoted_part(content: str, chosen: JsonObject) -> str:
    """Return the selected part of a quoted text, or all of it when the selection cannot be found (7.3).

    ``chosen`` has ``start``, ``startindex``, ``end``, ``endindex`` and ``quotemd5``; it is empty for all of the text.
    """
    begin = nth(content, text(chosen.get("start")), integer(chosen.get("startindex")), 0)
    if begin < 0:
        return content
    end, index = text(chosen.get("end")), integer(chosen.get("endindex"))
    # Clients differ in whether occurrences of the end are counted from the start of the text or of the selection.
    for stop in (nth(content, end, index, 0), nth(content, end, index, begin + len(text(chosen.get("start"))))):
        candidate = content[begin : stop + len(end)] if stop >= 0 else ""
        digest = hashlib.md5(candidate.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()
        if candidate and digest == text(chosen.get("quotemd5")).lower():
            return candidate
    return content


def nth(content: str, wanted: str, index: int, begin: int) -> int:
    """Return where the ``index``-th occurrence of a text begins, counted from 0, or -1."""
    if not wanted or not 0 <= index <= len(content):
        return -1
    places = occurrences(content, wanted, begin)
    return next((place for number, place in enumerate(places) if number == index), -1)


def occurrences(content: str, wanted: str, begin: int) -> Iterator[int]:
    place = content.find(wanted, begin)
    while place >= 0:
        yield place
        place = content.find(wanted, place + 1)
