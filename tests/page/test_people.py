"""The page on a booted host: readable and usable for everybody, and up to date while things change."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from tests.page.browser import Browser
from tests.page.looks import faults
from tests.system.actors import Caller, Phone, Webhook, log_in
from tests.system.host import Host

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]
TABS = {
    "chats": "#people li",
    "events": "#events li",
    "deliveries": "#deliveries li",
    "options": "#options dt",
    "journal": "#journal li",
}
# A control of a tab that opens something, and what appears.
OPENS = {
    "chats": ("#people button", "#messages li"),
    "events": (".steps-shown", "#events .step.shown"),
    "options": ("[data-option=post_api] [data-action=edit]", "#options form"),
}
LONG_WORD = "--" + "x" * 300  # not an option, which stays on one line
RARE = "return performance.getEntriesByType('resource').some(({ name }) => name.includes('/answers-'))"
PICTURE_DRAWN = "return document.querySelector('#messages img')?.naturalWidth > 0"
FACE_DRAWN = "return document.querySelector('#rows [data-account=runs] .face img')?.naturalWidth > 0"
CODE_DRAWN = "return document.querySelector('#scan img')?.naturalWidth > 0"
MATCHES = "return document.activeElement.matches(arguments[0])"
# Lines of the journal, and requests for it that ended.
LINES = "return [...document.querySelectorAll('#journal li')].map((line) => line.textContent)"
ENDED = "return performance.getEntriesByType('resource').filter((one) => one.name.includes('/journal?')).length"


@pytest.fixture(scope="module")
def uin(phone: Phone, address: str) -> str:
    return phone.account("小红", friends=30, groups=4)


@pytest.fixture(scope="module", autouse=True)
def accounts(host: Host, caller: Caller, phone: Phone, address: str, uin: str) -> Iterator[None]:
    """One of each kind."""
    with Webhook(host) as hook:
        log_in(caller, phone, "runs", uin, post_api=hook.address)
        caller.openwx("start_client", client="waits")
        caller.openwx("start_client", client="小店")
        caller.openwx("stop_client", client="小店")
        caller.openwx("start_client", client="a-rather-long-name-of-bot-1")
        host.run("systemctl", "stop", "wxclient@a-rather-long-name-of-bot-1")
        hook.answer = lambda report: 410 if report.get("content") == "dead" else 200
        friend = phone.friend(uin)
        phone.write(uin, friend, "dead")
        phone.write(uin, friend, LONG_WORD)
        hook.wait_for(lambda report: report.get("content") == LONG_WORD)
        yield


@pytest.mark.parametrize(
    ("language", "width", "theme"),  # test_list.py looks at other pairs
    [("en", 360, "light"), ("zh-CN", 1280, "dark")],
)
def test_readable_on_every_screen(browser: Browser, width: int, theme: str, language: str) -> None:
    browser.size(width)
    browser.colours(theme)

    def check(what: str) -> None:
        assert faults(browser) == [], what
        browser.picture(f"{language.lower()}-{width}-{theme}-{what}")

    browser.open()
    browser.find("#rows [data-account=waits] .state.attention")
    browser.find("#rows [data-account=runs] .fix a")
    assert not browser.script(RARE), "texts of rare answers are loaded for the list"
    check("list")
    browser.click("#open-add")
    check("add")
    browser.click("#add [data-close]")
    browser.click("#rows [data-account=waits] [data-action=scan]")
    browser.until(lambda: browser.script(CODE_DRAWN), "the code")
    check("scan")
    browser.click("#scan [data-close]")
    browser.click("#rows [data-account=runs] a")
    for tab, inside in TABS.items():
        browser.click(f"#tab-{tab}")
        browser.find(inside)
        check(tab)
        if opens := OPENS.get(tab):
            browser.find(opens[0])
            # A phone's bar covers the end of the page.
            browser.script("document.querySelector(arguments[0]).scrollIntoView({ block: 'center' })", opens[0])
            browser.click(opens[0])
            browser.find(opens[1])
            check(f"{tab}-open")
    browser.click("#account-more")
    browser.click("#menu [data-action=remove]")
    check("confirm")
    browser.click("#confirm-no")
    assert browser.complaints() == []


def focused(browser: Browser) -> str:
    """The id of the focused element, else its action, name or text."""
    return str(
        browser.script(
            "const one = document.activeElement;return one.id || one.dataset.action || one.name || one.textContent"
        )
    )


def tab_until(browser: Browser, selector: str, back: bool = False) -> None:
    """Press Tab, or Shift and Tab, until an element that fits a selector has the focus."""
    for _ in range(80):
        if browser.script(MATCHES, selector):
            return
        browser.press(Keys.SHIFT + Keys.TAB + Keys.NULL if back else Keys.TAB)
    raise AssertionError(f"{selector} can't be reached by Tab")


def test_everything_is_usable_by_keyboard(browser: Browser) -> None:
    browser.open()
    browser.find("#rows [data-account=runs] .fix a")
    tab_until(browser, "#open-add")
    browser.press(Keys.ENTER)
    browser.find("#add")
    assert focused(browser) == "name"
    browser.press(Keys.ESCAPE)
    browser.gone("#add")
    assert focused(browser) == "open-add"
    tab_until(browser, "#rows [data-account=runs] th a")
    browser.press(Keys.ENTER)
    browser.find("#account-name", "runs")
    assert focused(browser) == "account-name"
    tab_until(browser, "#account-more")
    browser.press(Keys.ENTER)
    browser.find("#menu")
    browser.press(Keys.END)
    assert focused(browser) == "remove"
    browser.press(Keys.ENTER)
    browser.find("#confirm")
    assert focused(browser) == "confirm-no"  # Enter by mistake does no harm
    browser.press(Keys.ENTER)
    browser.gone("#confirm")
    assert focused(browser) == "account-more"
    tab_until(browser, "#people button")
    browser.press(Keys.ENTER)
    browser.find("#messages li")
    browser.press("by the keyboard", Keys.ENTER)  # the field has the focus
    browser.find("#messages .me", "by the keyboard")
    tab_until(browser, "[role=tab][aria-selected=true]", back=True)
    browser.press(Keys.ARROW_LEFT)
    assert focused(browser) == "tab-journal"
    browser.press(Keys.ARROW_LEFT)
    edit = "[data-option=send_burst_max] [data-action=edit]"
    browser.find(edit)
    tab_until(browser, edit)
    browser.press(Keys.ENTER)
    browser.find("#options form")
    browser.press(Keys.ESCAPE)
    browser.gone("#options form")
    assert browser.script(MATCHES, edit)
    tab_until(browser, "#side [data-view=health]", back=True)
    browser.press(Keys.ENTER)
    browser.find("#view-health h1")
    assert browser.complaints() == []


def test_received_pictures_are_shown_and_files_are_saved(
    browser: Browser, phone: Phone, uin: str, tmp_path: Path
) -> None:
    friend, content = phone.friend(uin), b"a report"
    encoded = base64.b64encode(content).decode()
    phone.call("POST", f"/accounts/{uin}/receive", {"from": friend, "kind": "image"})
    phone.call(
        "POST",
        f"/accounts/{uin}/receive",
        {"from": friend, "kind": "file", "name": "报告 #1?.txt", "content": encoded},
    )
    browser.driver.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)}
    )
    browser.open("#/a/runs/chats")
    browser.click("#people button", friend)
    browser.until(lambda: browser.script(PICTURE_DRAWN), "the picture")
    browser.picture("conversation-with-picture")
    browser.click("#messages [data-action=save]", "报告")
    browser.until(lambda: [file.read_bytes() for file in tmp_path.glob("*.txt")] == [content], "the file")
    browser.open()
    browser.until(lambda: browser.script(FACE_DRAWN), "the picture of the account's user")
    assert browser.complaints() == []


def test_recall_by_keyboard_works_while_messages_arrive(browser: Browser, phone: Phone, uin: str) -> None:
    browser.open("#/a/runs")
    browser.click("#people button")  # who wrote last
    browser.find("#messages li")
    browser.press("written too soon", Keys.ENTER)
    recall = "#messages [data-state=delivered] [data-action=recall]"
    browser.find(recall)
    tab_until(browser, recall, back=True)
    phone.write(uin, phone.friend(uin), "meanwhile")
    browser.find("#messages li", "meanwhile")
    assert browser.script(MATCHES, recall)
    browser.press(Keys.ENTER)
    browser.find("#messages li", "recalled")
    browser.until(lambda: browser.script(MATCHES, "#send textarea"), "the focus")


def test_a_restart_of_the_controller_is_invisible(browser: Browser, host: Host, caller: Caller) -> None:
    browser.open()
    browser.find("#rows [data-account=runs] .fix a")
    browser.script(
        "new MutationObserver(() => { window.shown ||= !document.getElementById('connection').hidden })"
        ".observe(document.getElementById('connection'), { attributes: true })"
    )
    host.run("systemctl", "restart", "wxcontroller.service")
    caller.v1("POST", "/accounts/waits/stop")
    browser.find("#rows [data-account=waits] .state.off")
    assert not browser.script("return window.shown ?? false")
    assert browser.complaints() == []


def test_invalid_input_is_reported_at_its_field(browser: Browser) -> None:
    browser.open()
    browser.click("#open-add")
    browser.find("#add")
    browser.press("runs", Keys.ENTER)  # this name is taken
    problem = browser.text("#add-problem").splitlines()[0]
    invalid = "return [...document.querySelectorAll('#add [aria-invalid]')].map((one) => one.name)"
    assert (focused(browser), browser.script(invalid)) == ("name", ["name"])
    ids = browser.script("return document.activeElement.getAttribute('aria-describedby').split(' ')")
    described = [browser.script("return document.getElementById(arguments[0]).textContent", one) for one in ids]
    assert any(problem in text for text in described)
    browser.type("#add [name=name]", "other")
    browser.click("#add summary")
    browser.type("#add [name=proxy]", "ftp://127.0.0.1/")
    browser.click("#add summary")
    browser.click("#add-form .main")
    browser.find("#add-problem", "Proxy")
    assert (focused(browser), browser.script(invalid)) == ("proxy", ["proxy"])
    assert browser.find("#add [name=proxy]").is_displayed()


def test_list_of_people_is_updated_without_a_reload(browser: Browser, caller: Caller, phone: Phone, uin: str) -> None:
    browser.open("#/a/runs")
    browser.click("#people button", "friend")
    chosen = browser.text("#send-to")
    browser.type("#send textarea", "half a sen")
    phone.call("POST", f"/accounts/{uin}/befriend", {"who": "新来的"})
    browser.find("#people button", "新来的")
    assert browser.text("#send-to") == chosen
    assert browser.script("return document.querySelector('#send textarea').value") == "half a sen"
    caller.v1("POST", "/accounts/runs/stop")
    browser.find("#people-note", "shown once the account runs")
    browser.gone("#people li, #send .main")
    caller.v1("POST", "/accounts/runs/start")
    browser.find("#people button", "新来的")
    assert browser.complaints() == []


def test_refused_login_is_reported_beside_the_new_code(browser: Browser, caller: Caller, phone: Phone) -> None:
    other = phone.account("小刚", friends=2, groups=0)
    caller.openwx("start_client", client="refused")
    browser.open("#/a/refused")
    browser.find("#account-login .code")
    uuid = phone.login_of(caller.v1("GET", "/accounts/refused/qr")[1]["link"])
    with phone.fault("webwxnewloginpage", "retcode", 1200, 1):
        phone.scan(uuid, other)
        phone.confirm(uuid)
        assert "1200" in browser.text("#account-login .hint", "1200")
    caller.v1("DELETE", "/accounts/refused")


def test_log_lines_appear_once_when_written(browser: Browser, host: Host, caller: Caller) -> None:
    browser.open("#/a/runs")
    browser.click("#tab-journal")
    browser.find("#journal-note", "as they are written")
    caller.v1("POST", "/accounts/runs/stop")
    browser.find("#journal li", "Stopped wxclient@")
    assert browser.script(ENDED) == 0, "one request that does not end, and no other"
    before = sum("running: logged in" in line for line in browser.script(LINES))
    host.run("systemctl", "restart", "wxcontroller.service")
    caller.v1("POST", "/accounts/runs/start")
    browser.until(
        lambda: sum("running: logged in" in line for line in browser.script(LINES)) == before + 1, "the next login"
    )
    written = host.run("journalctl", "-q", "-o", "cat", "-u", "wxclient@runs", "-u", "wxclient-prepare@runs")
    stops = [line for line in written.stdout.decode().splitlines() if "Stopped wxclient@" in line]
    assert sum("Stopped wxclient@" in line for line in browser.script(LINES)) == len(stops)
    assert browser.complaints() == []
