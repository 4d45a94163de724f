"""Reading multipart/form-data literally, to find clients' errors."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

_NAME = re.compile(r'(?:^|;)\s*name="([^"]*)"')
_FILENAME = re.compile(r'(?:^|;)\s*filename="([^"]*)"')
_EXTENDED = re.compile(r";\s*(?:file)?name\*\d*\*?=")


class BadForm(ValueError):
    """The body is not multipart/form-data."""


@dataclass(frozen=True, slots=True)
class Form:
    """A form: ``fields`` in the order sent, and its only file."""

    fields: dict[str, str]
    filename: str
    content: bytes
    extended: bool  # a header has RFC 2231's format (filename*=)
    file_is_last: bool


def read(content_type: str, body: bytes) -> Form:
    """Parse a form. Raises BadForm."""
    match = re.search(r'boundary="?([^";]+)"?', content_type)
    if not content_type.lower().startswith("multipart/form-data") or match is None:
        raise BadForm("the body is not multipart/form-data")
    fields: dict[str, str] = {}
    filename, content, extended, last = "", None, False, ""
    mark = b"\r\n--" + match[1].encode("latin-1", "replace")
    start = body.find(mark[2:])
    if start < 0:
        raise BadForm("the body has no parts")
    start += len(mark) - 2
    while not body.startswith(b"--", start):
        end = body.find(mark, start)
        blank = body.find(b"\r\n\r\n", start, end)
        if end < 0 or blank < 0:
            raise BadForm("a part has no end")
        disposition = _disposition(body[start:blank].decode("utf-8", "replace"))
        extended = extended or _EXTENDED.search(disposition) is not None
        named = _NAME.search(disposition)
        last = named[1] if named else ""
        if file := _FILENAME.search(disposition):
            filename, content = unquote(file[1]), body[blank + 4 : end]
        elif _EXTENDED.search(disposition):
            content = body[blank + 4 : end]
        else:
            fields[last] = body[blank + 4 : end].decode("utf-8", "replace")
        start = end + len(mark)
    if content is None:
        raise BadForm("there is no file part")
    return Form(fields, filename, content, extended, last == "filename")


def _disposition(head: str) -> str:
    for line in head.split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-disposition":
            return value
    raise BadForm("a part has no Content-Disposition")
