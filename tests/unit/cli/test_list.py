"""wxctl list on terminals of different widths, and its selection and order."""

import json
import re
import time
import unicodedata

import pytest

from tests.unit.cli.conftest import Wxctl
from tests.unit.cli.standin import ASKING, DOWN, FAILED, GONE, PARKED, RUNNING, SCANNING, Controller
from tests.unit.cli.terminal import Terminal
from wxcontroller.core.jsontypes import JsonObject
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
def test_a_long_status_is_cut_and_all_other_columns_stay(
    wxctl: Wxctl, server: Controller, columns: int, user: str
) -> None:
    server.add("alice", **{**ASKING, **text_fields(reason=LONG)})
    running: JsonObject = {**RUNNING, **text_fields(status=LONG), "user": {"id": "@me", "name": user}, "port": 3017}
    server.add("我的小店", **running)
    server.add("zz", **GONE)
    head, alice, zz, shop = rows(wxctl, columns)
    assert head.split() == ["NAME", "STATE", "SINCE", "PORT", "USER", "STATUS"]
    assert re.match(r"alice +(parked|input) +5 min +3000 ", alice)
    assert re.match(r"我的小店 +running +5 min +3017 +[爱用]", shop)
    assert re.match(r"zz +stopped +5 min +3000", zz)
    for line in (alice, shop):
        assert width(line) <= columns
        assert line.endswith("…")
        assert len(line.rpartition("  ")[2]) > 10  # of the status something is left
    if columns >= 120:
        assert f"{user} " in shop


def test_a_name_that_fills_the_terminal_is_not_cut(wxctl: Wxctl, server: Controller) -> None:
    for length in (40, 60, 64):
        server.accounts.clear()
        server.add("n" * length, **{**PARKED, **text_fields(reason=LONG)})
        _, line = rows(wxctl, 80)
        assert line.split()[:2] == ["n" * length, "parked"]
        assert width(line) <= 80


@pytest.fixture
def several(server: Controller) -> Controller:
    now = int(time.time())
    states = {"f": FAILED, "a": RUNNING, "d": DOWN, "p": PARKED, "s": SCANNING, "z": GONE}
    for age, (name, state) in enumerate(states.items()):
        server.add(name, **state, since=now - 100 * age)
    return server


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--trouble"], "dfps"),
        (["--state", "scanning", "--state", "running"], "as"),
        (["--state", "failed", "--trouble"], "f"),
        (["--sort", "since"], "fadpsz"),
        (["--sort", "state"], "dfpasz"),
        ([], "adfpsz"),
    ],
)
def test_selection_and_order(wxctl: Wxctl, several: Controller, arguments: list[str], names: str) -> None:
    done = wxctl("list", *arguments)
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == list(names)
    assert [one["name"] for one in json.loads(wxctl("list", "--json", *arguments).stdout)] == list(names)


def test_nothing_selected_and_words_that_are_no_state(wxctl: Wxctl, several: Controller) -> None:
    done = wxctl("list", "--state", "confirming")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr
    wrong = wxctl("list", "--state", "odd")
    assert (wrong.returncode, "scanning" in wrong.stderr) == (2, True)
