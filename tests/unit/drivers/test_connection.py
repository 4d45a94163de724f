"""Connections to WeChat: errors that name the cause, other hosts, cookies, and responses that cannot be read."""

import asyncio
import contextlib
import json
import socket
import time
import tracemalloc
from pathlib import Path

import pytest

from tests.certificates import tls_server
from tests.patience import PATIENCE
from tests.serving import answering, cancelled_at_the_limit
from tests.unit.drivers.kit import HURRY, Store, Wechat, hurried
from wxcontroller.core.errors import BadOption, WeChatError
from wxcontroller.core.jsontypes import JsonValue
from wxcontroller.drivers.base import DriverContext, Loading, LoginStalled, Online, QrReady, SessionLost
from wxcontroller.drivers.connection.failures import NoAnswer, UnreadableResponse
from wxcontroller.drivers.connection.transport import LineRequest, Transport
from wxcontroller.drivers.web.driver import make_driver
from wxcontroller.drivers.web.wire.cookies import COOKIE_LENGTH, COOKIES, Jar
from wxcontroller.sandbox.faults.faults import FaultKind
from wxcontroller.sandbox.world.phone import ServerAccount


async def failure(port: int, ca_file: str = "", scheme: str = "https") -> NoAnswer:
    async with Transport(Jar(), HURRY, f"{scheme}://127.0.0.1:{port}", ca_file) as transport:
        with pytest.raises(NoAnswer) as failed:
            await transport.send(LineRequest("synccheck", "wx.qq.com", "/x", "skey=secret", timeout=PATIENCE))
    assert "secret" not in f"{failed.value!r} {failed.value} {failed.value.__cause__!r} {failed.value.__context__!r}"
    return failed.value


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize(
    ("name", "begins", "ends", "trusted", "reason", "remedy"),
    [
        ("wx.qq.com", -30, -1, True, "has expired", "clock"),
        ("portal.example", -1, 30, True, "belongs to another host", "ca_file"),
        ("wx.qq.com", -1, 30, False, "is self-signed", "ca_file"),
    ],
)
async def test_untrusted_certificate_is_refused_with_its_problem(
    tmp_path: Path, name: str, begins: int, ends: int, trusted: bool, reason: str, remedy: str
) -> None:
    authority, context = tls_server(tmp_path, name, "tls", begins, ends)
    async with answering(b"", context) as port:
        failed = await failure(port, str(authority) if trusted else "")
    assert failed.message == f"synccheck: the certificate of wx.qq.com is not trusted: it {reason}"
    assert remedy in failed.remedy


@pytest.mark.usefixtures("both_ways")
async def test_stop_in_the_moment_of_a_time_limit_is_not_lost() -> None:
    async def request(port: int) -> None:
        async with Transport(Jar(), HURRY, f"http://127.0.0.1:{port}") as transport:
            await transport.send(LineRequest("synccheck", "wx.qq.com", "/x", "", timeout=1.0))

    assert await cancelled_at_the_limit(request, 1.1)


async def test_unusable_ca_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nonsense")
    options = {"server": "https://127.0.0.1:1", "ca_file": str(tmp_path / "ca.pem")}
    with pytest.raises(BadOption, match=r"ca\.pem"):
        make_driver(DriverContext("alice", options, Store()))


@pytest.mark.usefixtures("both_ways")
async def test_refused_connection_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as spare:
        port = spare.getsockname()[1]
    failed = await failure(port, scheme="http")
    assert failed.message == "synccheck: cannot connect to wx.qq.com: connection refused"
    assert "firewall" in failed.remedy
    assert not failed.unsure  # the request was never sent


@pytest.mark.usefixtures("both_ways")
async def test_failed_connection_is_not_an_empty_poll() -> None:
    # A listener whose queue is full lets further connections hang.
    with socket.socket() as full, contextlib.ExitStack() as others:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        for _ in range(4):
            other = others.enter_context(socket.socket())
            other.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                other.connect(("127.0.0.1", port))
        async with Transport(Jar(), hurried(connect=0.2), f"http://127.0.0.1:{port}") as transport:
            with pytest.raises(NoAnswer, match=r"cannot connect to wx\.qq\.com: no answer in time") as failed:
                await transport.send(LineRequest("synccheck", "wx.qq.com", "/", timeout=2.0))
    assert not failed.value.timed_out


@pytest.mark.usefixtures("both_ways")
async def test_silence_shorter_than_the_request_ends_it() -> None:
    began = time.monotonic()
    async with (
        answering(None) as port,
        Transport(Jar(), hurried(silence=0.2), f"http://127.0.0.1:{port}") as transport,
    ):
        with pytest.raises(NoAnswer, match="no answer in time"):
            await transport.send(LineRequest("call", "wx.qq.com", "/", timeout=PATIENCE))
    assert time.monotonic() - began < PATIENCE


# -- another host


def move(world: Wechat, account: ServerAccount, domain: str) -> None:
    world.fault("*", FaultKind.MOVED, domain, count=None)
    account.domain = domain
    if account.session is not None:
        account.session.domain = domain


async def test_polling_session_follows_a_move_to_another_domain(world: Wechat, alice: ServerAccount) -> None:
    store = Store()
    async with world.online(alice, store) as drive:
        move(world, alice, "web.wechat.com")
        world.hear(alice, "over there")
        await drive.text("over there")
        sent = await drive.driver.send_text("filehelper", "x", "1")
        assert sent.id
    assert drive.count(SessionLost) == 0
    async with world.drive(store) as drive:
        await drive.until(Online)
        assert drive.count(QrReady) == 0


async def test_login_follows_a_redirect_of_its_first_request(world: Wechat, alice: ServerAccount) -> None:
    move(world, alice, "wx2.qq.com")
    async with world.drive() as drive:
        await world.enter(drive, alice)
    assert world.violations() == []


@pytest.mark.usefixtures("both_ways")
async def test_redirect_to_a_foreign_host_is_not_followed(world: Wechat, alice: ServerAccount) -> None:
    raw = b"HTTP/1.1 302 Found\r\nLocation: https://wx.qq.com.evil.example/\r\nContent-Length: 0\r\n\r\n"
    async with answering(raw) as port:
        evil = Wechat(world.sandbox, f"http://127.0.0.1:{port}")
        async with evil.drive() as drive:
            await drive.until(Loading)
            hindered = await drive.until(LoginStalled)
    assert "not WeChat's" in str(hindered.reason)


async def test_options_limit_retries_and_waiting(world: Wechat, alice: ServerAccount) -> None:
    world.fault("webwxgetcontact", FaultKind.STATUS, 503, count=None)
    async with world.online(alice, ua_retry_times="7", ua_inactivity_timeout="1") as drive:
        assert world.requests("webwxgetcontact") == 8
        world.fault("webwxsendmsg", FaultKind.DELAY, 3600)
        with pytest.raises(WeChatError, match="in time"):
            await drive.driver.send_text("filehelper", "x", "1")


# -- cookies, request bodies and unreadable responses


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


async def test_cookies_are_limited_and_sent_to_their_path_and_below() -> None:
    jar = Jar()
    jar.take("wx.qq.com", ["all=1", "some=1; Path=/cgi-bin", "few=1; Path=/cgi-bin/a%2Fb/"])
    sent = {path: jar.header("wx.qq.com", path, True) for path in ("/cgi", "/cgi-bin", "/cgi-bin/x")}
    assert sent == {"/cgi": "all=1", "/cgi-bin": "all=1; some=1", "/cgi-bin/x": "all=1; some=1"}
    assert jar.header("wx.qq.com", "/cgi-bin/a%252Fb/c", True) == "all=1; some=1; few=1"
    jar.take("wx.qq.com", [f"c{number}=x" for number in range(COOKIES + 5)])
    jar.take("wx.qq.com", ["long=" + "x" * COOKIE_LENGTH])
    assert (len(jar), jar.value(f"c{COOKIES + 4}"), jar.value("c4"), jar.value("long")) == (COOKIES, "x", "", "")


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


@pytest.mark.parametrize("value", ["b/c+=", '"quoted/+ one"', ""])
async def test_cookie_values_are_returned_unchanged(value: str) -> None:
    jar, copy = Jar(), Jar()
    jar.take("wx.qq.com", [f"a={value}; Path=/; Secure; Max-Age=100; Odd=x; HttpOnly"])
    assert jar.header("wx.qq.com", "/cgi-bin/x", True) == f"a={value}"
    damaged: list[JsonValue] = [None, {"name": "x"}, {"name": "x", "value": "a\nb", "domain": "y"}, 7]
    copy.restore([*damaged, *json.loads(json.dumps(jar.stored()))])
    assert copy.stored() == jar.stored()
    assert copy.header("wx.qq.com", "/cgi-bin/x", True) == f"a={value}"


async def test_server_decides_whether_a_cookie_has_expired(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logins work on a host whose clock is wrong."""
    jar, copy, date = Jar(), Jar(), "Wed, 25 Nov 2026 04:00:00 GMT"
    monkeypatch.setattr(time, "time", lambda: 2_400_000_000.0)
    jar.take("wx.qq.com", ["a=1; Expires=Wed, 25 Nov 2026 16:00:00 GMT", "b=1; Max-Age=10"], date)
    assert jar.header("wx.qq.com", "/", True) == "a=1; b=1"
    jar.take("wx.qq.com", ["a=; Expires=Wed, 25 Nov 2026 03:59:59 GMT"], date)
    copy.restore(jar.stored())
    assert copy.header("wx.qq.com", "/", True) == "b=1"
    jar.take("wx.qq.com", ["b=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], "no date")
    assert jar.header("wx.qq.com", "/", True) == ""


async def fetch(raw: bytes, limit: int = 1000, timeout: float = 1.0) -> bytes:
    """Ask a server that answers with ``raw`` and closes, or not at all; return the body."""
    async with (
        answering(raw or None) as port,
        Transport(Jar(), HURRY, f"http://127.0.0.1:{port}") as transport,
    ):
        request = LineRequest("call", "wx.qq.com", "/x", "skey=secret", limit=limit, timeout=timeout)
        return (await transport.send(request)).body


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize(
    "raw",
    [
        b"\x00\xff\x00",
        OK + b"Content-Length: 10\r\n\r\nabc",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc",
        OK + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
    ],
)
async def test_invalid_responses_are_failures(raw: bytes) -> None:
    with pytest.raises(NoAnswer) as failed:
        await fetch(raw)
    assert "secret" not in f"{failed.value!r} {failed.value.__cause__!r} {failed.value.__context__!r}"


@pytest.mark.usefixtures("both_ways")
async def test_overlong_response_is_not_read_completely() -> None:
    body = b"x" * 1000
    assert await fetch(OK + b"Content-Length: 1000\r\n\r\n" + body) == body
    with pytest.raises(UnreadableResponse, match="longer"):
        await fetch(OK + b"Content-Length: 1001\r\n\r\n" + body + b"y")
    with pytest.raises(UnreadableResponse, match="longer"):
        await fetch(OK + b"\r\n" + b"z" * 10_000_000)


@pytest.mark.usefixtures("both_ways")
async def test_request_of_an_account_that_stops_has_no_answer() -> None:
    """As when a picture is fetched meanwhile."""
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
