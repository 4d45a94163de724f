"""Man pages are well-formed, and links in documents lead somewhere."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MAN = ROOT / "docs/man"
PAGES = sorted(str(path.relative_to(MAN)).removesuffix(".scd") for path in MAN.rglob("*.scd"))
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def source(page: str) -> str:
    return (MAN / f"{page}.scd").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_scdoc_accepts_the_page(page: str) -> None:
    assert shutil.which("scdoc"), "scdoc is not installed: make test-deps"
    made = subprocess.run(["scdoc"], input=source(page).encode(), capture_output=True, check=False)
    assert made.returncode == 0, made.stderr
    assert made.stdout.decode().count(".SH") >= 5
    # An underline right behind a letter, or what scdoc takes for one, is no markup to it and would be shown.
    shown = re.sub(r"\\f[BIR]|\\&", "", made.stdout.decode())
    assert re.findall(r"[^\s(]*__.*|(?<![A-Za-z0-9])_[A-Za-z/~].*", shown) == []


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
