"""list, status, qr, logs."""

import json
import os
import re
import time
import unicodedata
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

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
from tests.unit.cli.terminal import Terminal
from wxcontroller.cli.__main__ import cli
from wxcontroller.cli.account import account_view
from wxcontroller.cli.local import is_registered, known_unit
from wxcontroller.core.commands import command
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.messages import Text
from wxcontroller.core.paths import Paths
from wxcontroller.core.states import LoginState


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def test_list_aligns_chinese_names(wxctl: Wxctl, host: Host) -> None:
    host.add("alice", RUNNING)
    host.add("我的小店", SCANNING)
    host.add("b")
    done = wxctl("list")
    assert done.returncode == 0
    head, *rows = done.stdout.splitlines()
    columns = {
        _width(row[: row.index(word)]) for row, word in zip(rows, ("running", "stopped", "scanning"), strict=True)
    }
    assert columns == {_width(head[: head.index("STATE")])}
    assert not any(line.endswith(" ") for line in done.stdout.splitlines())
    assert "\x1b" not in done.stdout


def test_status_shows_a_question_and_its_command_once(wxctl: Wxctl, host: Host) -> None:
    host.add("alice", ASKING)
    shown = " ".join(wxctl("status", "alice").stdout.split())
    assert (shown.count(RISK), shown.count("wxctl answer alice")) == (1, 1)


def test_status_tells_the_queue_in_words(wxctl: Wxctl, host: Host) -> None:
    now = int(time.time())
    queue: JsonObject = {
        "waiting": 3,
        "in_flight": 1,
        "oldest_since": now - 200,
        "next_send_at": now + 60.5,
        "sent_today": 1118,
        "daily_limit": 2000,
        "burst_limit": 20,
        "interval": 3.0,
        "jitter": 1.5,
    }
    host.add("alice", RUNNING)
    told: JsonObject = {
        "account": "alice",
        "queue": queue,
        "reports": {"to": "http://x", "waiting": 2, "oldest_since": now - 7, "last_error": "it answers 500"},
        "media": {"files": 12, "bytes": 3_400_000},
        "roster": {"contacts": 5000, "groups": 200},
        "last_message_time": {"received": now - 300, "sent": None},
        "last_sync_time": now - 3,
    }
    host.process("alice").status = json.dumps(told).encode()
    done = wxctl("status", "alice")
    assert done.returncode == 0
    assert re.search(
        r"queue: 3 waiting, one on its way, next in (60|61|59) s, oldest 3 min old, 1,118 of 2,000 sent today, "
        r"at most 20 a minute, one every 3 to 4.5 s\n",
        done.stdout,
    )
    assert re.search(r"undelivered: 2 reports, oldest \d+ s old: it answers 500\n", done.stdout)
    assert "knows: 5,000 contacts, 200 groups\n" in done.stdout
    assert "media: 12 files, 3.4 MB\n" in done.stdout
    assert re.search(r"heard: WeChat \d s ago, a message 5 min ago\n", done.stdout)
    assert json.loads(wxctl("status", "alice", "--json").stdout)["queue"] == queue
    idle: JsonObject = {
        **{**queue, "waiting": 0, "in_flight": 0, "next_send_at": None},
        **{"daily_limit": 0, "burst_limit": 0, "jitter": 0, "last_error": "too frequent (1205)"},
    }
    host.process("alice").status = json.dumps({**told, "queue": idle}).encode()
    assert "the last one failed: too frequent (1205)\n" in wxctl("status", "alice").stdout
    host.process("alice").status = None
    assert "queue: not known: its program answered 404 to /v1/status\n" in wxctl("status", "alice").stdout


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


def test_status_of_all(wxctl: Wxctl, host: Host) -> None:
    host.add("alice", RUNNING)
    host.add("parked", PARKED)
    done = wxctl("status")
    assert done.returncode == 0
    assert f"answers at {host.url}" in done.stdout
    assert "2 (1 running, 1 parked)" in done.stdout
    assert "wxctl start parked" in done.stdout
    assert "not reloaded" not in done.stdout
    host.machine.shared.notices = (Text("pid_path has no effect"),)
    host.machine.shared.settings_error = Text("wxcontroller.toml: max_clients must be at least 1")
    shown = wxctl("status").stdout
    assert "pid_path has no effect" in shown
    assert "not reloaded; the previous settings remain in use: wxcontroller.toml: max_clients" in shown


def test_status_without_controller_asks_systemd(wxctl: Wxctl, stand_in_program: Path, nobody: str) -> None:
    wxctl.url = nobody
    program(
        stand_in_program,
        "systemctl",
        f"case \"$*\" in *=Listen*) echo 'Listen={nobody.removeprefix('http://')} (Stream)';; "
        "*show*wxclient@bob.service*) echo ActiveState=failed; echo SubState=failed; echo StatusText=gone; "
        "echo StateChangeTimestamp=@1700000000;; "
        "*show*wxclient@alice.service*) echo ActiveState=active; echo SubState=running; "
        "echo StatusText=running as 爱丽丝; echo MainPID=99;; *list-units*) "
        'echo \'[{"unit":"wxclient@bob.service","active":"failed","sub":"failed"}]\';; *) exit 1;; esac\n',
    )
    done = wxctl("status", "alice")
    assert done.returncode == 3
    assert "wxclient@alice.service: active (running): running as 爱丽丝" in done.stdout
    assert "can't be reached" in done.stderr
    done = wxctl("status", "--json")
    [bob] = json.loads(done.stdout)
    assert (bob["name"], bob["unit_state"], bob["status"], bob["since"]) == ("bob", "failed", "gone", 1700000000)
    alice = json.loads(wxctl("status", "alice", "--json").stdout)
    assert (alice["name"], alice["pid"]) == ("alice", 99)
    assert done.returncode == 3
    program(stand_in_program, "systemctl", "echo 'System has not been booted with systemd' >&2; exit 1\n")
    done = wxctl("status", "alice")
    assert done.returncode == 3
    assert "not been booted" in done.stderr


def test_without_controller_states_have_the_same_names_as_with_it(
    tmp_path: Path, nobody: str, stand_in_program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(
        stand_in_program,
        "systemctl",
        f"case \"$*\" in *=Listen*) echo 'Listen={nobody.removeprefix('http://')} (Stream)';; "
        "*show*) echo ActiveState=active; echo SubState=running; "
        "echo 'StatusText=scaning: waiting for a scan';; esac\n",
    )
    paths = Paths(tmp_path)
    paths.runtime("alice").mkdir(parents=True)
    paths.state_file("alice").write_text(json.dumps({"state": "scaning", **(SCANNING.told or {})}))
    monkeypatch.setenv("PATH", f"{stand_in_program}:{os.environ['PATH']}")
    monkeypatch.setattr("wxcontroller.cli.show.known_unit", partial(known_unit, paths=paths))
    shown = CliRunner().invoke(cli, ["--url", nobody, "status", "alice"]).output
    assert "scanning: waiting for a scan of QR code 1 of 10" in shown
    assert "scaning" not in shown


def test_what_is_wrong_with_the_url_is_not_hidden_behind_a_list(
    wxctl: Wxctl, host: Host, stand_in_program: Path, nobody: str
) -> None:
    """Where something answers, nothing of systemd's is shown; where nothing does, the error comes first."""
    units = ",".join(f'{{"unit":"wxclient@a{n}.service","active":"active","sub":"running"}}' for n in range(56))
    program(
        stand_in_program,
        "systemctl",
        f"case \"$*\" in *=Listen*) echo 'Listen=127.0.0.1:{host.port} (Stream)' "
        f"'Listen={nobody.removeprefix('http://')} (Stream)';; *list-units*) echo '[{units}]';; esac\n",
    )
    for verb in ("list", "status"):
        done = wxctl(verb, "--url", host.url.replace("http://", "https://"))
        assert (done.returncode, done.stdout) == (3, "")
        assert len(done.stderr.splitlines()) == 2
        terminal = Terminal(wxctl, verb, "--url", nobody, size=(100, 100))
        terminal.until("wxclient@a55.service")
        assert terminal.end() == 3
        assert terminal.seen.startswith("wxctl: the controller at ")
        assert terminal.seen.count("can't be reached") == 1


def test_something_else_listens(wxctl: Wxctl) -> None:
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
    assert any(a.startswith("--unit=wxclient-prepare@x-") for a in arguments)
    assert "--output=json" not in arguments
    assert "--output=json" in wxctl("logs", "小店", "--json").stdout.splitlines()


def test_logs_of_nobody(wxctl: Wxctl, host: Host, stand_in_program: Path, nobody: str) -> None:
    program(stand_in_program, "journalctl", "echo lines\n")
    mine = f"echo 'Listen=127.0.0.1:{host.port} (Stream)'\n"
    program(stand_in_program, "systemctl", mine + "echo ActiveState=inactive\n")
    done = wxctl("logs", "nobody")
    assert (done.returncode, done.stdout) == (4, "")
    assert "there is no account nobody" in done.stderr
    assert "journalctl -u wxclient@nobody.service" in done.stderr  # of one that was removed
    assert wxctl("logs", "x-aaaaaaaaaaaaaaa").returncode == 4
    # A unit that failed before anybody registered it has something to say.
    program(stand_in_program, "systemctl", mine + 'case "$*" in *prepare*) echo ActiveState=failed;; esac\n')
    assert wxctl("logs", "nobody").stdout == "lines\n"
    program(stand_in_program, "systemctl", mine.replace(f":{host.port} ", f":{nobody.rpartition(':')[2]} "))
    done = wxctl("logs", "nobody", "--url", nobody)
    if is_registered("nobody") is None:  # nobody can tell
        assert done.stdout == "lines\n"
    else:
        assert done.returncode == 4


def test_the_register_tells_whom_it_has(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    assert is_registered("alice", paths) is None
    paths.accounts.mkdir(parents=True)
    assert is_registered("alice", paths) is False
    paths.account_file("alice").touch()
    assert is_registered("alice", paths) is True


def test_hints_can_be_copied_into_a_shell(wxctl: Wxctl, host: Host) -> None:
    host.add("小店 一号", PARKED)
    assert "wxctl start '小店 一号'\n" in wxctl("status").stdout
    assert command("qr", "小店", "--output", "qr.svg") == "wxctl qr 小店 --output qr.svg"
    assert command("qr", "-a b", "--output", "qr.svg") == "wxctl qr --output qr.svg -- '-a b'"


def test_nothing_that_an_account_says_acts_on_the_terminal(wxctl: Wxctl, host: Host) -> None:
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
