"""Logins that need more than a scan.

A link lets another person scan: made by a click, opened in another browser, good for one login. And an account that
WeChat lets in by desktop mode only: the page asks its owner, names the risk, takes the answer.
"""

from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from tests.page.browser import Browser, browsing
from tests.page.looks import faults
from tests.page.test_walk import scanned
from tests.system.actors import Caller, Phone
from tests.system.host import Host

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]
BUTTON = "#account-advice [data-action=allow]"


def test_another_person_scans_by_a_link(
    browser: Browser, address: str, caller: Caller, phone: Phone, host: Host, tmp_path: Path
) -> None:
    uin = phone.account("小红")
    caller.openwx("start_client", client="guest", driver="ilink")
    caller.until_state("guest", "scaning")
    token = host.run("wxctl", "token", "create", "owner", "--scope", "control").stdout.decode().strip()
    try:
        browser.open()
        browser.type("#login [name=token]", token)
        browser.click("#login .main")
        browser.click("#rows [data-account=guest] a")
        browser.click("#account-login [data-action=share]")
        link = browser.until(lambda: browser.find("#account-login .share input").get_property("value"), "a link")
        assert isinstance(link, str)
        browser.picture("link-1-made")

        with browsing(address, "zh-CN") as other, browsing(address) as late:
            other.driver.get(link)
            assert faults(other) == []
            other.picture("link-2-opened")
            other.click("#show")
            code = other.until(lambda: scanned(other, "#picture", tmp_path), "a code that can be read")
            assert "#" not in other.driver.current_url
            assert faults(other) == []
            other.picture("link-3-code")
            other.size(360)
            assert faults(other) == []
            assert "guest" not in other.script("return document.documentElement.outerHTML")
            other.driver.refresh()  # the same tab may load it again
            other.find("#picture[src]")
            late.driver.get(link)
            late.click("#show")
            late.find("#says")
            late.gone("#picture")
            late.picture("link-4-too-late")
            phone.scan(phone.login_of(code), uin)
            other.find("li[data-step=confirm][aria-current=step]")
            phone.confirm(phone.login_of(code))
            other.find("li[data-step=done].done")
            other.gone("#picture")
            assert other.complaints() == []
        browser.find("#account-state.good")
        assert browser.complaints() == []
    finally:
        host.run("wxctl", "token", "revoke", "owner", check=False)
    said = host.run("journalctl", "-u", "wxcontroller", "-o", "cat", "-g", "login link").stdout.decode()
    assert "created by token owner" in said
    assert "opened from" in said
    assert str(link).partition("#")[2] not in host.run("journalctl", "-o", "cat").stdout.decode()


def test_consent_is_given_by_a_button_that_names_the_risk(
    browser: Browser, caller: Caller, phone: Phone, host: Host
) -> None:
    uin = phone.account("新号", web_login="desktop")
    caller.openwx("start_client", client="asks")
    caller.until_state("asks", "scaning")
    first = phone.login_of(caller.v1("GET", "/accounts/asks/qr")[1]["link"])
    phone.scan(first, uin)
    phone.confirm(first)
    caller.until_state("asks", "stop")
    tokens = {
        scope: host.run("wxctl", "token", "create", scope, "--scope", scope).stdout.decode().strip()
        for scope in ("read", "control")
    }
    try:
        browser.open()
        browser.type("#login [name=token]", tokens["read"] + Keys.ENTER)
        browser.click("#rows [data-account=asks] a")
        browser.find("#account-state.bad")
        assert "about two weeks" in browser.text("#account-advice")
        browser.gone(BUTTON)
        browser.click("#leave")
        browser.type("#login [name=token]", tokens["control"] + Keys.ENTER)
        browser.find(BUTTON)
        assert browser.text("#account-advice").count("about two weeks") == 1
        browser.picture("consent-1-asked")
        browser.click(BUTTON)
        assert "about two weeks" in browser.text("#confirm-text")
        browser.click("#confirm-yes")
        browser.find("#account-login .code img")
        browser.gone(BUTTON)
        browser.picture("consent-2-given")
    finally:
        host.run("sh", "-c", "for each in read control; do wxctl token revoke $each; done", check=False)
    second = phone.login_of(caller.v1("GET", "/accounts/asks/qr")[1]["link"])
    phone.scan(second, uin)
    phone.confirm(second)
    browser.find("#account-state.good")
    assert browser.complaints() == []
