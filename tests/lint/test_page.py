"""The page's scripts and styles: nothing that makes markup or code from text, nothing from elsewhere."""

import re
from pathlib import Path

import pytest

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
