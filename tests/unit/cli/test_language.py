"""wxctl --help in Chinese: every text, laid out for a terminal; other languages have the English."""

import re

import click
import pytest

from tests.i18n import compiled
from tests.unit.cli.conftest import Wxctl
from wxcontroller.cli.__main__ import cli
from wxcontroller.cli.language import columns, wrapped
from wxcontroller.core.catalog import entries

_CHINESE = re.compile(r"[\u4e00-\u9fff]")
VERBS = [(), *((name,) for name in cli.commands)]
VERBS += [
    (name, inner)
    for name, group in cli.commands.items()
    if isinstance(group, click.Group)
    for inner in group.commands
]


@pytest.fixture
def chinese(wxctl: Wxctl) -> Wxctl:
    compiled()
    wxctl.environment["LANG"] = "zh_CN.UTF-8"
    return wxctl


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_help_is_chinese_and_fits(chinese: Wxctl, verb: tuple[str, ...]) -> None:
    told = chinese(*verb, "--help")
    assert told.returncode == 0
    assert "\n选项:\n" in told.stdout
    assert "显示用法并退出。" in told.stdout
    lines = told.stdout.splitlines()
    # What has lines of its own keeps them.
    own = {line for text in entries("zh-CN").values() if "\n" in text for line in text.splitlines()}
    assert [line for line in lines if columns(line) > 80 and line.removeprefix("  ") not in own] == []
    assert [line for line in lines if re.match(r"\s+[，。；：、）]", line)] == []


def test_what_is_wrong_with_a_call_is_told_in_chinese(chinese: Wxctl) -> None:
    told = chinese("start")
    assert told.returncode == 2
    assert "缺少参数 'NAME" in told.stderr


@pytest.mark.parametrize("language", ["fr_FR.UTF-8", "C.UTF-8", "zh_TW.UTF-8"])
def test_others_read_english(chinese: Wxctl, language: str) -> None:
    chinese.environment["LANG"] = language
    told = chinese("stop", "--help")
    assert "Stop accounts." in told.stdout
    assert not _CHINESE.search(told.stdout)


def test_a_line_ends_at_a_chinese_character_and_not_before_a_comma() -> None:
    assert wrapped("停止一个账号，不问。", 12) == ["停止一个账", "号，不问。"]
    assert wrapped("用 wxctl start 启动（它）", 12) == ["用 wxctl", "start 启动", "（它）"]
    assert wrapped("\b\nas  it\nis", 3) == ["as  it", "is"]
