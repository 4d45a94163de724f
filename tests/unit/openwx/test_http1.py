"""The parser of heads against h11 and aiohttp: where they differ from it, and why."""

import asyncio
import contextlib
import random
from unittest import mock

import h11
import pytest
from aiohttp.http import HttpRequestParser
from aiohttp.http_exceptions import HttpProcessingError

from tests.unit.controller.forwardkit import mutated, requests
from tests.unit.heads import REFUSED
from wxcontroller.controller.portlimits import limits_of
from wxcontroller.core.config.settings import Settings
from wxcontroller.openwx.http.http1 import BadHead, Chunked, Heads, RequestHead, Sized

_LIMITS = limits_of(Settings())
_LINE = b"POST /openwx/x HTTP/1.1\r\n"
_HOST = b"Host: localhost\r\n"
OURS, H11, AIOHTTP = "ours", "h11", "aiohttp"
# Who accepts a head, and the reason to differ from the others.
DIFFERENCES: dict[str, tuple[bytes, set[str], str]] = {
    "no Host": (_LINE + b"\r\n", {AIOHTTP}, "RFC 9112 3.2 demands it: a proxy may have decided by another name"),
    "two hosts": (_LINE + _HOST * 2 + b"\r\n", {AIOHTTP}, "as above"),
    "one length twice": (_LINE + _HOST + b"Content-Length: 1\r\n" * 2 + b"\r\n", {H11}, "no client sends two"),
    "a list of lengths": (_LINE + _HOST + b"Content-Length: 1, 1\r\n\r\n", {H11}, "no client sends a list"),
    "length and chunks": (
        _LINE + _HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        {H11},
        "RFC 9112 6.3 allows it, and warns of smuggling",
    ),
    "two types": (_LINE + _HOST + b"Content-Type: a/b\r\n" * 2 + b"\r\n", {H11, AIOHTTP}, "which one counts?"),
    "two tokens": (_LINE + _HOST + b"X-Auth-Token: a\r\n" * 2 + b"\r\n", {H11, AIOHTTP}, "which one counts?"),
    "bare line feeds": (
        b"GET / HTTP/1.1\n" + b"Host: localhost\n\n",
        {H11},
        "RFC 9112 2.2 allows it; proxies differ",
    ),
    "a folded line": (_LINE + _HOST + b"X: a\r\n b\r\n\r\n", {H11}, "obsolete since RFC 7230"),
    "a control character": (_LINE + _HOST + b"X: a\x01\r\n\r\n", {H11}, "RFC 9110 5.5: invalid"),
    "a target beyond ASCII": (
        "POST /openwx/x?a=\u4f60 HTTP/1.1\r\n".encode() + _HOST + b"\r\n",
        {OURS},
        "scripts send Chinese names as typed; it is encoded",
    ),
    "a body with Upgrade": (
        _LINE + _HOST + b"Content-Length: 1\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        {H11, AIOHTTP},
        "aiohttp takes what follows for the other protocol",
    ),
    "another expectation": (_LINE + _HOST + b"Expect: x\r\n\r\n", {H11, AIOHTTP}, "it would never be met"),
    "CONNECT": (b"CONNECT a:1 HTTP/1.1\r\n" + _HOST + b"\r\n", {H11, AIOHTTP}, "this is not a proxy"),
}


def ours(raw: bytes) -> RequestHead | None:
    with contextlib.suppress(BadHead):
        return Heads().take(bytearray(raw), _LIMITS)
    return None


def of_h11(raw: bytes) -> tuple[bytes, bytes, str] | None:
    """Return method, target and kind of body as h11 reads them, None for what it refuses."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(raw)
    with contextlib.suppress(h11.RemoteProtocolError):
        event = connection.next_event()
        if isinstance(event, h11.Request):
            values = dict(event.headers)
            length = "chunked" if b"transfer-encoding" in values else str(int(values.get(b"content-length", b"0")))
            return event.method, event.target, length
    return None


def is_taken_by_aiohttp(raw: bytes) -> bool:
    loop = asyncio.new_event_loop()
    try:
        parser = HttpRequestParser(mock.Mock(), loop, 2**16, max_line_size=8190, max_field_size=8190)
        with contextlib.suppress(HttpProcessingError, ValueError):
            messages, _, _ = parser.feed_data(raw)
            return bool(messages)
        return False
    finally:
        loop.close()


@pytest.mark.parametrize("case", DIFFERENCES)
def test_differences_to_other_parsers_are_the_listed_ones(case: str) -> None:
    raw, accepted, _ = DIFFERENCES[case]
    found = {OURS: ours(raw) is not None, H11: of_h11(raw) is not None, AIOHTTP: is_taken_by_aiohttp(raw)}
    assert {name for name, taken in found.items() if taken} == accepted


def test_what_is_accepted_is_read_as_h11_reads_it() -> None:
    source, taken = random.Random(20261203), 0
    plain = [each for each in requests(b"t") if each.isascii()]
    for _ in range(3000):
        raw = mutated(source, source.choice(plain))
        head = ours(raw)
        if head is None or raw.partition(b"\r\n")[0].isascii() is False:
            continue
        taken += 1
        kind = "chunked" if isinstance(head.body, Chunked) else str(head.body.length if head.body else 0)
        assert isinstance(head.body, Sized | Chunked | None)
        assert of_h11(raw.lstrip(b"\r\n")) == (head.method, head.target, kind), raw
    assert taken > 500


def test_refused_heads_are_refused() -> None:
    for case, (raw, _, _) in REFUSED.items():
        assert ours(raw) is None, case
