"""HTTP/1.1 messages by RFC 9112, without I/O: heads of requests and of answers, and where their bodies end.

    request  = method SP target SP "HTTP/1." ("0" / "1") CRLF *field CRLF
    answer   = "HTTP/1." ("0" / "1") SP status [SP reason] CRLF *field CRLF
    field    = token ":" *(HTAB / SP / VCHAR / obs-text) CRLF      without white space around the name, never folded
    method   = token, target = 1*VCHAR, status = 3DIGIT, reason = *(HTAB / SP / VCHAR / obs-text)
    body     = Content-Length, once, up to 18 digits / Transfer-Encoding: chunked, once, in HTTP/1.1 / none
    chunked  = *(1*15HEXDIG [BWS] [";" extension] CRLF data CRLF) 1*"0" … CRLF *field CRLF

Every head of a caller on every port is read here first, and at the controller those of accounts' answers to calls
under /openwx/. aiohttp sees only what passed. Heads that two programs could read in different ways (more than one
length, codings besides chunked, bare line feeds, folded lines, two tokens) are refused, not repaired: a reverse proxy
in front that reads it the other way would take one caller's bytes for another caller's request. The one exception are
request lines with bytes beyond ASCII, which are percent-encoded: many scripts send Chinese names as they were typed.

What h11 and aiohttp accept and this refuses, and the reverse, is listed in tests/unit/openwx/test_http1.py.
"""

import re
from dataclasses import dataclass

from wxcontroller.core.errors import WxError
from wxcontroller.core.text.templates import N_, Value
from wxcontroller.openwx.http.admission import PortLimits

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_TEXT = rb"[\t -~\x80-\xff]*+"
_BLOCK = rb"((?:%b:%b\r\n)*+)\r\n" % (_TOKEN, _TEXT)
# Possessive quantifiers (``*+``): they never give back what they took, so a hostile head cannot make a match slow.
_REQUEST = re.compile(rb"(%b) ([!-~]+) HTTP/([0-9])\.([0-9])\r\n%b" % (_TOKEN, _BLOCK))
_ANSWER = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: (%b))?\r\n%b" % (_TEXT, _BLOCK))
_FIELD = re.compile(rb"([^:]+):[ \t]*+([^\r]*)\r\n")  # in a block
_V1 = re.compile(rb"%b /v1/" % _TOKEN)
_BEGIN = re.compile(rb"\r?\Z|%b(?: |\Z)" % _TOKEN)
# For some programs a bare LF ends a line, for others it is part of the value: reject the ambiguity.
_BARE = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;%b)?" % _TEXT)
_TRAILER = re.compile(rb"%b:%b" % (_TOKEN, _TEXT))
# Of two, programs differ in which one counts.
_ONCE = frozenset({b"host", b"content-length", b"content-type", b"authorization", b"x-auth-token"})
# For a line between chunks: a size with extensions, which no known client sends, or a trailer.
_CHUNK_LINE_BYTES = 4096
# All trailers of a body together.
_TRAILERS_BYTES = 8192
# More than there is around the target in a request line, and around the value in a header.
_AROUND = 100
NOT_HTTP = N_("the request cannot be read as HTTP")
Fields = list[tuple[bytes, bytes, bytes]]


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
        self.length = self._left = length

    @property
    def done(self) -> bool:
        return not self._left

    def take(self, data: bytes, content: list[bytes] | None = None) -> int:
        """Return how many bytes at the beginning of ``data`` belong to the body; ``content`` receives its content."""
        taken = min(self._left, len(data))
        self._left -= taken
        if content is not None and taken:
            content.append(data[:taken])
        return taken


class Chunked:
    """A chunked body with its sizes and trailers."""

    def __init__(self) -> None:
        self._left = 0  # of the chunk, with the line end behind it
        self._line = b""  # the received part of a line
        self._trailers = -1  # bytes of trailers, -1 before the last chunk
        self.done = False

    def take(self, data: bytes, content: list[bytes] | None = None) -> int:
        """Like Sized. Raises BadChunk."""
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
    """What the heads of requests and answers have in common.

    ``fields`` have each name in lower case, the name as it was sent, and the value. ``values`` are by the name in
    lower case; of a repeated one they are joined to a list (RFC 9110 5.3).
    """

    raw: bytes
    minor: bytes  # of the version
    fields: Fields
    values: dict[bytes, bytes]

    def value(self, name: bytes) -> str | None:
        """Return a value as aiohttp decodes it, None for none."""
        found = self.values.get(name)
        return None if found is None else found.decode("utf-8", "surrogateescape")

    @property
    def keeps(self) -> bool:
        """Whether the connection is kept after this message."""
        named = self.values.get(b"connection")
        return self.minor == b"1" and (named is None or b"close" not in listed(named))


@dataclass(frozen=True, slots=True)
class RequestHead(Head):
    """The head of a request, and its body, if any."""

    method: bytes
    target: bytes
    body: Sized | Chunked | None

    @property
    def expects(self) -> bool:
        """Whether the caller waits for 100 Continue before it sends the body."""
        return self.body is not None and self.minor == b"1" and bool(self.values.get(b"expect"))


@dataclass(frozen=True, slots=True)
class AnswerHead(Head):
    """The head of an answer. ``length`` of its body is None for one that is chunked or ends with the connection."""

    status: int
    reason: bytes
    length: int | None
    chunked: bool


class Heads:
    """Takes heads from the bytes received on one connection. ``waiting``: one is incomplete."""

    def __init__(self) -> None:
        self._seen = 0
        self.waiting = False

    def take(self, held: bytearray, limits: PortLimits) -> RequestHead | None:
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


def checked(raw: bytes, limits: PortLimits) -> RequestHead:
    line, _, rest = raw.partition(b"\r\n")
    # Only then can one of its parts be too long.
    if len(raw) > limits.line_bytes:
        check_lengths(line, rest, limits)
    if not line.isascii():
        raw = escaped(line) + b"\r\n" + rest
    match = _REQUEST.fullmatch(raw)
    if match is None:
        raise not_http()
    method, target, major, minor, block = match.groups()
    if major != b"1" or minor not in (b"0", b"1"):
        raise BadHead(505, "bad-version", N_("this version of HTTP is not supported"), N_("use HTTP/1.1"))
    if method == b"CONNECT":
        raise BadHead(
            501, "no-proxy", N_("CONNECT is not supported"), N_("this is not a proxy; call the API directly")
        )
    if block.count(b"\r\n") > limits.headers:
        raise BadHead(431, "too-many-headers", N_("the request has too many headers"), N_("send fewer"))
    fields, values = read_fields(block)
    # Without one, a proxy in front may have decided by another name than ours.
    if minor == b"1" and b"host" not in values:
        raise BadHead(400, "bad-request", N_("the request needs one Host header"), N_("HTTP/1.1 requires it"))
    # Empty ones and HTTP/1.0 expect nothing.
    if minor == b"1" and values.get(b"expect", b"").lower() not in (b"", b"100-continue"):
        raise BadHead(
            417, "bad-request", N_("this Expect is not supported"), N_("send 100-continue, or leave the header out")
        )
    length, chunked = extent(values, minor)
    body = Chunked() if chunked else Sized(length) if length else None
    if body is not None and b"upgrade" in values and b"upgrade" in values.get(b"connection", b"").lower():
        # aiohttp takes all that follows for the other protocol.
        raise BadHead(
            400, "bad-request", N_("a request with a body cannot ask for Upgrade"), N_("send it without that header")
        )
    return RequestHead(raw, minor, fields, values, method, target, body)


def read_answer(raw: bytes) -> AnswerHead:
    """Read the head of an answer. Raises BadHead."""
    match = _ANSWER.fullmatch(raw)
    if match is None:
        raise not_http()
    minor, status, reason, block = match.groups()
    fields, values = read_fields(block)
    length, chunked = extent(values, minor)
    return AnswerHead(raw, minor, fields, values, int(status), reason or b"", length, chunked)


def read_fields(block: bytes) -> tuple[Fields, dict[bytes, bytes]]:
    """Return the fields of a block that fits the grammar, and their values by name. Raises BadHead."""
    fields: Fields = []
    values: dict[bytes, bytes] = {}
    for name, value in _FIELD.findall(block):
        low, value = name.lower(), value.rstrip(b" \t")
        fields.append((low, name, value))
        if low in values:
            if low in _ONCE:
                words = N_("the header {name} is repeated")
                raise BadHead(400, "bad-request", words, N_("send it once"), name=name.decode())
            value = values[low] + b", " + value
        values[low] = value
    return fields, values


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


def listed(value: bytes) -> set[bytes]:
    """Return the members of a list in a header, in lower case."""
    return {each.strip(b" \t") for each in value.lower().split(b",")}


def extent(values: dict[bytes, bytes], minor: bytes) -> tuple[int | None, bool]:
    """Return the length of a body, None if unstated, and whether it is chunked. Raises BadHead."""
    coding, length = values.get(b"transfer-encoding"), values.get(b"content-length")
    if coding is not None:
        if coding.lower() != b"chunked":
            raise BadHead(
                501,
                "unsupported-coding",
                N_("this Transfer-Encoding is not supported"),
                N_("send the body as it is, with Content-Length or chunked"),
            )
        if length is not None or minor == b"0":
            raise BadHead(
                400,
                "bad-request",
                N_("Transfer-Encoding is for HTTP/1.1 and cannot be combined with Content-Length"),
                N_("send one of the two"),
            )
        return None, True
    if length is None:
        return None, False
    # 18 digits fit into 64 bits, and ``int`` takes quadratic time for very long numbers.
    if not length.isdigit() or len(length) > 18:
        raise BadHead(400, "bad-request", N_("the request needs one Content-Length, a number"), N_("correct it"))
    return int(length), False
