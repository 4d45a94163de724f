"""The documents say what the code has: settings, options, verbs, with defaults; their links lead somewhere."""

import importlib
import pkgutil
import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

import wxcontroller.cli
from wxcontroller.cli.__main__ import cli
from wxcontroller.cli.exits import EXITS, short
from wxcontroller.core.errors import WxError
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


_EVERYWHERE = ("url", "token_file", "insecure", "json", "help")


def test_every_verb_and_its_options_are_in_the_page() -> None:
    page = source("wxctl.1")
    assert isinstance(cli, click.Group)
    for name, command in cli.commands.items():
        found = "".join(re.findall(rf"^\*{name}\*.*?(?=^\*\w|^#)", page, re.MULTILINE | re.DOTALL))
        assert found, name
        inner = command.commands if isinstance(command, click.Group) else {}
        for parameter in (*command.params, *(one for each in inner.values() for one in each.params)):
            if isinstance(parameter, click.Option) and not parameter.hidden and parameter.name not in _EVERYWHERE:
                for spelling in parameter.opts:
                    assert f"*{spelling}*" in found, (name, spelling)
        for verb in inner:
            assert f"_{verb}_" in found or f"\t*{name} {verb}*" in found, (name, verb)
    verbs = set(
        re.findall(r"^\*([\w-]+)\*(?: \[?[_*]|$)", page.split("# VERBS")[1].split("# STATES")[0], re.MULTILINE)
    )
    assert verbs == set(cli.commands)


def test_every_error_that_wxctl_can_tell_has_its_exit_code_in_the_table() -> None:
    modules = [info.name for info in pkgutil.walk_packages(wxcontroller.cli.__path__, "wxcontroller.cli.")]
    for name in modules:
        importlib.import_module(name)
    kinds = [WxError, *WxError.__subclasses__()]
    assert len(kinds) > 15
    ours = [kind for kind in kinds if kind.__module__.startswith(("wxcontroller.core", "wxcontroller.cli"))]
    assert {kind.exit_code for kind in ours} <= set(EXITS)
    for code in EXITS:
        assert f"{code} " in short()


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
