"""wxctl start, stop, restart and remove."""

import json
import os
import re
import signal

import pytest

from tests.unit.cli.conftest import Wxctl
from tests.unit.cli.host import (
    ASKING,
    ASKING_CODE,
    CONFIRMING,
    CRASH_LOOP,
    DOWN,
    FAILED,
    LINK,
    PARKED,
    RESTARTING,
    RUNNING,
    SCANNING,
    STOPPED,
    Host,
    State,
)
from tests.unit.cli.terminal import Terminal


def test_start_follows_the_states_until_running(wxctl: Wxctl, host: Host) -> None:
    host.script = [SCANNING, SCANNING, CONFIRMING, RUNNING]
    done = wxctl("start", "alice")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("alice: scanning: waiting for a scan of QR code 1 of 10") == 1
    assert "alice: confirming" in done.stdout
    assert done.stdout.endswith("alice is running as 爱丽丝\n")
    assert LINK not in done.stdout + done.stderr  # lines without a terminal end in logs
    assert "\x1b" not in done.stdout


def test_start_json_keeps_standard_output_for_the_result(wxctl: Wxctl, host: Host) -> None:
    host.script = [SCANNING, RUNNING]
    done = wxctl("--json", "start", "alice")
    assert json.loads(done.stdout)["login_state"] == "running"
    assert "alice: scanning" in done.stderr


@pytest.mark.parametrize(
    ("end", "code", "words"),
    [
        (PARKED, 6, "no phone scanned any of the QR codes"),
        (ASKING, 6, "alice: waiting for your answer: WeChat may warn about this account's safety"),
        (ASKING_CODE, 6, "alice: the phone shows a code"),
        (FAILED, 5, "wxclient@alice.service has failed"),
        (STOPPED, 1, "alice was stopped"),
        (DOWN, 5, "alice: unit wxclient@alice.service should be running"),
    ],
)
def test_failed_start_ends_with_the_reason(wxctl: Wxctl, host: Host, end: State, code: int, words: str) -> None:
    host.script = [SCANNING, end]
    done = wxctl("start", "alice")
    assert done.returncode == code
    assert words in done.stderr
    assert "wxctl " in done.stderr.splitlines()[-1]  # what to do
    assert "Traceback" not in done.stderr


def test_start_of_a_crash_looping_account_fails(wxctl: Wxctl, host: Host) -> None:
    host.script = [RESTARTING, CRASH_LOOP]
    done = wxctl("start", "alice")
    assert (done.returncode, "the process keeps exiting" in done.stderr) == (5, True)
    assert wxctl("status", "alice").returncode == 5
    host.add("bob", RESTARTING)  # not yet a loop
    assert wxctl("start", "bob", "--timeout", "1").returncode == 5


def test_start_gives_up_waiting_but_not_the_account(wxctl: Wxctl, host: Host) -> None:
    host.add("alice", SCANNING)
    done = wxctl("start", "alice", "--timeout", "1")
    assert done.returncode == 1
    assert "alice: still scanning after 1 s" in done.stderr
    assert host.changes == ["POST accounts/alice/start"]


def test_start_with_an_option_that_has_no_value(wxctl: Wxctl, host: Host) -> None:
    done = wxctl("start", "alice", "--option", "send_interval")
    assert (done.returncode, host.asked) == (2, [])
    assert "KEY=VALUE" in done.stderr


def test_unreachable(wxctl: Wxctl, nobody: str) -> None:
    for verb in (["list"], ["start", "alice"], ["send", "alice", "x", "y"]):
        done = wxctl("--url", nobody, *verb)
        assert done.returncode == 3, verb
        assert f"{nobody} can't be reached: Connection refused" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_password_in_a_url_is_not_shown(wxctl: Wxctl, nobody: str) -> None:
    done = wxctl("list", "--url", nobody.replace("//", "//bo:geheim@") + "/wx")
    assert done.returncode == 3
    assert "geheim" not in done.stderr


# --- with a terminal


def test_terminal_shows_the_code_and_redraws_it(wxctl: Wxctl, host: Host) -> None:
    host.script = [SCANNING, SCANNING.but(qrcode_link=f"{LINK}2"), CONFIRMING, RUNNING]
    terminal = Terminal(wxctl, "start", "alice")
    terminal.until("alice is running as 爱丽丝")
    assert terminal.end() == 0
    # Black on white whatever the terminal's own colours are.
    assert "\x1b[38;5;16;48;5;231m  " in terminal.seen
    assert "● scanning" in re.sub(r"\x1b\[[0-9;]*m", "", terminal.seen)


def test_ctrl_c_leaves_the_account_running(wxctl: Wxctl, host: Host) -> None:
    host.script = [SCANNING]
    terminal = Terminal(wxctl, "start", "alice")
    terminal.until("▀")
    os.killpg(terminal.process.pid, signal.SIGINT)
    terminal.until("the account is left as it is")
    assert terminal.end() == 130
    assert "Traceback" not in terminal.seen
    assert host.changes == ["POST accounts/alice/start"]


def test_remove_asks_on_a_terminal(wxctl: Wxctl, host: Host) -> None:
    host.add("alice")
    terminal = Terminal(wxctl, "remove", "alice")
    terminal.until("Remove alice")
    terminal.type("n\n")
    terminal.until("wxctl: alice is not removed")
    assert terminal.end() == 130
    assert "interrupted" not in terminal.seen
    assert host.names == ["alice"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("start", "alice", "--timeout", "soon"), "'soon' is not a number of seconds greater than 0"),
        (("start", "alice", "--timeout", "0"), "'0' is not a number of seconds greater than 0"),
        (("send", "alice", "bob", "hi", "--timeout", "3601"), "'3601' is not a number of seconds from 0 to 3600"),
        (("alert", "test", "--timeout", "-1"), "'-1' is not a number of seconds, 0 or more"),
    ],
)
def test_times_out_of_range_are_refused_with_the_range(wxctl: Wxctl, arguments: tuple[str, ...], error: str) -> None:
    done = wxctl(*arguments)
    assert done.returncode == 2
    assert error in done.stderr
