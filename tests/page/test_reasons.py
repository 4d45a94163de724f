"""What the page says while something does not get on: a login that WeChat refuses, a webhook that is not there."""

import pytest

from tests.page.browser import Browser
from tests.system.actors import Caller, Phone, log_in

pytestmark = pytest.mark.system


def test_a_login_that_is_refused_says_so_and_how_it_goes_on(browser: Browser, caller: Caller, phone: Phone) -> None:
    uin = phone.account("小明", web_login="normal")
    caller.openwx("start_client", client="refused")
    browser.open("#/a/refused")
    hint = browser.find("#account-login [role=status]", "A code is good for some minutes")
    status = str(caller.v1("GET", "/accounts/refused")[1]["status"])
    assert (status, status[1:] in hint.text) == (
        "waiting for a scan of QR code 1 of 10",
        True,
    )  # one number everywhere
    login = phone.waiting_login()
    phone.scan(login, uin)
    phone.confirm(login)
    browser.find("#account-login [role=status]", "WeChat refused the login (1203: ")
    browser.find("#account-login [role=status]", "scan the new code: it is then tried as a normal web login")
    login = phone.waiting_login()
    phone.scan(login, uin)
    phone.confirm(login)
    browser.find("h1 + .state, .state.good", "Running")
    browser.gone("#account-login")
    caller.v1("DELETE", "/accounts/refused")
    assert browser.complaints() == []


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "nobody listens at 127.0.0.1:9; see whether it is running"),
        ("zh-CN", "127.0.0.1:9 没有程序在监听；请看它是否在运行"),
    ],
)
def test_a_webhook_that_is_not_there_is_told_at_once(
    browser: Browser, caller: Caller, phone: Phone, words: str
) -> None:
    log_in(caller, phone, "deaf", phone.account("小明"), post_api="http://127.0.0.1:9/in")
    browser.open()
    late = browser.find("#rows .late")
    assert late.get_attribute("title") == words
    browser.open("#/a/deaf")
    browser.find("#account-advice", words)
    browser.click("#account-advice button")
    browser.find("#deliveries-note", words)
    caller.v1("DELETE", "/accounts/deaf")
    assert browser.complaints() == []
