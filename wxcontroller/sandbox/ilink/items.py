"""Items of messages as a phone writes them, and quotes of earlier messages (protocol 7.1 to 7.3)."""

import enum
import hashlib
from dataclasses import dataclass
from urllib.parse import quote

from wxcontroller.core.jsontypes import JsonObject, field, integer, items, obj, text
from wxcontroller.sandbox.ilink import crypt
from wxcontroller.sandbox.media.storedcontent import ContentItem, ServerContents
from wxcontroller.sandbox.world.ilinkbots import CdnFile, ILink

TEXT, IMAGE, VOICE, FILE, VIDEO = 1, 2, 3, 4, 5
KINDS = {TEXT: "text", IMAGE: "image", VOICE: "voice", FILE: "file", VIDEO: "video"}
_NUMBERS = {kind: number for number, kind in KINDS.items()}


class KeyForm(enum.Enum):
    """The format of the key of received media."""

    RAW = "raw"
    HEX = "hex"
    NONE = "none"  # images only: the CDN's bytes are plain


class QuoteForm(enum.Enum):
    """The way in which a quote names the message."""

    ID = "id"  # the newest WeChat
    PLACEHOLDER = "placeholder"
    INLINE = "inline"  # older WeChat


@dataclass(frozen=True, slots=True)
class ItemMedia:
    """Content to be written, and how its item describes it."""

    content: ContentItem
    key: bytes
    form: KeyForm = KeyForm.RAW
    full_url: bool = True
    milliseconds: int = 0  # of a voice
    seconds: int = 0  # of a video
    transcript: str = ""


def text_item(content: str) -> JsonObject:
    """Return an item of text."""
    return {"type": TEXT, "text_item": {"text": content}}


def media_item(ilink: ILink, contents: ServerContents, uin: int, cdn: str, media: ItemMedia) -> JsonObject:
    """Put content on the CDN, whose base address is ``cdn``, and return the item that refers to it."""
    content = media.content
    plain = contents.path(content.md5)
    if plain is None:
        raise ValueError("the content is not kept any more")
    stored = CdnFile(uin, content.md5, content.size)
    if media.form is not KeyForm.NONE:
        incoming = contents.begin()
        crypt.encrypt(plain, media.key, incoming)
        size = incoming.size
        stored = CdnFile(uin, contents.finish(incoming), size)
    parameter = ilink.store_file(stored)
    reference: JsonObject = {"encrypt_query_param": parameter, "encrypt_type": 1}
    if media.form is not KeyForm.NONE:
        reference["aes_key"] = crypt.hex_form(media.key) if media.form is KeyForm.HEX else crypt.raw_form(media.key)
    if media.full_url:
        reference["full_url"] = download_url(cdn, parameter)
    return {
        "type": _NUMBERS[content.kind],
        f"{content.kind}_item": {"media": reference, **details(media, stored.size)},
    }


def details(media: ItemMedia, stored_size: int) -> JsonObject:
    content = media.content
    match content.kind:
        case "image":
            key: JsonObject = {} if media.form is KeyForm.NONE else {"aeskey": media.key.hex()}
            return {**key, "mid_size": stored_size, "hd_size": stored_size}
        case "voice":
            # Real voice messages claim 4 (Speex) at 16 kHz, but are SILK (issue 91).
            fields = {"encode_type": 4, "bits_per_sample": 16, "sample_rate": 16000, "playtime": media.milliseconds}
            return {**fields, **({"text": media.transcript} if media.transcript else {})}
        case "video":
            return {"video_size": stored_size, "play_length": media.seconds, "video_md5": content.md5}
        case _:
            return {"file_name": content.name, "md5": content.md5, "len": str(content.size)}


def download_url(cdn: str, parameter: str) -> str:
    """Return the address of a file, fully percent-encoded."""
    return f"{cdn}/download?encrypted_query_param={quote(parameter, safe='')}"


def quote_of(message: JsonObject, form: QuoteForm, part: str) -> JsonObject:
    """Return the ref_msg that quotes a message, or ``part`` of its text."""
    identifier = text(message.get("message_id"))
    first = obj(next(iter(items(message.get("item_list"))), None))
    match form:
        case QuoteForm.INLINE:
            quoted = text(field(first.get("text_item"), "text"))
            return {"title": part or quoted or KINDS.get(integer(first.get("type")), ""), "message_item": first}
        case QuoteForm.PLACEHOLDER:
            times = {key: message.get(key) for key in ("create_time_ms", "update_time_ms")}
            return {"message_item": {"type": 0, "msg_id": identifier, **times, "is_completed": True}}
        case QuoteForm.ID:
            quoted = text(field(first.get("text_item"), "text"))
            return {"svr_id": identifier} | ({"partial_text": partial_text(quoted, part)} if part else {})


def partial_text(quoted: str, part: str) -> JsonObject:
    """Return how a quote names ``part`` of a text. Raises ValueError if the text does not contain it."""
    at = quoted.find(part)
    if at < 0:
        raise ValueError("the quoted message does not contain that part")
    start, end = part.split()[0], part.split()[-1]
    return {
        "start": start,
        "startindex": quoted.count(start, 0, at),
        "end": end,
        "endindex": quoted.count(end, 0, at + len(part) - len(end)),
        "quotemd5": hashlib.md5(part.encode(), usedforsecurity=False).hexdigest(),
    }
