"""The line itself: cookies, request bodies, TLS, and answers that are too much."""

import asyncio
import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.serving import answering
from tests.unit.drivers.kit import HURRY, Store
from wxcontroller.core.errors import BadOption
from wxcontroller.core.jsontypes import JsonValue
from wxcontroller.drivers.base import DriverContext
from wxcontroller.drivers.connection.failures import NoAnswer, UnreadableResponse
from wxcontroller.drivers.connection.transport import LineRequest, Transport
from wxcontroller.drivers.web.driver import make_driver
from wxcontroller.drivers.web.wire.calls import minimal_json
from wxcontroller.drivers.web.wire.cookies import COOKIE_LENGTH, COOKIES, Jar


async def test_cookies_are_sent_only_to_their_domain() -> None:
    jar = Jar()
    jar.take("wx2.qq.com", ["wxsid=sAmPlE/iD+1; Domain=.wx2.qq.com; Path=/; Secure", "plain=1", "gone=1; Max-Age=0"])
    jar.take(
        "wx2.qq.com", ["webwx_data_ticket=gSd; Domain=.qq.com; Path=/", "odd=1; Expires=yesterday; Max-Age=soon"]
    )
    jar.take("wx2.qq.com", ["foreign=1; Domain=wx.qq.com", "everywhere=1; Domain=com"])
    jar.take(
        "wx2.qq.com", [f"{a}=1; Expires=Wed, 01 Jan {b} 00:00:01 GMT" for a, b in (("old", 1970), ("later", 2200))]
    )
    sent = sorted(jar.header("wx2.qq.com", "/x", True).split("; "))
    assert sent == ["later=1", "odd=1", "plain=1", "webwx_data_ticket=gSd", "wxsid=sAmPlE/iD+1"]
    shared = jar.header("webpush.wx2.qq.com", "/", True)
    assert sorted(shared.split("; ")) == ["webwx_data_ticket=gSd", "wxsid=sAmPlE/iD+1"]
    assert jar.header("file.wx.qq.com", "/", False) == "webwx_data_ticket=gSd"
    assert jar.header("evilwx2.qq.com.example", "/", True) == ""
    assert jar.value("webwx_data_ticket") == "gSd"
    assert jar.value("nothing") == ""


async def test_cookies_are_sent_to_their_path_and_below() -> None:
    jar = Jar()
    jar.take("wx.qq.com", ["all=1", "some=1; Path=/cgi-bin", "few=1; Path=/cgi-bin/a%2Fb/"])
    sent = {path: jar.header("wx.qq.com", path, True) for path in ("/x", "/cgi", "/cgi-bin", "/cgi-bin/x")}
    assert sent == {"/x": "all=1", "/cgi": "all=1", "/cgi-bin": "all=1; some=1", "/cgi-bin/x": "all=1; some=1"}
    assert jar.header("wx.qq.com", "/cgi-bin/a%252Fb/c", True) == "all=1; some=1; few=1"


async def test_memory_does_not_grow_with_new_paths() -> None:
    jar = Jar()
    jar.take("wx.qq.com", ["a=1; Domain=wx.qq.com", "b=1; Path=/cgi-bin"])
    tracemalloc.start()
    try:
        for number in range(2000):
            assert jar.header("wx.qq.com", f"/qrcode/{number}", True) == "a=1"
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 500_000  # yarl remembers some hundred addresses


@pytest.mark.parametrize("value", ["b/c+=", '"quoted/+ one"', "two words", '{"a":1}', ""])
async def test_cookie_values_are_returned_unchanged(value: str) -> None:
    jar, copy = Jar(), Jar()
    jar.take("wx.qq.com", [f"a={value}; Path=/; Secure; Max-Age=100; Odd=x; HttpOnly"])
    assert jar.header("wx.qq.com", "/cgi-bin/x", True) == f"a={value}"
    damaged: list[JsonValue] = [None, {"name": "x"}, {"name": "x", "value": "a\nb", "domain": "y"}, 7]
    copy.restore([*damaged, *json.loads(json.dumps(jar.stored()))])
    assert copy.stored() == jar.stored()
    assert copy.header("wx.qq.com", "/cgi-bin/x", True) == f"a={value}"


async def test_number_and_length_of_cookies_are_limited() -> None:
    jar = Jar()
    jar.take("wx.qq.com", [f"c{number}=x" for number in range(COOKIES + 5)])
    assert len(jar) == COOKIES
    assert jar.value(f"c{COOKIES + 4}") == "x"
    assert jar.value("c4") == ""
    jar.take("wx.qq.com", ["long=" + "x" * COOKIE_LENGTH])
    assert jar.value("long") == ""


@given(st.text())
def test_bodies_are_escaped_minimally(content: str) -> None:
    body = minimal_json({"Content": content})
    expected = content.encode("utf-8", "replace").decode()
    assert json.loads(body)["Content"] == expected
    if all(c >= " " for c in content):
        assert b"\\u" not in body.replace(b"\\\\", b"")
        assert b"\\/" not in body.replace(b"\\\\", b"")


async def fetch(raw: bytes, limit: int = 1000, timeout: float = 1.0) -> bytes:
    """Ask a server that answers with ``raw`` and closes, or not at all; return the body."""
    async with (
        answering(raw or None) as port,
        Transport(Jar(), HURRY, f"http://127.0.0.1:{port}") as transport,
    ):
        request = LineRequest("call", "wx.qq.com", "/x", "skey=secret", limit=limit, timeout=timeout)
        return (await transport.send(request)).body


OK = b"HTTP/1.1 200 OK\r\n"


async def test_request_of_a_transport_that_is_closed_meanwhile_has_no_answer() -> None:
    """As when an account stops while a picture is fetched."""
    asked = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b"Content-Length: 0\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")  # on a kept connection, on which the library asks again when it breaks
        asked.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with Transport(Jar(), HURRY, url) as transport:
            await transport.send(LineRequest("call", "wx.qq.com", "/x", ""))
            request = asyncio.ensure_future(transport.send(LineRequest("call", "wx.qq.com", "/x", "")))
            await asked.wait()
        with pytest.raises(NoAnswer):
            await request


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 0 -\r\nContent-Length: 0\r\n\r\n",
        b"\x00\xff\x00",
        b"\r\n",
        OK + b"Content-Length: 10\r\n\r\nabc",
        OK + b"Content-Length: x\r\n\r\nabc",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc",
        OK + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        OK + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
)
async def test_invalid_responses_are_failures(raw: bytes) -> None:
    with pytest.raises(NoAnswer) as failed:
        await fetch(raw)
    assert "secret" not in f"{failed.value!r} {failed.value.__cause__!r} {failed.value.__context__!r}"


async def test_overlong_response_is_not_read_completely() -> None:
    body = b"x" * 1000
    assert await fetch(OK + b"Content-Length: 1000\r\n\r\n" + body) == body
    with pytest.raises(UnreadableResponse, match="longer"):
        await fetch(OK + b"Content-Length: 1001\r\n\r\n" + body + b"y")
    with pytest.raises(UnreadableResponse, match="longer"):
        await fetch(OK + b"\r\n" + b"z" * 10_000_000)


async def test_a_ca_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nonsense")
    for name in ("ca.pem", "missing.pem"):
        options = {"server": "https://127.0.0.1:1", "ca_file": str(tmp_path / name)}
        with pytest.raises(BadOption, match=name):
            make_driver(DriverContext("alice", options, Store()))
