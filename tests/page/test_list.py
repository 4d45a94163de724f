"""The list of accounts and the overviews, in Chromium on a controller whose accounts the tests make up."""

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from tests.page.browser import Browser, new_tab
from tests.page.looks import faults
from tests.page.served import Served, serving
from wxcontroller.controller.accounts.units import UnitRecord
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.access.tokenfile import TokenFile, minted
from wxcontroller.core.condition.deliverystate import DeliveryState
from wxcontroller.core.config.checklist import DoctorCheck
from wxcontroller.core.jsontypes import JsonObject, JsonValue, obj
from wxcontroller.core.registry.notifytargets import target_book
from wxcontroller.core.states import LoginState, UnitState
from wxcontroller.core.text.templates import Text, text_fields
from wxcontroller.drivers.base import EndReason

pytestmark = pytest.mark.timeout(300)
# Targets for fingers that are too small; links within a text may be.
SMALL = """
const targets = "button, .button, #list a, .of-account a, .choices a, input, select, summary, #side a";
return [...document.querySelectorAll(targets)]
  .filter((each) => each.checkVisibility() && !each.closest(".skip"))
  .map((each) => {
    const { width, height } = each.getBoundingClientRect();
    const after = parseFloat(getComputedStyle(each, "::after").height) || 0;
    const label = each.closest("label")?.offsetHeight ?? 0;
    const least = each.tagName === "BUTTON" ? width : 44;
    return [Math.round(Math.min(least, Math.max(height, after, label))), each.outerHTML.slice(0, 120)];
  })
  .filter(([size]) => size < 44);
"""
NAMES = "return [...document.querySelectorAll('#tokens-table tbody th')].map((one) => one.textContent)"
# The token of a new target, and the URL to send to.
TARGET = "return [...document.querySelectorAll('#targets-form [readonly]')].map(each => each.value)"
# Options as the page formats them.
FORMATTED = {
    "hold_seconds": "1 day",
    "webhook_retry_longest": "5 minutes",
    "media_size_max": "20 MB",
    "driver": "Web",
    "post_event": "on",
    "post_api": "–",
}
VIEWS = ("", "#/conversations", "#/events", "#/deliveries", "#/health", "#/access", "#/a/bob/options", "#/a/scans")
ROWS = "return [...document.querySelectorAll('#rows tbody > :not([hidden])')].map((one) => one.dataset.account)"
# The page waits between two portions of rows until the test lets it go on.
PAUSED = "scheduler.yield = () => new Promise((done) => { window.goOn = done; });"
GO_ON = "window.goOn?.(); window.goOn = null;"
# The page's translation of texts that the API sends as data.
TEXTS = """
const [sent, done] = arguments;
const at = document.querySelector("script[src$='main.js']").src.replace("main.js", "i18n.js");
import(at).then(async ({ parsed, textOf }) =>
  done((await parsed(JSON.stringify(sent))).map((each) => textOf(each, "reason"))));
"""
# Words like --option that are on two lines.
BROKEN = r"""
const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  for (const { 0: word, index } of walker.currentNode.data.matchAll(/--[a-z]+/g)) {
    const range = document.createRange();
    range.setStart(walker.currentNode, index);
    range.setEnd(walker.currentNode, index + word.length);
    if (range.getClientRects().length > 1) found.push(word);
  }
}
return found;
"""
# The colours of bubbles and of what is behind their text.
BUBBLES = """
const [side, kinds] = arguments, list = document.getElementById("messages");
return kinds.map((kind) => {
  const line = list.appendChild(document.createElement("li")), bubble = document.createElement("span");
  [line.className, bubble.className] = [side, kind];
  line.append(bubble);
  const { color, backgroundColor } = getComputedStyle(bubble);
  return [color, backgroundColor];
});
"""
# The lines on which the controls of a form are.
MIDDLES = """
const controls = document.querySelectorAll("#options form > :is(input, select, button:not(.plain))");
return [...new Set([...controls].map((each) => each.getBoundingClientRect()).map(({ top, height }) =>
  Math.round((top + height / 2) / 10)))];
"""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Six accounts: two run, one is offline, one shows a code, one has given up, one is stopped."""
    with serving(tmp_path) as one:
        now = int(time.time())
        one.account("alice", LoginState.RUNNING, "web", "n" * 10 + "r" * 35 + "o" * 5)
        one.account("bob", LoginState.RUNNING, "web")
        one.account("offline", LoginState.OFFLINE, reason="WeChat is not responding", state_since=now - 300)
        code: JsonObject = {
            "qrcode_link": "https://login.weixin.qq.com/l/AbC",
            "status": "waiting for a phone",
            "user": None,
        }
        one.account("scans", LoginState.SCANNING, **code, state_since=now - 100, qrcode_number=1)
        one.account("parked", LoginState.PARKED, reason="the session ended", state_since=now - 60)
        one.account("stopped", None)
        yield one


LONG_REASON = (
    "no phone scanned any of the QR codes within twenty minutes, which is the limit; start the account again"
)
BOXES = "const box = document.querySelector(arguments[0]).getBoundingClientRect(); return [box.left, box.width]"


@pytest.fixture
def browser(served: Served, language: str, browser_of: Callable[[str], Browser]) -> Iterator[Browser]:
    with new_tab(browser_of(language), served.machine.url) as tab:
        tab.size(1280)
        tab.open()
        tab.find("#rows [data-account=bob]")
        yield tab


def test_content_of_bubbles_has_contrast(browser: Browser) -> None:
    browser.open("#/a/alice")
    browser.find("#account h1")
    for theme in ("light", "dark"):
        browser.colours(theme)
        for side in ("me", "other"):
            for text, background in browser.script(BUBBLES, side, ("bubble", "bubble faint", "bubble file")):
                lighter, darker = sorted((luminance(text), luminance(background)), reverse=True)
                assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (theme, side, text, background)


def luminance(colour: str) -> float:
    """Return the relative luminance of an rgb(…) colour, by WCAG 2."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(("language", "theme"), [("en", "light"), ("zh-CN", "dark")])
def test_every_view_on_every_screen(browser: Browser, theme: str, language: str) -> None:
    """Nothing overlaps, is pale or nameless, and axe-core has no serious finding."""
    browser.colours(theme)
    for width in (1280, 768, 360):
        browser.size(width)
        for view in VIEWS:
            browser.open(view)
            browser.find("h1")
            what = f"{view or 'list'} at {width}"
            assert faults(browser, axe=width != 768 or not view) == [], what
            assert width > 360 or browser.script(SMALL) == [], what
            browser.picture(f"views-{language.lower()}-{width}-{theme}-{view.rpartition('/')[2] or 'list'}")
    assert browser.complaints() == []


def test_problems_are_on_top_with_their_remedy(browser: Browser, served: Served) -> None:
    browser.until(
        lambda: browser.script(ROWS) == ["parked", "offline", "scans", "alice", "bob", "stopped"], "the order"
    )
    assert browser.script("return document.title") == "(3) wxcontroller"
    assert browser.text("#summary") == "2 running · 3 need attention"
    # The button of one that has given up starts it.
    browser.click("#rows [data-account=parked] .fix button", "Start")
    ActionChains(browser.driver).move_to_element(browser.find("#list-title")).perform()
    browser.find("#notices .good", "parked")
    served.machine.process("parked").say(LoginState.RUNNING)
    browser.find("#rows-running [data-account=parked] .state.good")
    assert browser.script("return document.title") == "(2) wxcontroller"
    # The remedy leads to the setting that can cure the problem.
    why = Text("no answer: {what}", what=Text("the proxy {proxy} cannot be reached", proxy="http://127.0.0.1:9"))
    served.machine.process("offline").say(LoginState.OFFLINE, **text_fields(reason=why))
    browser.find("#rows [data-account=offline] .fix a[href='#/a/offline/options']", "Edit proxy")
    assert browser.text("#rows [data-account=offline] .told") == "Proxy failing"
    served.machine.process("offline").say(LoginState.PARKED, **text_fields(reason=Text(EndReason.REFUSED)))
    browser.find("#rows [data-account=offline] .fix a", "Change route")
    # An account that is logged in and in trouble counts as being in trouble, everywhere.
    dead = DeliveryState(dead=2, unacknowledged=2, dead_at=int(time.time()), dead_error=Text("no answer"))
    served.publish("alice", dead)
    browser.find("#rows-attention [data-account=alice] .told", "Dead letters")
    assert browser.text("#summary") == "2 running · 3 need attention"
    browser.click("#chips [data-show=running]")
    assert browser.script(ROWS) == ["bob", "parked"]
    browser.click("#chips [data-show=attention]")
    browser.click("#rows [data-account=alice] th a")
    browser.find("#account-state.state.bad", "Dead letters")
    assert browser.complaints() == []
    # A failed action is reported.
    served.machine.units.refuse = "Access denied"
    browser.click("#account-actions [data-action=restart]")
    browser.find("#notices .bad", "systemd did not carry out the request")


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (1280, "dark"), (360, "light"), (360, "dark")])
def test_trouble_shows_what_to_do_then_why(browser: Browser, served: Served, width: int, theme: str) -> None:
    """A refused web login leads to iLink; the reason can be read without a click, on a phone too."""
    for name in ("parked", "offline"):
        served.machine.process(name).say(LoginState.PARKED, **text_fields(reason=Text(LONG_REASON)))
    consent: JsonObject = {
        "id": "allow-desktop",
        "kind": "consent",
        "prompt": "May it use desktop mode?",
        "digits": None,
    }
    served.machine.process("scans").say(LoginState.PARKED, input=consent, **text_fields(reason=Text(LONG_REASON)))
    browser.size(width)
    browser.colours(theme)
    row = "#rows [data-account=parked]"
    why = browser.find(f"{row} .why span", "No phone scanned")
    assert browser.script("return arguments[0].scrollHeight <= arguments[0].clientHeight + 1", why), "it is cut off"
    browser.find("#rows [data-account=scans] .told", "Refused")
    fix = browser.find("#rows [data-account=scans] .fix a", "Change route")
    assert str(fix.get_attribute("href")).endswith("#/a/scans/options")
    left = browser.script(BOXES, f"{row} .fix > *"), browser.script(BOXES, f"{row} .why span")
    assert width < 640 or left[0][0] < left[1][0], "the reason stands before what to do"
    browser.picture(f"trouble-{width}-{theme}")
    assert faults(browser) == []
    browser.click("#rows [data-account=scans] .why button")
    browser.find("#rows [data-account=scans] .detail button", "Allow desktop mode")


def test_account_with_bad_settings_offers_no_start(browser: Browser, served: Served) -> None:
    instance = served.machine.process("parked").instance
    override = served.machine.paths.override_file(instance)
    override.parent.mkdir(parents=True, exist_ok=True)
    override.write_text('MOJO_WEIXIN_SEND_INTERVAL="soon"\n')
    served.run(served.machine.units.kill(instance, UnitRecord(instance, UnitState.FAILED, "failed")))
    browser.find("#rows [data-account=parked] .why", "must be a number")
    browser.find("#rows [data-account=parked] .fix a", "Journal")
    browser.open("#/a/parked")
    browser.find("#account-advice", "must be a number")
    browser.gone("#account-actions [data-action=start]")


def test_selected_accounts_are_changed_together(browser: Browser, served: Served) -> None:
    browser.click("#rows [data-account=alice] .pick input")
    last = browser.find("#rows [data-account=bob] .pick input")
    ActionChains(browser.driver).key_down(Keys.SHIFT).click(last).key_up(Keys.SHIFT).perform()
    assert browser.text("#bulk-count") == "2 selected"
    browser.click("#bulk [data-action=webhook]")
    browser.type("#bulk-webhook input", "http://127.0.0.1:9/hook")
    browser.press(Keys.ENTER)
    browser.find("#notices .good", "2 accounts")
    for name in ("alice", "bob"):
        _, body = served.run(served.machine.v1("GET", f"accounts/{name}"))
        assert body["post_api"] == "http://127.0.0.1:9/hook"
    browser.click("#bulk [data-action=stop]")
    browser.gone("#bulk")
    browser.find("#rows-off [data-account=alice]")
    browser.find("#rows-off [data-account=bob]")
    browser.click("#rows [data-all=off]")
    assert browser.text("#bulk-count") == "3 selected"
    browser.click("#bulk [data-action=clear]")
    browser.gone("#bulk")
    assert browser.script("return document.querySelectorAll('#rows input:checked').length") == 0
    assert browser.complaints() == []


def test_many_rows_are_drawn_in_portions(tmp_path: Path, browser_of: Callable[[str], Browser]) -> None:
    with serving(tmp_path) as served, new_tab(browser_of("en"), served.machine.url) as browser:
        served.account("alice", LoginState.RUNNING, "web")
        for number in range(80):
            served.account(f"bot-{number}", None)
        browser.size(1280)
        browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": PAUSED})
        browser.open()
        bots = [f"bot-{number}" for number in range(80)]
        browser.until(lambda: browser.script(ROWS) == ["alice", *bots[:29]], "the first portion")
        browser.click("#rows [data-all=off]")
        assert browser.text("#bulk-count") == "80 selected"
        # A search finds rows that are not drawn yet.
        browser.type("#search", "bot-7")
        browser.script(GO_ON)
        browser.until(lambda: browser.script(ROWS) == ["bot-7", *bots[70:]], "those that fit")
        browser.type("#search", "\b")
        browser.press(Keys.ESCAPE)
        # Rows that are not drawn yet change place and go.
        served.run(served.machine.v1("DELETE", "accounts/bot-69"))
        served.run(served.machine.v1("POST", "accounts/bot-68/start"))
        served.machine.process("bot-68").say(LoginState.PARKED, reason="the session ended")
        browser.until(lambda: browser.text("#number-attention") == "1", "one in trouble")
        browser.script("dispatchEvent(new Event('beforeprint'))")
        expected = ["bot-68", "alice", *bots[:68], *bots[70:]]
        browser.until(lambda: browser.script(ROWS) == expected, "all rows, to be printed")
        picked = browser.script("return document.querySelectorAll('#rows [data-account] input:checked').length")
        assert (browser.text("#bulk-count"), picked) == ("79 selected", 79)
        assert browser.complaints() == []


def test_after_the_scan_the_dialog_names_the_next_step(browser: Browser, served: Served) -> None:
    browser.choose("scans", "scan")
    browser.find("#scan .step, #scan ol.steps")
    served.machine.process("scans").say(LoginState.RUNNING)
    browser.find("#scan .hint", "Next: on the phone, write to the bot")
    browser.picture("scan-next")
    assert browser.complaints() == []


def test_rows_are_usable_by_keyboard(browser: Browser, served: Served) -> None:
    browser.press("/")
    browser.press("bob")
    browser.until(lambda: browser.script(ROWS) == ["bob"], "the one that fits")
    browser.press(Keys.ESCAPE)
    browser.until(lambda: len(browser.script(ROWS)) == 6, "all of them")
    browser.script("document.querySelector('#rows [data-account=alice] .more').focus()")
    browser.press(Keys.ARROW_DOWN)
    focused = "const one = document.activeElement; return [one.closest('tr').dataset.account, one.className]"
    assert browser.script(focused) == ["bob", "plain more"]
    browser.press(Keys.ENTER)
    browser.find("#menu")
    action = "return document.activeElement.dataset.action"
    for _ in range(10):
        if browser.script(action) == "restart":
            break
        browser.press(Keys.ARROW_DOWN)
    browser.press(Keys.ENTER)
    browser.find("#notices .good", "bob")
    assert served.machine.units.calls[-1] == "restart wxclient@bob.service"


def test_last_values_remain_visible_without_a_connection(browser: Browser, served: Served) -> None:
    served.run(served.machine.server.drain())
    banner = browser.find("#connection", "ago")
    assert "systemctl status wxcontroller" in banner.text
    assert len(browser.script(ROWS)) == 6


def test_only_permitted_actions_are_offered(browser: Browser, served: Served) -> None:
    tokens, file = {}, TokenFile(served.machine.paths.tokens_file)
    for scope in (Scope.READ, Scope.ADMIN):
        tokens[scope], kept = minted(str(scope), scope, (), None)
        file.add(kept)
    browser.open()
    browser.driver.refresh()
    browser.type("#login [name=token]", "wxc_11111111_" + "0" * 64 + Keys.ENTER)
    browser.find("#login-problem", "no longer valid")
    browser.type("#login [name=token]", tokens[Scope.READ] + Keys.ENTER)
    browser.find("#rows [data-account=bob]")
    browser.gone("#rows input, #rows [data-action], #side [data-view=access], #open-add")
    browser.click("#rows [data-account=bob] .more")
    assert browser.text("#menu") == "bob\nOpen"
    browser.press(Keys.ESCAPE)
    browser.open("#/a/scans")
    browser.find("#account-login .hint", "control")
    browser.gone("#account-login img, #account-actions button")
    browser.open("#/a/bob/chats")
    browser.find("#people-search")
    browser.gone("#send")
    browser.click("#leave")
    browser.type("#login [name=token]", tokens[Scope.ADMIN] + Keys.ENTER)
    browser.click("#side [data-view=access]")
    browser.find("#tokens-table td")
    assert browser.script(NAMES) == ["read", "admin"]
    assert not any(secret in browser.driver.page_source for secret in tokens.values())
    browser.click("#targets-form summary")
    browser.type("#targets-form [name=name]", "ops")
    browser.type("#targets-form [name=peer]", "filehelper")
    browser.click("#targets-form .main")
    browser.find("#targets-table th", "ops")
    target, url = browser.script(TARGET)
    assert url == f"{served.machine.url}/notify/ops"
    browser.picture("access-target")
    found = target_book(served.machine.paths.notify_targets).current().find(target)
    assert found is not None
    assert (found.account, found.peer, found.is_group) == ("alice", "filehelper", False)
    browser.click("#targets-table button")
    browser.click("#confirm-yes")
    browser.gone("#targets-table")
    assert target_book(served.machine.paths.notify_targets).current().find(target) is None
    file.revoke("admin")
    browser.find("#login")
    assert not any("wxc_" in entry for entry in browser.complaints())


def test_settings_have_words_units_and_switches(browser: Browser, served: Served) -> None:
    browser.open("#/a/bob/options")
    browser.click("#all-options")
    assert {name: browser.text(f"#options [data-option={name}] .now") for name in FORMATTED} == FORMATTED

    def stored(option: str) -> JsonValue:
        options = obj(served.run(served.machine.v1("GET", "accounts/bob/options"))[1]["options"])
        return obj(options[option])["value"]

    # A number keeps its unit, or gets another one.
    interval = "#options [data-option=send_interval]"
    browser.click(f"{interval} [data-action=edit]")
    assert browser.find(f"{interval} input").get_attribute("value") == "3"
    browser.type(f"{interval} input", "2")
    browser.find(f"{interval} option", "minutes").click()
    browser.click(f"{interval} .main")
    assert browser.text(f"{interval} .now", "minutes") == "2 minutes"
    assert stored("send_interval") == "120"
    # The controller refuses other input.
    browser.click(f"{interval} [data-action=edit]")
    browser.type(f"{interval} input", "soon" + Keys.ENTER)
    browser.find(f"{interval} .bad", "must be a number of seconds")
    browser.press(Keys.ESCAPE)
    assert "400" in "".join(browser.complaints())
    # A switch is stored at once, by the keyboard too, and keeps the focus.
    events = "#options [data-option=post_event]"
    browser.script("document.querySelector(arguments[0]).focus()", f"{events} input")
    browser.press(Keys.SPACE)
    browser.find(f"{events} .now", "off")
    assert stored("post_event") == "0"
    assert browser.script("return document.activeElement.matches(arguments[0])", f"{events} [role=switch]")
    browser.click(f"{events} [data-action=reset]")
    browser.find(f"{events} .now", "on")
    browser.click("#options [data-option=post_api] [data-action=try]")
    browser.find("#options .trial .bad", "No response")
    assert browser.complaints() == []


def test_account_status_reaches_the_rows(browser: Browser, served: Served) -> None:
    """It arrives after the rows are drawn, and changes."""
    process = served.machine.process("bob")
    for held in (2, 3):
        status: JsonObject = {
            "instance": process.instance,
            "last_message_time": {"received": int(time.time()) - 600, "sent": None},
            "sending": {"held": held},
            "reports": {"waiting": 31},
        }
        process.status = json.dumps(status).encode()
        browser.find("#rows [data-account=bob] .note", f"{held} held · 31 undelivered")
        browser.find("#rows [data-account=bob] .number", "10 min")
    assert browser.text("#deliveries-count") == "31"


def test_overview_pages_show_all_accounts(browser: Browser, served: Served) -> None:
    browser.click("#side [data-view=health]")
    browser.find("#health-accounts li", "offline")
    browser.find("#health-controller li", "systemd")
    for check in DoctorCheck:
        assert (check.meaning.lower() in browser.text("#health-root").lower()) is check.needs_root
    logs = {name: served.machine.process(name).log for name in ("alice", "bob")}
    report: JsonObject = {"post_type": "event", "event": "input_qrcode", "params": []}
    for log in logs.values():
        served.loop.call_soon_threadsafe(log.append, report, False)
    browser.click("#side [data-view=events]")
    for name in logs:  # earlier events
        browser.find("#all-events li", name)
    friend: JsonObject = {"post_type": "event", "event": "new_friend", "params": [{"name": "Ann"}]}
    served.loop.call_soon_threadsafe(logs["bob"].append, friend, False)
    newest = browser.find("#all-events li:nth-child(2)", "Ann")  # below the day
    assert "bob" in newest.text
    address = "http://127.0.0.1:8900/hook?client=…"
    counts: JsonObject = {"pending": 3, "held": 0, "dead": 2, "unacknowledged": 2, "oldest_since": 1_700_000_000}
    served.machine.process("alice").publish(reports={"to": address, "last_error": "refused", **counts})
    browser.click("#side [data-view=deliveries]")
    browser.find("#all-deliveries button", "Acknowledge")
    browser.find("#all-deliveries td", address)
    assert faults(browser) == []
    browser.size(360)
    assert faults(browser, axe=False) == []
    assert browser.complaints() == []


@pytest.mark.parametrize("language", ["zh-CN"])
def test_texts_are_translated_and_values_are_not(browser: Browser) -> None:
    reason = Text("there is no account {given}", given="running")
    texts = {
        "没有账号 running": text_fields(reason=reason),
        "没有账号 running；running": text_fields(reason=Text("{what}; {remedy}", what=reason, remedy="running")),
        "the moon is in the way": text_fields(reason=Text("the {moon} is in the way", moon="moon")),
        "constructor": text_fields(reason=Text("constructor")),
        # The name of the failed call is omitted.
        "账号没有登录": text_fields(reason=Text("{call}: the account is not logged in", call="getupdates")),
        "there is no account bob": {"reason": "there is no account bob"},  # of a program of 2.0.0
    }
    assert browser.driver.execute_async_script(TEXTS, [*texts.values()]) == [*texts]


def test_options_of_commands_are_not_broken(browser: Browser, served: Served) -> None:
    served.publish("alice", DeliveryState(dead=2, unacknowledged=2, dead_at=int(time.time())))
    browser.open("#/a/alice")
    browser.find("#account-advice", "--dead")
    broken = set()
    for width in range(560, 600, 10):
        browser.size(width)
        broken |= set(browser.script(BROKEN))
    assert broken == set()


def test_number_is_edited_in_one_line_on_a_phone(browser: Browser) -> None:
    browser.open("#/a/bob/options")
    browser.click("#options [data-option=send_interval] [data-action=edit]")
    browser.size(360)
    assert len(browser.script(MIDDLES)) == 1
