"""wxctl deliveries: what is shown, what is asked for, what is refused."""

import json
import re

import pytest

from tests.unit.cli.conftest import Wxctl
from tests.unit.cli.standin import RUNNING, Controller
from wxcontroller.core.jsontypes import JsonObject

DEAD: JsonObject = {
    "id": "5f3a9c01-17",
    "seq": 17,
    "time": 1795600000.5,
    "type": "friend_message",
    "state": "dead",
    "attempts": 1,
    "next_at": None,
    "last_error": "it answers 410",
    "last_status": 410,
}


@pytest.fixture(autouse=True)
def account(server: Controller) -> None:
    server.add("小店", **RUNNING)
    server.deliveries = {"to": "http://127.0.0.1:8080/in", "pending": 2, "dead": 1, "dropped": 0, "last_error": "x"}


def test_one_accounts_deliveries(wxctl: Wxctl, server: Controller) -> None:
    server.deliveries.update(deliveries=[DEAD], next=17)
    done = wxctl("deliveries", "list", "小店", "--state", "dead", "--limit", "1")
    assert done.returncode == 0
    assert done.stdout.startswith("小店 → http://127.0.0.1:8080/in: 2 wait, 1 dead, 0 lost\n")
    assert "5f3a9c01-17" in done.stdout
    assert "it answers 410" in done.stdout
    assert done.stdout.endswith("more: wxctl deliveries list 小店 --after 17\n")
    assert json.loads(wxctl("--json", "deliveries", "list", "小店").stdout) == [DEAD]


def test_all_accounts(wxctl: Wxctl, server: Controller) -> None:
    rows: list[JsonObject] = [
        {"account": "alice", "error": None, "held": 1, **server.deliveries},
        {"account": "bob", "error": "account bob does not run: stopped"},
    ]
    server.deliveries = {"accounts": [*rows]}
    lines = wxctl("deliveries", "list").stdout.splitlines()
    assert lines[1].split()[:4] == ["alice", "3", "1", "0"]
    assert "does not run" in lines[2]


def test_all_accounts_are_sorted_and_those_with_nothing_to_tell_are_hidden(wxctl: Wxctl, server: Controller) -> None:
    idle: JsonObject = dict.fromkeys(("held", "pending", "dead", "dropped", "retrying"), 0)
    names = ["zoe", *(f"shop-{number}" for number in range(56)), "bob", "alice"]
    rows: list[JsonObject] = [{"account": name, "error": None, "to": "http://h/in", **idle} for name in names]
    for row, key in ((rows[0], "pending"), (rows[-1], "dead"), (rows[-2], "dropped")):
        row[key] = 1
    server.deliveries = {"accounts": [*rows]}
    done = wxctl("deliveries", "list")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["ACCOUNT", "alice", "bob", "zoe"]
    assert "56 accounts" in done.stderr
    assert "--all" in done.stderr
    shown = [line.split()[0] for line in wxctl("deliveries", "list", "--all").stdout.splitlines()[1:]]
    assert shown == sorted(names)
    assert [row["account"] for row in json.loads(wxctl("deliveries", "list", "--json").stdout)] == sorted(names)


def test_one_with_its_report(wxctl: Wxctl, server: Controller) -> None:
    server.deliveries = {**DEAD, "report": {"content": "早"}}
    shown = wxctl("deliveries", "show", "小店", "5f3a9c01-17").stdout
    assert '"content": "早"' in shown
    assert server.asked[-1][1].endswith("/deliveries/5f3a9c01-17")


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        (("replay", "小店", "--dead"), {"state": "dead"}),
        (("replay", "小店", "a-1", "a-2"), {"ids": ["a-1", "a-2"], "state": "dead,purged"}),
        (("replay", "小店", "a-1", "--delivered"), {"ids": ["a-1"], "state": "dead,purged,delivered,kept"}),
        (("purge", "小店", "a-1"), {"ids": ["a-1"]}),
        (("purge", "小店", "--dead", "--pending"), {"state": "dead,pending"}),
        (("ack", "小店"), {"state": "dead"}),
        (("ack", "小店", "a-1"), {"ids": ["a-1"], "state": "dead"}),
    ],
)
def test_what_is_asked_for(wxctl: Wxctl, server: Controller, arguments: tuple[str, ...], body: JsonObject) -> None:
    verb = arguments[0]
    server.deliveries.update(replayed=1, purged=1, acknowledged=1)
    done = wxctl("deliveries", *arguments)
    assert done.returncode == 0, done.stderr
    assert re.match("1 (report|dead letter) of 小店 ", done.stdout)
    assert "now 2 waiting, 1 dead" in done.stdout
    assert server.asked[-1][1].endswith(f"/deliveries/{verb}")
    assert server.asked[-1][2] == body


@pytest.mark.parametrize(
    "arguments",
    [
        ("replay", "小店"),
        ("purge", "小店"),
        ("replay", "小店", "a-1", "--dead"),
        ("replay",),
        ("list", "--state", "odd"),
    ],
)
def test_nothing_is_done_by_half_a_command(wxctl: Wxctl, server: Controller, arguments: tuple[str, ...]) -> None:
    done = wxctl("deliveries", *arguments)
    assert done.returncode == 2
    assert not [one for one in server.asked if one[0] == "POST"]
