"""The life of an account by clicks: added, scanned, running, written to, stopped, removed.

Some logins need more than a scan: digits, a link for another person, consent to a risk. On the iLink route, messages
are held until the person writes.
"""

import base64
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.keys import Keys

from tests.i18n import compiled
from tests.page.browser import Browser, browsing
from tests.page.looks import faults
from tests.programs import run
from tests.system.actors import Caller, Phone, Webhook, until
from tests.system.host import Host
from wxcontroller.core.text.catalog import translations

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]
BUTTON = "#account-advice [data-action=allow]"
MARKUP = "<img src=x onerror=\"document.title='owned'\"> & <b>fett</b> 你好"


def scanned(browser: Browser, selector: str, folder: Path) -> str:
    """Read the QR code on the screen as a phone does; return its content."""
    picture = folder / "code.png"
    try:
        picture.write_bytes(base64.b64decode(browser.find(selector).screenshot_as_base64))
    except WebDriverException:  # it is being replaced
        return ""
    return run("zbarimg", "-q", "--raw", picture).stdout.strip()


@pytest.fixture(autouse=True)
def no_accounts(caller: Caller) -> None:
    """Remove the accounts of an earlier test, which may have failed half-way."""
    for account in caller.v1("GET", "/accounts")[1]["accounts"]:
        caller.v1("DELETE", f"/accounts/{account['name']}")


@pytest.mark.parametrize("language", ["zh-CN"])
def test_an_account_from_adding_to_removing(
    browser: Browser, caller: Caller, phone: Phone, hook: Webhook, language: str, tmp_path: Path
) -> None:
    compiled()
    translated: Callable[[str], str] = translations(language).gettext
    name, tag = f"shop-{language}", language.lower()
    uin = phone.account("小红", friends=30, groups=4)

    # Without accounts, the page shows the first step.
    browser.open()
    assert translated("No account yet") in browser.text("#empty")
    browser.picture(f"{tag}-1-empty")
    browser.click("#empty-add")
    browser.type("#add [name=name]", name)
    browser.type("#add [name=post_api]", hook.address)
    browser.click("#add summary")
    browser.picture(f"{tag}-2-add")
    browser.click("#add [name=driver][value=web]")
    browser.click("#add-form .main", translated("Add and start"))

    # The code is the one that WeChat expects.
    link = browser.until(lambda: scanned(browser, "#add .code img", tmp_path), "a code that can be read")
    assert link == caller.v1("GET", f"/accounts/{name}/qr")[1]["link"]
    assert translated("Scan with WeChat on the phone") in browser.text("#add li[aria-current=step]")
    browser.picture(f"{tag}-3-scan")
    uuid = phone.login_of(link)
    phone.scan(uuid, uin)
    browser.find("#add li[data-step=confirm][aria-current=step]")
    phone.confirm(uuid)
    browser.find("#add li[data-step=run].done")
    assert "小红" in browser.text("#add [role=status]")
    browser.click("#add-login [data-close]")

    # Running, and the facts that only its process knows are shown too.
    row = f"#rows [data-account='{name}']"
    browser.find(f"{row} .state.good", translated("Running"))
    browser.find(f"{row} .minutes svg[aria-label]")
    browser.click(f"{row} a", name)
    browser.click("#tab-events")
    browser.click("#events .steps-shown")
    browser.find("#events li", translated("Logged in by a scan"))

    # Send: found by search, chosen, written.
    friend = next(contact for contact in phone.world(uin)["contacts"] if contact["kind"] == "friend")
    browser.click("#tab-chats")
    browser.find("#people li")
    browser.type("#people-search", friend["name"][:2])
    browser.click("#people button", friend["remark"] or friend["name"])
    browser.type("#send textarea", MARKUP)
    browser.click("#send .main")
    browser.find("#send-result.good")
    assert [one["text"] for one in phone.sent(uin)] == [MARKUP]

    # Receive: messages appear without a reload, hidden until requested, and markup in them is text.
    browser.click("#tab-events")
    browser.find("#events li", "→")
    phone.write(uin, friend["name"], MARKUP)
    browser.find("#events li", "←")
    assert MARKUP not in browser.text("#events")
    browser.click("#events li button", translated("Show text"))
    assert browser.text("#events .text.open") == MARKUP
    assert browser.script("return document.querySelectorAll('#events img, #events b b').length") == 0
    hook.wait_for(lambda report: report.get("content") == MARKUP and report.get("class") == "recv")

    # A permanent refusal by the webhook leaves a dead letter, which is replayed by a click.
    hook.answer = lambda report: 410 if report.get("content") == "later" else 200
    phone.write(uin, friend["name"], "later")
    browser.click("#tab-deliveries")
    browser.find("#deliveries .state.bad", translated("dead"))
    browser.find("#account-advice")
    hook.answer = lambda _: 200
    browser.click("#deliveries [data-action=replay]")
    hook.wait_for(lambda report: report.get("content") == "later")
    browser.gone("#deliveries li")
    browser.gone("#account-advice")

    browser.click("#tab-journal")
    browser.find("#journal li", "running: logged in as 小红")
    browser.click("#tab-options")
    browser.find("#options dt", "post_api")
    assert browser.text("#options").count("/hook") == 1

    # Restart, stop and start need no scan.
    pid = caller.account(name)["pid"]
    browser.click("#account-actions [data-action=restart]")
    until(lambda: caller.account(name)["pid"] not in (pid, None), what="another process")
    browser.find("#account-state.good")
    browser.click("#account-actions [data-action=stop]")
    browser.find("#account-state.off", translated("Stopped"))
    assert caller.account(name)["unit_state"] in ("absent", "inactive")
    browser.click("#account-actions [data-action=start]")
    browser.find("#account-state.good")

    # Log out, after a confirmation.
    browser.click("#account-more")
    browser.click("#menu [data-action=logout]")
    browser.find("#confirm-title", name)
    browser.click("#confirm-no")
    assert caller.state(name) == "running"
    browser.click("#account-more")
    browser.click("#menu [data-action=logout]")
    browser.click("#confirm-yes", translated("Log out"))
    browser.find("#account-state.off")
    browser.click("#account-actions [data-action=start]")
    browser.find("#account-login .code img")
    browser.find("#account-state.attention", translated("Scan the code"))

    # Remove.
    browser.click("#account-more")
    browser.click("#menu [data-action=remove]")
    browser.click("#confirm-yes", translated("Remove"))
    browser.find("#empty")
    assert caller.v1("GET", "/accounts")[1]["accounts"] == []
    assert browser.complaints() == []


def test_code_is_renewed_after_expiry_or_refusal(
    browser: Browser, caller: Caller, phone: Phone, tmp_path: Path
) -> None:
    uin = phone.account("小明")
    caller.openwx("start_client", client="waits")
    browser.open()
    browser.click("#rows [data-action=scan]")
    first = browser.until(lambda: scanned(browser, "#scan .code img", tmp_path), "a code")
    phone.act(phone.login_of(first), "expire")

    def another(than: str) -> str:
        found = scanned(browser, "#scan .code img", tmp_path)
        return found if found != than else ""

    second = browser.until(lambda: another(first), "another code")
    phone.scan(phone.login_of(second), uin)
    browser.find("#scan li[data-step=confirm][aria-current=step]")
    phone.act(phone.login_of(second), "cancel")
    browser.find("#scan li[data-step=scan][aria-current=step]")
    third = browser.until(lambda: another(second), "a third code")
    phone.scan(phone.login_of(third), uin)
    phone.confirm(phone.login_of(third))
    browser.find("#scan li[data-step=run].done")
    browser.click("#scan [data-close]")
    browser.gone("#rows [data-action=scan]")
    caller.v1("DELETE", "/accounts/waits")
    browser.find("#empty")
    assert browser.complaints() == []


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
        with browsing(address, "zh-CN") as other, browsing(address) as late:
            other.driver.get(link)
            other.click("#show")
            code = other.until(lambda: scanned(other, "#picture", tmp_path), "a code that can be read")
            assert "#" not in other.driver.current_url
            other.size(360)
            assert faults(other) == []
            other.picture("link-code")
            assert "guest" not in other.script("return document.documentElement.outerHTML")
            other.driver.refresh()  # the same tab may load it again
            other.find("#picture[src]")
            late.driver.get(link)
            late.click("#show")
            late.find("#says")
            late.gone("#picture")
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
    log = host.run("journalctl", "-u", "wxcontroller", "-o", "cat", "-g", "login link").stdout.decode()
    assert "created by token owner" in log
    assert "opened from" in log
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
        browser.picture("consent")
        browser.click(BUTTON)
        assert "about two weeks" in browser.text("#confirm-text")
        browser.click("#confirm-yes")
        browser.find("#account-login .code img")
        browser.gone(BUTTON)
    finally:
        host.run("sh", "-c", "for each in read control; do wxctl token revoke $each; done", check=False)
    second = phone.login_of(caller.v1("GET", "/accounts/asks/qr")[1]["link"])
    phone.scan(second, uin)
    phone.confirm(second)
    browser.find("#account-state.good")
    assert browser.complaints() == []


def scan(caller: Caller, phone: Phone, name: str, uin: str, **how: bool) -> str:
    """Scan an account's code; return the login's id."""
    status, code = caller.v1("GET", f"/accounts/{name}/qr")
    assert status == 200, code
    uuid = phone.login_of(code["link"])
    phone.call("POST", f"/logins/{quote(uuid, safe='')}/scan", {"uin": uin, **how})
    return uuid


def test_a_bot_is_added_and_its_digits_are_entered(browser: Browser, caller: Caller, phone: Phone) -> None:
    name, uin = "digits", phone.account("小明", friends=2, groups=0)
    browser.open()
    browser.click("#empty-add")
    browser.type("#add [name=name]", name)
    browser.click("#add-form .main")
    browser.until(lambda: browser.script("return document.querySelector('#add img')?.naturalWidth > 0"), "a code")
    assert caller.account(name)["driver"] == "ilink"
    uuid = scan(caller, phone, name, uin, verify=True)
    browser.find("#add .digits input")
    browser.picture("digits")
    [digits] = [one["digits"] for one in phone.call("GET", "/logins") if one["uuid"] == uuid]
    question = browser.text("#add .hint")
    browser.type("#add .digits input", f"{(int(digits) + 1) % 10**6:06d}" + Keys.ENTER)
    browser.until(lambda: browser.text("#add .hint") != question, "another question")
    browser.type("#add .digits input", digits)
    browser.click("#add .digits button")
    browser.gone("#add .digits")
    phone.confirm(uuid)
    browser.find("#add li[data-step=run].done")
    assert browser.complaints() == []


def test_held_messages_are_explained_and_can_be_cancelled(browser: Browser, caller: Caller, phone: Phone) -> None:
    caller.openwx("start_client", client="bot", driver="ilink")
    caller.until_state("bot", "scaning")
    uin = phone.account("小红", friends=3, groups=1)
    phone.confirm(scan(caller, phone, "bot", uin))
    caller.until_state("bot", "running")
    browser.size(360)
    [friend] = caller.openwx("get_friend_info", client="bot")
    assert caller.openwx("send_friend_message", client="bot", id=friend["id"], content="one")["code"] == -7
    browser.open("#/a/bot/chats")
    browser.click("#people button")
    browser.find("#messages [data-state=held] .meta.attention", "until the person writes · not after ")
    assert "until this person writes" in browser.text("#chat-window")
    browser.picture("held")
    assert browser.script("return document.scrollingElement.scrollWidth") <= 360
    browser.click("#messages [data-action=cancel]")
    browser.gone("#messages [data-state=held]")
    assert caller.v1("GET", "/accounts/bot/sends")[1]["sends"] == []
    phone.call("POST", f"/accounts/{uin}/phone-send", {"to": "clawbot", "text": "hello"})
    browser.find("#chat-window", "window open for")
    assert browser.complaints() == []
