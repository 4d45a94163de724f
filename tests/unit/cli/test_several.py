"""start, stop, restart and remove of several accounts: patterns, at most four at a time, the worst exit code."""

import asyncio
import json
import os
import signal

import pytest

from tests.patience import PATIENCE
from tests.unit.cli.conftest import Wxctl
from tests.unit.cli.host import FAILED, PARKED, RUNNING, Host, telling
from tests.unit.cli.terminal import Terminal
from tests.unit.controller.machine import StandInUnits
from wxcontroller.controller.units import Verb
from wxcontroller.core.names import parse_name
from wxcontroller.core.states import LoginState

LOADING = telling(LoginState.LOADING, status="loading")


def changed(host: Host) -> list[str]:
    """The accounts that something was done to, in any order."""
    return sorted(change.split("/")[1] for change in host.changes)


def four_at_once(units: StandInUnits) -> list[int]:
    """Have units restarted when there are four to restart; how many there were at a time."""
    barrier, restart, found = asyncio.Barrier(4), units.act, []
    under_way: set[str] = set()

    async def act(verb: Verb, instance: str, timeout: float) -> None:
        under_way.add(instance)
        found.append(len(under_way))
        async with asyncio.timeout(PATIENCE):
            await barrier.wait()
        await restart(verb, instance, timeout)
        under_way.discard(instance)

    units.act = act  # type: ignore[method-assign]
    return found


@pytest.fixture
def shops(host: Host) -> list[str]:
    names = [f"shop-{number}" for number in range(8)]
    for name in names:
        host.add(name, RUNNING)
    host.add("bob", RUNNING)
    return names


def test_a_pattern_means_all_accounts_that_match_four_at_a_time(wxctl: Wxctl, host: Host, shops: list[str]) -> None:
    at_once = four_at_once(host.machine.units)
    done = wxctl("restart", "shop-*")
    assert done.returncode == 0, done.stderr
    assert changed(host) == shops
    assert max(at_once) == 4
    *lines, summary = done.stdout.splitlines()
    assert sorted(lines) == [f"{name} is running as 爱丽丝" for name in shops]
    assert summary == "8 accounts: 8 done, 0 failed"


def test_names_and_patterns_mean_each_account_once(wxctl: Wxctl, host: Host, shops: list[str]) -> None:
    host.add("小店", RUNNING)
    instance = parse_name("小店").instance
    assert wxctl("stop", "shop-[12]", "shop-1", instance, "小*", "bob").returncode == 0
    assert len(changed(host)) == 4


def test_pattern_does_not_restart_stopped_accounts(wxctl: Wxctl, host: Host, shops: list[str]) -> None:
    host.add("shop-9")
    assert wxctl("restart", "shop-*").returncode == 0
    assert changed(host) == shops
    done = wxctl("restart", "shop-9*")
    assert done.returncode == 4
    assert "wxctl start 'shop-9*'" in done.stderr
    assert "wxctl start" not in wxctl("restart", "nobody-*").stderr
    assert wxctl("restart", "shop-9", "bob", "--no-wait").returncode == 0  # by its name it is
    assert changed(host) == sorted(["bob", *shops, "shop-9"])


def test_the_exit_code_is_the_highest_and_each_failure_has_its_remedy(wxctl: Wxctl, host: Host) -> None:
    host.add("fine", RUNNING)
    host.add("parked", PARKED)
    host.add("broken", FAILED)
    done = wxctl("restart", "fine", "parked", "broken", "nobody")
    assert done.returncode == 6
    assert done.stdout.splitlines()[-1] == "4 accounts: 1 done, 3 failed"
    for words in ("no phone scanned", "wxctl start parked", "has failed", "wxctl logs broken", "no account nobody"):
        assert words in done.stderr


def test_json_is_an_object_for_a_name_and_an_array_for_several_or_a_pattern(
    wxctl: Wxctl, host: Host, shops: list[str]
) -> None:
    assert json.loads(wxctl("restart", "bob", "--json").stdout)["name"] == "bob"
    assert [one["name"] for one in json.loads(wxctl("restart", "b*", "--json").stdout)] == ["bob"]
    done = wxctl("stop", "shop-3", "nobody", "bob", "--json")
    first, second, third = json.loads(done.stdout)  # in the order that was asked for
    assert (first["name"], third["name"], done.returncode) == ("shop-3", "bob", 4)
    assert second["name"] == "nobody"
    assert (second["error"]["code"], second["error"]["exit_code"]) == ("unknown", 4)


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "remove"])
def test_unmatched_pattern_or_invalid_name_prevents_the_action(
    wxctl: Wxctl, host: Host, shops: list[str], verb: str
) -> None:
    assert wxctl(verb, "bob", "nothing-*").returncode == 4
    assert wxctl(verb, "bob", "../etc").returncode == 2
    assert changed(host) == []


def test_removal_of_several_accounts_asks_once(wxctl: Wxctl, host: Host, shops: list[str]) -> None:
    terminal = Terminal(wxctl, "remove", "shop-*")
    terminal.until("Remove 8 accounts")
    terminal.type("n\n")
    terminal.until("are not removed")
    assert (terminal.end(), len(host.names)) == (130, 9)
    refused = wxctl("remove", "shop-*")
    assert (refused.returncode, "--yes" in refused.stderr) == (2, True)
    done = wxctl("remove", "shop-*", "--yes")
    assert (done.returncode, host.names) == (0, ["bob"])


def test_ctrl_c_starts_no_further_actions(wxctl: Wxctl, host: Host) -> None:
    names = [f"a{number}" for number in range(6)]
    for name in names:
        host.add(name, LOADING)
    terminal = Terminal(wxctl, "restart", *names)
    while len(host.changes) < 4:
        assert terminal.read()
    os.killpg(terminal.process.pid, signal.SIGINT)
    terminal.until("6 accounts: 0 done, 0 failed, 6 interrupted")
    assert terminal.end() == 130
    assert changed(host) == names[:4]
    assert "Traceback" not in terminal.seen
