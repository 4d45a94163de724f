"""Parameters of a request: query, then body, the last value of a name wins (openwx-api 0, 5.2 no. 18).

Bodies that hold parameters are ``application/x-www-form-urlencoded``, ``multipart/form-data`` and, other than in the
original, an ``application/json`` object: many HTTP libraries send nothing else.

A value may be content of any size, percent-encoded at three times its size. ``Value`` therefore says only where it
stands, and is decoded piece by piece: decoding 10 MB at once takes hundreds of megabytes.
"""

import itertools
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from enum import Enum
from functools import lru_cache
from typing import TypeAlias
from urllib.parse import unquote_to_bytes

from wxcontroller.core.errors import WxError
from wxcontroller.core.text.templates import N_
from wxcontroller.openwx.http import jsonbody

Pair: TypeAlias = tuple[str, str]
# A body may be a mapped file, so that 20 MB of upload need not be in memory to find one small field.
Body: TypeAlias = jsonbody.Body
URLENCODED, _MULTIPART_FORM, _JSON = "application/x-www-form-urlencoded", "multipart/form-data", "application/json"

# Parameters of a request. No call has more than about twenty, and each costs memory before its caller is known.
PARAMETERS = 2000
# In bytes; fields with longer names are passed over.
PARAMETER_NAME_BYTES = 1000
# Limit of the head of a part of a form: its name, the name of a file, and a type.
PART_HEAD_BYTES = 16 << 10
_REMEDY = N_("send parameters as percent-encoded UTF-8")
# Decoding fully percent-encoded text needs about 25 times its size.
_PIECE = 64 * 1024


class BadParameter(WxError, ValueError, code="bad-request", status=400, exit_code=2):
    """The query or body cannot be parsed as parameters."""


class Encoding(Enum):
    """The encoding of a value's content."""

    NONE = "none"
    PERCENT = "percent"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Value:
    """A parameter's value as a range of a query or body, which it keeps alive."""

    body: Body = field(repr=False)
    start: int
    end: int
    encoding: Encoding

    @property
    def raw_size(self) -> int:
        """Bytes as they were sent: the content is as large, or up to six times smaller when it is encoded."""
        return self.end - self.start

    def pieces(self) -> Iterator[bytes]:
        """Yield the content in pieces of bounded size."""
        if self.encoding is Encoding.JSON:
            yield from jsonbody.pieces(self.body, self.start, self.end)
            return
        at = self.start
        while at < self.end:
            piece = self.body[at : min(at + _PIECE, self.end)]
            at += len(piece)
            if self.encoding is Encoding.PERCENT:
                # An escape that is cut in two begins the next piece.
                cut = piece.rfind(b"%", -2) if at < self.end else -1
                if cut > 0:
                    at -= len(piece) - cut
                    piece = piece[:cut]
                piece = decoded(piece)
            yield piece

    def read(self) -> bytes:
        """Return the whole content."""
        return b"".join(self.pieces())


def merged(*sources: Iterable[Pair]) -> dict[str, str]:
    """Return the pairs of all sources, in that order, as a mapping; the last value of a name wins."""
    return {name: value for pairs in sources for name, value in pairs}


def query_of(target: str) -> str:
    """Return the query of a request target (``/path?query``) as it was sent."""
    return target.partition("#")[0].partition("?")[2]


def query_pairs(query: str) -> list[Pair]:
    """Return the pairs of a query string as it came over the wire.

    ``query`` may hold bytes that are not UTF-8 as surrogate escapes (aiohttp's raw path). A ``%`` without two hex
    digits is literal. Raises BadParameter for text that is not UTF-8 once decoded, and for too many pairs.
    """
    return list(urlencoded_pairs(query.encode("utf-8", "surrogateescape")))


def form_pairs(content_type: str, body: Body, only: str | None = None) -> list[Pair]:
    """Return the pairs of a form or JSON body, none for every other content type.

    With ``only``, other fields are skipped without being decoded. Uploaded files (parts with a file name) are not
    parameters. Raises BadParameter for a multipart body without its boundary, for JSON that is not an object or has
    nested values, for text that is not UTF-8 and for too many fields.
    """
    kind, boundary = form(content_type)
    what = "field" if kind == _MULTIPART_FORM else "parameter"
    found = _values(kind, boundary, body, only, files=False)
    return [(name, text(value.read(), f"{what} {name[:64]}")) for name, value in found]


def holds_parameters(path: str, content_type: str) -> bool:
    """Return whether the body of a request holds parameters: a form, or JSON to /openwx; /v1 reads JSON elsewhere."""
    kind = form(content_type)[0]
    return kind in (URLENCODED, _MULTIPART_FORM) or (kind == _JSON and path.startswith("/openwx/"))


def values_of(query: str, content_type: str = "", body: Body = b"") -> list[tuple[str, Value]]:
    """Return the pairs of a query string, then of a body, with values undecoded; uploaded files are among them.

    For fields whose content may not be text (media_data). Raises BadParameter as the others, for names only.
    """
    found = list(urlencoded(query.encode("utf-8", "surrogateescape"), None))
    kind, boundary = form(content_type)
    return [*found, *_values(kind, boundary, body, None, files=True)]


def may_hold(content_type: str, body: Body, name: str) -> bool:
    """Return whether a body may have fields of this name: if not, no parser finds one in it.

    The name may also be written with escapes. Looking for both takes a fraction of the time of parsing.
    """
    escape = b"%" if form(content_type)[0] == URLENCODED else b"\\"
    return body.find(name.encode()) >= 0 or body.find(escape) >= 0


def _values(kind: str, boundary: bytes, body: Body, only: str | None, files: bool) -> Iterator[tuple[str, Value]]:
    """Yield the pairs of a body of this kind, with values undecoded."""
    if kind == URLENCODED:
        yield from urlencoded(body, only)
    elif kind == _MULTIPART_FORM:
        yield from multipart(body, _usable(boundary), only, files)
    elif kind == _JSON:
        yield from _json(body, only)


def file_name_of(content_type: str, body: Body, field: str) -> str:
    """Return the name of an uploaded file, "" for none. Raises BadParameter as ``form_pairs``."""
    kind, boundary = form(content_type)
    if kind != _MULTIPART_FORM:
        return ""
    for _, _, head, _ in multipart_spans(body, _usable(boundary)):
        if field_name(head, files=True) == field:
            if extended := re.search(rb";\s*filename\*\s*=\s*utf-8'[^']*'([^;\s]+)", head, re.IGNORECASE):
                return text(unquote_to_bytes(extended[1]), "a file's name")
            match = re.search(rb';\s*filename\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))', head, re.IGNORECASE)
            return text(match[1] or match[2] or b"", "a file's name") if match else ""
    return ""


def text_of(name: str, value: Value) -> str:
    """Return a value as text. Raises BadParameter if it is not UTF-8."""
    return text(value.read(), f"parameter {name[:64]}")


def urlencoded_pairs(body: Body, only: str | None = None) -> Iterator[Pair]:
    """Yield the pairs of ``a=1&b=2``; raises as ``query_pairs``."""
    for name, value in urlencoded(body, only):
        yield name, text_of(name, value)


def spans_without(content_type: str, body: Body, name: str) -> list[tuple[int, int]]:
    """Return the parts of a body, from and to, that are left without the fields of this name, files included.

    Raises BadParameter as ``form_pairs``.
    """
    kind, boundary = form(content_type)
    without = name.encode()
    gone: list[tuple[int, int]] = []
    if kind == _JSON:
        with readable_json():
            return jsonbody.spans_without(body, without)
    elif kind == URLENCODED:
        for start, name_end, end in urlencoded_spans(body):
            if decoded(body[start:name_end]) == without:
                gone.append((start, min(end + 1, len(body))))
    elif kind == _MULTIPART_FORM:
        for start, end, head, _ in multipart_spans(body, _usable(boundary)):
            if field_name(head, files=True) == name:
                gone.append((start, end))
    left, at = [], 0
    for start, end in [*gone, (len(body), len(body))]:
        if start > at:
            left.append((at, start))
        at = end
    return left


@contextmanager
def readable_json() -> Iterator[None]:
    try:
        yield
    except jsonbody.NotAnObject:
        raise BadParameter(
            N_("the body is not a JSON object"), N_("send parameters as an object, or as a form")
        ) from None
    except jsonbody.NestedValue as problem:
        name = text(problem.key, "a parameter's name")[:64]
        raise BadParameter(
            N_("parameter {name} is an array or an object"), N_("send text, a number, true or false"), name=name
        ) from None


def _json(body: Body, only: str | None) -> Iterator[tuple[str, Value]]:
    """Yield names and values: strings unchanged, numbers, true and false as written; null is absent."""
    with readable_json():
        for count, member in enumerate(jsonbody.members(body)):
            if count == PARAMETERS:
                raise BadParameter(N_("more than {parameters} parameters"), N_("send fewer"), parameters=PARAMETERS)
            if len(member.key) <= PARAMETER_NAME_BYTES and not member.null:
                name = text(member.key, "a parameter's name")
                if only is None or name == only:
                    yield name, Value(body, *member.value, Encoding.JSON if member.quoted else Encoding.NONE)


def urlencoded(body: Body, only: str | None) -> Iterator[tuple[str, Value]]:
    for start, name_end, end in urlencoded_spans(body):
        if name_end - start <= PARAMETER_NAME_BYTES:
            name = text(decoded(body[start:name_end]), "a parameter's name")
            if only is None or name == only:
                yield name, Value(body, min(name_end + 1, end), end, Encoding.PERCENT)


def urlencoded_spans(body: Body) -> Iterator[tuple[int, int, int]]:
    """Yield where each ``name=value`` begins, where its name ends and where it ends."""
    start, count, length = 0, 0, len(body)
    while start < length:
        end = body.find(b"&", start)
        end = length if end < 0 else end
        equals = body.find(b"=", start, end)
        if end > start:
            count += 1
            if count > PARAMETERS:
                raise BadParameter(N_("more than {parameters} parameters"), N_("send fewer"), parameters=PARAMETERS)
            yield start, end if equals < 0 else equals, end
        start = end + 1


def multipart(body: Body, boundary: bytes, only: str | None, files: bool) -> Iterator[tuple[str, Value]]:
    """Yield the fields of a multipart/form-data body (RFC 7578), with ``files`` also parts with a file name.

    A truncated body yields its complete parts.
    """
    for _, end, head, content in multipart_spans(body, boundary):
        name = field_name(head, files)
        if name is not None and (only is None or name == only):
            yield name, Value(body, content, max(content, end - 2), Encoding.NONE)


def multipart_spans(body: Body, boundary: bytes) -> Iterator[tuple[int, int, bytes, int]]:
    """Yield where each part begins and ends, delimiter to delimiter, its head, and where its content begins."""
    delimiter = b"--" + boundary
    at = 0 if body[: len(delimiter)] == delimiter else body.find(b"\r\n" + delimiter)
    if at < 0:
        return
    at += len(delimiter) if at == 0 and body[:2] != b"\r\n" else 2 + len(delimiter)
    for count in itertools.count():
        if body[at : at + 2] == b"--":
            return
        head_start = body.find(b"\r\n", at)
        if head_start < 0:
            return
        head_end = body.find(b"\r\n\r\n", head_start, head_start + PART_HEAD_BYTES)
        end = body.find(b"\r\n" + delimiter, max(head_end, head_start))
        if end < 0:
            return
        if count == PARAMETERS:
            raise BadParameter(
                N_("more than {parameters} fields in the form"), N_("send fewer"), parameters=PARAMETERS
            )
        if head_end >= 0:
            yield at - len(delimiter), end + 2, body[head_start + 2 : head_end], head_end + 4
        at = end + 2 + len(delimiter)


def _usable(boundary: bytes) -> bytes:
    if not boundary:
        raise BadParameter(N_("the multipart body's Content-Type has no usable boundary"), N_("send one, RFC 7578"))
    return boundary


@lru_cache(maxsize=64)
def form(content_type: str) -> tuple[str, bytes]:
    message = Message()
    message["Content-Type"] = re.sub(r"[^ -~]", "?", content_type)
    try:
        boundary = message.get_boundary("")
    except (ValueError, LookupError):  # an invalid encoding of RFC 2231
        boundary = ""
    # RFC 2046 5.1.1: at most 70 characters.
    usable = 0 < len(boundary) <= 70 and boundary.isascii()
    return message.get_content_type() if content_type else "", boundary.encode() if usable else b""


def field_name(head: bytes, files: bool) -> str | None:
    """Return the name of a part that is a field (or a file, with ``files``), None for all others."""
    for line in head.split(b"\r\n"):
        key, _, value = line.partition(b":")
        if key.strip().lower() != b"content-disposition":
            continue
        shown = text(value, "a field's name")
        if not files and re.search(r";\s*filename\*?\s*=", shown, re.IGNORECASE):
            return None
        match = re.search(r';\s*name\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))', shown, re.IGNORECASE)
        if match is None:
            return None
        quoted, bare = match.groups()
        return re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else str(bare)
    return None


def decoded(raw: bytes) -> bytes:
    return unquote_to_bytes(raw.replace(b"+", b" ")) if b"%" in raw or b"+" in raw else raw


def text(raw: bytes, what: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise BadParameter(N_("{what} is not UTF-8"), _REMEDY, what=what) from None
