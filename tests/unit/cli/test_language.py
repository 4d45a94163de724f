"""wxctl --help in Chinese: every text, laid out for a terminal; other languages have the English."""

import re
import subprocess
from pathlib import Path

import click
import pytest

from tests.unit.cli.conftest import Wxctl
from wxcontroller.cli.__main__ import cli
from wxcontroller.cli.language import LOCALE, columns, texts, wrapped

CATALOG = LOCALE / "zh_CN/LC_MESSAGES/messages.po"
_STRING = r'((?:"(?:[^"\\]|\\.)*"\n)+)'
_ENTRY = re.compile(rf"^msgid {_STRING}(?:msgid_plural {_STRING})?msgstr(?:\[0\])? {_STRING}", re.MULTILINE)
_LITERAL = re.compile(r"(?<!\w)--[a-z-]+|\{\w+(?:!r)?\}|(?<![\w.])\d+|\$\w+|(?<![/:])/[a-z/]{3,}|wxctl [a-z]+")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
VERBS = [(), *((name,) for name in cli.commands)]
VERBS += [
    (name, inner)
    for name, group in cli.commands.items()
    if isinstance(group, click.Group)
    for inner in group.commands
]


def unquoted(text: str) -> str:
    joined = "".join(line[1:-1] for line in text.splitlines())
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "b": "\b"}.get(found[1], found[1]), joined)


def entries() -> dict[str, str]:
    found = _ENTRY.findall(CATALOG.read_text(encoding="utf-8") + "\n")
    return {unquoted(plural or text): unquoted(said) for text, plural, said in found if text != '""\n'}


@pytest.fixture
def chinese(wxctl: Wxctl) -> Wxctl:
    subprocess.run(["msgfmt", "--check", "-o", CATALOG.with_suffix(".mo"), CATALOG], check=True)
    wxctl.environment["LANG"] = "zh_CN.UTF-8"
    return wxctl


def test_the_catalog_has_every_text_and_no_other() -> None:
    clicks = "".join(path.read_text(encoding="utf-8") for path in Path(click.__file__).parent.glob("*.py"))
    found, wanted = set(entries()), set(texts(cli))
    assert wanted - found == set(), f"translate these in {CATALOG.name}"
    assert {text for text in found - wanted if text not in clicks} == set(), "nobody says these any more"


def test_a_translation_has_the_same_literal_words() -> None:
    for text, said in entries().items():
        assert _CHINESE.search(said), text
        assert set(_LITERAL.findall(said)) == set(_LITERAL.findall(text)), text


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_help_is_chinese_and_fits(chinese: Wxctl, verb: tuple[str, ...]) -> None:
    told = chinese(*verb, "--help")
    assert told.returncode == 0
    assert "\n选项:\n" in told.stdout
    assert "显示用法并退出。" in told.stdout
    lines = told.stdout.splitlines()
    # What has lines of its own keeps them.
    own = {line for text in entries().values() if text.startswith("\b") for line in text.splitlines()}
    assert [line for line in lines if columns(line) > 80 and line.removeprefix("  ") not in own] == []
    assert [line for line in lines if re.match(r"\s+[，。；：、）]", line)] == []


def test_what_is_wrong_with_a_call_is_told_in_chinese(chinese: Wxctl) -> None:
    told = chinese("start")
    assert told.returncode == 2
    assert "缺少参数 'NAME'" in told.stderr


@pytest.mark.parametrize("language", ["fr_FR.UTF-8", "C.UTF-8", "zh_TW.UTF-8"])
def test_others_read_english(chinese: Wxctl, language: str) -> None:
    chinese.environment["LANG"] = language
    told = chinese("stop", "--help")
    assert "Stop an account." in told.stdout
    assert not _CHINESE.search(told.stdout)


def test_a_line_ends_at_a_chinese_character_and_not_before_a_comma() -> None:
    assert wrapped("停止一个帐号，不问。", 12) == ["停止一个帐", "号，不问。"]
    assert wrapped("用 wxctl start 启动（它）", 12) == ["用 wxctl", "start 启动", "（它）"]
    assert wrapped("\b\nas  it\nis", 3) == ["as  it", "is"]
