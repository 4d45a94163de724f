"""The sandbox itself: its command, its state file, its keys, and that it is as strict as it promises."""

import asyncio
import json
import stat
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.unit.drivers.ilink_kit import bench
from tests.unit.drivers.kit import Wechat, friend, wechat
from wxcontroller.drivers.base import Accepted, LoginWay, Online, QrReady, Scanned, SessionLost
from wxcontroller.sandbox import snapshot, tls
from wxcontroller.sandbox.sandbox import Options, Sandbox
from wxcontroller.sandbox.serve import Address, running

OPTIONS = Options(poll_hold=0.3, sync_hold=0.3, resend=False)


async def wxsandbox(url: str, *words: str) -> tuple[int, str, str]:
    """Run wxsandbox; return its exit status, output and errors."""
    command = (sys.executable, "-m", "wxcontroller.sandbox", "--url", url, *words)
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    out, errors = await process.communicate()
    return process.returncode or 0, out.decode(), errors.decode()


async def test_login_and_conversation_by_command() -> None:
    async with wechat(OPTIONS) as world:
        alice, url = world.sandbox.add_account(), world.url
        uin = str(alice.uin)
        code, out, errors = await wxsandbox(url, "scan", "--as", uin)
        assert (code, out, "no login is waiting" in errors) == (4, "", True)
        async with world.drive() as drive:
            await drive.until(QrReady)
            code, out, _ = await wxsandbox(url, "scan", "--as", uin, "--wait", "10")
            uuid = out.split(" ")[0]
            assert (code, out) == (0, f"{uuid} scanned\n")
            await drive.until(Scanned)
            assert await wxsandbox(url, "confirm") == (0, f"{uuid} confirmed\n", "")
            assert (await wxsandbox(url, "confirm", uuid))[0] == 1
            await drive.until(Online)
            assert (await wxsandbox(url, "receive", uin, friend(alice), "hello"))[0] == 0
            await drive.text("hello")
            await drive.driver.send_text("filehelper", "answer", "1")
            assert json.loads((await wxsandbox(url, "sent", uin, "--json"))[1])[0]["text"] == "answer"
            assert await wxsandbox(url, "fault", "synccheck", "status", "503", "--forever") == (0, "1\n", "")
            assert await wxsandbox(url, "faults", "--clear") == (0, "cleared 1\n", "")
            assert await wxsandbox(url, "logout", uin) == (0, "ended\n", "")
            await drive.until(SessionLost)


async def test_wrong_arguments_are_reported_with_the_accepted_values() -> None:
    assert await wxsandbox("http://127.0.0.1:9", "serve", "--accounts", "-1") == (
        *(2, ""),
        "wxsandbox: --accounts must be an integer from 0 to 10000\n  see: wxsandbox serve --help\n",
    )
    errors = (await wxsandbox("http://127.0.0.1:9", "add-account", "--web-login", "x"))[2]
    assert "--web-login must be one of both, desktop, normal" in errors


async def test_help_shows_each_command_in_full_at_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = (await wxsandbox("http://127.0.0.1:9", "--help"))[1].splitlines()
    assert [line for line in lines[1:] if line.endswith("...")] == []


async def test_failures_give_plain_reasons_and_the_next_command(tmp_path: Path) -> None:
    unused_url = "http://127.0.0.1:9"
    code, _, errors = await wxsandbox(unused_url, "accounts")
    assert (code, errors.splitlines()[0]) == (3, f"wxsandbox: no sandbox answers at {unused_url}: Connection refused")
    code, _, errors = await wxsandbox(unused_url, "make-ca", "/proc/nowhere")
    assert (code, errors.splitlines()[0]) == (
        *(1,),
        "wxsandbox: cannot keep certificates in /proc/nowhere: No such file or directory",
    )
    async with wechat(OPTIONS) as world:
        alice, url = world.sandbox.add_account(), world.url
        uin, address = str(alice.uin), url.removeprefix("http://")
        code, _, errors = await wxsandbox(url, "serve", "--listen", address)
        assert (code, errors.splitlines()[0]) == (
            *(2,),
            f"wxsandbox: cannot listen on {address}: Address already in use",
        )
        for words, code, error in (
            (("account", "99"), 4, "no account with uin 99; see: wxsandbox accounts"),
            (("receive", uin, friend(alice)), 1, "'text' is missing"),
            (("receive", uin, "x", "hi"), 1, f"from 'x' is unknown to account {uin}; see: wxsandbox account {uin}"),
            (("cancel", "x"), 4, "no login with uuid x; see: wxsandbox logins"),
            (
                *(("save", uin, "9", str(tmp_path / "x")), 4),
                f"account {uin} sent no message 9 with content; see: wxsandbox sent {uin}",
            ),
        ):
            assert await wxsandbox(url, *words) == (code, "", f"wxsandbox: {error}\n")


async def test_another_program_at_the_address_is_not_a_sandbox() -> None:
    app = web.Application()

    async def refuse(_: web.Request) -> web.Response:
        return web.json_response({"code": 7}, status=403)

    app.router.add_get("/sandbox/accounts", refuse)
    async with TestServer(app) as other:
        url = str(other.make_url("")).rstrip("/")
        code, _, errors = await wxsandbox(url, "accounts")
    assert (code, errors.splitlines()[0]) == (3, f"wxsandbox: {url} answered 403, but not as a sandbox does")


async def test_acknowledged_messages_are_never_resent_without_resend(tmp_path: Path) -> None:
    """Tests that lose no message to such a server depend on it. It holds across restarts of the sandbox."""
    async with wechat(OPTIONS) as world:
        store = await world.stored(world.sandbox.add_account())
        first = store.state.position
        [alice] = world.sandbox.accounts.values()
        async with world.drive(store) as drive:
            for words in ("one", "two"):
                world.hear(alice, words)
                await drive.text(words)
        world.hear(alice, "kept")
        snapshot.save(world.sandbox, tmp_path / "state.json")
    assert stat.S_IMODE((tmp_path / "state.json").stat().st_mode) == 0o600
    restored = Sandbox(OPTIONS)
    snapshot.load(restored, tmp_path / "state.json")
    async with running(restored, Address("127.0.0.1", 0)) as [address]:
        world = Wechat(restored, f"http://{address}")
        store.state.position, store.state.seen = first, []
        async with world.drive(store) as drive:
            assert (await drive.until(Accepted)).way is LoginWay.STORED
            await drive.text("kept")
        assert "one" not in drive.texts()


@pytest.mark.parametrize("strict", [False, True], ids=["lenient", "strict"])
async def test_protocol_violation_is_noted_and_refused_only_in_strict_mode(strict: bool) -> None:
    async with (
        bench(Options(poll_hold=0.2, updates_hold=0.2, takeover=0.0, strict=strict)) as wechat,
        wechat.online(),
        aiohttp.ClientSession(wechat.url) as http,
    ):
        headers = {"Authorization": f"Bearer {wechat.bot.token}", "AuthorizationType": "ilink_bot_token"}
        async with http.post("/ilink/bot/msg/notifystart", json={}, headers=headers) as response:
            assert bool((await response.json())["ret"]) == strict
        headers = {"Host": "login.wx.qq.com"}
        async with http.get("/jslogin?appid=wx782c26e4c19acffb", headers=headers):
            pass
    noted = {violation.what: violation.refused for violation in wechat.sandbox.ledger.violations}
    assert noted["iLink-App-Id or iLink-App-ClientVersion is missing or wrong"] == (-14 if strict else None)
    assert "User-Agent is missing or a library's" in noted


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
    assert (directory / "ca.crt").read_bytes() == before["ca.crt"]  # a browser trusts it
