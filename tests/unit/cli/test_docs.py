"""The documents say what the code has: settings, options, verbs, with defaults; their links lead somewhere."""

import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from wxcontroller.cli.__main__ import cli
from wxcontroller.core.options import OPTIONS

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


def test_calls_of_wxctl_in_the_documents_are_right() -> None:
    """Verbs, switches and option names in code of the documents and of the page are ones that wxctl takes."""
    groups = [command for command in cli.commands.values() if isinstance(command, click.Group)]
    commands = [*cli.commands.values(), *(inner for group in groups for inner in group.commands.values())]
    spellings = {spelling for command in commands for p in command.params for spelling in p.opts}
    spellings |= {spelling for p in cli.params for spelling in p.opts} | {"--help", "-h"}
    for document in [*DOCUMENTS, MAN / "wxctl.1.scd", ROOT / "debian/README.Debian"]:
        for code in _code(document):
            for call in re.findall(r"\bwxctl ([^|;<)&\n]*)", code):
                call = re.sub(r"--(url|token-file) \S+", "", call)
                words = [word for word in call.split() if not word.startswith(("$", "http", "@"))]
                verb = next((word for word in words if not word.startswith("-")), None)
                assert verb is None or verb in cli.commands, (document.name, call)
                for word in words:
                    if re.match(r"-{1,2}[a-z]", word):
                        assert word.split("=")[0] in spellings, (document.name, call)
            for name in re.findall(r"(?:--option|-o) (\w+)=", code):
                assert name in OPTIONS, (document.name, name)


def _code(document: Path) -> list[str]:
    """Return what stands between backquotes; in a text without any, its indented lines."""
    text = document.read_text(encoding="utf-8")
    if "`" not in text:
        return [line for line in text.splitlines() if line.startswith("    ")]
    blocks = re.findall(r"```.*?\n(.*?)```", text, flags=re.DOTALL)
    return blocks + re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
