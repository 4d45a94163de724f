"""What the page shows while things change: starts, scans, people, webhooks, options and the journal."""

from collections.abc import Iterator

import pytest
from selenium.webdriver.common.keys import Keys

from tests.page.browser import Browser
from tests.system.actors import Caller, Phone, Webhook, log_in
from tests.system.host import Host

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]
# Lines of the journal, and requests for it that end.
SHOWN = "return [...document.querySelectorAll('#journal li')].map((line) => line.textContent)"
ASKED = "return performance.getEntriesByType('resource').filter((one) => one.name.includes('/journal?')).length"
# What is said in red, from now on, in an element.
LISTEN = """
const place = document.querySelector(arguments[0]);
window.alarms = [];
new MutationObserver(() => {
  for (const each of place.querySelectorAll(".bad")) {
    if (each.checkVisibility() && each.textContent) window.alarms.push(each.textContent);
  }
}).observe(place, { subtree: true, childList: true, characterData: true, attributes: true });
"""


@pytest.fixture(scope="module")
def uin(phone: Phone, address: str) -> str:
    return phone.account("小红", friends=8, groups=2)


@pytest.fixture(scope="module")
def alice(host: Host, caller: Caller, phone: Phone, uin: str) -> Iterator[str]:
    """An account that runs, with a webhook that works."""
    with Webhook(host) as hook:
        log_in(caller, phone, "alice", uin, post_api=hook.address)
        yield "alice"


@pytest.fixture(scope="module")
def hookless(caller: Caller, phone: Phone) -> str:
    """An account with a webhook where nobody listens: that counts as failing after half a minute."""
    log_in(caller, phone, "hookless", phone.account("小李", friends=3, groups=0), post_api="http://127.0.0.1:9/hook")
    return "hookless"


def test_starting_account_is_not_shown_as_a_problem(browser: Browser, caller: Caller) -> None:
    browser.open()
    browser.click("#open-add, #empty-add")
    browser.script(LISTEN, "body")
    browser.type("#add [name=name]", "begins")
    browser.click("#add-form .main")
    browser.until(lambda: browser.script("return document.querySelector('#add img')?.naturalWidth > 0"), "a code")
    browser.find("#add-login", "code 1 of 10")
    browser.click("#add-login [data-close]")
    browser.choose("begins", "stop")
    browser.find("#rows [data-account=begins] .state.off")
    browser.choose("begins", "start")
    browser.find("#rows [data-account=begins] .state.attention")
    browser.choose("begins", "restart")
    browser.find("#notices .good")
    browser.find("#rows [data-account=begins] .state.attention")
    assert browser.script("return window.alarms") == []
    caller.v1("DELETE", "/accounts/begins")


@pytest.mark.usefixtures("hookless")  # half a minute before its test
def test_an_ended_account_is_shown_immediately(browser: Browser, host: Host, caller: Caller) -> None:
    caller.openwx("start_client", client="ends")
    browser.open()
    browser.find("#rows [data-account=ends] .state.attention")
    host.run("systemctl", "stop", "wxclient@ends")
    browser.find("#rows [data-account=ends] .state.bad", "Down")
    caller.v1("DELETE", "/accounts/ends")


def test_scanned_code_is_marked_as_used(browser: Browser, caller: Caller, phone: Phone) -> None:
    other = phone.account("小明", friends=2, groups=0)
    caller.openwx("start_client", client="scans")
    browser.open()
    browser.click("#rows [data-account=scans] [data-action=scan]")
    browser.find("#scan .code")
    uuid = phone.login_of(caller.v1("GET", "/accounts/scans/qr")[1]["link"])
    phone.scan(uuid, other)
    browser.find("#scan .code.used")
    browser.find("#scan .hint", "Tap Log in on the phone")
    browser.picture("scan-used")
    browser.click("#scan [data-close]")
    browser.gone("#rows [data-account=scans] [data-action=scan]")
    phone.confirm(uuid)
    browser.find("#rows [data-account=scans] .state.good")
    caller.v1("DELETE", "/accounts/scans")


def test_refused_login_is_reported_beside_the_new_code(browser: Browser, caller: Caller, phone: Phone) -> None:
    other, name = phone.account("小刚", friends=2, groups=0), "refused"
    caller.openwx("start_client", client=name)
    browser.open(f"#/a/{name}")
    browser.find("#account-login .code")
    uuid = phone.login_of(caller.v1("GET", f"/accounts/{name}/qr")[1]["link"])
    with phone.fault("webwxnewloginpage", "retcode", 1200, 1):
        phone.scan(uuid, other)
        phone.confirm(uuid)
        assert "1200" in browser.text("#account-login .hint", "1200")
    browser.picture("refused")
    caller.v1("DELETE", f"/accounts/{name}")


def test_list_of_people_is_updated_without_a_reload(
    browser: Browser, caller: Caller, phone: Phone, alice: str, uin: str
) -> None:
    browser.open(f"#/a/{alice}")
    browser.click("#tab-chats")
    browser.find("#people li")
    before = len(browser.driver.find_elements("css selector", "#people li"))
    browser.click("#people button", "friend")
    chosen = browser.text("#send-to")
    browser.type("#send textarea", "half a sen")
    phone.call("POST", f"/accounts/{uin}/befriend", {"who": "新来的"})
    browser.find("#people button", "新来的")
    assert len(browser.driver.find_elements("css selector", "#people li")) == before + 1
    assert browser.text("#send-to") == chosen
    assert browser.script("return document.querySelector('#send textarea').value") == "half a sen"
    caller.v1("POST", f"/accounts/{alice}/stop")
    browser.find("#people-note", "shown once the account runs")
    browser.gone("#people li")
    browser.gone("#send .main")
    caller.v1("POST", f"/accounts/{alice}/start")
    browser.find("#people button", "新来的")
    assert browser.complaints() == []


def test_a_refused_webhook_connection_is_shown(browser: Browser, caller: Caller, hookless: str) -> None:
    address, tried, row = "http://127.0.0.1:9/hook", "next try:", f"#rows [data-account={hookless}]"
    browser.open()
    browser.find(f"{row} .state.attention", "Webhook failing")
    browser.click("#chips [data-show=attention]")
    browser.click(f"{row} .why button", "9")
    browser.find(f"{row} .detail", address)
    browser.picture("webhook-list")
    browser.click(f"{row} a")
    browser.find("#account-advice", address)
    browser.click("#account-advice button")
    browser.find("#deliveries small", tried)
    assert focused(browser) == "tab-deliveries"
    # What was never tried waits behind what is tried. Each look at once: the list is replaced meanwhile.
    looked = (
        "return [...document.querySelectorAll('#deliveries li')]"
        ".map((each) => [each.textContent.includes(arguments[0]), each.querySelector('button').checkVisibility()])"
    )
    assert all(was_tried == offered for was_tried, offered in browser.script(looked, tried))
    browser.picture("webhook-deliveries")
    assert browser.complaints() == []
    caller.v1("DELETE", f"/accounts/{hookless}")


def focused(browser: Browser) -> str:
    return str(browser.script("const one = document.activeElement; return one.id || one.name || one.textContent"))


def described(browser: Browser) -> str:
    """What a screen reader says of the field that has the focus, after its name."""
    return str(
        browser.script(
            "return document.activeElement.getAttribute('aria-describedby').split(' ')"
            ".map((id) => document.getElementById(id).textContent).join(' ')"
        )
    )


def test_invalid_input_is_reported_at_its_field(browser: Browser, alice: str) -> None:
    browser.open()
    browser.click("#open-add")
    browser.find("#add")
    browser.press(alice, Keys.ENTER)
    browser.find("#add-problem")
    assert focused(browser) == "name"
    invalid = "return [...document.querySelectorAll('#add [aria-invalid]')].map((one) => one.name)"
    assert browser.script(invalid) == ["name"]
    assert browser.text("#add-problem").splitlines()[0] in described(browser)
    browser.type("#add [name=name]", "other")
    browser.click("#add summary")
    browser.type("#add [name=proxy]", "ftp://127.0.0.1/")
    browser.click("#add summary")
    browser.press(Keys.NULL)
    browser.click("#add-form .main")
    browser.find("#add-problem", "Proxy")
    assert focused(browser) == "proxy"
    assert browser.find("#add [name=proxy]").is_displayed()
    assert browser.script(invalid) == ["proxy"]
    browser.picture("add-wrong")
    browser.type("#add [name=proxy]", "")
    browser.type("#add [name=post_api]", "ftp://127.0.0.1/")
    browser.press(Keys.ENTER)
    browser.until(lambda: browser.script(invalid) == ["post_api"], "the webhook is marked")
    assert focused(browser) == "post_api"
    assert "Webhook" in browser.text("#add-problem").splitlines()[0]
    browser.click("#add [data-close]")
    browser.click("#open-add")
    assert browser.script(invalid) == []


def test_log_lines_appear_when_written(browser: Browser, host: Host, caller: Caller, phone: Phone) -> None:
    name = "logs"
    log_in(caller, phone, name, phone.account("小红", friends=3, groups=1))
    browser.open(f"#/a/{name}")
    browser.click("#tab-journal")
    browser.find("#journal li", "running: logged in as 小红")
    browser.find("#journal-note", "as they are written")
    caller.v1("POST", f"/accounts/{name}/stop")
    browser.find("#journal li", "Stopped wxclient@")
    assert browser.script(ASKED) == 0, "one request that does not end, and no other"
    assert "unmet condition" not in browser.text("#journal")
    host.run("systemctl", "restart", "wxcontroller.service")
    caller.v1("POST", f"/accounts/{name}/start")
    browser.until(
        lambda: sum("running: logged in" in line for line in browser.script(SHOWN)) == 2,
        "the second login, after all",
    )
    wanted = host.run("journalctl", "-q", "-o", "cat", "-u", f"wxclient@{name}", "-u", f"wxclient-prepare@{name}")
    lines = [line for line in wanted.stdout.decode().splitlines() if "Stopped wxclient@" in line]
    assert sum("Stopped wxclient@" in line for line in browser.script(SHOWN)) == len(lines) == 1
    assert browser.complaints() == []
