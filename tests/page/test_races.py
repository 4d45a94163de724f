"""What must not depend on timing: clicks that come twice, answers that come late, rows that move, edits meanwhile."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiohttp import web
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from tests.page.browser import Browser, new_tab
from tests.page.served import Served, serving
from wxcontroller.core.deliverystate import DeliveryState
from wxcontroller.core.jsontypes import JsonObject, JsonValue, items, obj, text
from wxcontroller.core.messages import Text
from wxcontroller.core.states import LoginState

pytestmark = pytest.mark.timeout(300)
NAMES = ("alice", "bob", "carol", "dave", "eve")
ORDER = "return [...document.querySelectorAll('#rows tbody tr')].map((one) => one.dataset.account)"
WRITTEN = "return document.querySelector('#send textarea').value"
# The first look at a chat is answered when the test says so.
LATE = """
const fetched = window.fetch;
window.fetch = async (url, ...more) => {
  const answer = await fetched(url, ...more);
  if (window.held || !String(url).includes("/messages?")) return answer;
  window.held = answer.clone().text();
  await new Promise((go) => { window.answerNow = go; });
  return answer;
};
"""
# The answer to the first message is lost.
LOST = """
const fetched = window.fetch;
window.fetch = async (url, options) => {
  const answer = await fetched(url, options);
  if (window.lost || options?.method !== "POST" || !String(url).endsWith("/messages")) return answer;
  window.lost = true;
  throw new TypeError("lost");
};
"""
# Everything that a conversation shows from now on.
SHOWN = """
window.shown = [];
new MutationObserver(() => window.shown.push(document.getElementById("messages").textContent))
  .observe(document.getElementById("messages"), { childList: true, subtree: true });
"""
# What waits for 5 s, as after a failure, waits for the test.
AGAIN = (
    "const set = setTimeout; window.setTimeout = (work, ms) => ms === 5000 ? (window.again = work) : set(work, ms);"
)
# What takes the place of another control can be clicked when the test says so.
UNSETTLED = """
const [later, unset] = [setTimeout, clearTimeout];
window.settling = [];
window.setTimeout = (work, ms) => ms === 1000 ? -settling.push(work) : later(work, ms);
window.clearTimeout = (id) => id < 0 ? delete settling[-1 - id] : unset(id);
window.settleNow = (until) => settling.slice(0, until).forEach((work, at) => { delete settling[at]; work(); });
"""
# The pointer rests never.
BUSY = "const set = setInterval; window.setInterval = (work, ms) => ms === 15000 ? 0 : set(work, ms);"


class Talks:
    """A program's answers about its chats: two people, who wrote what their names and the account's are."""

    def __init__(self, name: str) -> None:
        self.words = f"to {name}"
        self.failing = False
        self.sent: list[tuple[str, str]] = []
        self.dead = ["1:@x", "2:@x"]  # ids of dead letters

    async def serve(self, request: web.Request) -> web.StreamResponse:
        match request.match_info["rest"]:
            case _ if self.failing:
                return web.json_response(
                    {"error": {"code": "x", "message": "out of order", "remedy": ""}}, status=500
                )
            case "webhook/test":
                return web.json_response({"status": 200, "milliseconds": 1, "answer": ""})
            case "deliveries":
                return web.json_response(self.deliveries())
            case "deliveries/replay":
                [replayed] = items(obj(await request.json())["ids"])
                self.dead.remove(text(replayed))
                return web.json_response({"replayed": 1})
            case "chats":
                last = {"kind": "text", "text": "…", "direction": "in", "time": int(time.time())}
                chats = [{"id": who, "name": who, "is_group": False, "last": last} for who in ("Ann", "Ben")]
                return web.json_response({"chats": chats})
            case "messages" if request.method == "POST":
                self.sent.append((text(obj(await request.json())["text"]), request.headers["Idempotency-Key"]))
                return web.json_response({"id": "n", "state": "delivered"})
            case "messages":
                return web.json_response({"messages": [self.message(request.query["chat"])], "pending": []})
        return web.json_response({"contacts": [], "groups": [], "more": False})

    def deliveries(self) -> JsonObject:
        letter: JsonObject = {"type": "friend_message", "state": "dead", "attempts": 1, "last_error": "410"}
        letters: list[JsonValue] = [{**letter, "id": one, "time": int(time.time())} for one in self.dead]
        counts: JsonObject = {"pending": 0, "held": 0, "dead": len(letters), "unacknowledged": len(letters)}
        return {"to": "http://127.0.0.1:9/", **counts, "deliveries": letters}

    def message(self, who: str) -> JsonObject:
        words = f"{who} {self.words}"
        more: JsonObject = {"sender": {"name": who}, "text": words, "time": int(time.time()), "kind": "text"}
        return {"id": words, "cursor": words, "direction": "in", "recalled": False, **more}


@pytest.fixture
def talks(tmp_path: Path) -> Iterator[tuple[Served, dict[str, Talks]]]:
    """Accounts that run, and what their programs answer."""
    with serving(tmp_path) as served:
        found = {}
        for name in NAMES:
            served.account(name, LoginState.RUNNING, "web")
            found[name] = Talks(name)
            process = served.machine.process(name)
            process.serve = found[name].serve
            capabilities: JsonObject = {"contacts": True, "groups": False, "sends": ["text"]}
            status: JsonObject = {"instance": name, "capabilities": capabilities, "roster": {"changes": 1}}
            process.status = json.dumps(status).encode()
        yield served, found


@pytest.fixture
def served(talks: tuple[Served, dict[str, Talks]]) -> Served:
    return talks[0]


@pytest.fixture
def alice(talks: tuple[Served, dict[str, Talks]]) -> Talks:
    return talks[1]["alice"]


@pytest.fixture
def browser(served: Served, browser_of: Callable[[str], Browser]) -> Iterator[Browser]:
    with new_tab(browser_of("en"), served.machine.url) as tab:
        tab.size(1280)
        tab.open()
        tab.find("#rows [data-account=eve]")
        yield tab


def started_with(browser: Browser, script: str, address: str = "") -> None:
    """Load the page anew, with a script of the test before its own."""
    browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    browser.open(address)
    browser.driver.refresh()


def test_conversations_and_drafts_are_not_mixed_up(browser: Browser) -> None:
    browser.open("#/a/alice/chats")
    browser.click("#people button", "Ann")
    browser.find("#messages", "Ann to alice")
    browser.press("half a sen")
    browser.click("#people button", "Ben")
    browser.find("#messages", "Ben to alice")
    assert browser.script(WRITTEN) == ""
    browser.press("for Ben")
    browser.click("#people button", "Ann")
    assert browser.script(WRITTEN) == "half a sen"
    browser.open("#/a/bob/chats")
    browser.find("#people button")
    browser.find("#chat-note", "Choose a recipient")
    assert browser.script("return document.getElementById('messages').textContent") == ""
    assert browser.complaints() == []


def test_the_field_to_write_is_on_the_screen_below_advice(browser: Browser, served: Served) -> None:
    dead = DeliveryState(dead=1, unacknowledged=1, dead_at=int(time.time()), dead_error=Text("no answer"))
    served.publish("alice", dead)
    browser.open("#/a/alice/chats")
    browser.find("#account-advice")
    browser.click("#people button", "Ann")
    assert browser.script("return document.getElementById('send').getBoundingClientRect().bottom < innerHeight")
    assert browser.script("return scrollY") == 0


def test_older_response_does_not_replace_a_newer_one(browser: Browser, alice: Talks) -> None:
    started_with(browser, LATE, "#/a/alice/chats")
    browser.click("#people button", "Ann")
    browser.until(lambda: browser.script("return Boolean(window.answerNow)"), "a first answer")
    alice.words = "once more"
    browser.press("hello", Keys.ENTER)
    browser.find("#messages", "Ann once more")
    browser.script(SHOWN)
    browser.script("window.answerNow()")
    alice.words = "at last"
    browser.press("hello again", Keys.ENTER)
    browser.find("#messages", "Ann at last")
    assert not [words for words in browser.script("return window.shown") if "to alice" in words]
    assert browser.complaints() == []


def test_message_with_a_lost_response_is_sent_once(browser: Browser, alice: Talks) -> None:
    started_with(browser, LOST, "#/a/alice/chats")
    browser.click("#people button", "Ann")
    browser.find("#messages", "Ann")
    browser.press("hello", Keys.ENTER)
    browser.find("#send-result.bad")
    assert browser.script(WRITTEN) == "hello"
    browser.press(Keys.ENTER)
    browser.find("#send-result.good")
    browser.press("hello", Keys.ENTER)
    browser.until(lambda: len(alice.sent) == 3, "another message")
    (first, key), again, (third, other) = alice.sent
    assert ((first, key), first) == (again, third)
    assert other != key


def test_failed_request_is_repeated_after_a_pause(browser: Browser, alice: Talks) -> None:
    alice.failing = True
    started_with(browser, AGAIN, "#/a/alice/chats")
    browser.find("#people-note", "Out of order")
    browser.until(lambda: browser.script("return Boolean(window.again)"), "a pause")
    alice.failing = False
    browser.script("window.again()")
    browser.find("#people button", "Ann")


def test_several_settings_are_edited_at_once(browser: Browser) -> None:
    browser.open("#/a/alice/options")
    for option, value in (("send_interval", "9"), ("send_jitter", "4")):
        browser.click(f"[data-option={option}] [data-action=edit]")
        browser.type(f"[data-option={option}] input", value)
    browser.click("[data-option=post_api] [data-action=try]")
    browser.find("[data-option=post_api] .trial", "200")
    browser.click("[data-option=post_event] input")
    browser.find("[data-option=post_event] .now", "off")
    browser.click("#all-options")
    browser.find("[data-option=log_level]")
    browser.find("[data-option=post_api] .trial", "200")
    browser.find("[data-option=send_interval] form")
    browser.script("document.querySelector('[data-option=send_jitter] input').focus()")
    browser.press(Keys.ESCAPE)
    browser.find("[data-option=send_jitter] .now", "0 seconds")
    assert browser.find("[data-option=send_interval] input").get_property("value") == "9"
    browser.click("[data-option=send_interval] .main")
    browser.find("[data-option=send_interval] .now", "9 seconds")
    assert browser.complaints() == []


def test_a_second_click_does_not_act_on_many_a_second_time(browser: Browser, served: Served) -> None:
    units = served.machine.units
    units.hold = asyncio.Event()
    browser.click("#rows [data-all=running]")
    browser.click("#bulk [data-action=restart]")
    browser.until(lambda: sum(call.startswith("restart ") for call in units.calls) >= 3, "the first of them")
    browser.click("#bulk [data-action=restart]")
    served.loop.call_soon_threadsafe(units.hold.set)
    browser.find("#notices .good", "5 restarted.")
    browser.gone("#bulk")
    restarts = [call for call in units.calls if call.startswith("restart ")]
    assert sorted(restarts) == [f"restart wxclient@{name}.service" for name in NAMES]


def click(browser: Browser, selector: str = "") -> None:
    """Click with the mouse on an element, or wherever it is."""
    chain = ActionChains(browser.driver)
    (chain.move_to_element(browser.find(selector)) if selector else chain).click().perform()


@pytest.mark.parametrize(
    ("address", "place"), [("", "#rows [data-account=alice] .quick"), ("#/a/alice", "#account-actions")]
)
def test_a_second_click_on_start_does_not_stop(browser: Browser, served: Served, address: str, place: str) -> None:
    served.run(served.machine.v1("POST", "accounts/alice/stop"))
    calls = len(served.machine.units.calls)
    started_with(browser, BUSY + UNSETTLED, address)
    if not address:
        ActionChains(browser.driver).move_to_element(browser.find("#rows-off [data-account=alice] th")).perform()
    start, stop = (f"{place} [data-action={action}]" for action in ("start", "stop"))
    aimed = middle(browser, start)
    click(browser, start)
    browser.until(lambda: browser.find(stop).is_enabled(), "the end of the start")
    assert covers(browser, stop, aimed)
    click(browser)
    assert browser.find(stop).is_enabled(), "it has done nothing"
    browser.script("settleNow()")
    click(browser)
    browser.find(start)
    assert [call.split()[0] for call in served.machine.units.calls[calls:]] == ["start", "stop"]


def middle(browser: Browser, selector: str) -> tuple[float, float]:
    rect = browser.find(selector).rect
    return rect["x"] + rect["width"] / 2, rect["y"] + rect["height"] / 2


def covers(browser: Browser, selector: str, point: tuple[float, float]) -> bool:
    rect = browser.find(selector).rect
    return all(
        rect[at] < where < rect[at] + rect[size]
        for at, size, where in zip("xy", ("width", "height"), point, strict=True)
    )


def test_a_second_click_confirms_nothing(browser: Browser) -> None:
    started_with(browser, UNSETTLED)
    browser.choose("alice", "remove")
    click(browser, "#confirm-yes")
    browser.find("#confirm")
    browser.script("settleNow()")
    click(browser, "#confirm-yes")
    browser.gone("#rows [data-account=alice]")
    browser.find("#rows [data-account=bob]")


def test_a_second_click_does_not_reach_the_next_of_a_list(browser: Browser, alice: Talks) -> None:
    started_with(browser, UNSETTLED, "#/a/alice/deliveries")
    again = "#deliveries li:nth-child({}) [data-action=replay]"
    browser.find(again.format(2))
    click(browser, again.format(1))
    browser.gone(again.format(2))
    click(browser)
    assert browser.find(again.format(1)).is_enabled(), "it has done nothing"
    browser.script("settleNow()")
    click(browser)
    browser.gone("#deliveries li")
    assert alice.dead == []


def test_a_question_that_is_asked_again_waits_again(browser: Browser) -> None:
    started_with(browser, UNSETTLED)
    browser.choose("alice", "remove")
    browser.click("#confirm-no")
    earlier = browser.script("return settling.length")
    browser.choose("alice", "remove")
    browser.script("settleNow(arguments[0])", earlier)
    browser.press(Keys.TAB)
    assert browser.script("return document.activeElement.id") == "confirm-yes"
    click(browser, "#confirm-yes")
    browser.find("#confirm")


def test_a_click_on_a_button_that_is_drawn_again_counts(browser: Browser, served: Served) -> None:
    started_with(browser, UNSETTLED, "#/a/alice/options")
    button = "[data-option=send_interval] [data-action=edit]"
    ActionChains(browser.driver).move_to_element(browser.find(button)).perform()
    aimed = middle(browser, button)
    served.run(served.machine.v1("PATCH", "accounts/alice/options", {"send_interval": "9"}))
    browser.script("document.querySelector('[data-option=post_event] input').click()")
    browser.find("[data-option=send_interval] .now", "9 seconds")
    assert covers(browser, button, aimed)
    click(browser)
    browser.find("[data-option=send_interval] form")


def test_focus_is_on_the_control_that_replaces_a_form(browser: Browser) -> None:
    started_with(browser, UNSETTLED, "#/a/alice/options")
    row = "[data-option=send_interval]"
    browser.click(f"{row} [data-action=edit]")
    for button in ("Cancel", "Save", "Use the default"):
        if button == "Save":
            browser.type(f"{row} input", "9")
        browser.click(f"{row} button", button)
        browser.gone(f"{row} form")
        browser.press(Keys.ENTER)
        browser.find(f"{row} form")


def test_focus_is_on_the_remedy_that_replaces_another(browser: Browser, served: Served) -> None:
    started_with(browser, BUSY + UNSETTLED)
    process, remedy = served.machine.process("alice"), "#rows [data-account=alice] .fix"
    process.say(LoginState.PARKED)
    start = browser.find(f"{remedy} button", "Start")
    ActionChains(browser.driver).move_to_element(start).perform()
    browser.script("arguments[0].focus()", start)
    process.say(LoginState.OFFLINE)
    browser.find(f"{remedy} a")
    assert browser.script("return document.activeElement.matches(arguments[0])", f"{remedy} a")


def test_rows_do_not_move_under_the_pointer(browser: Browser, served: Served) -> None:
    started_with(browser, BUSY)
    ActionChains(browser.driver).move_to_element(browser.find("#rows [data-account=alice] th")).perform()
    ActionChains(browser.driver).move_to_element(
        browser.find("#rows [data-account=alice] .quick [data-action=stop]")
    ).perform()
    served.machine.process("eve").say(LoginState.PARKED)
    browser.find("#rows [data-account=eve] .state.bad")
    browser.until(lambda: browser.script("return document.title") == "(1) wxcontroller", "one in trouble")
    assert browser.script(ORDER) == list(NAMES)
    ActionChains(browser.driver).click().perform()
    browser.find("#rows [data-account=alice] .state.off")
    assert served.machine.units.calls[-1] == "stop wxclient@alice.service"
    ActionChains(browser.driver).move_to_element(browser.find("#list-title")).perform()
    browser.until(
        lambda: browser.script(ORDER) == ["eve", "bob", "carol", "dave", "alice"], "the order of the states"
    )
    assert browser.text("#rows-attention [data-account=eve] .why")


def test_open_menu_stays_with_its_account(browser: Browser, served: Served) -> None:
    browser.click("#rows [data-account=bob] .more")
    assert browser.text("#menu small") == "bob"
    served.run(served.machine.v1("POST", "accounts/bob/stop"))
    browser.find("#menu [data-action=stop][aria-disabled=true]")
    assert browser.script(ORDER) == list(NAMES)
    calls = list(served.machine.units.calls)
    browser.click("#menu [data-action=restart]")
    browser.find("#menu")
    browser.press(Keys.ESCAPE)
    browser.find("#rows-off [data-account=bob]")
    assert served.machine.units.calls == calls
    assert browser.complaints() == []
