"""The list of accounts and the views beside it, in Chromium on a controller whose accounts the tests make up."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiohttp import web
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from tests.page.browser import Browser, new_tab
from tests.page.looks import faults
from tests.page.served import Served, serving
from tests.patience import PATIENCE
from wxcontroller import __version__
from wxcontroller.client.store import events as tables
from wxcontroller.core.access import Scope
from wxcontroller.core.checklist import DoctorCheck
from wxcontroller.core.deliverystate import DeliveryState
from wxcontroller.core.jsontypes import JsonObject, JsonValue, obj
from wxcontroller.core.messages import Text, text_fields
from wxcontroller.core.notifytargets import target_book
from wxcontroller.core.states import LoginState
from wxcontroller.core.tokens import TokenFile, minted
from wxcontroller.drivers.base import EndReason

pytestmark = pytest.mark.timeout(300)
# Targets for fingers that are too small; links within a text may be.
SMALL = """
return [...document.querySelectorAll("button, .button, #list a, .choices a, input, select, summary, #side a")]
  .filter((each) => each.checkVisibility() && !each.closest(".skip"))
  .map((each) => {
    const { width, height } = each.getBoundingClientRect();
    const after = parseFloat(getComputedStyle(each, "::after").height) || 0;
    const label = each.closest("label")?.offsetHeight ?? 0;
    return [Math.round(Math.max(height, after, label)), width, each.outerHTML.slice(0, 120)];
  })
  .filter(([height]) => height < 44);
"""
HEIGHTS = "return [...document.querySelectorAll('#rows tbody tr')].map((one) => one.offsetHeight)"
# The room for the reasons of those in trouble, and states that are cut.
REASONS = "return [...document.querySelectorAll('#rows td.why')].map((one) => one.clientWidth)"
CUT = """
return [...document.querySelectorAll("#rows .state")]
  .filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.textContent);
"""
# Rows whose state is not beside the name.
FOLDED = """
const middle = (one) => { const { top, bottom } = one.getBoundingClientRect(); return (top + bottom) / 2; };
return [...document.querySelectorAll("#rows tbody tr")]
  .filter((row) => row.querySelector(".state").checkVisibility())
  .filter((row) => Math.abs(middle(row.querySelector(".state")) - middle(row.querySelector("th a"))) > 2)
  .map((row) => row.dataset.account);
"""
# How much of an account's nickname is in its row.
NICKNAME = """
const nickname = document.querySelector(`#rows [data-account='${arguments[0]}'] th small`);
const { top, width } = nickname.getBoundingClientRect();
return top < nickname.parentElement.getBoundingClientRect().bottom ? width : 0;
"""
SIDEWAYS = """
return [...document.querySelectorAll(".sheet")]
  .filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.id);
"""
NAMES = "return [...document.querySelectorAll('#tokens-table tbody th')].map((one) => one.textContent)"
# The token of a new target, and the URL to send to.
SHOWN = "return [...document.querySelectorAll('#targets-form [readonly]')].map(each => each.value)"
# Values of options in words.
VALUES = {
    "hold_seconds": "1 day",
    "webhook_retry_longest": "5 minutes",
    "webhook_give_up_days": "3 days",
    "media_size_max": "20 MB",
    "media_chunk_size": "512 KB",
    "send_daily_max": "0",
    "driver": "Web",
    "log_level": "info",
    "post_event": "on",
    "post_api": "–",
}
VIEWS = ("", "#/conversations", "#/events", "#/deliveries", "#/health", "#/access", "#/a/bob/options", "#/a/scans")
ROWS = "return [...document.querySelectorAll('#rows tbody > :not([hidden])')].map((one) => one.dataset.account)"
# The page waits between two portions of rows until the test says that it is time.
PAUSED = "scheduler.yield = () => new Promise((done) => { window.goOn = done; });"
GO_ON = "window.goOn?.(); window.goOn = null;"
# What the page makes of texts that the API sends as data.
TEXTS = """
const [sent, done] = arguments;
const at = document.querySelector("script[src$='main.js']").src.replace("main.js", "i18n.js");
import(at).then(async ({ parsed, textOf }) =>
  done((await parsed(JSON.stringify(sent))).map((each) => textOf(each, "reason"))));
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


@pytest.fixture
def browser(served: Served, language: str, browser_of: Callable[[str], Browser]) -> Iterator[Browser]:
    with new_tab(browser_of(language), served.machine.url) as tab:
        tab.size(1280)
        tab.open()
        tab.find("#rows [data-account=bob]")
        yield tab


@pytest.mark.parametrize(("language", "theme"), [("en", "light"), ("zh-CN", "dark")])
def test_every_view_on_every_screen(browser: Browser, served: Served, theme: str, language: str) -> None:
    """Nothing overlaps, is pale or nameless, and axe-core, where it is there, has no serious finding."""
    served.machine.process("parked").say(LoginState.CONFIRMING)  # the longest state
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
        browser.open()
        browser.find("#rows [data-account=bob]")
        heights = set(browser.script(HEIGHTS))
        assert heights <= ({56, 57} if width == 360 else {39, 40, 41})  # a line between two rows counts for either
        assert browser.script(CUT) == []
        assert width == 360 or min(browser.script(REASONS)) > 300, "about 45 characters of each reason"
    assert browser.script(FOLDED) == [], "one line per account on a phone"
    assert browser.complaints() == []


def test_problems_are_on_top_with_their_remedy(browser: Browser, served: Served) -> None:
    browser.until(
        lambda: browser.script(ROWS) == ["parked", "offline", "scans", "alice", "bob", "stopped"], "the order"
    )
    assert browser.script("return document.title") == "(3) wxcontroller"
    assert browser.text("#summary") == "2 running · 3 need attention"
    # An id is no nickname.
    served.machine.process("bob").say(LoginState.RUNNING, user={"id": "2a51419c@im.bot", "name": "2a51419c"})
    browser.until(lambda: browser.text("#rows [data-account=bob] th") == "B\nbob", "the account's own name alone")
    bar = browser.find("#rows [data-account=alice] .beats")
    assert bar.get_attribute("aria-label") == "Running in 35 of 50 minutes"
    # Opened by the keyboard: headline, remedy and minutes.
    row = "#rows [data-account=offline]"
    browser.script("document.querySelector(arguments[0]).focus()", f"{row} .why button")
    browser.press(Keys.ENTER)
    assert "wxctl logs offline" in browser.text(f"{row} .detail")
    browser.find(f"{row} .detail .beats")
    browser.picture("list-open")
    # The button of one that has given up starts it; it is then no trouble any more. No row moves below the mouse.
    browser.click("#rows [data-account=parked] .fix button", "Start")
    ActionChains(browser.driver).move_to_element(browser.find("#list-title")).perform()
    browser.find("#notices .good", "parked")
    served.machine.process("parked").say(LoginState.RUNNING)
    browser.find("#rows-running [data-account=parked] .state.good")
    assert browser.script("return document.title") == "(2) wxcontroller"
    # What a setting may cure leads to it.
    why = Text("no answer: {what}", what=Text("the proxy {proxy} can't be reached", proxy="http://127.0.0.1:9"))
    served.machine.process("offline").say(LoginState.OFFLINE, **text_fields(reason=why))
    browser.find("#rows [data-account=offline] .fix a[href='#/a/offline/options']", "Edit proxy")
    told = [browser.text(f"#rows [data-account=offline] .{part}") for part in ("told", "why")]
    assert told == ["Proxy failing", "No answer: the proxy http://127.0.0.1:9 can't be reached"]
    why = Text(EndReason.REFUSED)
    served.machine.process("offline").say(LoginState.PARKED, **text_fields(reason=why))
    browser.find("#rows [data-account=offline] .fix a", "Change route")
    assert browser.text("#rows [data-account=offline] .told") == "Refused"
    browser.open("#/a/offline")
    browser.click("#account-advice button", "Settings")
    browser.find("#options [data-option=driver]")
    browser.open()
    browser.click("#rows [data-account=scans] .fix button")
    browser.find("#scan .code img")
    assert browser.complaints() == []


def test_account_in_trouble_is_counted_and_shown_consistently(browser: Browser, served: Served) -> None:
    """It counts and is found as what the list shows it as, also while it is logged in, and its page says the same."""
    dead = DeliveryState(dead=2, unacknowledged=2, dead_at=int(time.time()), dead_error=Text("no answer"))
    served.publish("alice", dead)
    assert browser.text("#rows-attention [data-account=alice] .told") == "Dead letters"
    assert browser.text("#number-running") == browser.text("#chips [data-show=running] b") == "1"
    assert browser.text("#summary") == "1 running · 4 need attention"
    browser.click("#chips [data-show=running]")
    assert browser.script(ROWS) == ["bob"]
    browser.click("#chips [data-show=attention]")
    browser.click("#rows [data-account=alice] th a")
    browser.find("#account-state.state.bad", "Dead letters")


def test_selected_accounts_are_changed_together(browser: Browser, served: Served) -> None:
    browser.click("#rows [data-account=alice] .pick input")
    stopped = browser.find("#rows [data-account=bob] .pick input")
    ActionChains(browser.driver).key_down(Keys.SHIFT).click(stopped).key_up(Keys.SHIFT).perform()
    assert browser.text("#bulk-count") == "2 selected"
    browser.picture("list-bulk")
    browser.click("#bulk [data-action=webhook]")
    browser.type("#bulk-webhook input", "http://127.0.0.1:9/hook")
    browser.press(Keys.ENTER)
    browser.find("#notices .good", "2 accounts")
    for name in ("alice", "bob"):
        _, found = served.run(served.machine.v1("GET", f"accounts/{name}"))
        assert found["post_api"] == "http://127.0.0.1:9/hook"
    browser.click("#bulk [data-action=stop]")
    browser.gone("#bulk")
    browser.find("#rows-off [data-account=alice]")
    browser.find("#rows-off [data-account=bob]")
    browser.click("#rows [data-all=off]")
    assert browser.text("#bulk-count") == "3 selected"
    browser.click("#bulk [data-action=clear]")
    browser.gone("#bulk")
    assert browser.script("return document.activeElement.matches('[data-all]')"), "the focus is not lost"
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
        assert browser.text("#number-off") == "80"
        browser.click("#rows [data-all=off]")
        assert browser.text("#bulk-count") == "80 selected"
        # A search finds what is not drawn yet.
        browser.type("#search", "bot-7")
        assert browser.script(ROWS) == ["bot-7"]
        browser.script(GO_ON)
        browser.until(lambda: browser.script(ROWS) == ["bot-7", *bots[70:]], "those that fit")
        browser.type("#search", "\b")
        browser.press(Keys.ESCAPE)
        # Rows that are not drawn yet change place and go.
        served.run(served.machine.v1("DELETE", "accounts/bot-69"))
        served.run(served.machine.v1("POST", "accounts/bot-68/start"))
        served.machine.process("bot-68").say(LoginState.PARKED, reason="the session ended")
        browser.until(lambda: browser.text("#number-attention") == "1", "one in trouble")
        browser.script("window.scrollTo(0, 400)")
        browser.script("dispatchEvent(new Event('beforeprint'))")
        expected = ["bot-68", "alice", *bots[:68], *bots[70:]]
        browser.until(lambda: browser.script(ROWS) == expected, "all rows, to be printed")
        picked = browser.script("return document.querySelectorAll('#rows [data-account] input:checked').length")
        assert (browser.text("#bulk-count"), picked) == ("79 selected", 79)
        assert browser.complaints() == []


def test_rows_are_usable_by_keyboard(browser: Browser, served: Served) -> None:
    browser.press("/")
    browser.press("bob")
    browser.until(lambda: browser.script(ROWS) == ["bob"], "the one that fits")
    browser.press(Keys.ESCAPE)
    browser.until(lambda: len(browser.script(ROWS)) == 6, "all of them")
    browser.script("document.querySelector('#rows [data-account=offline] .more').focus()")
    focused = "const one = document.activeElement; return [one.closest('tr').dataset.account, one.className]"
    for key, name in (
        (Keys.ARROW_UP, "parked"),
        *[(Keys.ARROW_DOWN, name) for name in ("offline", "scans", "alice", "bob")],
    ):
        browser.press(key)
        assert browser.script(focused) == [name, "plain more"]
    browser.press(Keys.ENTER)
    browser.find("#menu")
    browser.press(Keys.ESCAPE)
    browser.gone("#menu")
    assert browser.script("return document.activeElement.closest('[data-account]').dataset.account") == "bob"
    browser.press(Keys.ENTER)
    words = "return document.activeElement.dataset.action"
    for _ in range(10):
        if browser.script(words) == "restart":
            break
        browser.press(Keys.ARROW_DOWN)
    browser.press(Keys.ENTER)
    browser.find("#notices .good", "bob")
    assert served.machine.units.calls[-1] == "restart wxclient@bob.service"
    # Sorted by messages, then by name again and the other way round.
    served.machine.process("bob").say(LoginState.RUNNING)
    browser.find("#rows-running [data-account=bob]")
    browser.script("document.querySelector('#rows [data-sort=name] button').focus()")
    browser.press(Keys.ENTER)
    browser.until(lambda: browser.script(ROWS)[3:5] == ["bob", "alice"], "the other way round")
    assert browser.find("#rows [data-sort=name]").get_attribute("aria-sort") == "descending"


def test_many_are_acted_on_by_the_keyboard_alone(browser: Browser, served: Served) -> None:
    box = "#rows [data-account=alice] .pick input"
    browser.script("document.querySelector(arguments[0]).focus()", box)
    browser.press(Keys.SPACE, Keys.ARROW_DOWN, Keys.SPACE, Keys.ENTER)
    focused = "return document.activeElement.closest(arguments[0]) !== null"
    assert browser.text("#bulk-count") == "2 selected"
    assert browser.script(focused, "#bulk [data-action=restart]")
    browser.press(Keys.ESCAPE)
    assert browser.script(focused, "#rows [data-account=bob] .pick")
    browser.press(Keys.ENTER, Keys.TAB, Keys.ENTER)
    browser.find("#notices .good", "2 stopped.")
    browser.gone("#bulk")
    stops = [call for call in served.machine.units.calls if call.startswith("stop ")]
    assert sorted(stops) == ["stop wxclient@alice.service", "stop wxclient@bob.service"]
    assert browser.complaints() == []


def test_last_values_remain_visible_without_a_connection(browser: Browser, served: Served) -> None:
    served.run(served.machine.server.drain())
    banner = browser.find("#connection", "ago")
    assert "systemctl status wxcontroller" in banner.text
    assert len(browser.script(ROWS)) == 6
    assert faults(browser) == []
    browser.picture("list-stale")


def test_only_permitted_actions_are_offered(browser: Browser, served: Served) -> None:
    tokens = {}
    for scope in (Scope.READ, Scope.ADMIN):
        tokens[scope], kept = minted(str(scope), scope, (), None)
        TokenFile(served.machine.paths.tokens_file).add(kept)
    browser.open()
    browser.driver.refresh()
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
    browser.picture("access")
    browser.size(360)
    assert browser.script(SIDEWAYS) == [], "nothing has to be dragged on a phone"
    assert faults(browser) == []
    browser.picture("access-360")
    browser.size(1280)
    browser.click("#targets-form summary")
    browser.type("#targets-form [name=name]", "a/b")
    browser.type("#targets-form [name=peer]", "filehelper")
    browser.click("#targets-form .main")
    assert browser.script("return document.querySelector('#targets-form [name=name]').validity.patternMismatch")
    browser.type("#targets-form [name=name]", "ops")
    browser.click("#targets-form .main")
    browser.find("#targets-table th", "ops")
    target, url = browser.script(SHOWN)
    served_at, _, name = url.rpartition("/notify/")
    assert (name, browser.driver.current_url.startswith(served_at)) == ("ops", True)
    browser.picture("access-target")
    found = target_book(served.machine.paths.notify_targets).current().find(target)
    assert found is not None
    assert (found.account, found.peer, found.is_group) == ("alice", "filehelper", False)
    # Revoking asks first.
    browser.click("#targets-table button")
    browser.click("#confirm-no")
    browser.gone("#confirm")
    browser.click("#targets-table button")
    browser.click("#confirm-yes")
    browser.gone("#targets-table")
    assert browser.script("return document.activeElement.id") == "main"
    assert target_book(served.machine.paths.notify_targets).current().find(target) is None


def test_bound_token_requests_nothing_about_the_host(browser: Browser, served: Served) -> None:
    token, kept = minted("bobs", Scope.ADMIN, ("bob",), None)
    TokenFile(served.machine.paths.tokens_file).add(kept)
    browser.open()
    browser.driver.refresh()
    browser.find("#login [name=token]")
    browser.complaints()  # the stream of the page before has ended
    browser.type("#login [name=token]", token + Keys.ENTER)
    browser.until(lambda: browser.script(ROWS) == ["bob"], "its account")
    browser.click("#rows [data-account=bob] .pick input")
    browser.find("#bulk [data-action=stop]")
    browser.click("#side [data-view=access]")
    browser.find("#links-note", "None")
    browser.gone("#access-tokens, #access-targets")
    assert browser.complaints() == []


def test_older_versions_are_shown(browser: Browser, served: Served) -> None:
    assert not browser.find("#version").find_elements("xpath", "../small[@id='news']/*[not(@hidden)]")
    served.machine.process("bob").say(LoginState.RUNNING, version="2.0.0")
    assert "version 2.0.0" in browser.text("#rows-running [data-account=bob]", "version")
    browser.gone("#reload")
    # As of a page that was loaded before the upgrade.
    browser.script("document.getElementById('version').textContent = '2.0.0'")
    served.machine.process("alice").say(LoginState.RUNNING, version="2.0.0")
    browser.find("#older", "2 accounts")
    browser.click("#reload", __version__)
    browser.until(lambda: browser.text("#version") == __version__, "a page of the version that is installed")
    browser.gone("#reload")
    browser.click("#older")
    assert "wxctl restart bob" in browser.text("#health-accounts li", "bob")
    assert browser.complaints() == []


def test_settings_have_words_units_and_switches(browser: Browser, served: Served) -> None:
    browser.open("#/a/bob/options")
    interval = "#options [data-option=send_interval]"
    assert browser.text(f"{interval} dt") == "Smallest pause between two sends of the account\nsend_interval"
    browser.click("#all-options")
    shown = {name: browser.text(f"#options [data-option={name}] .now") for name in VALUES}
    assert shown == VALUES
    browser.gone("#options [data-option=jsonp] :is(input, button)")  # of the settings alone

    def stored(option: str) -> JsonValue:
        options = obj(served.run(served.machine.v1("GET", "accounts/bob/options"))[1]["options"])
        return obj(options[option])["value"]

    # A number keeps its unit, or gets another one.
    browser.click(f"{interval} [data-action=edit]")
    assert browser.find(f"{interval} input").get_attribute("value") == "3"
    browser.type(f"{interval} input", "2")
    browser.find(f"{interval} option", "minutes").click()
    browser.click(f"{interval} .main")
    assert browser.text(f"{interval} .now", "minutes") == "2 minutes"
    assert stored("send_interval") == "120"
    # What is no number is refused by the controller.
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
    browser.gone(f"{events} [data-action=reset]")
    browser.click("#options [data-option=post_api] [data-action=try]")
    browser.find("#options .trial .bad")
    assert faults(browser) == []
    assert browser.complaints() == []


def test_repeated_login_events_are_one_line(
    browser: Browser, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that it was one and how long it took; so does a line that was down, and a stop stands alone."""
    log, now = served.machine.process("bob").log, time.time() - 3000

    def happens(at: float, event: str, *params: JsonValue) -> None:
        monkeypatch.setattr(tables, "time", SimpleNamespace(time=lambda: now + at))
        report: JsonObject = {"post_type": "event", "event": event, "params": [*params]}
        served.loop.call_soon_threadsafe(log.append, report, False)
        served.run(log.settled(PATIENCE))

    for at, state in enumerate(("init", "scaning", "confirming", "updating")):
        happens(at, "state_change", "", state)
    happens(11, "login", 1, "")
    happens(12, "state_change", "updating", "running")
    happens(600, "state_change", "running", "updating")
    happens(650, "state_change", "updating", "running")
    happens(700, "stop")
    happens(750, "login", -1, "no")
    happens(800, "state_change", "init", "loading")
    browser.open("#/a/bob/events")
    browser.find("#events .what", "Logging in")
    happens(803, "login", 0, "")
    browser.find("#events .steps-shown", "1 more step")
    happens(804, "state_change", "updating", "running")
    words = "return [...document.querySelectorAll('#events li:not(.day, .step) .what')].map((one) => one.textContent)"
    expected = [
        "Logged in by the stored session · 4 s",
        "WeChat refused the login: no",
        "Stopped",
        "Running again after 50 s",
        "Logged in by a scan · 12 s",
    ]
    browser.until(lambda: browser.script(words) == expected, "a line for each")
    browser.find("#events li:has(use[href='#i_warning'])", "refused")
    browser.click("#events li:nth-last-child(6) .steps-shown", "5 more steps")
    browser.find("#events .step.shown", "Confirm on the phone")
    assert browser.script("return document.querySelectorAll('.step .steps-shown').length") == 0
    assert browser.complaints() == []


def test_account_status_reaches_the_rows(browser: Browser, served: Served) -> None:
    """They come after the rows are drawn, and change."""
    browser.find("#rows [data-account=bob] .minutes svg[aria-label]")
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
    for width in (360, 768, 1280):
        browser.size(width)
        assert browser.text("#health-count") == "3"
    browser.click("#side [data-view=health]")
    browser.find("#health-accounts li", "offline")
    browser.find("#health-controller li", "systemd")
    for check in DoctorCheck:
        assert (check.meaning.lower() in browser.text("#health-root").lower()) is check.needs_root
    logs = {name: served.machine.process(name).log for name in ("alice", "bob")}
    report: dict[str, JsonValue] = {"post_type": "event", "event": "input_qrcode", "params": []}
    for log in logs.values():
        served.loop.call_soon_threadsafe(log.append, report, False)
    browser.click("#side [data-view=events]")
    for name in logs:  # what was before
        browser.find("#all-events li", name)
    browser.find("#all-events .day", "Today")
    friend: JsonObject = {"post_type": "event", "event": "new_friend", "params": [{"name": "Ann"}]}
    served.loop.call_soon_threadsafe(logs["bob"].append, friend, False)
    newest = browser.find("#all-events li:nth-child(2)", "Ann")  # below the day
    assert "bob" in newest.text
    browser.type("#all-events-search", "alice")
    browser.gone("#all-events li", "bob")
    browser.find("#all-events li", "alice")
    assert browser.complaints() == []


def test_deliveries_of_all_accounts_on_every_screen(browser: Browser, served: Served) -> None:
    """Addresses are readable, and no button has to be dragged into view."""
    counts: JsonObject = {"pending": 3, "held": 0, "dead": 2, "unacknowledged": 2, "oldest_since": 1_700_000_000}
    address, why = (
        "http://127.0.0.1:8900/hook?client=…",
        "connection to 127.0.0.1:8900 refused; check that it is running",
    )

    async def deliveries(_: web.Request) -> web.StreamResponse:
        return web.json_response({"account": "alice", "to": address, "last_error": why, **counts})

    served.machine.process("alice").serve = deliveries
    for width in (1280, 768, 360):
        browser.size(width)
        browser.open("#/deliveries")
        browser.find("#all-deliveries button", "Acknowledge")
        assert browser.script(SIDEWAYS) == []
        assert browser.find("#all-deliveries td", address).rect["width"] > 200
        assert faults(browser, axe=False) == []
        browser.picture(f"deliveries-{width}")


def test_key_figure_agrees_with_messages_that_just_arrived(browser: Browser, served: Served) -> None:
    """Minutes count once a minute, the account's status at once; programs before 2.3 count no messages there."""
    served.account("quiet", LoginState.RUNNING, "web", "r" * 50, [0] * 23 + [2])
    browser.open("#/a/quiet")
    browser.find("#figures .figure", "Messages in 24 hours\n2")
    process = served.machine.process("quiet")
    times: JsonObject = {"received": int(time.time()), "sent": None}
    for messages in (3, 4):
        status = {"instance": process.instance, "last_message_time": times, "messages_24h": messages}
        process.status = json.dumps(status).encode()
        assert f"\n{messages}\nlast one" in browser.text("#figures .figure", f"\n{messages}\n")


def test_nicknames_are_cut_off_where_that_can_be_seen(browser: Browser, served: Served) -> None:
    """Beside a name that leaves too little room, there is none; one that is too long ends with three dots."""
    name = "客服部北京朝阳门店一号机"
    served.account(name, LoginState.RUNNING, "web")
    served.machine.process("bob").say(LoginState.RUNNING, user={"id": "u", "name": "北京朝阳门店一号机的客服"})
    browser.find("#rows [data-account=bob] th", "客服")
    browser.find(f"#rows [data-account='{name}'] .minutes svg[aria-label]")
    widths = [browser.script(NICKNAME, each) for each in ("alice", "bob", name)]
    assert [width > 36 for width in widths] == [True, True, False]
    assert widths[2] == 0


@pytest.mark.parametrize("language", ["zh-CN"])
def test_texts_are_translated_and_values_are_not(browser: Browser) -> None:
    known = Text("there is no account {given}", given="running")
    deep = known
    for _ in range(6):  # as many as a cause has before it reaches the page: a failed call, its host, what to do
        deep = Text("{what}; {remedy}", what=deep, remedy="!")
    sent = [
        text_fields(reason=known),
        text_fields(reason=Text("{what}; {remedy}", what=known, remedy="running")),
        text_fields(reason=Text("the {moon} is in the way", moon="moon")),  # not in the catalog
        text_fields(reason=Text("constructor")),
        text_fields(reason=deep),
        # Which call failed is no news for who reads the page.
        text_fields(reason=Text("login is stuck: {why}", why=Text("{call}: {what}", call="jslogin", what=known))),
        text_fields(reason=Text("{call}: the account is not logged in", call="getupdates")),
        {"reason": "there is no account bob"},  # of a program of 2.0.0
        {"reason": ""},
    ]
    assert browser.driver.execute_async_script(TEXTS, sent) == [
        "没有账号 running",
        "没有账号 running；running",
        "the moon is in the way",
        "constructor",
        "没有账号 running" + "；!" * 6,
        "login is stuck: 没有账号 running",
        "账号没有登录",
        "there is no account bob",
        "",
    ]
