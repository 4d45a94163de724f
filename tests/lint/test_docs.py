"""Documents: links lead somewhere, and generated parts are up to date."""

import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.reference import PAGES, filled
from wxcontroller.core.config.options import OPTIONS
from wxcontroller.core.config.settings import Settings

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as web pages of repositories make them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_lead_somewhere() -> None:
    for document in DOCUMENTS:
        text = re.sub(r"```.*?```|`[^`\n]*`", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            path, _, anchor = target.partition("#")
            found = (document.parent / path).resolve() if path else document
            web = re.match(r"[a-z]+:", target)
            assert web or found.exists(), (document, target)
            assert web or not anchor or anchor in anchors(found), (document, target)


@pytest.mark.parametrize("name", PAGES)
def test_generated_parts_are_up_to_date(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == filled(name), "out of date: make docs"


@pytest.mark.parametrize("page", ["limits.md", "zh/limits.md"])
def test_limits_have_the_numbers_of_the_page(page: str) -> None:
    _, of_controller, of_accounts, *others = (ROOT / "docs" / page).read_text(encoding="utf-8").split("\n## ")
    settings = Settings()
    defaults: list[tuple[str, Callable[[str], Any]]] = [
        (of_controller, lambda name: getattr(settings, name)),
        (of_accounts, lambda name: OPTIONS[name].default),
    ]
    for section, default in defaults:
        rows = re.findall(r"^\|[^|]*\| (`[^|]*`) \| ([0-9, ]+) \|", section, re.MULTILINE)
        assert len(rows) > 15
        for names, numbers in rows:
            expected = [float(number) for number in numbers.split(", ")]
            assert [float(default(name)) for name in re.findall("`([a-z_]+)`", names)] == expected, names
    fixed = r"^\|[^|]*\| ([0-9]+) \|(?:[^|]*\|)? `([a-z0-9_.]+)\.(_?[A-Z_]+)` \|$"
    rows = re.findall(fixed, "\n".join(others), re.MULTILINE)
    assert len(rows) > 140
    for number, module, name in rows:
        assert getattr(import_module(f"wxcontroller.{module}"), name) == int(number), name
