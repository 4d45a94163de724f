"""wxctl speaks Chinese to people who read Chinese, and English to programs."""

import json
import re

import pytest

from tests.i18n import compiled
from tests.unit.cli.conftest import Wxctl
from tests.unit.cli.host import PARKED, Host

CHINESE = re.compile(r"[\u4e00-\u9fff]")
# Two English words in a row that are no name, option, command or address: something was left as it was.
ENGLISH = re.compile(r"(?<![\w/.:=\"'-])[a-z]{2,} [a-z]{2,}(?![\w/.:=@-])")
COMMAND = re.compile(r"(wxctl|systemctl|journalctl) [^；。，）\n]*")


@pytest.fixture(scope="module", autouse=True)
def catalogs() -> None:
    compiled()


@pytest.fixture
def chinese(wxctl: Wxctl) -> Wxctl:
    wxctl.environment["LC_ALL"] = "zh_CN.UTF-8"
    return wxctl


def left(words: str) -> list[str]:
    return ENGLISH.findall(COMMAND.sub("", words))


def test_errors_are_in_chinese(chinese: Wxctl, host: Host, nobody: str) -> None:
    unknown = chinese("stop", "nobody")
    assert (unknown.returncode, unknown.stderr) == (4, "wxctl: 没有账号 nobody\n  wxctl list 可列出账号\n")
    bad = chinese("add", "a/b")
    assert bad.returncode == 2
    assert left(bad.stderr) == []
    away = chinese("events", "--since", "nonsense")
    assert away.stderr.startswith("wxctl: --since nonsense 不是时间\n")
    gone = chinese("send", "alice", "x", "y", "--url", nobody)
    assert f"无法连接 {nobody} 的控制器：连接被拒绝" in gone.stderr
    assert left(gone.stderr) == []


def test_json_is_english(chinese: Wxctl, host: Host, nobody: str) -> None:
    host.add("bob", PARKED)
    for arguments in (["list"], ["status", "bob"], ["doctor"]):
        assert not CHINESE.search(re.sub("爱丽丝|小店", "", chinese(*arguments, "--json").stdout)), arguments
    for arguments in (["stop", "nobody"], ["list", "--bogus"], ["list", "--url", nobody], ["start"]):
        failed = chinese(*arguments, "--json")
        error = json.loads(failed.stderr)["error"]
        assert error["exit_code"] == failed.returncode
        assert not CHINESE.search(failed.stderr), arguments
