"""Framing of requests on a connection (RFC 9112), and the heads that are refused.

aiohttp parses requests. The bytes are divided here first, so that aiohttp gets one request at a time and the
connection knows, without access to aiohttp's internals, whether a request is being handled and whether its body is
complete.

Every head is checked before it is processed. Heads that two programs could read in different ways (more than one
length, codings besides chunked, bare line feeds, folded lines) are refused, not repaired: a reverse proxy in front
that reads it the other way would take one caller's bytes for another caller's request.

This module does not use sockets: it takes bytes and returns heads and counts.
"""

import re
from dataclasses import dataclass

from wxcontroller.core.errors import WxError
from wxcontroller.core.messages import N_, Value
from wxcontroller.openwx.admission import PortLimits

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_V1 = re.compile(rb"%b /v1/" % _TOKEN)
_LINE = re.compile(rb"(%b) ([!-~]+) HTTP/([0-9])\.([0-9])" % _TOKEN)
_FIELDS = re.compile(rb"(?:%b:[^\r\n\0]*+\r\n)*+\r\n" % _TOKEN)
_OF_INTEREST = re.compile(
    rb"\r\n(host|content-length|transfer-encoding|connection|upgrade|expect):[ \t]*+([^\r\n]*)", re.IGNORECASE
)
_BEGIN = re.compile(rb"\r?\Z|%b(?: |\Z)" % _TOKEN)
# For some programs a bare LF ends a line, for others it is part of the value: reject the ambiguity.
_BARE = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n\0]*)?")
_TRAILER = re.compile(rb"%b:[^\r\n\0]*" % _TOKEN)
# For a line between chunks: a size with extensions, which no known client sends, or a trailer.
_CHUNK_LINE_BYTES = 4096
# All trailers of a body together.
_TRAILERS_BYTES = 8192
# More than there is around the target in a request line, and around the value in a header.
_AROUND = 100
NOT_HTTP = N_("the request cannot be read as HTTP")


class BadHead(WxError):
    """A head that is refused."""

    def __init__(self, status: int, code: str, message: str, remedy: str = "", /, **values: Value) -> None:
        super().__init__(message, remedy, **values)
        self.status = status
        self.code = code
        self.is_v1 = False  # whether the request is for /v1, which has a different error format


class BadChunk(Exception):
    """An invalid chunked body."""


class Sized:
    """A body of known length."""

    def __init__(self, length: int) -> None:
        self._left = length

    @property
    def done(self) -> bool:
        return not self._left

    def take(self, data: bytes) -> int:
        """Return how many bytes at the beginning of ``data`` belong to the body."""
        taken = min(self._left, len(data))
        self._left -= taken
        return taken


class Chunked:
    """A chunked body with its sizes and trailers."""

    def __init__(self) -> None:
        self._left = 0  # of the chunk, with the line end behind it
        self._line = b""  # the received part of a line
        self._trailers = -1  # bytes of trailers, -1 before the last chunk
        self.done = False

    def take(self, data: bytes, content: list[bytes] | None = None) -> int:
        """Like Sized; ``content`` receives the content of the chunks. Raises BadChunk."""
        at = 0
        while at < len(data) and not self.done:
            # Two more than the chunk has: its line end, which is checked byte by byte.
            if self._left > 2:
                step = min(self._left - 2, len(data) - at)
                if content is not None:
                    content.append(data[at : at + step])
                self._left -= step
                at += step
            elif self._left:
                if data[at] != b"\r\n"[-self._left]:
                    raise BadChunk
                self._left -= 1
                at += 1
            else:
                end = data.find(b"\n", at)
                piece = data[at : len(data) if end < 0 else end + 1]
                at += len(piece)
                self._line += piece
                if len(self._line) > _CHUNK_LINE_BYTES:
                    raise BadChunk
                if end >= 0:
                    line, self._line = self._line, b""
                    self._end_of_line(line)
        return at

    def _end_of_line(self, line: bytes) -> None:
        text, end = line[:-2], line[-2:]
        if end != b"\r\n":
            raise BadChunk
        if self._trailers < 0:
            size = _CHUNK.fullmatch(text)
            if size is None:
                raise BadChunk
            length = int(size[1], 16)
            if length:
                self._left = length + 2
            else:
                self._trailers = 0
            return
        self._trailers += len(line)
        if not text:
            self.done = True
        elif self._trailers > _TRAILERS_BYTES or not _TRAILER.fullmatch(text):
            raise BadChunk


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a request for the parser, and its body, if any."""

    raw: bytes
    body: Sized | Chunked | None


class Heads:
    """Takes heads from the bytes received on one connection. ``waiting``: one is incomplete."""

    def __init__(self) -> None:
        self._seen = 0
        self.waiting = False

    def take(self, held: bytearray, limits: PortLimits) -> Head | None:
        """Take a head off the beginning of ``held``; None when it is not complete. Raises BadHead."""
        while held.startswith(b"\r\n"):  # RFC 9112 2.2: after a body, from old programs
            del held[:2]
            self._seen = 0
        # Start three bytes back, because the end may arrive in two pieces, but do not search everything again.
        end = held.find(b"\r\n\r\n", max(0, self._seen - 3))
        try:
            if end < 0:
                self._check_begun(held, limits)
                self._seen, self.waiting = len(held), bool(held)
                return None
            head = checked(bytes(held[: end + 4]), limits)
        except BadHead as problem:
            problem.is_v1 = _V1.match(held) is not None
            raise
        del held[: end + 4]
        self._seen, self.waiting = 0, False
        return head

    def _check_begun(self, held: bytearray, limits: PortLimits) -> None:
        """Refuse bytes that no further bytes could make a head."""
        if (not self._seen and not _BEGIN.match(held)) or _BARE.search(held, max(0, self._seen - 1)):
            raise not_http()
        line = held.rfind(b"\r\n") + 2
        if len(held) - line > limits.line_bytes + _AROUND:
            raise long_line(limits) if line < 2 else long_field(limits)
        if len(held) > limits.head_bytes:
            raise long_head()


def not_http() -> BadHead:
    """Return the error for data that is not HTTP."""
    return BadHead(400, "bad-request", NOT_HTTP)


def escaped(line: bytes) -> bytes:
    """Percent-encode the bytes beyond ASCII of a request line.

    curl and many scripts send Chinese names and texts as they were typed; the original took them, HTTP does not.
    """
    return line if line.isascii() else b"".join(bytes((byte,)) if byte < 128 else b"%%%02X" % byte for byte in line)


def checked(raw: bytes, limits: PortLimits) -> Head:
    line, _, rest = raw.partition(b"\r\n")
    # Only then can one of its parts be too long.
    if len(raw) > limits.line_bytes:
        check_lengths(line, rest, limits)
    sent, line = line, escaped(line)
    match = _LINE.fullmatch(line)
    if match is None or not _FIELDS.fullmatch(rest):
        raise not_http()
    method, _, major, minor = match.groups()
    if (major, minor) not in ((b"1", b"1"), (b"1", b"0")):
        raise BadHead(505, "bad-version", N_("this version of HTTP is not supported"), N_("use HTTP/1.1"))
    if method == b"CONNECT":
        raise BadHead(
            501, "no-proxy", N_("CONNECT is not supported"), N_("this is not a proxy; call the API directly")
        )
    if raw.count(b"\r\n") - 2 > limits.headers:
        raise BadHead(431, "too-many-headers", N_("the request has too many headers"), N_("send fewer"))
    fields: dict[bytes, list[bytes]] = {}
    for name, value in _OF_INTEREST.findall(raw):
        fields.setdefault(name.lower(), []).append(value.strip(b" \t"))
    # Without one, or with two, a proxy in front may have decided by another name than ours.
    if len(fields.get(b"host", ())) != 1 and (minor == b"1" or b"host" in fields):
        raise BadHead(400, "bad-request", N_("the request needs one Host header"), N_("HTTP/1.1 requires it"))
    # Refused here, because aiohttp fails to refuse bytes that are not UTF-8. Empty ones and HTTP/1.0 expect nothing.
    if minor == b"1" and any(value.lower() not in (b"", b"100-continue") for value in fields.get(b"expect", ())):
        raise BadHead(
            417, "bad-request", N_("this Expect is not supported"), N_("send 100-continue, or leave the header out")
        )
    body = body_of(fields, minor)
    if body is not None and asks_for_upgrade(fields):
        # aiohttp takes all that follows for the other protocol.
        raise BadHead(
            400, "bad-request", N_("a request with a body cannot ask for Upgrade"), N_("send it without that header")
        )
    return Head(raw if line is sent else line + b"\r\n" + rest, body)


def check_lengths(line: bytes, rest: bytes, limits: PortLimits) -> None:
    target = line.partition(b" ")[2].rpartition(b" ")[0]
    if len(target) > limits.line_bytes:
        raise long_line(limits)
    if len(line) + len(rest) > limits.head_bytes:
        raise long_head()
    if any(len(field.partition(b":")[2].strip(b" \t")) > limits.line_bytes for field in rest.split(b"\r\n")):
        raise long_field(limits)


def long_line(limits: PortLimits) -> BadHead:
    return BadHead(
        414,
        "uri-too-long",
        N_("the address of the request is longer than {limit} bytes"),
        N_("use POST and send the parameters as a form"),
        limit=limits.line_bytes,
    )


def long_head() -> BadHead:
    return BadHead(431, "head-too-long", N_("the head of the request is too long"), N_("send fewer headers"))


def long_field(limits: PortLimits) -> BadHead:
    return BadHead(
        431,
        "header-too-long",
        N_("a header of the request is longer than {limit} bytes"),
        N_("shorten it, or raise request_line_bytes in the settings"),
        limit=limits.line_bytes,
    )


def body_of(fields: dict[bytes, list[bytes]], minor: bytes) -> Sized | Chunked | None:
    lengths, codings = fields.get(b"content-length", ()), fields.get(b"transfer-encoding", ())
    if codings:
        if b",".join(codings).lower() != b"chunked":
            raise BadHead(
                501,
                "unsupported-coding",
                N_("this Transfer-Encoding is not supported"),
                N_("send the body as it is, with Content-Length or chunked"),
            )
        if lengths or minor == b"0":
            raise BadHead(
                400,
                "bad-request",
                N_("Transfer-Encoding is for HTTP/1.1 and cannot be combined with Content-Length"),
                N_("send one of the two"),
            )
        return Chunked()
    if not lengths:
        return None
    if len(lengths) > 1 or not lengths[0].isdigit() or len(lengths[0]) > 18:
        raise BadHead(400, "bad-request", N_("the request needs one Content-Length, a number"), N_("correct it"))
    return Sized(int(lengths[0])) if int(lengths[0]) else None


def asks_for_upgrade(fields: dict[bytes, list[bytes]]) -> bool:
    return b"upgrade" in fields and any(b"upgrade" in value.lower() for value in fields.get(b"connection", ()))
