"""What every call has to prove, and what a refusal looks like."""

import aiohttp
import pytest

from tests.unit.sandbox.conftest import UIN
from tests.unit.sandbox.wire import CGI, Browser, Json
from wxcontroller.sandbox.sandbox import Sandbox


def ret(answer: Json) -> int:
    code: int = answer["BaseResponse"]["Ret"]
    return code


async def test_a_refused_init_has_all_fields_with_zero_values(online: Browser) -> None:
    good = await online.init()
    await online.api("POST", f"/accounts/{UIN}/logout", {"retcode": 1101})
    bad = await online.init()
    assert ret(bad) == 1101
    assert bad.keys() == good.keys()
    assert bad["User"].keys() == good["User"].keys()
    assert not any(bad["User"].values())
    assert bad["SyncKey"] == {"Count": 0, "List": []}
    assert bad["ContactList"] == []
    assert bad["SKey"] == ""


async def test_a_refused_sync_has_an_empty_key(online: Browser) -> None:
    good = await online.sync()
    await online.api("POST", f"/accounts/{UIN}/logout", {"retcode": 1102})
    bad = await online.sync()
    assert ret(bad) == 1102
    assert bad.keys() == good.keys()
    assert bad["SyncKey"]["Count"] == 0


async def test_synccheck_on_another_host_is_1100(online: Browser) -> None:
    for host in ("wx.qq.com", "login.wx.qq.com", "file.wx.qq.com"):
        assert await online.check(host=host) == ("1100", "0")


async def test_a_base_call_on_another_role_is_not_there(online: Browser) -> None:
    for host in ("webpush.wx.qq.com", "file.wx.qq.com", "login.wx.qq.com"):
        async with online.http.post(f"http://{host}:{online.port}{CGI}/webwxinit", json={}) as response:
            assert response.status == 404


async def test_wrong_parts_of_base_request(online: Browser) -> None:
    for changed, expected in (
        ({"Uin": 5}, 1101),
        ({"Sid": "x"}, 1101),
        ({"Skey": "@crypt_x"}, 1101),
        ({"Uin": str(UIN)}, 0),
        ({"DeviceID": ""}, 0),
        ({"Skey": ""}, 0),  # init tolerates it: a client that restores cookies knows none yet
    ):
        answer = await online.post("webwxinit", {"BaseRequest": online.base() | changed})
        assert ret(answer) == expected, changed


async def test_bodies_that_are_no_json(online: Browser) -> None:
    for body in ("", "[]", "{", '{"BaseRequest":'):
        assert ret(await online.post("webwxinit", body)) == 1200


@pytest.mark.parametrize("strict", [True])
async def test_pass_ticket_encoded_once_or_twice_but_not_wrong(online: Browser) -> None:
    ticket = online.values["pass_ticket"]
    body = {"BaseRequest": online.base()}
    assert ret(await online.post("webwxinit", body, query=f"pass_ticket={ticket}")) == 0
    assert ret(await online.post("webwxinit", body, query=f"pass_ticket={ticket.replace('%', '%25')}")) == 0
    assert ret(await online.post("webwxinit", body, query="pass_ticket=nonsense")) == 1


@pytest.mark.parametrize(
    ("host", "cookies", "expected"),
    [
        ("wx.qq.com", "wxuin={uin}; wxsid={sid}", 0),
        ("wx.qq.com", 'wxuin={uin}; wxsid="{sid}"', 1100),  # quotes are part of a value
        ("wx.qq.com", "wxuin={uin}; wxsid=other", 1100),
        ("wx.qq.com", "wxuin=1234567002; wxsid={sid}", 1101),
        ("wx.qq.com", "wxsid={sid}", 1102),
        ("wx.qq.com", "wxuin={uin}", 1102),
        ("wx2.qq.com", "wxuin={uin}; wxsid={sid}", 1100),  # not its home
    ],
)
async def test_cookies_are_read_literally(online: Browser, host: str, cookies: str, expected: int) -> None:
    header = cookies.format(uin=UIN, sid=online.values["wxsid"])
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        url = f"http://127.0.0.1:{online.port}{CGI}/webwxinit"
        headers = {"Host": f"{host}:{online.port}", "Cookie": header}
        async with http.post(url, json={"BaseRequest": online.base()}, headers=headers) as response:
            assert f'"Ret":{expected},' in await response.text()


async def test_violations_hold_no_secrets(online: Browser, sandbox: Sandbox) -> None:
    await online.check(skey="@crypt_wrong")
    await online.post("webwxinit", {"BaseRequest": online.base() | {"Sid": "wrong-sid"}})
    seen = str(await online.api("GET", f"/requests?uin={UIN}"))
    session = sandbox.accounts[UIN].session
    assert session is not None
    for secret in (session.sid, session.skey, session.pass_ticket, "@crypt_wrong", "wrong-sid"):
        assert secret not in seen
    assert "skey is wrong" in seen
