"""Certificates and the state file."""

import ssl
import stat
from pathlib import Path

import aiohttp

from tests.unit.sandbox.conftest import UIN
from tests.unit.sandbox.wire import EverythingHere, sandbox_and_browser
from wxcontroller.sandbox import snapshot, tls
from wxcontroller.sandbox.hosts import HOSTS
from wxcontroller.sandbox.sandbox import Options, Sandbox
from wxcontroller.sandbox.serve import Address, Tls, running


def test_certificates_are_made_once_and_keys_are_private(tmp_path: Path) -> None:
    directory = tmp_path / "new"
    assert tls.make_ca(directory)
    before = {file.name: file.read_bytes() for file in directory.iterdir()}
    assert not tls.make_ca(directory)
    assert {file.name: file.read_bytes() for file in directory.iterdir()} == before
    for key in ("ca.key", "server.key"):
        assert stat.S_IMODE((directory / key).stat().st_mode) == 0o600
    (directory / "server.crt").unlink()
    assert tls.make_ca(directory)
    assert (directory / "ca.crt").read_bytes() == before["ca.crt"], "a trusted CA stays"
    (directory / "server.key").write_text("nonsense")
    assert tls.make_ca(directory)
    tls.server_context(directory)


async def test_every_real_name_over_tls_with_secure_cookies(tmp_path: Path) -> None:
    tls.make_ca(tmp_path)
    sandbox = Sandbox(Options())
    sandbox.add_account()
    secure = Tls(Address("127.0.0.1", 0), tls.server_context(tmp_path))
    async with running(sandbox, Address("127.0.0.1", 0), secure) as (_, encrypted):
        trusting = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
        connector = aiohttp.TCPConnector(resolver=EverythingHere(), ssl=trusting, use_dns_cache=False)
        async with aiohttp.ClientSession(connector=connector) as http:
            for host in HOSTS:
                async with http.get(f"https://{host}:{encrypted.port}/nothing") as response:
                    assert response.status == 404
            login = sandbox.logins.new(desktop=False)
            sandbox.logins.scan(login, UIN)
            sandbox.logins.confirm(login)
            path = f"/cgi-bin/mmwebwx-bin/webwxnewloginpage?ticket={login.ticket}&uuid={login.uuid}&version=v2"
            async with http.get(f"https://wx.qq.com:{encrypted.port}{path}") as response:
                cookies = response.headers.getall("Set-Cookie")
                assert len(cookies) == 7
                assert all(cookie.endswith("; Secure") for cookie in cookies)


async def test_a_session_lives_on_in_the_state_file(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    async with sandbox_and_browser(Options(sync_hold=0.1, resend=False)) as (sandbox, browser):
        await browser.log_in(UIN)
        await browser.api("POST", f"/accounts/{UIN}/receive", {"from": "小明", "text": "kept"})
        await browser.send("filehelper", "hello")
        snapshot.save(sandbox, file)
        body = browser.message("filehelper", "later")
        await browser.post("webwxsendmsg", body)
        await browser.api("POST", f"/accounts/{UIN}/receive", {"from": "小明", "text": "after the save"})
        await browser.sync()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        restored = Sandbox(Options(sync_hold=0.1))
        snapshot.load(restored, file)
        assert len(restored.accounts) == 2
        async with running(restored, Address("127.0.0.1", 0)) as [address]:
            browser.port = address.port
            assert not (await browser.api("GET", f"/accounts/{UIN}"))["resend"]
            assert await browser.check() == ("0", "2"), "its key is newer than the file"
            assert (await browser.sync())["AddMsgList"] == []
            assert await browser.check() == ("0", "0")
            await browser.api("POST", f"/accounts/{UIN}/receive", {"from": "小明", "text": "new"})
            assert [m["Content"] for m in (await browser.sync())["AddMsgList"]] == ["new"]
