"""From the code to a session, and the ways in which that fails."""

from tests.unit.sandbox.conftest import UIN
from tests.unit.sandbox.wire import Browser


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


async def test_a_second_login_ends_the_first(browser: Browser, online: Browser) -> None:
    other = Browser(browser.port)
    try:
        await other.log_in(UIN)
        assert await online.check() == ("1101", "0")
        assert await other.check() == ("0", "0")
    finally:
        await other.http.close()


async def test_front_page_knows_who_is_in(browser: Browser) -> None:
    assert 'isLogin: !!""' in await browser.get("wx.qq.com", "/")
    await browser.log_in(UIN)
    assert 'isLogin: !!"1"' in await browser.get("wx.qq.com", "/")
