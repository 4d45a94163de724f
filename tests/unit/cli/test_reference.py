"""Documents: links lead somewhere, and generated pages are up to date."""

import re
from pathlib import Path
from types import ModuleType

import pytest

from tests import reference, reference_zh

DOCUMENTS = sorted([*reference.ROOT.glob("*.md"), *(reference.ROOT / "docs").rglob("*.md")])


def test_links_lead_somewhere() -> None:
    for document in DOCUMENTS:
        text = re.sub(r"```.*?```|`[^`\n]*`", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            path, _, anchor = target.partition("#")
            found = (document.parent / path).resolve() if path else document
            web = re.match(r"[a-z]+:", target)
            assert web or found.exists(), (document, target)
            assert web or not anchor or anchor in _anchors(found), (document, target)


def _anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as web pages of repositories make them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("language", [reference, reference_zh], ids=["en", "zh"])
@pytest.mark.parametrize("name", reference.PAGES)
def test_generated_pages_are_up_to_date(name: str, language: ModuleType) -> None:
    content = (language.PLACE / f"{name}.md").read_text(encoding="utf-8")
    assert content == language.page(name), "out of date: make docs"


@pytest.mark.parametrize("name", [*reference.WITHIN, *reference_zh.WITHIN])
def test_generated_lists_are_up_to_date(name: str) -> None:
    language = reference if name in reference.WITHIN else reference_zh
    assert (reference.ROOT / name).read_text(encoding="utf-8") == language.filled(name), "out of date: make docs"
