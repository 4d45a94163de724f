"""wxctl list, status and logs."""

import json
import time
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Wxctl, program, something_else
from tests.unit.cli.host import (
    ASKING,
    DOWN,
    FAILED,
    PARKED,
    RESTARTING,
    RISK,
    RUNNING,
    SCANNING,
    STOPPED,
    Host,
    telling,
)
from wxcontroller.cli.account import account_view
from wxcontroller.core.commands import command
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.messages import Text
from wxcontroller.core.states import LoginState


def test_status_tells_by_its_exit_code(wxctl: Wxctl, host: Host) -> None:
    states = {"stopped": STOPPED, "parked": PARKED, "crashing": RESTARTING, "failed": FAILED, "down": DOWN}
    for name, state in states.items():
        host.add(name, state)
    assert [wxctl("status", name).returncode for name in states] == [0, 6, 5, 5, 5]
    assert "no phone scanned" in wxctl("status", "parked").stdout
    host.add("alice", ASKING)
    done = wxctl("status", "alice")
    assert (done.returncode, RISK in done.stdout.replace("\n", " ")) == (6, True)


@pytest.mark.parametrize(
    ("told", "condition", "headline"),
    [
        ({"unit_state": "failed"}, "failed", "unit wxclient@alice.service has failed"),  # by 2.0.0
        ({"unit_state": "active", "login_state": "parked", "reason": "flagged"}, "parked", "flagged"),
        ({"condition": "running", "issues": [{"code": "new", "message": "is late"}]}, "running", "is late"),
    ],
)
def test_accounts_of_older_and_newer_controllers_are_shown(told: JsonObject, condition: str, headline: str) -> None:
    found = account_view({"name": "alice", "instance": "alice", "desired": "started", **told})
    assert (found.condition.value, str(found.headline)) == (condition, headline)


def test_status_without_names_covers_all_accounts(wxctl: Wxctl, host: Host) -> None:
    host.add("alice", RUNNING)
    host.add("parked", PARKED)
    done = wxctl("status")
    assert done.returncode == 0
    assert f"responds at {host.url}" in done.stdout
    assert "2 (1 running, 1 parked)" in done.stdout
    assert "wxctl start parked" in done.stdout
    assert "not reloaded" not in done.stdout
    host.machine.shared.notices = (Text("pid_path has no effect"),)
    host.machine.shared.settings_error = Text("wxcontroller.toml: max_clients must be at least 1")
    shown = wxctl("status").stdout
    assert "pid_path has no effect" in shown
    assert "not reloaded; the previous settings remain in use: wxcontroller.toml: max_clients" in shown


def test_response_of_another_program_is_reported_as_such(wxctl: Wxctl) -> None:
    with something_else(b"<html>") as url:
        done = wxctl("list", "--url", url)
    assert done.returncode == 3
    assert "not as wxcontroller does" in done.stderr


def test_logs_become_journalctl(wxctl: Wxctl, host: Host, stand_in_program: Path) -> None:
    host.add("小店", RUNNING)
    program(stand_in_program, "journalctl", 'printf "%s\\n" "$@"; exit 7\n')
    program(stand_in_program, "systemctl", f"echo 'Listen=127.0.0.1:{host.port} (Stream)'\n")
    done = wxctl("logs", "小店", "-f", "-n", "20")
    assert done.returncode == 7  # it is journalctl's own end
    arguments = done.stdout.splitlines()
    assert "--follow" in arguments
    assert "--lines=20" in arguments
    assert any(a.startswith("--unit=wxclient@x-") for a in arguments)
    for part in ("prepare", "credentials"):
        assert any(a.startswith(f"--unit=wxclient-{part}@x-") for a in arguments)
    assert "--output=json" not in arguments
    assert "--output=json" in wxctl("logs", "小店", "--json").stdout.splitlines()


def test_hints_can_be_copied_into_a_shell(wxctl: Wxctl, host: Host) -> None:
    host.add("小店 一号", PARKED)
    assert "wxctl start '小店 一号'\n" in wxctl("status").stdout
    assert command("qr", "小店", "--output", "qr.svg") == "wxctl qr 小店 --output qr.svg"
    assert command("qr", "-a b", "--output", "qr.svg") == "wxctl qr --output qr.svg -- '-a b'"


def test_escape_sequences_of_accounts_do_not_reach_the_terminal(wxctl: Wxctl, host: Host) -> None:
    said = "\x1b]0;owned\x07\u009b2J\u202eb\ud800"
    host.add("alice", telling(LoginState.RUNNING, status=said, user={"id": "@a", "name": said}, state_since=10**30))
    told = {"account": "alice", "queue": {"waiting": 1, "last_error": said}}
    host.process("alice").status = json.dumps(told).encode()
    for arguments in (["list"], ["status", "alice"], ["status", "alice", "--json"], ["list", "--json"]):
        done = wxctl(*arguments)
        assert done.returncode == 0, done.stderr
        assert not [c for c in done.stdout + done.stderr if ord(c) < 32 and c not in "\n\t"]
        assert not {"\x9b", "\u202e"} & set(done.stdout)
    assert json.loads(wxctl("status", "alice", "--json").stdout)["queue"] == told["queue"]


def test_list_selects_and_sorts(wxctl: Wxctl, host: Host) -> None:
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
    assert [one["name"] for one in json.loads(wxctl("list", "--json", "--trouble").stdout)] == list("dfps")
    none = wxctl("list", "--state", "confirming")
    assert (none.returncode, none.stdout, "no account" in none.stderr) == (0, "", True)
