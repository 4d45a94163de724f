"""Media as the contract knows them (openwx-api 2.4, 3.2): codes, words, ids, and safe names."""

import mimetypes
import re
import unicodedata
from dataclasses import dataclass

from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.model import MessageKind

# Reports carry content up to here, in bytes; larger ones have the path only.
CODES = {
    MessageKind.IMAGE: 3,
    MessageKind.FILE: 6,
    MessageKind.VOICE: 34,
    MessageKind.VIDEO: 43,
    MessageKind.EMOTICON: 47,
    MessageKind.MICROVIDEO: 62,
}
KINDS = {code: kind for kind, code in CODES.items()}
LABELS = {
    MessageKind.IMAGE: "[图片]",
    MessageKind.FILE: "[文件]",
    MessageKind.VOICE: "[语音]",
    MessageKind.VIDEO: "[视频]",
    MessageKind.EMOTICON: "[表情]",
    MessageKind.MICROVIDEO: "[小视频]",
}
# For types to which mimetypes gives an unusual extension, or none.
_EXTENSIONS = {
    "image/jpeg": "jpg",
    "image/jpg": "jpg",
    "image/png": "png",
    "image/gif": "gif",
    "image/webp": "webp",
    "audio/mp3": "mp3",
    "audio/mpeg": "mp3",
    "audio/silk": "silk",
    "audio/amr": "amr",
    "video/mp4": "mp4",
}
_BY_KIND = {
    MessageKind.IMAGE: ("image/jpeg", "jpg"),
    MessageKind.VOICE: ("audio/mp3", "mp3"),
    MessageKind.VIDEO: ("video/mp4", "mp4"),
    MessageKind.MICROVIDEO: ("video/mp4", "mp4"),
    MessageKind.EMOTICON: ("image/gif", "gif"),
}
# The path of media without a single byte.
NO_CONTENT_PATH = "non-exist-path"


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """One piece of media. ``data`` is base64 or ""; ``error`` says why the content is missing.

    ``path`` is a local file, or where sent content came from; ``mtime`` seconds since 1970.
    """

    kind: MessageKind
    id: str = ""
    path: str = ""
    name: str = ""
    mime: str = ""
    ext: str = ""
    size: int = 0
    mtime: int = 0
    data: str = ""
    error: str = ""
    md5: str = ""
    chunks: int = 0
    client_id: str = ""

    @property
    def code(self) -> int:
        return CODES[self.kind]


def media_id(key: str, kind: MessageKind) -> str:
    """``ID:CODE``, good for sending the same again."""
    return f"{key}:{CODES[kind]}" if key else ""


def split_id(media_id: str) -> tuple[str, MessageKind | None]:
    """Split ``ID:CODE``; the kind is None if the code is missing or unknown."""
    key, colon, code = media_id.rpartition(":")
    kind = KINDS.get(int(code)) if colon and code.isascii() and code.isdecimal() and len(code) < 4 else None
    return (key, kind) if kind else (media_id, None)


def kind_of(mime: str) -> MessageKind:
    """The original's treatment of content of this type."""
    if mime == "image/gif":
        return MessageKind.EMOTICON
    if mime in ("video/mp4", "video/mpeg"):
        return MessageKind.VIDEO
    return MessageKind.IMAGE if mime.startswith("image/") else MessageKind.FILE


def content_of(facts: MediaFacts) -> str:
    """The readable text of a media message."""
    label = LABELS[facts.kind]
    if facts.path == NO_CONTENT_PATH and facts.kind is MessageKind.EMOTICON:
        return f"{label}(获取数据为空，可能需要手机查看)"
    return f"{label}({facts.path})" if facts.path else label


def with_words(content: str, words: str) -> str:
    """Return the readable text of a voice message whose transcript is known, "" for none."""
    return f"{content}\n{words}" if words else content


def fields(facts: MediaFacts, own: bool) -> JsonObject:
    """Format-specific fields of a media report; ``own``: of a send of ours (openwx-api 3.2)."""
    body: JsonObject = {
        "media_type": facts.kind.value,
        "media_code": str(facts.code) if own else facts.code,
        "media_id": facts.id,
        "media_path": facts.path,
        "media_mime": facts.mime,
        "media_ext": facts.ext,
        # Falsy values are "" in a report (openwx-api 3.2, 5.2 no. 30).
        "media_size": facts.size or "",
        "media_mtime": facts.mtime or "",
        "media_name": facts.name,
        "media_data": facts.data,
    }
    if own:
        body["media_md5"] = facts.md5
        body["media_chunks"] = facts.chunks or ""
        body["media_chunk"] = facts.chunks - 1 if facts.chunks > 1 else ""
        body["media_clientid"] = facts.client_id
    if facts.error:
        body["media_error"] = facts.error
    return body


def safe_name(proposed: str, longest: int = 120) -> str:
    """Return a foreign file name in a safe form: without directories and control characters, at most ``longest``
    characters with the extension. "" if nothing is left.
    """
    name = re.split(r"[/\\]", proposed)[-1]
    shown = "".join(c for c in unicodedata.normalize("NFC", name) if unicodedata.category(c)[0] != "C")
    shown = shown.strip(" .")
    if len(shown) > longest:
        stem, dot, ext = shown.rpartition(".")
        shown = f"{stem[: longest - 1 - len(ext)]}.{ext}" if dot and len(ext) <= 10 else shown[:longest]
    return shown


def extension(name: str, mime: str, kind: MessageKind | None = None) -> str:
    """Return a short extension of letters and digits: by type, by name, by kind, else ``dat``."""
    suffix = name.rpartition(".")[2].lower() if "." in name else ""
    by_name = suffix if re.fullmatch(r"[a-z0-9]{1,10}", suffix) else ""
    if kind is MessageKind.FILE and by_name:
        return by_name
    guessed = "" if mime == "application/octet-stream" else mimetypes.guess_extension(mime) or ""
    by_mime = _EXTENSIONS.get(mime) or guessed.lstrip(".")
    return by_mime or by_name or (_BY_KIND[kind][1] if kind in _BY_KIND else "dat")


def mime_of(name: str, kind: MessageKind | None = None, mime: str = "") -> str:
    """Return the type of content: the declared one, or by its name or kind, else octets."""
    mime = mime.partition(";")[0].strip().lower()
    if kind is MessageKind.VOICE and mime == "audio/mpeg":
        return "audio/mp3"  # as WeChat declares it, and the original reports it
    if not re.fullmatch(r"[a-z0-9.+-]+/[a-z0-9.+-]+", mime):
        mime = ""
    if mime not in ("", "application/octet-stream", "text/plain"):
        return mime
    ending = re.search(r"(?:\.[A-Za-z0-9_+-]{1,15}){1,2}\Z", name[-40:])
    guessed = mimetypes.guess_type(f"x{ending[0]}")[0] if ending else None  # a whole name would be read as a URL
    if guessed:
        return guessed
    return _BY_KIND[kind][0] if kind in _BY_KIND else mime or "application/octet-stream"


def sniff(start: bytes) -> str:
    """Return the type of a picture by its first bytes, "" for anything else."""
    if start.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if start.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "image/webp"
    return "image/bmp" if start.startswith(b"BM") else ""
