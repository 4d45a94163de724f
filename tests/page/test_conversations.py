"""Conversations in the dashboard, with real accounts at the sandbox."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from aiohttp import web
from selenium.webdriver.common.keys import Keys

from tests.inthread import InThread, in_thread
from tests.openapi.world import World, world
from tests.page.browser import Browser, new_tab
from tests.page.looks import faults
from tests.unit.drivers.kit import friend

pytestmark = [pytest.mark.timeout(300)]
TARGETS = """
return [...document.querySelectorAll("main :is(a, button)")].filter((one) => one.checkVisibility()).filter((one) => {
  const after = getComputedStyle(one, "::after");
  const more = after.content === "none" ? 0 : -parseFloat(after.top) - parseFloat(after.bottom);
  const { width, height } = one.getBoundingClientRect();
  return width < 24 || height + (more || 0) < 24;
}).map((one) => one.outerHTML.slice(0, 120));
"""

CHATS = "return [...document.querySelectorAll('#all-chats small:not(.when)')].map((one) => one.textContent)"


@contextlib.asynccontextmanager
async def webhook() -> AsyncIterator[str]:
    """A receiver that refuses reports of messages with the text "refused"."""

    async def take(request: web.Request) -> web.Response:
        report = await request.json()
        return web.Response(status=410 if report.get("content") == "refused" else 200)

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield "http://{}:{}/".format(*runner.addresses[0])
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def accounts(place: Path) -> AsyncIterator[World]:
    """The accounts alice and bob, to whom friends have written."""
    async with webhook() as address, world(place) as made:
        for name, words in (("alice", ("hello", "refused")), ("bob", ("good morning",))):
            person = await made.account(name, post_api=address)
            for number, each in enumerate(words):
                made.wechat.hear(person, each, chat=friend(person, number))
        yield made


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InThread[World]]:
    with in_thread(accounts(tmp_path_factory.mktemp("world"))) as made:
        yield made


@pytest.fixture
def browser(running: InThread[World], language: str, browser_of: Callable[[str], Browser]) -> Iterator[Browser]:
    with new_tab(browser_of(language), running.entered.url) as tab:
        tab.size(1280)
        tab.open()
        tab.find("#rows [data-account=bob]")
        yield tab


def test_received_message_shows_its_delivery(browser: Browser) -> None:
    browser.open("#/a/alice/chats")
    browser.click("#people button", "hello")
    delivered = browser.find("#messages li .meta a", "webhook: delivered, ")
    assert delivered.value_of_css_property("color") == browser.find("#messages li .meta").value_of_css_property(
        "color"
    )
    browser.click("#people button", "refused")
    browser.find("#messages li .meta a.bad", "webhook: dead, the webhook returned 410")
    for width, theme in ((1280, "light"), (360, "dark")):
        browser.size(width)
        browser.colours(theme)
        browser.find("#messages li .meta a.bad")
        browser.picture(f"chat-delivery-{width}-{theme}")
        assert faults(browser) == []
    assert browser.script(TARGETS) == []
    browser.click("#messages li .meta a.bad")
    browser.find("#deliveries li .bad", "dead")
    assert browser.complaints() == []


def test_person_gets_a_name(browser: Browser) -> None:
    browser.open("#/a/bob/chats")
    browser.click("#people button", "good morning")
    browser.click("#chat-rename")
    browser.picture("rename-1280")
    browser.type("#rename input", "钱多多" + Keys.ENTER)
    browser.find("#send-to", "钱多多")
    browser.find("#people button[aria-pressed=true]", "钱多多")
    browser.click("#chat-rename")
    assert browser.find("#rename input").get_attribute("value") == "钱多多"
    browser.type("#rename input", Keys.ENTER)
    browser.gone("#people button", "钱多多")
    assert browser.complaints() == []


def test_conversations_of_all_accounts_are_listed(browser: Browser, running: InThread[World]) -> None:
    browser.click("#side [data-view=conversations]")
    expected = {"alice · hello", "alice · refused", "bob · good morning"}  # within one second: in any order
    browser.until(lambda: set(browser.script(CHATS)) == expected, "the conversations")
    running.loop.call_soon_threadsafe(write, running.entered, "alice", "hello again")
    browser.until(lambda: browser.script(CHATS)[0].endswith("alice · hello again"), "the new message on top")
    for width, theme in ((1280, "dark"), (360, "light")):
        browser.size(width)
        browser.colours(theme)
        browser.find("#all-chats li")
        browser.picture(f"conversations-{width}-{theme}")
        assert faults(browser) == []
    assert browser.script(TARGETS) == []
    browser.click("#all-chats a", "hello again")
    browser.find("#account-name", "alice")
    browser.find("#messages li", "hello again")
    assert browser.complaints() == []


def write(world: World, name: str, words: str) -> None:
    account = next(one for one in world.wechat.sandbox.accounts.values() if one.nickname == name)
    world.wechat.hear(account, words)
