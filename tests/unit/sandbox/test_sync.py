"""The web route's poll and queue, and its cookies."""

import aiohttp
import pytest

from tests.unit.sandbox.conftest import UIN
from tests.unit.sandbox.wire import CGI, Browser, Json
from wxcontroller.sandbox.sandbox import Sandbox


def contents(answer: Json) -> list[str]:
    return [message["Content"] for message in answer["AddMsgList"]]


async def receive(browser: Browser, text: str, sender: str = "小明", **more: str) -> None:
    await browser.api("POST", f"/accounts/{UIN}/receive", {"from": sender, "text": text, **more})


@pytest.mark.parametrize("acknowledge", ["sync", "check"])
async def test_acknowledged_events_are_not_resent_without_resend(online: Browser, acknowledge: str) -> None:
    old = online.sync_key
    answer = await online.api("POST", f"/accounts/{UIN}/settings", {"resend": False})
    assert (answer["group_operations"], answer["resend"]) == ("working", False)
    await receive(online, "one")
    assert contents(await online.sync()) == ["one"]
    assert contents(await online.sync(old)) == ["one"], "no later key has come back yet"
    assert (await online.api("GET", f"/accounts/{UIN}"))["sessions"][0]["acknowledged"] == 0
    if acknowledge == "sync":
        assert contents(await online.sync()) == []
    else:
        assert await online.check() == ("0", "0")
    assert (await online.api("GET", f"/accounts/{UIN}"))["sessions"][0]["acknowledged"] == 1
    await receive(online, "two")
    assert await online.check() == ("0", "2")
    for _ in range(2):
        assert contents(await online.sync(old, keep=False)) == ["two"], "one is gone, two is not acknowledged"
    assert contents(await online.sync()) == ["two"]
    assert contents(await online.sync()) == contents(await online.sync(old)) == []


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
async def test_cookies_are_compared_literally(online: Browser, host: str, cookies: str, expected: int) -> None:
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
