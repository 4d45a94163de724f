"""The body of a report as it is posted: the one in the event log, with the content of its media inserted.

A body may have 14 MB: a file of 10 MiB in base64, escaped for JSON. So content is inserted into the stored bytes at
its placeholder, without parsing and writing JSON of that size, and without a second copy. ``prepare`` still takes a
tenth of a second then: call it in a thread unless ``is_light``.
"""

import base64
import os
from dataclasses import dataclass
from pathlib import Path

from wxcontroller.core.jsontypes import kept_json, text

# Parsing and signing as much takes a millisecond, which the event loop has.
LIGHT_BYTES = 64 * 1024
# In the stored JSON this can only be the key: inside of a text the quotes would be escaped.
_PLACE = b'"media_data":"'
# Lines of base64 have 57 bytes each: parts of a multiple of them can be encoded one by one.
_PART = 57 * 4096


@dataclass(slots=True)
class Body:
    """A report: ``content`` as posted, ``stored`` as in the log, ``kind`` its post_type and event.

    ``kind`` is "" if the body is not a JSON object, as in a damaged file. ``release`` it after the attempt:
    exceptions of the HTTP library are in reference cycles with the frames of their callers, which would keep a body
    of 14 MB until the next garbage collection.
    """

    content: bytes | bytearray
    stored: bytes
    kind: str

    def release(self) -> None:
        """Release the content."""
        self.content = b""


def is_light(stored: bytes, media: str) -> bool:
    """Return whether ``prepare`` may be called in the event loop."""
    return not media and len(stored) <= LIGHT_BYTES


def prepare(stored: bytes, media: str = "", limit: int = 0) -> Body:
    """Return the body for a stored report.

    Args:
        stored: the report's JSON from the log.
        media: the file with its content, "" for none. Content of a missing file, or of one larger than ``limit``
            bytes, is left out.
        limit: see ``media``.
    """
    report = kept_json(stored)
    kind = ".".join(word for word in (text(report.get("post_type")), text(report.get("event"))) if word)
    place = stored.find(_PLACE)
    if media and place >= 0 and report.get("media_data") == "":
        return Body(with_content(stored, place + len(_PLACE), media, limit), stored, kind)
    return Body(stored, stored, kind or ("?" if report else ""))


def with_content(stored: bytes, place: int, media: str, limit: int) -> bytes | bytearray:
    try:
        with Path(media).open("rb") as stream:
            if os.fstat(stream.fileno()).st_size > limit:
                return stored
            body = bytearray(stored[:place])
            while part := stream.read(_PART):
                # As JSON is written in the contract: see openwx.replies.to_bytes.
                body += base64.encodebytes(part).replace(b"/", b"\\/").replace(b"\n", b"\\n")
            body += stored[place:]
            return body
    except OSError:
        return stored


def content_of(path: str, limit: int) -> str:
    """Return a media file as base64 in lines of 76 (openwx-api 3.2), "" if it is missing or too large."""
    try:
        with Path(path).open("rb") as stream:
            content = stream.read(limit + 1)
    except OSError:
        return ""
    return "" if len(content) > limit else base64.encodebytes(content).decode("ascii")
