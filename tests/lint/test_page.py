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
def test_texts_stay_texts(script: Path) -> None:
    assert _FORBIDDEN.findall(script.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_lines_are_short(script: Path) -> None:
    """Except a text alone, which can't be broken."""
    lines = script.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if len(line) > 118 and not re.fullmatch(r'\s*"[^"]*",', line)] == []


def test_style_sheets_load_nothing() -> None:
    sheets = [path.read_text(encoding="utf-8") for path in STATIC.glob("*.css")]
    assert len(sheets) > 3
    assert [re.findall(r"url\(|@import|expression", sheet) for sheet in sheets] == [[]] * len(sheets)
