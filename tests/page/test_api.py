"""The API reference: on every screen, in both languages; its forms call the controller, its snippets run."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from selenium.webdriver.support.select import Select

from tests import tokens
from tests.i18n import compiled
from tests.openapi.served import Served, served
from tests.page.browser import Browser, Keys
from tests.page.looks import faults
from tests.patience import PATIENCE
from wxcontroller.core.access import Scope
from wxcontroller.core.catalog import translations

pytestmark = [pytest.mark.timeout(200)]


@pytest.fixture(scope="module")
def controller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    compiled()
    with served(tmp_path_factory.mktemp("world")) as running:
        yield running


@pytest.fixture
def address(controller: Served) -> Iterator[str]:
    """Where a controller with accounts of the sandbox is; every test finds it open."""
    yield controller.url
    controller.paths.tokens_file.unlink(missing_ok=True)


def opened(browser: Browser, operation: str) -> str:
    """Open the form of an operation; return the selector of its card."""
    card = f"#{operation}"
    browser.script("arguments[0].scrollIntoView()", browser.find(f"{card} > .try > summary"))
    browser.click(f"{card} > .try > summary")
    browser.find(f"{card} .try form")
    return card


def snippet(browser: Browser, card: str, language: str) -> str:
    Select(browser.find(f"{card} .snippet select")).select_by_visible_text(language)
    return str(browser.text(f"{card} .snippet pre"))


def printed(*command: str, place: Path) -> str:
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


@pytest.mark.parametrize(
    ("language", "screens"),  # each two of language, width and theme together once
    [("en", ((1280, "light"), (360, "dark"))), ("zh-CN", ((1280, "dark"), (360, "light")))],
    ids=["en", "zh-CN"],
)
def test_readable_on_every_screen(browser: Browser, language: str, screens: tuple[tuple[int, str], ...]) -> None:
    said = translations(language).gettext
    for width, theme in screens:
        browser.size(width)
        browser.colours(theme)
        browser.open("page/api")
        browser.find("h1", said("The API of wxcontroller"))
        assert said("stop and delete it")[1:] in browser.text("#delete_v1_accounts_name")
        name = f"api-{language.lower()}-{width}-{theme}"
        browser.picture(name)
        for part in ("post_v1_accounts_name_start", "get_openwx_send_friend_message", "schema-Account"):
            browser.script("document.getElementById(arguments[0]).scrollIntoView()", part)
            browser.picture(f"{name}-{part}")
        card = opened(browser, "get_v1_accounts")
        browser.click(f"{card} .try .main")
        browser.find(f"{card} .answer .status.good")
        browser.picture(f"{name}-called")
        assert faults(browser, axe=False) == []  # it takes long on the longest page
    assert browser.complaints() == []


def test_keyboard_language_and_dashboard_links_work(browser: Browser) -> None:
    browser.open()
    browser.find("#list")
    browser.click("#side a", "API")
    browser.find("h1", "The API")
    browser.press(Keys.TAB)
    browser.find("a.skip:focus")
    browser.press(Keys.ENTER)
    assert browser.script("return document.activeElement.id") == "main"
    browser.click(".switches a", "中文")
    browser.find("h1", "wxcontroller 的 API")
    browser.click(".switches a", "English")
    browser.find("h1", "The API of wxcontroller")
    browser.click(".switches a", "Dashboard")
    browser.find("#list-title")
    assert browser.complaints() == []


def test_form_sends_its_input_and_shows_the_response(browser: Browser) -> None:
    browser.open("page/api")
    card = opened(browser, "get_v1_accounts_name")
    browser.click(f"{card} .try .main")
    assert browser.script("return document.querySelector(arguments[0]).validity.valueMissing", f"{card} [name=name]")
    browser.type(f"{card} [name=name]", "小店")
    browser.click(f"{card} .try .main")
    assert browser.text(f"{card} .answer .status.good").startswith("200")
    assert " ms" in browser.text(f"{card} .answer .outcome")
    assert json.loads(browser.text(f"{card} .answer > .content"))["name"] == "小店"
    browser.click(f"{card} .answer details summary")
    assert "content-type: application/json" in browser.text(f"{card} .answer details .content")
    browser.type(f"{card} [name=name]", "nobody")
    browser.click(f"{card} .try .main")
    browser.find(f"{card} .answer .status.bad", "404")
    assert json.loads(browser.text(f"{card} .answer > .content"))["error"]["code"] == "unknown-account"
    # What was entered is there in the next form; a body begins with an example.
    card = opened(browser, "patch_v1_accounts_name_options")
    assert browser.find(f"{card} [name=name]").get_attribute("value") == "nobody"
    browser.type(f"{card} [name=name]", "小店")
    assert json.loads(browser.find(f"{card} textarea").get_attribute("value") or "")["send_interval"] == 5
    browser.type(f"{card} textarea", '{"send_interval": 7}')
    browser.click(f"{card} .try .main")
    assert json.loads(browser.text(f"{card} .answer > .content"))["options"]["send_interval"]["value"] == "7"
    browser.picture("api-form")
    assert [each for each in browser.complaints() if "404" not in each] == []


def test_pictures_are_shown_and_streams_are_live(browser: Browser) -> None:
    browser.open("page/api")
    card = opened(browser, "get_v1_accounts_name_qr")
    browser.type(f"{card} [name=name]", "waiting")
    Select(browser.find(f"{card} [name=format]")).select_by_visible_text("svg")
    browser.click(f"{card} .try .main")
    shown = browser.find(f"{card} .answer img")
    browser.until(lambda: browser.script("return arguments[0].naturalWidth", shown), "the code")
    browser.picture("api-code")
    card = opened(browser, "get_v1_events")
    browser.click(f"{card} .try .main")
    browser.find(f"{card} .answer .content", "event: ")
    browser.click(f"{card} .try button", "Stop")
    browser.gone(f"{card} .try button", "Stop")
    assert browser.complaints() == []


def test_destructive_call_asks_for_confirmation(browser: Browser, controller: Served) -> None:
    browser.open("page/api")
    card = opened(browser, "post_v1_accounts_name_stop")
    browser.type(f"{card} [name=name]", "waiting")
    browser.click(f"{card} .try .main")
    assert "/v1/accounts/waiting/stop" in browser.text("#confirm-text").replace("v1/", "/v1/").replace("//", "/")
    browser.click("#confirm-no")
    browser.gone("#confirm")
    assert browser.driver.find_elements("css selector", f"{card} .answer .outcome") == []
    browser.click(f"{card} .try .main")
    browser.click("#confirm-yes")
    browser.find(f"{card} .answer .status.good")
    card = opened(browser, "post_v1_accounts_name_start")
    browser.type(f"{card} textarea", "{}")
    browser.click(f"{card} .try .main")
    browser.find(f"{card} .answer .status.good")
    assert browser.complaints() == []


def test_page_uses_the_dashboards_token_and_asks_if_there_is_none(browser: Browser, controller: Served) -> None:
    token = tokens.token(controller, Scope.READ)
    browser.open("page/api")
    card = opened(browser, "get_v1_accounts")
    browser.click(f"{card} .try .main")
    browser.find("#sign-in [name=token]")
    browser.picture("api-sign-in")
    browser.click("#sign-in-no")
    browser.find(f"{card} .answer .bad", "token is needed")
    browser.click(f"{card} .try .main")
    browser.type("#sign-in [name=token]", "wxc_wrong" + Keys.ENTER)
    browser.find("#sign-in-problem", "invalid")
    browser.type("#sign-in [name=token]", token + Keys.ENTER)
    browser.find(f"{card} .answer .status.good")
    assert token not in browser.script("return document.documentElement.outerHTML")
    browser.click(".switches a", "Dashboard")
    browser.find("#rows [data-account=alice]")
    browser.click("#side a[href='page/api']")
    card = opened(browser, "post_v1_accounts_name_stop")
    browser.type(f"{card} [name=name]", "alice")
    browser.click(f"{card} .try .main")
    browser.click("#confirm-yes")
    browser.find(f"{card} .answer .status.bad", "403")
    browser.click("#leave")
    browser.gone("#leave")


def test_snippets_have_the_same_effect_as_the_form(browser: Browser, controller: Served, tmp_path: Path) -> None:
    token = tokens.token(controller, Scope.ADMIN)
    browser.open("page/api")
    browser.script("sessionStorage.setItem('wxcontroller-token', arguments[0])", token)
    browser.open("page/api?again")

    def asked(path: str) -> Any:
        asking = Request(f"{controller.url}/{path}", headers={"X-Auth-Token": token})
        with urlopen(asking, timeout=PATIENCE) as answer:
            return json.loads(answer.read())

    def ran(card: str) -> Iterator[str]:
        for language in ("curl", "Python", *(["JavaScript"] if shutil.which("node") else [])):
            source = snippet(browser, card, language)
            assert controller.url in source
            assert token not in source
            source = source.replace("TOKEN", token)
            program = tmp_path / {"curl": "it.sh", "Python": "it.py", "JavaScript": "it.mjs"}[language]
            program.write_text(source)
            runner = {"curl": "sh", "Python": sys.executable, "JavaScript": "node"}[language]
            yield printed(runner, str(program), place=tmp_path)

    card = opened(browser, "patch_v1_accounts_name_options")
    browser.type(f"{card} [name=name]", "小店")
    browser.type(f"{card} textarea", '{"send_interval": 8}')
    for each in ran(card):
        assert json.loads(each.partition("\n")[2] or each)["options"]["send_interval"]["value"] == "8"
    card = opened(browser, "get_openwx_search_friend")
    browser.type(f"{card} [name=client]", "alice")
    browser.click(f"{card} .fields summary")
    browser.type(f"{card} [name=displayname]", "it's & nobody")
    assert all("not found" in each for each in ran(card))
    # The same by POST, with a JSON body; and a form.
    Select(browser.find(f"{card} .method-choice select")).select_by_visible_text("POST")
    browser.type(f"{card} textarea", '{"displayname": "nobody"}')
    assert all("not found" in each for each in ran(card))
    card = opened(browser, "get_openwx_send_friend_message")
    Select(browser.find(f"{card} .method-choice select")).select_by_visible_text("POST")
    browser.type(f"{card} [name=client]", "alice")
    summaries = browser.driver.find_elements("css selector", f"{card} .fields summary")
    for summary in summaries:
        summary.click()
    friends = [str(each["id"]) for each in asked("openwx/get_friend_info?client=alice")]
    browser.type(f"{card} [name=id]", next(each for each in friends if each.startswith("@")))
    browser.type(f"{card} [name=content]", 'it\'s a "text"')
    # It is stored and answered at once, whether or not the sandbox keeps up.
    Select(browser.find(f"{card} [name=async]")).select_by_visible_text("1")
    answers = [json.loads(each[each.index("{") :])["code"] for each in ran(card)]
    assert set(answers) == {0}
    history = asked("v1/accounts/alice/messages?limit=200")
    texts = [each["text"] for each in (*history["messages"], *history["pending"])]
    assert texts.count('it\'s a "text"') == len(answers)


def test_form_sends_a_file_instead_of_json(browser: Browser, controller: Served, tmp_path: Path) -> None:
    sent = tmp_path / "报告.bin"
    sent.write_bytes(bytes(range(256)))
    with urlopen(f"{controller.url}/openwx/get_friend_info?client=alice", timeout=PATIENCE) as answer:
        friend = next(one["id"] for one in json.loads(answer.read()) if one["id"].startswith("@"))
    browser.open("page/api")
    card = opened(browser, "post_v1_accounts_name_messages")
    Select(browser.find(f"{card} .method-choice select")).select_by_visible_text("POST multipart/form-data")
    browser.type(f"{card} [name=name]", "alice")
    browser.type(f"{card} [name=to]", friend)
    for summary in browser.driver.find_elements("css selector", f"{card} .fields summary"):
        summary.click()
    browser.find(f"{card} [name=file]").send_keys(str(sent))
    browser.type(f"{card} [name=wait]", "0")
    assert "-F 'file=@\"报告.bin\"'" in snippet(browser, card, "curl")
    browser.click(f"{card} .try .main")
    assert browser.text(f"{card} .answer .status.good").startswith("20")
    [message] = json.loads(browser.text(f"{card} .answer > .content"))["parts"]
    address = f"{controller.url}/v1/accounts/alice/messages/{message['id']}"
    with urlopen(address, timeout=PATIENCE) as answer:
        assert json.loads(answer.read())["media"]["name"] == "报告.bin"
    assert browser.complaints() == []


def test_search_finds_operations(browser: Browser) -> None:
    browser.open("page/api")
    shown = "return [...document.querySelectorAll('section[data-operations]:not([hidden])')].map((one) => one.id)"
    everything = browser.script(shown)
    browser.type("#search", "Dead letter POST")
    browser.until(lambda: 0 < len(browser.script(shown)) < 9, "few operations")
    found = browser.script(shown)
    assert "post_v1_accounts_name_deliveries_ack" in found
    browser.find("#found", f"{len(found)} operation")
    links = "return [...document.querySelectorAll('nav li:not([hidden]) a')].map((one) => one.hash.slice(1))"
    assert [each for each in browser.script(links) if not each.startswith("schema-")] == found
    browser.find(f"#{found[0]} a[href^='#schema-']")
    browser.script("location.hash = '#get_v1_health'")
    browser.until(lambda: browser.script(shown) == everything, "what the link leads to")
    assert browser.complaints() == []
