"""An account that WeChat lets in by desktop mode only: the page asks its owner, names the risk, takes the answer."""

import pytest
from selenium.webdriver.common.keys import Keys

from tests.page.browser import Browser
from tests.system.actors import Caller, Phone
from tests.system.host import Host

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]
BUTTON = "#account-advice [data-action=allow]"


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


def test_it_is_given_beside_the_code_as_well(browser: Browser, caller: Caller, phone: Phone) -> None:
    uin = phone.account("新号", web_login="desktop")
    caller.openwx("start_client", client="scans")
    browser.open()
    browser.click("#rows [data-account=scans] [data-action=scan]")
    for _ in range(2):
        browser.find("#scan .code img")
        uuid = phone.login_of(caller.v1("GET", "/accounts/scans/qr")[1]["link"])
        phone.scan(uuid, uin)
        phone.confirm(uuid)
        if caller.until_state("scans", "stop", "running") == "running":
            break
        browser.find("#scan [data-action=allow]")
        browser.picture("consent-3-beside")
        assert browser.text("#scan").count("about two weeks") == 1
        browser.click("#scan [data-action=allow]")
        browser.click("#confirm-yes")
        browser.gone("#scan [data-action=allow]")
    browser.find("#scan li[data-step=run].done")
    assert browser.complaints() == []
