"""wxctl list on terminals of different widths, and its selection and order."""

import json
import re
import time
import unicodedata

import pytest

from tests.unit.cli.conftest import Wxctl
from tests.unit.cli.host import ASKING, DOWN, FAILED, PARKED, RUNNING, SCANNING, STOPPED, Host
from tests.unit.cli.terminal import Terminal
from wxcontroller.core.messages import Text, text_fields

LONG = Text("WeChat may warn about this account's safety and bar it from scanning any code " * 4)


def width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def rows(wxctl: Wxctl, columns: int) -> list[str]:
    """The lines of ``wxctl list`` on a terminal, without colours."""
    terminal = Terminal(wxctl, "list", size=(50, columns))
    shown = terminal.rest()
    assert terminal.end() == 0
    return shown.split("\r\n")[:-1]


@pytest.mark.parametrize(("columns", "user"), [(80, "用户名很长" * 12), (120, "爱丽丝")], ids=["narrow", "wide"])
def test_a_long_status_is_cut_and_all_other_columns_stay(wxctl: Wxctl, host: Host, columns: int, user: str) -> None:
    host.add("alice", ASKING.but(**text_fields(status=LONG, reason=LONG)))
    host.add("我的小店", RUNNING.but(**text_fields(status=LONG), user={"id": "@me", "name": user}))
    host.add("zz")
    head, alice, zz, shop = rows(wxctl, columns)
    assert head.split() == ["NAME", "STATE", "SINCE", "PORT", "USER", "STATUS"]
    assert re.match(r"alice +input +5 min +\d+ ", alice)
    assert re.match(r"我的小店 +running +5 min +\d+ +[爱用]", shop)
    assert re.match(r"zz +stopped +\d+", zz)
    for line in (alice, shop):
        assert width(line) <= columns
        assert line.endswith("…")
        assert len(line.rpartition("  ")[2]) > 10  # of the status something is left
    if columns >= 120:
        assert f"{user} " in shop


@pytest.mark.parametrize("length", [40, 60, 64])
def test_a_name_that_fills_the_terminal_is_not_cut(wxctl: Wxctl, host: Host, length: int) -> None:
    host.add("n" * length, PARKED.but(**text_fields(status=LONG, reason=LONG)))
    _, line = rows(wxctl, 80)
    assert line.split()[:2] == ["n" * length, "parked"]
    assert width(line) <= 80


def test_selection_and_order(wxctl: Wxctl, host: Host) -> None:
    now = int(time.time())
    states = {"f": FAILED, "a": RUNNING, "d": DOWN, "p": PARKED, "s": SCANNING, "z": STOPPED}
    for age, (name, state) in enumerate(states.items()):
        host.add(name, state.but(state_since=now - 100 * age) if state.told else state)
    for arguments, names in (
        (["--trouble"], "dfps"),
        (["--state", "scanning", "--state", "running"], "as"),
        (["--state", "failed", "--trouble"], "f"),
        (["--sort", "since"], "apsdfz"),  # those without a program tell no time
        (["--sort", "state"], "dfpasz"),
        ([], "adfpsz"),
    ):
        done = wxctl("list", *arguments)
        assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == list(names)
        assert [one["name"] for one in json.loads(wxctl("list", "--json", *arguments).stdout)] == list(names)
    none = wxctl("list", "--state", "confirming")
    assert (none.returncode, none.stdout, "no account" in none.stderr) == (0, "", True)
    wrong = wxctl("list", "--state", "odd")
    assert (wrong.returncode, "scanning" in wrong.stderr) == (2, True)
