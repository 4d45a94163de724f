"""The sandbox itself: its command, its scripting API, its keys, and that it is as strict as it promises."""

import asyncio
import json
import re
import stat
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import aiohttp
import pytest

from tests.unit.drivers.ilink_kit import bench
from tests.unit.drivers.kit import friend, wechat
from wxcontroller.core.jsontypes import JsonValue, field, items, obj
from wxcontroller.drivers.base import Accepted, LoginWay, Online, QrReady, Scanned, SessionLost
from wxcontroller.sandbox import authority
from wxcontroller.sandbox.sandbox import Options, Sandbox
from wxcontroller.sandbox.web import payloads
from wxcontroller.sandbox.world.websession import ServerSession

OPTIONS = Options(poll_hold=0.3, sync_hold=0.3, resend=False)


async def wxsandbox(*words: str) -> tuple[int, str, str]:
    """Run wxsandbox; return its exit status, output and errors."""
    command = (sys.executable, "-m", "wxcontroller.sandbox", *words)
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    out, errors = await process.communicate()
    return process.returncode or 0, out.decode(), errors.decode()


async def curl(url: str, body: str = "", method: str = "") -> JsonValue:
    """Call the scripting API as the documentation does; return the answer."""
    options = [*(["-d", body] if body else []), *(["-X", method] if method else [])]
    process = await asyncio.create_subprocess_exec("curl", "-s", *options, url, stdout=PIPE)
    out, _ = await process.communicate()
    answer: JsonValue = json.loads(out)
    return answer


async def test_serve_has_the_options_and_defaults_of_the_manual() -> None:
    manual = (Path(__file__).parents[3] / "docs/man/wxsandbox.1.scd").read_text()
    _, shown, _ = await wxsandbox("serve", "--help")
    assert {*re.findall(r"\*(--[a-z-]+)\*", manual)} == {*re.findall("^  (--[a-z-]+)", shown, re.MULTILINE)}
    seconds = {
        "poll-hold": 25,
        "sync-hold": 25,
        "uuid-life": 300,
        "code-life": 120,
        "updates-hold": 35,
        "takeover": 30,
    }
    for option, default in {**seconds, "batch-rate": 1}.items():
        assert re.search(rf"--{option} [^\[]*\[default: {default}\.0;", " ".join(shown.split())), option


def test_answers_without_values_have_the_fields_and_types_of_those_with_values() -> None:
    account = Sandbox(OPTIONS).add_account("Alice")
    session, world = ServerSession(account.uin, account.home(False), False), account.world
    answers = [
        (payloads.nobody(), payloads.myself(session, world.people[account.wxid])),
        (payloads.init(None, None), payloads.init(account, session)),
        *((payloads.no_contact(), payloads.contact(session, person)) for person in world.people.values()),
        *((payloads.no_contact(), payloads.group(session, account, room, True)) for room in world.groups.values()),
    ]
    for blank, filled in answers:
        assert {name: type(value) for name, value in blank.items()} == {
            name: type(value) for name, value in filled.items()
        }


async def test_login_and_conversation_by_curl() -> None:
    async with wechat(OPTIONS) as world:
        alice, api = world.sandbox.add_account(), f"{world.url}/sandbox"
        account, me = f"{api}/accounts/{alice.uin}", json.dumps({"uin": alice.uin})
        async with asyncio.TaskGroup() as tasks, world.drive() as drive:
            waiting = tasks.create_task(curl(f"{api}/logins/newest/scan?wait=10", me))
            await drive.until(QrReady)
            login = await waiting
            assert field(login, "state") == "scanned"
            await drive.until(Scanned)
            assert await curl(f"{api}/logins/newest/confirm", method="POST") == {**obj(login), "state": "confirmed"}
            await drive.until(Online)
            received = await curl(f"{account}/receive", json.dumps({"from": friend(alice), "text": "hello"}))
            assert field(received, "online") is True
            await drive.text("hello")
            await drive.driver.send_text("filehelper", "answer", "1")
            assert field(items(await curl(f"{account}/sent"))[0], "text") == "answer"
            fault = '{"endpoint": "synccheck", "kind": "status", "value": 503, "count": null}'
            assert field(await curl(f"{api}/faults", fault), "id") == 1
            assert await curl(f"{api}/faults", method="DELETE") == {"cleared": 1}
            assert field(await curl(f"{account}/logout", method="POST"), "ended") is True
            await drive.until(SessionLost)


async def test_newest_login_is_the_one_that_the_phone_can_act_on() -> None:
    """A scan takes the newest code that waits; a confirmation prefers one that has been scanned."""
    async with wechat(OPTIONS) as world:
        alice, logins = world.sandbox.add_account(), f"{world.url}/sandbox/logins"
        me = json.dumps({"uin": alice.uin})
        first, second, third = (world.sandbox.logins.new(desktop=False).uuid for _ in range(3))
        assert field(await curl(f"{logins}/newest/scan", me), "uuid") == third
        assert field(await curl(f"{logins}/newest/scan", me), "uuid") == second
        for uuid in (third, second):
            assert field(await curl(f"{logins}/newest/confirm", me), "uuid") == uuid
        assert field(await curl(f"{logins}/newest/expire", method="POST"), "uuid") == first
        assert "add ?wait=SECONDS" in str(await curl(f"{logins}/newest/cancel", method="POST"))


async def test_wrong_arguments_are_reported_with_the_accepted_values() -> None:
    assert await wxsandbox("serve", "--accounts", "-1") == (
        *(2, ""),
        "wxsandbox: --accounts must be an integer from 0 to 10000\n  see: wxsandbox serve --help\n",
    )


async def test_failures_give_plain_reasons() -> None:
    code, _, errors = await wxsandbox("make-ca", "/proc/nowhere")
    assert (code, errors.splitlines()[0]) == (
        *(1,),
        "wxsandbox: cannot keep certificates in /proc/nowhere: No such file or directory",
    )
    async with wechat(OPTIONS) as world:
        address = world.url.removeprefix("http://")
        code, _, errors = await wxsandbox("serve", "--listen", address)
        assert (code, errors.splitlines()[0]) == (
            *(2,),
            f"wxsandbox: cannot listen on {address}: Address already in use",
        )


async def test_errors_of_the_api_name_the_call_that_lists_the_accepted_values() -> None:
    async with wechat(OPTIONS) as world:
        alice = world.sandbox.add_account()
        account = f"/sandbox/accounts/{alice.uin}"
        receive, login = f"{account}/receive", "/sandbox/logins/x/cancel"
        nobody = f"from 'x' is unknown to account {alice.uin}; see: GET {account}"
        nothing = f"account {alice.uin} sent no message 9 with content; see: GET {account}/sent"
        async with aiohttp.ClientSession(world.url) as http:
            for method, path, body, status, error in (
                ("GET", "/sandbox/accounts/99", None, 404, "no account with uin 99; see: GET /sandbox/accounts"),
                ("POST", receive, {"from": friend(alice)}, 400, "'text' is missing"),
                ("POST", receive, {"from": "x", "text": "hi"}, 400, nobody),
                ("POST", login, None, 404, "no login with uuid x; see: GET /sandbox/logins, or use newest"),
                ("GET", f"{account}/sent/9/content", None, 404, nothing),
                ("GET", "/sandbox/odd", None, 404, "Not Found: GET /sandbox/odd; wxsandbox(1) lists the calls"),
            ):
                async with http.request(method, path, json=body) as response:
                    assert (response.status, await response.json()) == (status, {"error": error})


async def test_acknowledged_messages_are_never_resent_without_resend() -> None:
    """Tests that lose no message to such a server depend on it."""
    async with wechat(OPTIONS) as world:
        store = await world.stored(world.sandbox.add_account())
        first = store.state.position
        [alice] = world.sandbox.accounts.values()
        async with world.drive(store) as drive:
            for words in ("one", "two"):
                world.hear(alice, words)
                await drive.text(words)
        world.hear(alice, "kept")
        store.state.position, store.state.seen = first, []
        async with world.drive(store) as drive:
            assert (await drive.until(Accepted)).way is LoginWay.STORED
            await drive.text("kept")
        assert "one" not in drive.texts()


def test_restarted_sandbox_has_the_same_accounts() -> None:
    first, second = (Sandbox().add_account() for _ in range(2))
    assert (first.uin, first.wxid, first.nickname) == (second.uin, second.wxid, second.nickname)
    assert (first.world.people, first.world.groups) == (second.world.people, second.world.groups)


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


@pytest.mark.parametrize("session", ["own", "unknown"])
async def test_upload_without_cookies_is_noted_and_taken_by_its_form(session: str) -> None:
    """itchat 1.2.32 and wxpy 0.3.9.8 upload so."""
    async with wechat(OPTIONS) as world, aiohttp.ClientSession(world.url) as http:
        alice = world.sandbox.add_account()
        async with world.online(alice):
            own = alice.session
            assert own is not None
            sid = own.sid if session == "own" else "another"
            base = {"Uin": own.uin, "Sid": sid, "Skey": own.skey, "DeviceID": "e123456789012345"}
            sizes = {"TotalLen": 5, "StartPos": 0, "DataLen": 5, "MediaType": 4, "UploadType": 2}
            sides = {"FromUserName": own.username(alice.wxid), "ToUserName": "filehelper", "ClientMediaId": "1"}
            form = aiohttp.FormData({"name": "a.txt", "type": "text/plain", "size": "5", "mediatype": "doc"})
            form.add_field("uploadmediarequest", json.dumps({"BaseRequest": base, **sizes, **sides}))
            form.add_field("webwx_data_ticket", own.data_ticket)
            form.add_field("filename", b"12345", filename="a.txt")
            url = "/cgi-bin/mmwebwx-bin/webwxuploadmedia?f=json"
            async with http.post(url, data=form, headers={"Host": f"file.{own.domain}"}) as response:
                answer = json.loads(await response.text())
    noted = {violation.what: violation for violation in world.sandbox.ledger.violations if violation.uin == alice.uin}
    if session == "own":
        assert answer["BaseResponse"]["Ret"] == 0 and answer["MediaId"]
        assert noted["cookies wxsid and wxuin are missing"].refused is None
    else:
        assert answer["BaseResponse"]["Ret"] == 1100


def test_certificates_are_made_once_and_keys_are_private(tmp_path: Path) -> None:
    directory = tmp_path / "new"
    assert authority.make_ca(directory)
    before = {file.name: file.read_bytes() for file in directory.iterdir()}
    assert not authority.make_ca(directory)
    assert {file.name: file.read_bytes() for file in directory.iterdir()} == before
    for key in ("ca.key", "server.key"):
        assert stat.S_IMODE((directory / key).stat().st_mode) == 0o600
    (directory / "server.crt").unlink()
    assert authority.make_ca(directory)
    assert (directory / "ca.crt").read_bytes() == before["ca.crt"]  # a browser trusts it
