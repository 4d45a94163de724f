"""From the code to a session, and the ways in which that fails."""

import asyncio
import re

from tests.unit.sandbox.conftest import UIN
from tests.unit.sandbox.wire import CGI, DESKTOP_HEADERS, Browser
from wxcontroller.sandbox.account import WebLogin
from wxcontroller.sandbox.sandbox import Sandbox


async def test_whole_login(browser: Browser) -> None:
    uuid = await browser.jslogin()
    assert re.fullmatch(r"[A-Za-z0-9_-]{10}==", uuid)
    assert "window.code=408;" in await browser.poll()
    waiting = asyncio.create_task(browser.poll())
    await browser.api("POST", f"/logins/{uuid}/scan", {"uin": UIN})
    scanned = await waiting
    assert scanned.startswith("window.code=201;window.userAvatar = 'data:img/jpg;base64,/9j/")
    assert (await browser.poll(tip=1)).startswith("window.code=201;"), "tip=1 repeats it at once"
    waiting = asyncio.create_task(browser.poll(tip=0))
    await browser.api("POST", f"/logins/{uuid}/confirm")
    assert "window.code=200;" in await waiting
    assert browser.redirect.startswith(f"https://wx.qq.com{CGI}/webwxnewloginpage?ticket=")
    status, xml = await browser.new_login_page()
    assert status == 200
    assert "<ret>0</ret>" in xml
    assert browser.values["pass_ticket"].endswith("%3D") or "%" in browser.values["pass_ticket"]
    assert {"/", "+"} <= set(browser.values["wxsid"])
    assert (await browser.init())["User"]["Uin"] == UIN
    assert (await browser.notify())["BaseResponse"]["Ret"] == 0
    assert await browser.check() == ("0", "2")
    first = (await browser.sync())["AddMsgList"][0]
    assert (first["MsgType"], first["StatusNotifyCode"]) == (51, 4)
    assert await browser.check() == ("0", "0")
    [login] = await browser.api("GET", f"/logins?uin={UIN}")
    assert login["state"] == "done"


async def test_cookies_without_secure_on_plain_http_and_on_the_right_domains(browser: Browser) -> None:
    await browser.log_in(UIN)
    domains = {cookie.key: cookie["domain"] for cookie in browser.jar}
    assert not any(cookie["secure"] for cookie in browser.jar)
    assert domains["webwx_data_ticket"] == "qq.com"
    assert {domains[name] for name in ("wxuin", "wxsid", "webwxuvid", "webwx_auth_ticket")} == {"wx.qq.com"}


async def test_redirect_uri_comes_in_both_forms(browser: Browser) -> None:
    forms = set()
    for _ in range(2):
        await browser.jslogin()
        await browser.api("POST", f"/logins/{browser.uuid}/confirm", {"uin": UIN})
        forms.add(re.sub(r'"[^"]*"', "", await browser.poll()))
    assert forms == {"window.code=200;window.redirect_uri=;", "window.code=200;\nwindow.redirect_uri=;"}


async def test_cancelled_expired_and_unknown(browser: Browser) -> None:
    await browser.jslogin()
    waiting = asyncio.create_task(browser.poll())
    await browser.api("POST", f"/logins/{browser.uuid}/cancel")
    assert await waiting == "window.code=202;"
    await browser.jslogin()
    await browser.api("POST", f"/logins/{browser.uuid}/expire")
    assert await browser.poll() == "window.code=400;"
    browser.uuid = "nobody=="
    assert await browser.poll() == "window.code=400;"


async def test_the_account_decides_the_domain(browser: Browser) -> None:
    account = await browser.api("POST", "/accounts", {"nickname": "Zoe", "domain": "web2.wechat.com"})
    await browser.log_in(account["uin"])
    assert browser.domain == "web2.wechat.com"
    assert {c["domain"] for c in browser.jar if c.key == "webwx_data_ticket"} == {"wechat.com"}
    assert await browser.check() == ("0", "0")
    assert await browser.check(host="webpush.wx.qq.com") == ("1102", "0"), "no cookies reach another domain"


async def test_desktop_only_account(browser: Browser, sandbox: Sandbox) -> None:
    sandbox.accounts[UIN].web_login = WebLogin.DESKTOP
    await browser.jslogin()
    await browser.api("POST", f"/logins/{browser.uuid}/confirm", {"uin": UIN})
    await browser.poll()
    status, xml = await browser.new_login_page()
    assert status == 200
    assert "<ret>1203</ret>" in xml
    assert not list(browser.jar)
    await browser.jslogin(desktop=True)
    await browser.api("POST", f"/logins/{browser.uuid}/confirm", {"uin": UIN})
    await browser.poll()
    assert "<ret>1203</ret>" in (await browser.new_login_page("&version=v2&mod=desktop"))[1], "headers missing"
    await browser.jslogin(desktop=True)
    await browser.api("POST", f"/logins/{browser.uuid}/confirm", {"uin": UIN})
    await browser.poll()
    other_spam = {"client-version": "2.0.0", "extspam": "Gp8ICJkIEpkI"}
    assert "<ret>1203</ret>" in (await browser.new_login_page("&version=v2&mod=desktop", other_spam))[1]
    await browser.log_in(UIN, desktop=True)


async def test_normal_only_and_refused_accounts(browser: Browser, sandbox: Sandbox) -> None:
    for kind, headers, extra in (
        (WebLogin.NORMAL, DESKTOP_HEADERS, "&version=v2&mod=desktop"),
        (WebLogin.REFUSED, {}, "&version=v2"),
    ):
        sandbox.accounts[UIN].web_login = kind
        await browser.jslogin()
        await browser.api("POST", f"/logins/{browser.uuid}/confirm", {"uin": UIN})
        await browser.poll()
        assert "<ret>1203</ret>" in (await browser.new_login_page(extra, headers))[1]
        assert await browser.poll() == "window.code=400;"


async def test_without_version_the_answer_is_a_301_that_still_carries_everything(browser: Browser) -> None:
    await browser.jslogin()
    await browser.api("POST", f"/logins/{browser.uuid}/confirm", {"uin": UIN})
    await browser.poll()
    status, xml = await browser.new_login_page("")
    assert status == 301
    assert "<wxsid>" in xml
    assert (await browser.init())["BaseResponse"]["Ret"] == 0


async def test_wrong_tickets_and_other_domains(browser: Browser) -> None:
    await browser.jslogin()
    await browser.api("POST", f"/logins/{browser.uuid}/confirm", {"uin": UIN})
    await browser.poll()
    right, browser.redirect = browser.redirect, browser.redirect.replace("ticket=", "ticket=x")
    assert "<ret>1</ret>" in (await browser.new_login_page())[1]
    browser.redirect = right.replace("uuid=", "uuid=x")
    assert "<ret>1</ret>" in (await browser.new_login_page())[1]
    browser.redirect, browser.domain = right.replace("wx.qq.com", "wx2.qq.com"), "wx2.qq.com"
    moved = (await browser.new_login_page())[1]
    assert "<redirecturl>https://wx.qq.com/" in moved
    assert "<wxsid>" not in moved
    browser.redirect, browser.domain = right, "wx.qq.com"
    assert "<wxsid>" in (await browser.new_login_page())[1]


async def test_ticket_works_again_until_init_and_then_no_more(browser: Browser) -> None:
    await browser.jslogin()
    await browser.api("POST", f"/logins/{browser.uuid}/confirm", {"uin": UIN})
    await browser.poll()
    await browser.new_login_page()
    before = dict(browser.values)
    await browser.new_login_page()
    assert browser.values == before
    await browser.init()
    assert "<ret>1</ret>" in (await browser.new_login_page())[1]


async def test_push_login_with_old_cookies(browser: Browser) -> None:
    assert '"ret":"1"' in await browser.get("wx.qq.com", f"{CGI}/webwxpushloginurl?uin={UIN}")
    await browser.log_in(UIN)
    await browser.api("POST", f"/accounts/{UIN}/logout", {"retcode": 1101})
    answer = await browser.get("wx.qq.com", f"{CGI}/webwxpushloginurl?uin={UIN}")
    found = re.search(r'"ret":"0","msg":"all ok","uuid":"([^"]+)"', answer)
    assert found
    browser.uuid = found[1]
    [login] = await browser.api("GET", f"/logins?state=waiting&uin={UIN}")
    assert login["push"]
    await browser.api("POST", f"/logins/{browser.uuid}/confirm")
    await browser.poll()
    await browser.new_login_page()
    assert (await browser.init())["BaseResponse"]["Ret"] == 0
    await browser.api("POST", f"/accounts/{UIN}/logout", {"forget": True})
    assert '"ret":"1"' in await browser.get("wx.qq.com", f"{CGI}/webwxpushloginurl?uin={UIN}")


async def test_usernames_change_with_each_login_and_people_stay(browser: Browser) -> None:
    await browser.log_in(UIN)
    first = {c["NickName"]: c["UserName"] for c in (await browser.contacts())["MemberList"]}
    await browser.log_in(UIN)
    second = {c["NickName"]: c["UserName"] for c in (await browser.contacts())["MemberList"]}
    assert first.keys() == second.keys()
    assert {n for n in first if first[n] == second[n]} == {
        "微信团队",
        "朋友推荐消息",
        "语音记事本",
        "漂流瓶",
        "腾讯新闻",
    }


async def test_a_second_login_ends_the_first(browser: Browser, online: Browser) -> None:
    other = Browser(browser.port)
    try:
        await other.log_in(UIN)
        assert await online.check() == ("1101", "0")
        assert await other.check() == ("0", "0")
    finally:
        await other.http.close()


async def test_logout_by_the_client(online: Browser) -> None:
    await online.get("wx.qq.com", f"{CGI}/webwxlogout?redirect=1&type=0&skey={online.values['skey']}")
    assert (await online.init())["BaseResponse"]["Ret"] == 1100


async def test_front_page_knows_who_is_in(browser: Browser) -> None:
    assert 'isLogin: !!""' in await browser.get("wx.qq.com", "/")
    await browser.log_in(UIN)
    assert 'isLogin: !!"1"' in await browser.get("wx.qq.com", "/")
