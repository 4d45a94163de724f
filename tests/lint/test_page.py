"""The page: nothing makes markup or code from text, nothing is loaded from elsewhere, and all routes are offered."""

import re
from pathlib import Path

import pytest

from wxcontroller.controller.page.render import ROUTES as OFFERED
from wxcontroller.core.options import OPTIONS, Choice
from wxcontroller.drivers import ROUTES

STATIC = Path(__file__).parents[2] / "wxcontroller/controller/page/static"
SCRIPTS = sorted(STATIC.glob("*.js"))
_FORBIDDEN = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser|\beval\b|"
    r"new Function|srcdoc|setTimeout\(\s*[\"'`]|javascript:|localStorage|https?://"
)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script_makes_no_markup_or_code_from_text(script: Path) -> None:
    assert _FORBIDDEN.findall(script.read_text(encoding="utf-8")) == []


def test_style_sheets_load_nothing() -> None:
    sheets = [path.read_text(encoding="utf-8") for path in STATIC.glob("*.css")]
    assert len(sheets) > 3
    assert [re.findall(r"url\(|@import|expression", sheet) for sheet in sheets] == [[]] * len(sheets)


def test_option_and_page_offer_all_routes() -> None:
    words = OPTIONS["driver"].check
    assert isinstance(words, Choice)
    assert set(words.allowed) == {route.driver for route in OFFERED} == set(ROUTES)
