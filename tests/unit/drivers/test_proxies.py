"""An account's proxy: all traffic uses it, errors name it rather than WeChat, and its password is secret."""

import asyncio
import io
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.certificates import tls_server
from tests.serving import answering
from tests.unit.drivers.ilink_kit import Bench
from tests.unit.drivers.kit import Wechat, hurried
from tests.unit.drivers.proxies import SmallProxy
from tests.unit.drivers.test_media import written
from wxcontroller.drivers.base import LoginStalled, MessageArrived, Offline, Online, Upload
from wxcontroller.drivers.connection.failures import NoAnswer
from wxcontroller.drivers.connection.transport import LineRequest, Transport
from wxcontroller.drivers.web.wire.cookies import Jar
from wxcontroller.sandbox.authority import make_ca, server_context
from wxcontroller.sandbox.ilink import phone
from wxcontroller.sandbox.ilink.items import ItemMedia
from wxcontroller.sandbox.media import samplemedia
from wxcontroller.sandbox.media.storedcontent import ContentItem
from wxcontroller.sandbox.sandbox import Options, Sandbox
from wxcontroller.sandbox.serve import Address, Tls, running

USER, PASSWORD = "us er", "p@ss:w/rd"
WRITTEN = "us%20er", "p%40ss:w%2Frd"
KINDS = ("http", "https", "socks5")


@dataclass(slots=True)
class Real:
    """WeChat under its real host names and with TLS, reachable only by a proxy; the certificates to trust."""

    wechat: Wechat
    tls: Address
    ca_file: Path
    for_proxy: Path

    def proxy(self, scheme: str, user: str = "", password: str = "") -> SmallProxy:
        made = SmallProxy(scheme, lambda *_: (self.tls.host, self.tls.port), user, password)
        if scheme == "https":
            made.tls = tls_server(self.for_proxy, called="proxy")[1]
            trusted = (self.for_proxy / "proxy.crt").read_bytes() + (self.for_proxy / "ca.crt").read_bytes()
            self.ca_file.write_bytes(trusted)
        return made


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[Real]:
    make_ca(tmp_path)
    (tmp_path / "trusted.crt").write_bytes((tmp_path / "ca.crt").read_bytes())
    sandbox = Sandbox(Options(poll_hold=0.3, sync_hold=0.3, batch_rate=0))
    tls = Tls(Address("127.0.0.1", 0), server_context(tmp_path))
    async with running(sandbox, Address("127.0.0.1", 0), tls) as (plain, secure):
        yield Real(Wechat(sandbox, f"http://{plain}"), secure, tmp_path / "trusted.crt", tmp_path)


@pytest.mark.parametrize("scheme", KINDS)
async def test_whole_session_uses_the_proxy(real: Real, scheme: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    world, alice = real.wechat, real.wechat.sandbox.add_account("Alice")
    async with real.proxy(scheme, user=USER, password=PASSWORD).running() as proxy:
        # Without `server`, only the proxy knows where these names are.
        options = {"server": "", "proxy": proxy.url(*WRITTEN), "ca_file": str(real.ca_file), "http_debug": "1"}
        async with world.online(alice, None, None, **options) as drive:
            world.hear(alice, "through")
            sender = (await drive.text("through")).message.sender
            await drive.driver.send_text(sender, "back", drive.driver.new_client_id())
            sink = io.BytesIO()
            await drive.driver.avatar(sender, "", sink, 1 << 20)
            assert sink.getvalue()
            picture = real.for_proxy / "x.png"
            picture.write_bytes(samplemedia.png("x"))
            uploaded = await drive.driver.upload(Upload(picture, "x.png", "image/png", picture.stat().st_size))
            await drive.driver.send_media(sender, uploaded, drive.driver.new_client_id())
    assert [each.kind for each in alice.sent] == ["text", "image"]
    assert {
        "login.wx.qq.com",
        "login.weixin.qq.com",
        "wx.qq.com",
        "webpush.wx.qq.com",
        "file.wx.qq.com",
    } <= proxy.hosts
    assert {port for _, port in proxy.asked} == {443}
    assert proxy.refused == 0
    assert world.violations() == []
    assert not any(secret in caplog.text for secret in (PASSWORD, WRITTEN[1], USER, WRITTEN[0]))


@pytest.mark.parametrize("scheme", ["https", "socks5"])
async def test_whole_ilink_session_uses_the_proxy(real: Real, scheme: str) -> None:
    real.wechat.sandbox.add_account()
    wechat, content = Bench(real.wechat.sandbox, ""), bytes(range(256)) * 40
    async with real.proxy(scheme, user=USER, password=PASSWORD).running() as proxy:
        way = proxy.url(*WRITTEN)
        async with wechat.online(server="", proxy=way, ca_file=str(real.ca_file)) as drive:
            await wechat.hear(drive, "through")
            await drive.driver.send_text(wechat.peer, "back", "c1")
            uploaded = await drive.driver.upload(written(real.for_proxy, "a.bin", content))
            await drive.driver.send_media(wechat.peer, uploaded, "c2")
            item = ContentItem("file", wechat.sandbox.contents.add(content), len(content), "b.bin")
            phone.write_media(wechat.sandbox, wechat.account, ItemMedia(item, bytes(range(16))))
            event = await drive.until(MessageArrived, lambda event: event.message.media is not None)
            sink = io.BytesIO()
            assert event.message.media is not None
            await drive.driver.fetch(event.message.media, sink, 1 << 20)
            assert sink.getvalue() == content
    assert [each.kind for each in wechat.sent()] == ["text", "file"]
    assert proxy.hosts == {"ilinkai.weixin.qq.com", "novac2c.cdn.weixin.qq.com"}
    assert {port for _, port in proxy.asked} == {443}
    assert proxy.refused == 0


async def failure(proxy: str, ca_file: str = "", connect: float = 2.0) -> str:
    """Send a request through a proxy that fails it; return the error, which must not contain a secret."""
    async with Transport(Jar(), hurried(connect=connect), ca_file=ca_file, proxy=proxy) as transport:
        with pytest.raises(NoAnswer) as failed:
            await transport.send(LineRequest("jslogin", "wx.qq.com", "/jslogin", "skey=secret"))
    problem = failed.value
    assert not problem.unsure  # the request did not reach WeChat
    details = f"{problem} {problem!r} {problem.__cause__!r} {problem.__context__!r}"
    assert not any(word in details for word in ("secret", "hidden", "somebody")), details
    return str(problem)


@pytest.mark.parametrize("scheme", KINDS)
async def test_wrong_or_missing_proxy_password_is_reported(real: Real, scheme: str) -> None:
    async with real.proxy(scheme, user="right", password="right").running() as proxy:
        named = f"the proxy {scheme}://127.0.0.1:{proxy.port} "
        wrong = await failure(proxy.url("somebody", "hidden"), str(real.ca_file))
        assert f"{named}does not accept user and password" in wrong
        assert "option proxy" in wrong
        missing = await failure(proxy.url(), str(real.ca_file))
        assert f"{named}asks for user and password" in missing
        assert "option proxy" in missing
        assert proxy.refused == 2
        assert proxy.asked == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 403 No\r\n\r\n", "refuses to connect to wx.qq.com:443 (HTTP 403)"),
        (b"HTTP/1.1 502 No\r\n\r\n", "cannot connect to wx.qq.com:443 (HTTP 502)"),
        (b"SSH-2.0-x\r\n\r\n", "does not answer as an HTTP proxy does"),
        (None, "did not connect to wx.qq.com:443 in time"),
    ],
)
async def test_refusals_name_proxy_and_target(answer: bytes | None, reason: str) -> None:
    async with answering(answer) as port:
        words = await failure(f"http://somebody:hidden@127.0.0.1:{port}", connect=0.5)
    assert f"the proxy http://127.0.0.1:{port} {reason}" in words


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-x\r\n\r\n"])
async def test_server_that_is_no_socks_proxy_is_named(answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        words = await failure(f"socks5://somebody:hidden@127.0.0.1:{port}")
    assert f"the proxy socks5://127.0.0.1:{port} " in words


async def test_certificates_of_proxy_and_wechat_are_verified(real: Real) -> None:
    async with real.proxy("https").running() as proxy:
        words = await failure(proxy.url("somebody", "hidden"))
        assert f"the certificate of the proxy https://127.0.0.1:{proxy.port} is not trusted" in words
        assert "ca_file" in words
    async with real.proxy("http").running() as proxy:
        words = await failure(proxy.url("somebody", "hidden"))
        assert f"the certificate of wx.qq.com, seen through the proxy http://127.0.0.1:{proxy.port}" in words


async def test_proxy_may_start_late_and_be_interrupted(world: Wechat) -> None:
    alice = world.sandbox.add_account("Alice")
    proxy = SmallProxy("http", user="u", password="hidden")
    async with proxy.running():
        pass  # it gets its port, and stops
    async with world.drive(None, hurried(connect=1.0, offline_after=0.5), proxy=proxy.url("u", "hidden")) as drive:
        hindered = await drive.until(LoginStalled)
        assert f"the proxy http://127.0.0.1:{proxy.port} cannot be reached" in str(hindered.reason)
        async with proxy.running():
            await world.enter(drive, alice)
        offline = await drive.until(Offline)
        assert f"the proxy http://127.0.0.1:{proxy.port} cannot be reached" in str(offline.reason)
        for reason in (hindered.reason, offline.reason):
            assert "check that it runs, or correct the option proxy" in str(reason)
            assert "hidden" not in str(reason)
        world.hear(alice, "meanwhile")
        async with proxy.running():
            await drive.until(Online)
            if "meanwhile" not in drive.texts():
                await drive.text("meanwhile")


async def test_the_environments_proxies_are_not_used(world: Wechat, monkeypatch: pytest.MonkeyPatch) -> None:
    alice = world.sandbox.add_account("Alice")
    async with SmallProxy("http").running() as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url())
        async with world.online(alice) as drive:
            await drive.driver.send_text("filehelper", "direct", drive.driver.new_client_id())
    assert (proxy.asked, proxy.refused) == ([], 0)
