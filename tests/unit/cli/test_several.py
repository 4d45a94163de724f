"""start, stop, restart and remove of several accounts: patterns, at most four at a time, the worst exit code."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from tests.unit.cli.conftest import Wxctl, program
from tests.unit.cli.standin import ASKING, FAILED, GONE, PARKED, RUNNING, SCANNING, Controller
from tests.unit.cli.terminal import Terminal

LOADING = {**SCANNING, "login_state": "loading", "qrcode": False}


def changes(server: Controller) -> list[str]:
    """The accounts that something was done to, in any order."""
    return sorted(path.split("/")[3] for method, path, _ in server.asked if method != "GET")


@pytest.fixture
def shops(server: Controller) -> list[str]:
    names = [f"shop-{number}" for number in range(8)]
    for name in names:
        server.add(name, **RUNNING)
    server.add("bob", **RUNNING)
    return names


def test_a_pattern_means_all_accounts_that_match_four_at_a_time(
    wxctl: Wxctl, server: Controller, shops: list[str]
) -> None:
    server.together = threading.Barrier(4)
    done = wxctl("restart", "shop-*")
    assert done.returncode == 0, done.stderr
    assert changes(server) == shops
    assert server.most_in_flight == 4
    *lines, summary = done.stdout.splitlines()
    assert sorted(lines) == [f"{name} is running as 爱丽丝" for name in shops]
    assert summary == "8 accounts: 8 done, 0 failed"


def test_names_and_patterns_mean_each_account_once(wxctl: Wxctl, server: Controller, shops: list[str]) -> None:
    server.add("小店", **RUNNING)
    instance = str(server.accounts["小店"]["instance"])
    assert wxctl("stop", "shop-[12]", "shop-1", instance, "小*", "bob").returncode == 0
    assert len(changes(server)) == 4


def test_a_pattern_does_not_restart_what_was_stopped(wxctl: Wxctl, server: Controller, shops: list[str]) -> None:
    server.add("shop-9", **GONE)
    assert wxctl("restart", "shop-*").returncode == 0
    assert changes(server) == shops
    assert wxctl("restart", "shop-9", "bob").returncode != 4  # by its name it is
    assert changes(server) == sorted(["bob", *shops, "shop-9"])
    done = wxctl("restart", "shop-9*")
    assert done.returncode == 4
    assert "wxctl start 'shop-9*'" in done.stderr
    assert "wxctl start" not in wxctl("restart", "nobody-*").stderr


def test_the_exit_code_is_the_highest_and_each_failure_has_its_remedy(wxctl: Wxctl, server: Controller) -> None:
    server.add("fine", **RUNNING)
    server.add("parked", **PARKED)
    server.add("broken", **FAILED)
    done = wxctl("restart", "fine", "parked", "broken", "nobody")
    assert done.returncode == 6
    assert done.stdout.splitlines()[-1] == "4 accounts: 1 done, 3 failed"
    for words in ("no phone scanned", "wxctl start parked", "has failed", "wxctl logs broken", "no account nobody"):
        assert words in done.stderr


@pytest.mark.parametrize(("state", "command"), [(SCANNING, "wxctl qr alice"), (ASKING, "alice")])
def test_what_needs_a_person_is_not_waited_for(
    wxctl: Wxctl, server: Controller, state: dict[str, object], command: str
) -> None:
    server.add("alice", **state)  # type: ignore[arg-type]
    server.add("bob", **RUNNING)
    done = wxctl("start", "alice", "bob")
    assert done.returncode == 6
    assert "bob is running" in done.stdout
    assert command in done.stderr


def test_json_is_an_object_for_a_name_and_an_array_for_several_or_a_pattern(
    wxctl: Wxctl, server: Controller, shops: list[str]
) -> None:
    assert json.loads(wxctl("restart", "bob", "--json").stdout)["name"] == "bob"
    assert [one["name"] for one in json.loads(wxctl("restart", "b*", "--json").stdout)] == ["bob"]
    done = wxctl("stop", "shop-3", "nobody", "bob", "--json")
    first, second, third = json.loads(done.stdout)  # in the order that was asked for
    assert (first["name"], third["name"], done.returncode) == ("shop-3", "bob", 4)
    assert second["name"] == "nobody"
    assert (second["error"]["code"], second["error"]["exit_code"]) == ("unknown", 4)


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "remove"])
def test_nothing_is_done_where_a_pattern_matches_nothing_or_a_name_can_not_be(
    wxctl: Wxctl, server: Controller, shops: list[str], verb: str
) -> None:
    assert wxctl(verb, "bob", "nothing-*").returncode == 4
    assert wxctl(verb, "bob", "../etc").returncode == 2
    assert changes(server) == []


def test_a_removal_of_several_is_one_question(wxctl: Wxctl, server: Controller, shops: list[str]) -> None:
    terminal = Terminal(wxctl, "remove", "shop-*")
    terminal.until("Remove 8 accounts")
    terminal.type("n\n")
    terminal.until("are not removed")
    assert (terminal.end(), len(server.accounts)) == (130, 9)
    refused = wxctl("remove", "shop-*")
    assert (refused.returncode, "--yes" in refused.stderr) == (2, True)
    done = wxctl("remove", "shop-*", "--yes")
    assert (done.returncode, list(server.accounts)) == (0, ["bob"])


def test_a_terminal_shows_progress_and_then_the_results(wxctl: Wxctl, server: Controller, shops: list[str]) -> None:
    server.together = threading.Barrier(4)
    terminal = Terminal(wxctl, "restart", "*-[0-7]")
    plain = terminal.rest()
    assert terminal.end() == 0
    assert "8 accounts: 8 done, 0 failed" in plain
    assert "/8" in plain
    assert "━" in plain
    for name in shops:
        assert f"{name} is running as 爱丽丝\r\n" in plain


def test_ctrl_c_begins_no_more_and_leaves_the_accounts(wxctl: Wxctl, server: Controller) -> None:
    names = [f"a{number}" for number in range(6)]
    for name in names:
        server.add(name, **LOADING)
    terminal = Terminal(wxctl, "restart", *names)
    end = time.monotonic() + PATIENCE
    while len(changes(server)) < 4 and time.monotonic() < end:
        terminal.until("loading")
    os.killpg(terminal.process.pid, signal.SIGINT)
    terminal.until("6 accounts: 0 done, 0 failed, 6 interrupted")
    assert terminal.end() == 130
    assert changes(server) == names[:4]
    assert "Traceback" not in terminal.seen


def test_without_the_controller_systemd_does_it_for_each_name(
    wxctl: Wxctl, stand_in_program: Path, nobody: str, tmp_path: Path
) -> None:
    port = nobody.rpartition(":")[2]
    program(
        stand_in_program,
        "systemctl",
        f"case \"$*\" in *Listen*) echo 'Listen=127.0.0.1:{port} (Stream)' ;; *show*) echo ActiveState=active ;; "
        f"*) echo \"$@\" >> '{tmp_path}/calls' ;; esac\n",
    )
    wxctl.url = nobody
    done = wxctl("stop", "alice", "bob", "--json")
    assert done.returncode == 0, done.stderr
    assert [one["unit"] for one in json.loads(done.stdout)] == ["wxclient@alice.service", "wxclient@bob.service"]
    assert len((tmp_path / "calls").read_text().splitlines()) == 2
    assert wxctl("stop", "al*").returncode == 3  # nobody knows what that matches
