"""For everybody: on a phone, in the dark, with the keyboard alone, by ear, with a token, and when the line is cut."""

from collections.abc import Iterator

import pytest
from selenium.webdriver.common.keys import Keys

from tests.page.browser import Browser
from tests.page.looks import faults
from tests.system.actors import Caller, Phone, Webhook, log_in
from tests.system.host import Host

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]
TABS = ("chats", "events", "deliveries", "options", "journal")
INSIDE = ("#people li", "#events li", "#deliveries li", "#options dt", "#journal li")

RARE = "return performance.getEntriesByType('resource').some(({ name }) => name.includes('/answers-'))"
CODE_DRAWN = "return document.querySelector('#scan img')?.naturalWidth > 0"
# What is opened in a tab, and what is seen then.
OPENS = {
    "chats": ("#people button", "#messages li"),
    "events": (".steps-shown", "#events .step.shown"),
    "options": ("[data-option=post_api] [data-action=edit]", "#options form"),
}


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
        phone.write(uin, friend, "x" * 300)
        hook.wait_for(lambda report: report.get("content") == "x" * 300)
        yield


@pytest.mark.parametrize(
    ("language", "width", "theme"),  # test_list.py looks at other pairs
    [("en", 360, "light"), ("zh-CN", 1280, "dark")],
)
def test_readable_on_every_screen(browser: Browser, width: int, theme: str, language: str) -> None:
    browser.size(width)
    browser.colours(theme)
    tag = f"{language.lower()}-{width}-{theme}"

    def looked_at(what: str) -> None:
        assert faults(browser) == [], what
        browser.picture(f"{tag}-{what}")

    browser.open()
    browser.find("#rows [data-account=waits] .state.attention")
    browser.find("#rows [data-account=runs] .fix a")
    assert not browser.script(RARE), "texts of rare answers are loaded for what the list shows"
    looked_at("list")
    browser.click("#open-add")
    looked_at("add")
    browser.click("#add [data-close]")
    browser.click("#rows [data-account=waits] [data-action=scan]")
    browser.until(lambda: browser.script(CODE_DRAWN), "the code")
    looked_at("scan")
    browser.click("#scan [data-close]")
    browser.click("#rows [data-account=runs] a")
    for tab, inside in zip(TABS, INSIDE, strict=True):
        browser.click(f"#tab-{tab}")
        browser.find(inside)
        looked_at(tab)
        if opens := OPENS.get(tab):
            browser.find(opens[0])
            # A phone's bar covers what is at its end.
            browser.script("document.querySelector(arguments[0]).scrollIntoView({ block: 'center' })", opens[0])
            browser.click(opens[0])
            browser.find(opens[1])
            looked_at(f"{tab}-open")
    browser.click("#account-more")
    browser.click("#menu [data-action=remove]")
    looked_at("confirm")
    browser.click("#confirm-no")
    assert browser.complaints() == []


def test_advice_links_to_its_tab(browser: Browser) -> None:
    browser.open("#/a/runs")
    browser.click("#account-advice button", "Deliveries")
    browser.find("#deliveries .state.bad", "dead letter")
    assert focused(browser) == "tab-deliveries"
    browser.open("#/a/a-rather-long-name-of-bot-1")
    browser.click("#account-advice button", "Journal")
    browser.find("#journal li", "Stopped wxclient@")
    assert focused(browser) == "tab-journal"
    assert browser.complaints() == []


def focused(browser: Browser) -> str:
    """The id of what has the focus, else its action or what it says."""
    return str(
        browser.script("const one = document.activeElement; return one.id || one.dataset.action || one.textContent")
    )


def tab_to(browser: Browser, wanted: str) -> None:
    """Press Tab until something has the focus."""
    for _ in range(60):
        if focused(browser) == wanted:
            return
        browser.press(Keys.TAB)
    raise AssertionError(f"{wanted} can't be reached by Tab")


def tab_until(browser: Browser, selector: str, back: bool = False) -> None:
    """Press Tab, or Shift and Tab, until what fits a selector has the focus."""
    for _ in range(80):
        if browser.script("return document.activeElement.matches(arguments[0])", selector):
            return
        browser.press(Keys.SHIFT + Keys.TAB + Keys.NULL if back else Keys.TAB)
    raise AssertionError(f"{selector} can't be reached by Tab")


def test_list_and_account_are_usable_by_keyboard(browser: Browser) -> None:
    browser.open()
    browser.find("#rows [data-account=runs] .fix a")
    tab_to(browser, "open-add")
    browser.press(Keys.ENTER)
    browser.find("#add")
    assert browser.script("return document.activeElement.name") == "name"
    browser.press("runs", Keys.ENTER)  # a name that is taken
    assert "already" in browser.text("#add-problem")
    browser.press(Keys.ESCAPE)
    browser.gone("#add")
    assert focused(browser) == "open-add"
    tab_to(browser, "runs")
    browser.press(Keys.ENTER)
    browser.find("#account-name", "runs")
    assert focused(browser) == "account-name"
    tab_to(browser, "tab-chats")
    browser.find("#people li")
    browser.press(Keys.ARROW_LEFT)
    assert focused(browser) == "tab-journal"
    browser.press(Keys.ARROW_LEFT)
    assert focused(browser) == "tab-options"
    browser.find("#options dt")
    browser.press(Keys.HOME)
    assert focused(browser) == "tab-chats"
    for expected in ("Details", "Deliveries"):  # where the advice leads
        browser.press(Keys.SHIFT + Keys.TAB + Keys.NULL)
        assert focused(browser) == expected
    browser.press(Keys.SHIFT + Keys.TAB + Keys.NULL)
    assert focused(browser) == "account-more"
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


def test_conversations_settings_and_views_are_usable_by_keyboard(browser: Browser) -> None:
    browser.open("#/a/runs")
    browser.find("#people li")
    tab_until(browser, "#people button")
    browser.press(Keys.ENTER)
    browser.find("#messages li")
    browser.press("by the keyboard", Keys.ENTER)  # the field has the focus
    browser.find("#messages .me", "by the keyboard")
    tab_until(browser, "[role=tab][aria-selected=true]", back=True)
    browser.press(Keys.ARROW_RIGHT)
    browser.find("#events .steps-shown")
    tab_until(browser, "#events .steps-shown")
    browser.press(Keys.ENTER)
    browser.find("#events .step.shown")
    tab_until(browser, "[role=tab][aria-selected=true]", back=True)
    browser.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    edit = "[data-option=send_burst_max] [data-action=edit]"
    browser.find(edit)
    tab_until(browser, edit)
    browser.press(Keys.ENTER)
    browser.find("#options form")
    browser.press(Keys.ESCAPE)
    browser.gone("#options form")
    assert browser.script("return document.activeElement.matches(arguments[0])", edit)
    for view in ("health", "access", "deliveries", "events", "conversations"):
        tab_until(browser, f"#side [data-view={view}]", back=True)
        browser.press(Keys.ENTER)
        browser.find(f"#view-{view} h1")
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
    assert browser.script("return document.activeElement.matches(arguments[0])", recall)
    browser.press(Keys.ENTER)
    browser.find("#messages li", "recalled")
    browser.until(lambda: browser.script("return document.activeElement.matches('#send textarea')"), "the focus")


def test_new_deliveries_do_not_move_the_focus(browser: Browser, phone: Phone, uin: str) -> None:
    browser.open("#/a/runs/deliveries")
    again = "#deliveries [data-action=replay]"
    browser.find(again)
    tab_until(browser, again)
    chosen = "return document.activeElement.closest('[data-id]')?.dataset.id"
    delivery = browser.script(chosen)
    assert delivery
    phone.write(uin, phone.friend(uin), "dead")
    browser.until(lambda: len(browser.driver.find_elements("css selector", again)) > 1, "another dead letter")
    assert browser.script(chosen) == delivery


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
    caller.v1("POST", "/accounts/waits/start")
    browser.find("#rows [data-account=waits] .state.attention")
    assert browser.complaints() == []


def test_page_asks_for_a_required_token(browser: Browser, host: Host) -> None:
    host.run("wxctl", "add", "goes")
    host.run("wxctl", "token", "create", "left", "--scope", "read", "--account", "goes")
    tokens = {
        scope: host.run("wxctl", "token", "create", scope, "--scope", scope).stdout.decode().strip()
        for scope in ("read", "admin")
    }
    try:
        browser.open()
        browser.find("#login")
        assert not browser.driver.find_element("css selector", "#list").is_displayed()
        assert faults(browser) == []
        browser.picture("login")
        browser.type("#login [name=token]", "wxc_00000000_" + "0" * 64 + Keys.ENTER)
        browser.find("#login-problem", "no longer valid")
        assert browser.complaints() == []  # to be asked for a token is no failure
        browser.type("#login [name=token]", tokens["read"] + Keys.ENTER)
        browser.find("#rows [data-account=runs] .fix a")
        browser.gone("#rows [data-action], #rows input")
        browser.driver.refresh()
        browser.find("#rows [data-account=runs] .fix a")
        browser.click("#leave")
        browser.find("#login")
        browser.type("#login [name=token]", tokens["admin"] + Keys.ENTER)
        browser.click("#rows [data-account=waits] [data-action=scan]")
        browser.until(lambda: browser.script(CODE_DRAWN), "a code")
        browser.click("#scan [data-close]")
        browser.click("#rows [data-account=goes] a")
        browser.click("#account-more")
        browser.click("#menu [data-action=remove]")
        browser.click("#confirm-yes")
        browser.find("#notices .bad", "Some tokens are also valid for the next account of this name.")
        browser.find("#notices .bad", "left")
        host.run("wxctl", "token", "revoke", "admin")
        browser.find("#login")
        assert browser.script("return window.violations ?? []") == []
        assert not any("wxc_" in entry for entry in browser.complaints())
    finally:
        host.run("sh", "-c", "for each in read admin left; do wxctl token revoke $each; done", check=False)
