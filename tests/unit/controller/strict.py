"""A reader of HTTP requests that accepts one way to write each thing, and mutations of requests.

It shares nothing with the product: what it reads from a request is what the request says beyond doubt.
"""

import json
import random
import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_LINE = re.compile(rb"(%b) ([!-~\x80-\xff]+) HTTP/1\.([01])" % _TOKEN)
_HEADER = re.compile(rb"(%b):([\x20-\x7e\x80-\xff\t]*)" % _TOKEN)
_HEX = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n\0]*)?\Z")


@dataclass(frozen=True)
class Sent:
    """A request as it is read: names of headers in lower case."""

    method: bytes
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    rest: bytes
    minor: bytes = b"1"

    def all(self, name: bytes) -> list[bytes]:
        return [value for each, value in self.headers if each == name]


class Ambiguous(Exception):
    """Two programs could read this in two ways, or none can."""


class Incomplete(Exception):
    """The rest is missing."""


def read(raw: bytes) -> Sent:
    """Read the first request. Raises Ambiguous and Incomplete."""
    while raw.startswith(b"\r\n"):
        raw = raw[2:]
    head, end, rest = raw.partition(b"\r\n\r\n")
    if not end:
        raise Incomplete
    line, *fields = head.split(b"\r\n")
    found = _LINE.fullmatch(line)
    if found is None:
        raise Ambiguous
    headers = []
    for each in fields:
        field = _HEADER.fullmatch(each)
        if field is None:
            raise Ambiguous
        headers.append((field[1].lower(), field[2].strip(b" \t")))
    sent = Sent(found[1], found[2], tuple(headers), b"", rest, found[3])
    hosts, lengths, codings = sent.all(b"host"), sent.all(b"content-length"), sent.all(b"transfer-encoding")
    if len(hosts) > 1 or (not hosts and sent.minor == b"1"):
        raise Ambiguous
    if codings:
        if lengths or sent.minor == b"0" or [each.lower() for each in codings] != [b"chunked"]:
            raise Ambiguous
        body, rest = _chunks(rest)
    elif lengths:
        if len(lengths) > 1 or not re.fullmatch(rb"[0-9]{1,18}", lengths[0]):
            raise Ambiguous
        size = int(lengths[0])
        if len(rest) < size:
            raise Incomplete
        body, rest = rest[:size], rest[size:]
    else:
        body = b""
    return Sent(sent.method, sent.target, sent.headers, body, rest, sent.minor)


def _chunks(rest: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        line, end, rest = rest.partition(b"\r\n")
        if not end:
            raise Incomplete
        size = _HEX.match(line)
        if size is None:
            raise Ambiguous
        length = int(size[1], 16)
        if not length:
            break
        if len(rest) < length + 2:
            raise Incomplete
        if rest[length : length + 2] != b"\r\n":
            raise Ambiguous
        body, rest = body + rest[:length], rest[length + 2 :]
    while True:
        line, end, rest = rest.partition(b"\r\n")
        if not end:
            raise Incomplete
        if not line:
            return body, rest


def client_of(sent: Sent) -> bytes | None:
    """Return the client in the query or, without one there, in a form or JSON."""
    query = sent.target.partition(b"#")[0].partition(b"?")[2]
    found = _last(query, b"client")
    kind = b"".join(sent.all(b"content-type")[:1]).partition(b";")[0].strip().lower()
    if found is None and kind == b"application/x-www-form-urlencoded":
        found = _last(sent.body, b"client")
    elif found is None and kind == b"application/json":
        found = str(json.loads(sent.body.decode("utf-8", "replace"), strict=False)["client"]).encode()
    return found


def _last(pairs: bytes, wanted: bytes) -> bytes | None:
    found = None
    for pair in pairs.split(b"&"):
        name, _, value = pair.partition(b"=")
        if pair and unquote_to_bytes(name.replace(b"+", b" ")) == wanted:
            found = unquote_to_bytes(value.replace(b"+", b" "))
    return found


_COMMON = b"Host: 127.0.0.1:2000\r\nUser-Agent: curl/8\r\nAccept: */*\r\n"
_FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"


def requests(token: bytes) -> list[bytes]:
    """Return ordinary requests to the account ``bot``."""
    form = b"client=bot&id=filehelper&content=%E4%BD%A0+hello&token=" + token
    body = b'{"client":"bot","id":"x"}'
    shown = b"X-Auth-Token: " + token + b"\r\n"
    return [
        b"GET /openwx/get_user_info?client=bot HTTP/1.1\r\n" + _COMMON + b"\r\n",
        b"GET /openwx/search_friend.json?client=bot&name=%E4%BD%A0&token="
        + token
        + b" HTTP/1.1\r\n"
        + _COMMON
        + b"\r\n",
        b"HEAD /openwx/get_group_info?client=bot HTTP/1.1\r\n" + _COMMON + shown + b"\r\n",
        b"GET /openwx/get_friend_info?client=bot HTTP/1.1\r\nConnection: keep-alive\r\nCookie: a=b\r\n"
        + (_COMMON + b"Authorization: Bearer " + token + b"\r\n\r\n"),
        b"POST /openwx/send_friend_message HTTP/1.1\r\n"
        + (_COMMON + _FORM + b"Content-Length: %d\r\n" % len(form) + shown + b"\r\n" + form),
        b"POST /openwx/send_friend_message?client=bot HTTP/1.1\r\n"
        + (_COMMON + _FORM + b"Content-Length: 10\r\n" + shown + b"\r\nid=1&a=%41"),
        b"POST /openwx/send_group_message HTTP/1.1\r\nContent-Type: application/json\r\n"
        + (_COMMON + shown + b"Content-Length: %d\r\n\r\n" % len(body) + body),
    ]


_LINES = (
    b"Content-Length: 5|Content-Length: 0|Content-Length: +5|content-length:\t5|Content-Length: 5, 5|"
    b"Content-Length: 0x5|Content-Length: |Content-Length : 5|Content-Length: 99|Transfer-Encoding: chunked|"
    b"Transfer-Encoding: xchunked|Transfer-Encoding:\x0bchunked|Transfer-Encoding : chunked|"
    b"transfer-encoding: identity|TE: trailers|Trailer: X|Host: 127.0.0.1|Host: evil.example| Host: x|Host : x|"
    b"host: localhost|X: \x00|X: a\rb|Connection: close|Connection: x-auth-token|"
    b"Connection: keep-alive, content-length|Connection: x|Expect: 100-continue|Upgrade: websocket|"
    b"X-Wxcontroller: admin 00|x-wxcontroller: admin|Origin: https://evil.example|Sec-Fetch-Site: cross-site|"
    b"X-Forwarded-For: 10.0.0.1| folded|\tx|X-Auth-Token: wrong|Authorization: Bearer wrong|"
    b"Authorization: Basic eDp5|Cookie: c=d|:|Content-Type: application/json|"
    b"Content-Type: multipart/form-data; boundary=a|X-\xc3\xa9: a|X: \xc3\xa9|Keep-Alive: 5|"
    b"Proxy-Connection: keep-alive|Range: bytes=0-1|Content-Encoding: gzip|X:|x"
).split(b"|")
_PIECES = (
    b"\r\n~\n~\r~ ~\t~\x00~:~%~%00~%0d%0a~#~?~&~=~/~//~../~;~\xff~\x80~\r\n\r\n~\r\n ~client=bot~client=other~"
    b"&client=~%63lient=a~token=x~%74oken=y~+~HTTP/1.1~HTTP/1.0~GET ~0~5~-~*~http://x"
).split(b"~")
_PIECES.append(b"a" * 300)
_NEXT = b"GET /openwx/send_friend_message?client=bot&id=smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def mutated(source: random.Random, request: bytes) -> bytes:
    """Return a request with one change to three."""
    for _ in range(source.choice((1, 1, 1, 2, 2, 3))):
        head, end, body = request.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        match source.randrange(11):
            case 0 | 1:
                lines.insert(source.randint(1, len(lines)), source.choice(_LINES))
            case 2 if len(lines) > 1:
                lines.insert(source.randint(1, len(lines)), source.choice(lines[1:]))
            case 3 if len(lines) > 1:
                lines.pop(source.randrange(1, len(lines)))
            case 4:
                at = source.randint(0, len(request))
                request = request[:at] + source.choice(_PIECES) + request[at:]
                continue
            case 5:
                at = source.randrange(max(1, len(request)))
                request = request[:at] + bytes([source.randrange(256)]) + request[at + 1 :]
                continue
            case 6:
                at = source.randrange(max(1, len(request)))
                request = request[:at] + request[at + source.randint(1, 4) :]
                continue
            case 7:
                request += _NEXT
                continue
            case 8:
                at = source.randrange(len(lines))
                lines[at] = source.choice((lines[at].upper(), lines[at].lower(), lines[at] + b" ", b" " + lines[at]))
            case 9:
                at = source.randrange(len(lines))
                request = b"\r\n".join(lines[:at]) + b"\n" + b"\r\n".join(lines[at:]) + end + body
                continue
            case _:
                source.shuffle(rest := lines[1:])
                lines = [lines[0], *rest]
        request = b"\r\n".join(lines) + end + body
    return request
