"""Bad days on order."""

import asyncio
import time

import aiohttp
import pytest

from tests.unit.sandbox.conftest import UIN
from tests.unit.sandbox.wire import Browser, Json


async def order(browser: Browser, endpoint: str, kind: str, value: Json = None, **more: Json) -> int:
    body = {"endpoint": endpoint, "kind": kind, "value": value, **more}
    number: int = (await browser.api("POST", "/faults", body))["id"]
    return number


async def test_status_with_empty_body_as_often_as_ordered(online: Browser) -> None:
    await order(online, "synccheck", "status", 503, count=2)
    for _ in range(2):
        with pytest.raises(AssertionError):
            await online.check()
    assert await online.check() == ("0", "0")
    assert await online.api("GET", "/faults") == []


async def test_success_status_keeps_the_body(browser: Browser) -> None:
    await order(browser, "webwxnewloginpage", "status", 301)
    await browser.jslogin()
    await browser.api("POST", f"/logins/{browser.uuid}/confirm", {"uin": UIN})
    await browser.poll()
    status, xml = await browser.new_login_page()
    assert status == 301
    assert "<wxsid>" in xml


async def test_sent_on_to_another_domain(online: Browser) -> None:
    await order(online, "synccheck", "moved", "wx2.qq.com", count=None)
    async with (
        aiohttp.ClientSession() as session,
        session.get(
            f"http://127.0.0.1:{online.port}/cgi-bin/mmwebwx-bin/synccheck?uin={UIN}",
            headers={"Host": "webpush.wx.qq.com"},
            allow_redirects=False,
        ) as moved,
    ):
        assert moved.status == 302
        assert moved.headers["Location"] == f"https://webpush.wx2.qq.com/cgi-bin/mmwebwx-bin/synccheck?uin={UIN}"
    with pytest.raises(AssertionError):
        await order(online, "synccheck", "moved", "example.com")


async def test_the_bare_status_line(online: Browser) -> None:
    await order(online, "synccheck", "status", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", online.port)
    writer.write(f"GET /cgi-bin/mmwebwx-bin/synccheck?uin={UIN} HTTP/1.1\r\nHost: webpush.wx.qq.com\r\n\r\n".encode())
    assert (await reader.readline()) == b"HTTP/1.1 0 -\r\n"
    writer.close()


async def test_delay_comes_on_top_of_another(online: Browser) -> None:
    await order(online, "webwxsync", "delay", 0.2)
    await order(online, "webwxsync", "retcode", -1)
    start = time.monotonic()
    answer = await online.sync(keep=False)
    assert answer["BaseResponse"]["Ret"] == -1
    assert time.monotonic() - start >= 0.2
    assert (await online.sync())["BaseResponse"]["Ret"] == 0


async def test_retcode_in_each_endpoints_words(browser: Browser) -> None:
    await order(browser, "jslogin", "retcode", 500)
    with pytest.raises(AssertionError, match="code = 500"):
        await browser.jslogin()
    await browser.jslogin()
    await order(browser, "login", "retcode", 500)
    assert await browser.poll() == "window.code=500;"
    await browser.api("POST", f"/logins/{browser.uuid}/confirm", {"uin": UIN})
    await browser.poll()
    await order(browser, "webwxnewloginpage", "retcode", 1203)
    assert "<ret>1203</ret><message>当前" in (await browser.new_login_page())[1]
    await browser.new_login_page()
    await browser.init()
    await order(browser, "synccheck", "retcode", 1102)
    assert await browser.check() == ("1102", "0")
    assert await browser.check() == ("0", "0"), "the session itself is well"


async def test_reset_before_and_after(online: Browser) -> None:
    body = online.message("filehelper", "x")
    await order(online, "webwxsendmsg", "reset")
    with pytest.raises(aiohttp.ClientConnectionError):
        await online.post("webwxsendmsg", body)
    assert await online.api("GET", f"/accounts/{UIN}/sent") == []
    await order(online, "webwxsendmsg", "reset", "after")
    with pytest.raises(aiohttp.ClientConnectionError):
        await online.post("webwxsendmsg", body)
    assert len(await online.api("GET", f"/accounts/{UIN}/sent")) == 1
    assert (await online.post("webwxsendmsg", body))["BaseResponse"]["Ret"] == 0
    assert len(await online.api("GET", f"/accounts/{UIN}/sent")) == 1, "the repeat is known"


async def test_truncate_and_garbage(online: Browser) -> None:
    await order(online, "webwxsync", "truncate", 10)
    with pytest.raises(aiohttp.ClientPayloadError):
        await online.sync()
    await order(online, "webwxsync", "garbage")
    with pytest.raises(ValueError, match="Expecting"):
        await online.sync()
    await order(online, "webwxsync", "garbage", '{"AddMsgList":null}')
    assert await online.post("webwxsync", {}) == {"AddMsgList": None}
    assert (await online.sync())["BaseResponse"]["Ret"] == 0


async def test_drop_hangs_and_ends(online: Browser) -> None:
    await order(online, "webwxsync", "drop", 0.2)
    start = time.monotonic()
    with pytest.raises(aiohttp.ClientConnectionError):
        await online.sync()
    assert time.monotonic() - start >= 0.2


async def test_only_the_account_that_is_meant(online: Browser) -> None:
    await order(online, "*", "retcode", 1101, uin=UIN + 1, count=None)
    assert await online.check() == ("0", "0")
    other = Browser(online.port)
    try:
        await other.jslogin()
        await online.api("POST", f"/logins/{other.uuid}/confirm", {"uin": UIN + 1})
        assert await other.poll() == "window.code=1101;"
    finally:
        await other.http.close()


async def test_faults_can_be_taken_back(online: Browser) -> None:
    first = await order(online, "synccheck", "status", 500, count=None)
    await order(online, "login", "status", 500, count=None)
    assert (await online.api("DELETE", f"/faults/{first}"))["cleared"] == 1
    assert await online.check() == ("0", "0")
    assert (await online.api("DELETE", f"/faults/{first}"))["cleared"] == 0
    for unknown in ("99", "0", "x"):
        await online.api("DELETE", f"/faults/{unknown}", status=404)
    assert (await online.api("DELETE", "/faults"))["cleared"] == 1


@pytest.mark.parametrize(
    "body",
    [
        {"endpoint": "nope", "kind": "reset"},
        {"endpoint": "login", "kind": "nope"},
        {"endpoint": "login"},
        {"endpoint": "login", "kind": "delay", "value": "soon"},
        {"endpoint": "login", "kind": "delay", "value": -1},
        {"endpoint": "login", "kind": "status", "value": 99},
        {"endpoint": "login", "kind": "retcode"},
        {"endpoint": "login", "kind": "retcode", "value": True},
        {"endpoint": "login", "kind": "truncate", "value": -1},
        {"endpoint": "login", "kind": "garbage", "value": 3},
        {"endpoint": "login", "kind": "reset", "value": "sometimes"},
        {"endpoint": "login", "kind": "drop", "value": "x"},
        {"endpoint": "login", "kind": "reset", "count": 0},
        {"endpoint": "login", "kind": "reset", "colour": "red"},
    ],
)
async def test_orders_that_make_no_sense(browser: Browser, body: Json) -> None:
    assert "error" in await browser.api("POST", "/faults", body, status=400)
