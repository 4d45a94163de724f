"""Races on the page: second clicks, late or lost answers, rows that move."""

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
from wxcontroller.core.condition.deliverystate import DeliveryState
from wxcontroller.core.jsontypes import JsonObject, JsonValue, items, obj, text
from wxcontroller.core.states import LoginState

pytestmark = pytest.mark.timeout(300)
NAMES = ("alice", "bob", "carol", "dave", "eve")
ORDER = "return [...document.querySelectorAll('#rows tbody tr')].map((one) => one.dataset.account)"
WRITTEN = "return document.querySelector('#send textarea').value"
# The first request for messages is answered once the test calls answerNow().
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
# The body of the first response is still arriving when its view is left.
UNFINISHED = """
const fetched = window.fetch;
window.fetch = async (url, options) => {
  const answer = await fetched(url, options);
  if (window.begun || !String(url).includes("/messages?")) return answer;
  window.begun = true;
  const { signal } = options;
  answer.text = () => new Promise((_, fail) => signal.addEventListener("abort", () => fail(signal.reason)));
  return answer;
};
"""
# Keep each note of a conversation.
NOTES = """
const note = document.getElementById("chat-note");
window.notes = [];
const seen = new MutationObserver(() => window.notes.push(note.textContent));
seen.observe(note, { childList: true, subtree: true, characterData: true });
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
# The pause after a failure ends once the test calls again().
AGAIN = (
    "const set = setTimeout; window.setTimeout = (work, ms) => ms === 5000 ? (window.again = work) : set(work, ms);"
)
# Everything that a conversation shows from now on.
SHOWN = """
window.shown = [];
new MutationObserver(() => window.shown.push(document.getElementById("messages").textContent))
  .observe(document.getElementById("messages"), { childList: true, subtree: true });
"""
# A control that takes the place of another can be clicked once the test calls settleNow().
UNSETTLED = """
const [later, unset] = [setTimeout, clearTimeout];
window.settling = [];
window.setTimeout = (work, ms) => ms === 1000 ? -settling.push(work) : later(work, ms);
window.clearTimeout = (id) => id < 0 ? delete settling[-1 - id] : unset(id);
window.settleNow = (until) => settling.slice(0, until).forEach((work, at) => { delete settling[at]; work(); });
"""
# The page never takes the pointer for idle.
BUSY = "const set = setInterval; window.setInterval = (work, ms) => ms === 15000 ? 0 : set(work, ms);"


class Talks:
    """A process's answers about its chats with Ann and Ben, whose messages name them and the account."""

    def __init__(self, name: str) -> None:
        self.words = f"to {name}"
        self.sent: list[tuple[str, str]] = []
        self.fails = False
        self.listed = 0  # requests for them
        self.dead = ["1:@x", "2:@x"]  # ids of dead letters

    async def serve(self, request: web.Request) -> web.StreamResponse:
        match request.match_info["rest"]:
            case _ if self.fails:
                return web.json_response(
                    {"error": {"code": "x", "message": "out of order", "remedy": ""}}, status=500
                )
            case "deliveries":
                self.listed += 1
                letter: JsonObject = {
                    "seq": 1,
                    "type": "friend_message",
                    "state": "dead",
                    "attempts": 1,
                    "last_error": "410",
                }
                letters: list[JsonValue] = [{**letter, "id": one, "time": int(time.time())} for one in self.dead]
                counts: JsonObject = {"pending": 0, "held": 0, "dead": len(letters), "unacknowledged": len(letters)}
                return web.json_response({"to": "http://127.0.0.1:9/", **counts, "deliveries": letters})
            case "deliveries/replay":
                [replayed] = items(obj(await request.json())["ids"])
                self.dead.remove(text(replayed))
                return web.json_response({"replayed": 1})
            case "chats":
                last = {"id": "m", "kind": "text", "text": "…", "direction": "in", "time": int(time.time())}
                chats = [{"id": who, "name": who, "is_group": False, "last": last} for who in ("Ann", "Ben")]
                return web.json_response({"chats": chats})
            case "messages" if request.method == "POST":
                self.sent.append((text(obj(await request.json())["text"]), request.headers["Idempotency-Key"]))
                return web.json_response({"id": "n", "state": "delivered"})
            case "messages":
                who = request.query["chat"]
                words = f"{who} {self.words}"
                more: JsonObject = {
                    "sender": {"id": who, "name": who},
                    "text": words,
                    "time": int(time.time()),
                    "kind": "text",
                }
                message = {"id": words, "cursor": words, "direction": "in", "recalled": False, **more}
                return web.json_response({"messages": [message], "pending": []})
        return web.json_response({"contacts": [], "groups": [], "more": False})


@pytest.fixture
def talks(tmp_path: Path) -> Iterator[tuple[Served, Talks]]:
    """Accounts that run, and the chats of alice."""
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
        yield served, found["alice"]


@pytest.fixture
def served(talks: tuple[Served, Talks]) -> Served:
    return talks[0]


@pytest.fixture
def alice(talks: tuple[Served, Talks]) -> Talks:
    return talks[1]


@pytest.fixture
def browser(served: Served, browser_of: Callable[[str], Browser]) -> Iterator[Browser]:
    with new_tab(browser_of("en"), served.machine.url) as tab:
        tab.size(1280)
        tab.open()
        tab.find("#rows [data-account=eve]")
        yield tab


def started_with(browser: Browser, script: str, address: str = "") -> None:
    """Reload the page, with a script of the test before its own."""
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


def test_late_response_does_not_show_another_conversation(browser: Browser, alice: Talks) -> None:
    started_with(browser, LATE, "#/a/alice/chats")
    browser.click("#people button", "Ann")
    browser.until(lambda: browser.script("return Boolean(window.answerNow)"), "a first answer")
    browser.click("#people button", "Ben")
    browser.find("#messages", "Ben to alice")
    browser.script(SHOWN)
    browser.script("window.answerNow()")
    alice.words = "at last"
    browser.press("hello", Keys.ENTER)
    browser.find("#messages", "Ben at last")
    assert not [words for words in browser.script("return window.shown") if "Ann" in words]
    assert browser.complaints() == []


def test_unfinished_response_is_no_failure_of_the_next_conversation(browser: Browser) -> None:
    started_with(browser, UNFINISHED, "#/a/alice/chats")
    browser.click("#people button", "Ann")
    browser.until(lambda: browser.script("return window.begun"), "a response")
    browser.script(NOTES)
    browser.open("#/a/bob/chats")
    browser.find("#people button")
    browser.click("#people button", "Ben")
    browser.find("#messages", "Ben to bob")
    notes = browser.script("return window.notes")
    assert set(notes) <= {"Choose a recipient from the list.", "Loading…", ""}


def test_failed_request_for_people_is_repeated(browser: Browser, alice: Talks) -> None:
    alice.fails = True
    started_with(browser, AGAIN, "#/a/alice/chats")
    browser.find("#people-note", "Out of order")
    browser.until(lambda: browser.script("return Boolean(window.again)"), "a pause")
    alice.fails = False
    browser.script("window.again()")
    browser.find("#people button", "Ann")


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
    """Click with the mouse on an element, or where the pointer is."""
    chain = ActionChains(browser.driver)
    (chain.move_to_element(browser.find(selector)) if selector else chain).click().perform()


def test_a_second_click_on_start_does_not_stop(browser: Browser, served: Served) -> None:
    served.run(served.machine.v1("POST", "accounts/alice/stop"))
    calls = len(served.machine.units.calls)
    started_with(browser, UNSETTLED, "#/a/alice")
    start, stop = (f"#account-actions [data-action={action}]" for action in ("start", "stop"))
    before = browser.find(start).rect
    click(browser, start)
    browser.until(lambda: browser.find(stop).is_enabled(), "the end of the start")
    after = browser.find(stop).rect
    assert after["x"] < before["x"] + before["width"] / 2 < after["x"] + after["width"], "the pointer is on it"
    click(browser)
    assert browser.find(stop).is_enabled(), "the click had no effect"
    browser.script("settleNow()")
    click(browser)
    browser.find(start)
    assert [call.split()[0] for call in served.machine.units.calls[calls:]] == ["start", "stop"]


def test_a_second_click_does_not_reach_the_next_of_a_list(browser: Browser, served: Served, alice: Talks) -> None:
    started_with(browser, UNSETTLED, "#/a/alice/deliveries")
    first, second = (f"#deliveries li:nth-child({number}) [data-action=replay]" for number in (1, 2))
    browser.find(second)
    click(browser, first)
    browser.gone(second)
    served.publish("alice", DeliveryState(dead=1, unacknowledged=1))  # draws the list once more
    browser.until(lambda: alice.listed > 2, "another request for the list")
    browser.find("#account-advice")
    click(browser, first)
    assert browser.find(first).is_enabled(), "the click had no effect"
    browser.script("settleNow()")
    click(browser, first)
    browser.gone("#deliveries li")
    assert alice.dead == []


def test_a_second_click_confirms_nothing(browser: Browser) -> None:
    started_with(browser, UNSETTLED)
    browser.choose("alice", "remove")
    browser.click("#confirm-no")
    earlier = browser.script("return settling.length")
    browser.choose("alice", "remove")
    browser.script("settleNow(arguments[0])", earlier)  # the first question's pause
    click(browser, "#confirm-yes")
    browser.find("#confirm")
    browser.script("settleNow()")
    click(browser, "#confirm-yes")
    browser.gone("#rows [data-account=alice]")
    browser.find("#rows [data-account=bob]")


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
