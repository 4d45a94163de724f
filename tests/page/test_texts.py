"""Texts that the API sends as data, in the page's language: values stay as they are."""

import pytest

from tests.page.browser import Browser
from wxcontroller.core.messages import Text, text_fields

pytestmark = [pytest.mark.system, pytest.mark.timeout(200)]
SHOW = """
const [sent, done] = arguments;
const at = document.querySelector("script[type=module]").src.replace("main.js", "i18n.js");
import(at).then(async ({ parsed, textOf }) =>
  done((await parsed(JSON.stringify(sent))).map((each) => textOf(each, "reason"))));
"""


@pytest.mark.parametrize("language", ["zh-CN"])
def test_a_text_is_in_the_readers_language_and_its_values_are_not_translated(browser: Browser) -> None:
    browser.open()
    browser.find("#list")
    known = Text("there is no account {given}", given="running")
    sent = [
        text_fields(reason=known),
        text_fields(reason=Text("{what}; {remedy}", what=known, remedy="running")),
        text_fields(reason=Text("the {moon} is in the way", moon="moon")),  # not in the catalog
        text_fields(reason=Text("constructor")),
        {"reason": "there is no account bob"},  # of a program of 2.0.0
        {"reason": ""},
    ]
    assert browser.driver.execute_async_script(SHOW, sent) == [
        "没有账号 running",
        "没有账号 running；running",
        "the moon is in the way",
        "constructor",
        "there is no account bob",
        "",
    ]
