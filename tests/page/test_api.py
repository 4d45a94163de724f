"""The API to read: on every screen, in both languages, with links that lead somewhere."""

from pathlib import Path

import pytest

from tests.i18n import compiled
from tests.page.browser import Browser, Keys
from wxcontroller.core.catalog import translations

pytestmark = [pytest.mark.system, pytest.mark.timeout(200)]
HERE = Path(__file__).parent
UNNAMED, PALE, SPILT = ((HERE / name).read_text() for name in ("unnamed.js", "pale.js", "spilt.js"))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_readable_on_every_screen(browser: Browser, width: int, theme: str, language: str) -> None:
    compiled()
    browser.size(width)
    browser.colours(theme)
    browser.open("page/api")
    said = translations(language).gettext
    browser.find("h1", said("The API of wxcontroller"))
    meaning = translations(language).gettext("stop and delete it")
    assert meaning[1:] in browser.find("#delete_v1_accounts_name").text
    assert browser.script("return document.scrollingElement.scrollWidth") <= width
    assert browser.script(PALE) == []
    assert browser.script(UNNAMED) == []
    assert browser.script(SPILT) == []
    browser.picture(f"api-{language.lower()}-{width}-{theme}")
    for part in ("post_v1_accounts_name_start", "get_openwx_send_friend_message", "schema-Account"):
        browser.script("document.getElementById(arguments[0]).scrollIntoView()", part)
        browser.picture(f"api-{language.lower()}-{width}-{theme}-{part}")
    assert browser.complaints() == []


def test_every_link_leads_somewhere(browser: Browser) -> None:
    browser.open("page/api")
    assert (
        browser.script(
            "return [...document.querySelectorAll('a[href^=\"#\"]')].map((link) => link.hash.slice(1))"
            ".filter((id) => !document.getElementById(id))"
        )
        == []
    )
    assert browser.script(
        "return document.querySelectorAll('#get_v1_accounts_name a[href=\"#schema-Account\"]').length"
    )
    browser.click("#get_v1_accounts_name dd a", "Account")
    assert browser.script("return document.querySelector(':target').id") == "schema-Account"


def test_by_keyboard_and_back(browser: Browser) -> None:
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


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_what_has_no_meaning_says_none(browser: Browser) -> None:
    """A field without a description is not described by the catalog's own head."""
    browser.open("page/api")
    assert "string" in browser.find("#schema-Account").text
    assert "charset=UTF-8" not in browser.text("main")
