"""The API reference: in both languages; its forms call the controller, its snippets run."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from tests import tokens
from tests.i18n import compiled
from tests.openapi.served import Served, served
from tests.page.browser import Browser
from tests.page.looks import faults
from tests.programs import output_of, program
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.text.catalog import translations

pytestmark = [pytest.mark.timeout(200)]


@pytest.fixture(scope="module")
def controller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    compiled()
    with served(tmp_path_factory.mktemp("world")) as running:
        yield running


@pytest.fixture
def address(controller: Served) -> Iterator[str]:
    """The URL of a controller with accounts of the sandbox; it needs no token when a test begins."""
    yield controller.url
    controller.paths.tokens_file.unlink(missing_ok=True)


def opened(browser: Browser, operation: str) -> str:
    """Open the form of an operation; return the selector of its card."""
    card = f"#{operation}"
    browser.script("arguments[0].scrollIntoView()", browser.find(f"{card} > .try > summary"))
    browser.click(f"{card} > .try > summary")
    browser.find(f"{card} .try form")
    return card


@pytest.mark.parametrize(
    ("language", "width", "theme"), [("en", 360, "dark"), ("zh-CN", 1280, "light")], ids=["en", "zh-CN"]
)
def test_readable_on_every_screen(browser: Browser, language: str, width: int, theme: str) -> None:
    translated = translations(language).gettext
    browser.open()
    browser.click("#side a[href='page/api']")
    browser.find("h1", translated("The API of wxcontroller"))
    browser.size(width)
    browser.colours(theme)
    assert translated("stop and delete it")[1:] in browser.text("#delete_v1_accounts_name")
    name = f"api-{language.lower()}-{width}-{theme}"
    for part in ("post_v1_accounts_name_start", "schema-Account"):
        browser.script("document.getElementById(arguments[0]).scrollIntoView()", part)
        browser.picture(f"{name}-{part}")
    card = opened(browser, "get_v1_accounts")
    browser.click(f"{card} .try .main")
    browser.find(f"{card} .answer .status.good")
    assert faults(browser, axe=False) == []  # it takes long on the longest page
    browser.click(".switches a", {"en": "中文", "zh-CN": "English"}[language])
    browser.find("h1", {"en": "wxcontroller 的 API", "zh-CN": "The API of wxcontroller"}[language])
    assert browser.complaints() == []


def test_form_sends_its_input_and_shows_the_response(browser: Browser) -> None:
    browser.open("page/api")
    card = opened(browser, "get_v1_accounts_name")
    browser.click(f"{card} .try .main")
    assert browser.script("return document.querySelector(arguments[0]).validity.valueMissing", f"{card} [name=name]")
    browser.type(f"{card} [name=name]", "小店")
    browser.click(f"{card} .try .main")
    assert browser.text(f"{card} .answer .status.good").startswith("200")
    assert json.loads(browser.text(f"{card} .answer > .content"))["name"] == "小店"
    browser.type(f"{card} [name=name]", "nobody")
    browser.click(f"{card} .try .main")
    browser.find(f"{card} .answer .status.bad", "404")
    assert json.loads(browser.text(f"{card} .answer > .content"))["error"]["code"] == "unknown-account"
    # The next form keeps the input; a body begins with an example.
    card = opened(browser, "patch_v1_accounts_name_options")
    assert browser.find(f"{card} [name=name]").get_attribute("value") == "nobody"
    browser.type(f"{card} [name=name]", "小店")
    assert json.loads(browser.find(f"{card} textarea").get_attribute("value") or "")["send_interval"] == 5
    browser.type(f"{card} textarea", '{"send_interval": 7}')
    browser.click(f"{card} .try .main")
    assert json.loads(browser.text(f"{card} .answer > .content"))["options"]["send_interval"]["value"] == "7"
    assert [complaint for complaint in browser.complaints() if "404" not in complaint] == []


def test_destructive_call_asks_for_confirmation(browser: Browser) -> None:
    browser.open("page/api")
    card = opened(browser, "post_v1_accounts_name_stop")
    browser.type(f"{card} [name=name]", "waiting")
    browser.click(f"{card} .try .main")
    assert "v1/accounts/waiting/stop" in browser.text("#confirm-text")
    browser.click("#confirm-no")
    browser.gone("#confirm")
    assert browser.driver.find_elements("css selector", f"{card} .answer .outcome") == []
    browser.click(f"{card} .try .main")
    browser.click("#confirm-yes")
    browser.find(f"{card} .answer .status.good")
    assert browser.complaints() == []


def test_page_uses_the_dashboards_token_and_asks_if_there_is_none(browser: Browser, controller: Served) -> None:
    token = tokens.token(controller, Scope.READ)
    browser.open("page/api")
    card = opened(browser, "get_v1_accounts")
    browser.click(f"{card} .try .main")
    browser.find("#sign-in [name=token]")
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
    friends = json.loads(fetched(f"{controller.url}/openwx/get_friend_info?client=alice", token))
    runners = {"curl": "sh", "Python": sys.executable, "JavaScript": "node"}
    program("curl")

    def ran(card: str) -> Iterator[str]:
        for language, runner in runners.items():
            Select(browser.find(f"{card} .snippet select")).select_by_visible_text(language)
            source = browser.text(f"{card} .snippet pre")
            assert token not in source
            snippet = tmp_path / f"{language}.mjs"
            snippet.write_text(source.replace("TOKEN", token))
            yield output_of(runner, snippet)

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
    card = opened(browser, "get_openwx_send_friend_message")
    Select(browser.find(f"{card} .method-choice select")).select_by_visible_text("POST")
    browser.type(f"{card} [name=client]", "alice")
    for summary in browser.driver.find_elements("css selector", f"{card} .fields summary"):
        summary.click()
    browser.type(f"{card} [name=id]", next(friend["id"] for friend in friends if friend["id"].startswith("@")))
    browser.type(f"{card} [name=content]", 'it\'s a "text"')
    # It is stored and answered at once, whether or not the sandbox keeps up.
    Select(browser.find(f"{card} [name=async]")).select_by_visible_text("1")
    answers = [json.loads(each[each.index("{") :])["code"] for each in ran(card)]
    assert set(answers) == {0}
    history = json.loads(fetched(f"{controller.url}/v1/accounts/alice/messages?limit=200", token))
    texts = [message["text"] for message in (*history["messages"], *history["pending"])]
    assert texts.count('it\'s a "text"') == len(answers)


def fetched(url: str, token: str) -> str:
    return output_of("curl", "-s", "-H", f"X-Auth-Token: {token}", url)


def test_search_finds_operations(browser: Browser) -> None:
    browser.open("page/api")
    shown = "return [...document.querySelectorAll('section[data-operations]:not([hidden])')].map((one) => one.id)"
    browser.type("#search", "Dead letter POST")
    browser.until(lambda: 0 < len(browser.script(shown)) < 9, "few operations")
    assert "post_v1_accounts_name_deliveries_ack" in browser.script(shown)
