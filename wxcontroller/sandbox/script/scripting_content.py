"""Content of messages that a script sends: its own, or a sample."""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import TypeAlias

from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.sandbox.media import samplemedia
from wxcontroller.sandbox.media.storedcontent import ContentItem, ServerContents, kind_of
from wxcontroller.sandbox.script.inputs import BadInput, number, string

LARGEST = 20 * 1024 * 1024  # bytes of content that a script can give in one request
MEDIA_FIELDS = ("content", "name", "size")
_LARGEST_MADE = 200 * 1024 * 1024

# by kind: the function that makes it from a seed, and its file name
Makers: TypeAlias = Mapping[str, tuple[Callable[[str], bytes], str]]
MAKERS: Makers = {
    "image": (samplemedia.picture, "picture.jpg"),
    "emoticon": (samplemedia.gif, "emoticon.gif"),
    "voice": (lambda _: samplemedia.mp3(1580), "voice.mp3"),
    "video": (samplemedia.mp4, "video.mp4"),
    "microvideo": (samplemedia.mp4, "video.mp4"),
    "file": (lambda seed: f"{seed}\n".encode(), "报告 & 数据.txt"),
}


def content_of(
    contents: ServerContents, kind: str, seed: str, body: JsonObject, makers: Makers = MAKERS
) -> ContentItem:
    """Store the content of a message and return it. Raises BadInput."""
    make, usual = makers[kind]
    name = string(body, "name", usual)
    if "content" in body:
        try:
            data = base64.b64decode(string(body, "content"), validate=True)
        except (binascii.Error, ValueError):
            raise BadInput("'content' is not base64") from None
        if not 0 < len(data) <= LARGEST:
            raise BadInput(f"'content' must have 1 to {LARGEST} bytes")
    else:
        data = make(seed)
        if kind == "image" and name.endswith(".png"):
            data = samplemedia.png(seed)
    missing = number(body, "size", len(data), 1, _LARGEST_MADE) - len(data)
    if missing < 0:
        raise BadInput(f"'size' is less than the {len(data)} bytes there are")
    incoming = contents.begin()
    incoming.append(data)
    while missing > 0:  # in pieces, to save memory
        incoming.append(bytes(min(missing, 2**20)))
        missing -= 2**20
    size, mime = incoming.size, kind_of(data[:16])
    base = {"microvideo": "video"}.get(kind, kind)
    return ContentItem(base, contents.finish(incoming), size, name, mime)
