"""A line that is down: what is wrong is said in words that help, and the account gets over it."""

import contextlib
import socket
import time
from pathlib import Path

import pytest

from tests.certificates import tls_server
from tests.serving import answering
from tests.unit.drivers.kit import HURRY, Store, Wechat, hurried
from wxcontroller.core.errors import WeChatError
from wxcontroller.drivers.base import Loading, LoginStalled, Online, QrReady, RosterLoaded, SessionLost
from wxcontroller.drivers.connection.failures import NoAnswer
from wxcontroller.drivers.connection.transport import LineRequest, Transport
from wxcontroller.drivers.web.wire.cookies import Jar
from wxcontroller.sandbox.account import ServerAccount
from wxcontroller.sandbox.faults import FaultKind


async def failure(port: int, ca_file: str = "", scheme: str = "https", host: str = "127.0.0.1") -> NoAnswer:
    async with Transport(Jar(), HURRY, f"{scheme}://{host}:{port}", ca_file) as transport:
        with pytest.raises(NoAnswer) as failed:
            await transport.send(LineRequest("synccheck", "wx.qq.com", "/x", "skey=secret", timeout=2.0))
    assert "secret" not in f"{failed.value!r} {failed.value} {failed.value.__cause__!r} {failed.value.__context__!r}"
    return failed.value


@pytest.mark.parametrize(
    ("name", "begins", "ends", "trusted", "reason", "remedy"),
    [
        ("wx.qq.com", -30, -1, True, "has expired", "clock"),
        ("wx.qq.com", 1, 30, True, "is not valid yet", "clock"),
        ("portal.example", -1, 30, True, "belongs to another host", "ca_file"),
        ("wx.qq.com", -1, 30, False, "is self-signed", "ca_file"),
    ],
)
async def test_certificate_problem_is_named(
    tmp_path: Path, name: str, begins: int, ends: int, trusted: bool, reason: str, remedy: str
) -> None:
    authority, context = tls_server(tmp_path, name, "tls", begins, ends)
    async with answering(b"", context) as port:
        failed = await failure(port, str(authority) if trusted else "")
    assert failed.message == f"synccheck: the certificate of wx.qq.com is not trusted: it {reason}"
    assert remedy in failed.remedy


async def test_a_refused_connection_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as spare:
        port = spare.getsockname()[1]
    failed = await failure(port, scheme="http")
    assert failed.message == "synccheck: can't connect to wx.qq.com: connection refused"
    assert "firewall" in failed.remedy
    assert not failed.unsure  # the request was never sent


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
            with pytest.raises(NoAnswer, match=r"can't connect to wx\.qq\.com: no answer in time") as failed:
                await transport.send(LineRequest("synccheck", "wx.qq.com", "/", timeout=2.0))
    assert not failed.value.timed_out


# -- another host


def move(world: Wechat, account: ServerAccount, domain: str) -> None:
    world.fault("*", FaultKind.MOVED, domain, count=None)
    account.domain = domain
    if account.session is not None:
        account.session.domain = domain


@pytest.mark.parametrize("domain", ["wx2.qq.com", "web.wechat.com"])
async def test_polling_session_follows_a_move_to_another_domain(
    world: Wechat, alice: ServerAccount, domain: str
) -> None:
    store = Store()
    async with world.online(alice, store) as drive:
        move(world, alice, domain)
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


async def test_redirect_to_a_foreign_host_is_not_followed(world: Wechat, alice: ServerAccount) -> None:
    raw = b"HTTP/1.1 302 Found\r\nLocation: https://wx.qq.com.evil.example/\r\nContent-Length: 0\r\n\r\n"
    async with answering(raw) as port:
        evil = Wechat(world.sandbox, f"http://127.0.0.1:{port}")
        async with evil.drive() as drive:
            await drive.until(Loading)
            hindered = await drive.until(LoginStalled)
    assert "not WeChat's" in str(hindered.reason)


@pytest.mark.parametrize(("times", "asked"), [("0", 1), ("7", 8)])
async def test_request_retries_are_limited(world: Wechat, alice: ServerAccount, times: str, asked: int) -> None:
    world.fault("webwxgetcontact", FaultKind.STATUS, 503, count=None)
    async with world.online(alice, ua_retry_times=times) as drive:
        assert drive.count(RosterLoaded) == 1
    assert world.requests("webwxgetcontact") == asked


@pytest.mark.parametrize(("longest", "silence"), [("1", "600"), ("600", "1")])
async def test_slow_response_is_a_failure(world: Wechat, alice: ServerAccount, longest: str, silence: str) -> None:
    async with world.online(alice, ua_request_timeout=longest, ua_inactivity_timeout=silence) as drive:
        world.fault("webwxsendmsg", FaultKind.DELAY, 3600)
        began = time.monotonic()
        with pytest.raises(WeChatError, match="in time"):
            await drive.driver.send_text("filehelper", "x", "1")
        assert time.monotonic() - began > 0.9
