"""The page's scripts and styles: nothing that makes markup or code from text, nothing from elsewhere."""

import re
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[2] / "wxcontroller/controller/page/static"
PHONE = Path(__file__).parents[2] / "wxcontroller/sandbox/page"
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


def test_type_is_of_the_scale() -> None:
    """Sizes are those of palette.css, which grow with the browser's: no sheet has sizes of its own."""
    of_scale = re.compile(r"inherit|0|.*var\(--size-(12|13|14|16|20)\).*|87\.5%/.*")
    sheets = [*STATIC.glob("*.css"), *PHONE.glob("*.css")]
    sizes = [size for sheet in sheets for size in re.findall(r"font(?:-size)?: ([^;}]+)", sheet.read_text("utf-8"))]
    assert len(sizes) > 50
    assert [size for size in sizes if not of_scale.fullmatch(size)] == []
