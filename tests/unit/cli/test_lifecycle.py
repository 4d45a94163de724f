"""start, stop, restart, remove."""

import json
import os
import re
import signal

import pytest

from tests.unit.cli.conftest import Wxctl
from tests.unit.cli.standin import (
    ASKING,
    CONFIRMING,
    CRASH_LOOP,
    DOWN,
    FAILED,
    GONE,
    LINK,
    PARKED,
    RESTARTING,
    RUNNING,
    SCANNING,
    Controller,
    account,
)
from tests.unit.cli.terminal import Terminal


def test_start_follows_the_states_until_running(wxctl: Wxctl, server: Controller) -> None:
    server.script = [SCANNING, SCANNING, CONFIRMING, RUNNING]
    done = wxctl("start", "alice")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("alice: scanning: waiting for a scan of QR code 1 of 10") == 1
    assert "alice: confirming" in done.stdout
    assert done.stdout.endswith("alice is running as 爱丽丝\n")
    assert LINK not in done.stdout + done.stderr  # lines without a terminal end in logs
    assert "\x1b" not in done.stdout


def test_an_options_value_can_come_from_a_file_or_stdin(wxctl: Wxctl, server: Controller) -> None:
    server.script = [RUNNING]
    (wxctl.directory / "proxy").write_text("http://u:p@h:3128\n")
    for given, stdin in ((f"proxy=@{wxctl.directory}/proxy", ""), ("proxy=@-", "http://u:p@h:3128\n")):
        server.asked.clear()
        done = wxctl("start", "alice", "--no-wait", "-o", given, stdin=stdin)
        assert done.returncode == 0, done.stderr
        assert server.asked[-1][2] == {"proxy": "http://u:p@h:3128"}
    done = wxctl("start", "alice", "-o", "proxy=@/nonexistent")
    assert done.returncode == 2
    assert "/nonexistent" in done.stderr


def test_start_tells_what_had_no_effect(wxctl: Wxctl, server: Controller) -> None:
    server.add("alice", **RUNNING)
    server.notes = {"ignored": ["tmpdir"], "note": "the options are stored and count from the next start"}
    done = wxctl("start", "alice", "-o", "tmpdir=/tmp", "-o", "send_interval=5")
    assert done.returncode == 0
    assert "alice: without effect: tmpdir" in done.stderr
    assert "count from the next start" in done.stderr


def test_start_of_an_account_that_gave_up_restarts_it(wxctl: Wxctl, server: Controller) -> None:
    server.add("alice", **PARKED)
    server.script = [SCANNING, RUNNING]
    done = wxctl("start", "alice")
    assert done.returncode == 0, done.stderr
    assert [path for method, path, _ in server.asked if method == "POST"] == [
        "/v1/accounts/alice/start",
        "/v1/accounts/alice/restart",
    ]


def test_start_of_an_account_that_waits_for_a_decision_does_not_restart_it(wxctl: Wxctl, server: Controller) -> None:
    server.add("alice", **ASKING)
    server.script = [ASKING]
    assert wxctl("start", "alice").returncode == 6
    assert [path for method, path, _ in server.asked if method == "POST"] == ["/v1/accounts/alice/start"]


def test_start_json_keeps_standard_output_for_the_result(wxctl: Wxctl, server: Controller) -> None:
    server.script = [SCANNING, RUNNING]
    done = wxctl("--json", "start", "alice")
    assert json.loads(done.stdout)["login_state"] == "running"
    assert "alice: scanning" in done.stderr


@pytest.mark.parametrize(
    ("end", "code", "words"),
    [
        (PARKED, 6, "no phone scanned any of the QR codes"),
        (ASKING, 6, "alice: waiting for your answer: WeChat may warn about this account's safety"),
        (FAILED, 5, "wxclient@alice.service has failed"),
        (GONE, 1, "alice was stopped"),
        (DOWN, 5, "alice: unit wxclient@alice.service should be running"),
    ],
)
def test_start_ends_with_the_reason(
    wxctl: Wxctl, server: Controller, end: dict[str, object], code: int, words: str
) -> None:
    server.script = [SCANNING, end]  # type: ignore[list-item]
    done = wxctl("start", "alice")
    assert done.returncode == code
    assert words in done.stderr
    assert "wxctl " in done.stderr.splitlines()[-1]  # what to do
    assert "Traceback" not in done.stderr


def test_a_start_of_an_account_that_crashes_again_and_again_fails(wxctl: Wxctl, server: Controller) -> None:
    server.script = [RESTARTING, CRASH_LOOP]
    done = wxctl("start", "alice")
    assert (done.returncode, "ends again and again" in done.stderr, "read on" in done.stderr) == (5, True, True)
    server.script = [RESTARTING]  # where the controller does not yet call it a loop
    assert wxctl("start", "alice", "--timeout", "1").returncode == 5
    assert wxctl("status", "alice").returncode == 5
    server.accounts["alice"] = account("alice", **CRASH_LOOP)
    server.script = []
    assert wxctl("status", "alice").returncode == 5


def test_start_gives_up_waiting_but_not_the_account(wxctl: Wxctl, server: Controller) -> None:
    server.script = [SCANNING]
    done = wxctl("start", "alice", "--timeout", "1")
    assert done.returncode == 1
    assert "alice: still scanning after 1 s" in done.stderr
    assert not [asked for asked in server.asked if asked[1].endswith("stop")]


def test_start_with_an_option_that_has_no_value(wxctl: Wxctl, server: Controller) -> None:
    done = wxctl("start", "alice", "--option", "send_interval")
    assert (done.returncode, server.asked) == (2, [])
    assert "KEY=VALUE" in done.stderr


def test_start_refused_by_the_controller(wxctl: Wxctl, server: Controller) -> None:
    server.refuse = (
        400,
        {"error": {"code": "bad-option", "message": "unknown option: x", "remedy": "wxclient(8) lists the options"}},
    )
    done = wxctl("start", "alice", "-o", "x=1")
    assert done.returncode == 2
    assert done.stderr == "wxctl: alice: unknown option: x\n  wxclient(8) lists the options\n"


def test_start_when_the_unit_does_not_come_up(wxctl: Wxctl, server: Controller) -> None:
    server.refuse = (502, {"error": {"code": "unit-failed", "message": "wxclient@alice.service did not come up"}})
    done = wxctl("start", "alice")
    assert done.returncode == 5


def test_bad_names_are_refused_before_anything_is_asked(wxctl: Wxctl, server: Controller) -> None:
    for verb in ("start", "stop", "restart", "status", "qr", "logs", "remove"):
        done = wxctl(verb, "../etc")
        assert done.returncode == 2, verb
        assert "contains '/'" in done.stderr or "begins with a dot" in done.stderr
    assert server.asked == []


def test_tokens_of_a_removed_account_are_named(wxctl: Wxctl, server: Controller) -> None:
    server.add("alice")
    server.notes = {"tokens": ["panel"]}
    done = wxctl("remove", "alice", "--yes")
    assert (done.returncode, done.stdout) == (0, "alice is removed\n")
    assert "the token panel is still valid for the next account alice" in done.stderr
    assert "wxctl token revoke panel" in done.stderr


def test_unreachable(wxctl: Wxctl, nobody: str) -> None:
    for verb in (["list"], ["start", "alice"], ["send", "alice", "x", "y"]):
        done = wxctl("--url", nobody, *verb)
        assert done.returncode == 3, verb
        assert f"{nobody} can't be reached: Connection refused" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_url_that_is_none_and_one_with_a_password(wxctl: Wxctl, nobody: str) -> None:
    assert wxctl("list", "--url", "ftp://x").returncode == 2
    assert wxctl("list", "--url", "http://[::1").returncode == 2
    done = wxctl("list", "--url", nobody.replace("//", "//bo:geheim@") + "/wx")
    assert done.returncode == 3
    assert "geheim" not in done.stderr


# --- with a terminal


def test_terminal_shows_the_code_and_redraws_it(wxctl: Wxctl, server: Controller) -> None:
    server.links = [LINK, LINK + "2"]
    server.script = [SCANNING, SCANNING, CONFIRMING, RUNNING]
    terminal = Terminal(wxctl, "start", "alice")
    terminal.until("alice is running as 爱丽丝")
    assert terminal.end() == 0
    # Black on white whatever the terminal's own colours are.
    assert "\x1b[38;5;16;48;5;231m  " in terminal.seen
    assert "● scanning" in re.sub(r"\x1b\[[0-9;]*m", "", terminal.seen)


def test_a_code_that_waits_to_be_scanned_is_not_drawn_again_and_again(wxctl: Wxctl, server: Controller) -> None:
    """Over a slow line it would flicker."""
    server.script = [SCANNING] * 12 + [RUNNING]
    terminal = Terminal(wxctl, "start", "alice")
    terminal.until("alice is running")
    assert terminal.end() == 0
    assert sum(method == "GET" and path.endswith("/alice") for method, path, _ in server.asked) >= 12
    assert len(terminal.seen.encode()) < 12_000  # the code twice, and the rest


def test_start_says_that_an_account_is_new(wxctl: Wxctl, server: Controller) -> None:
    """Its name may be a slip of the hand."""
    server.add("alice", **GONE)
    assert "new account" not in wxctl("start", "alice", "--no-wait").stderr
    assert (
        "alcie is a new account; if the name is a typo: wxctl remove alcie"
        in wxctl("start", "alcie", "--no-wait").stderr
    )


@pytest.mark.parametrize("size", [(50, 30), (12, 100)])
def test_code_that_does_not_fit_is_not_cropped(wxctl: Wxctl, server: Controller, size: tuple[int, int]) -> None:
    server.add("a b", **SCANNING)
    terminal = Terminal(wxctl, "qr", "a b", size=size)
    terminal.until("wxctl qr 'a b' --output qr.svg")
    assert terminal.end() == 1
    assert "the QR code needs a terminal of" in terminal.seen
    assert "▀" not in terminal.seen

    server.script = [SCANNING, SCANNING, RUNNING]
    terminal = Terminal(wxctl, "start", "a b", size=size)
    terminal.until("a b is running")
    assert terminal.end() == 0
    assert "--output" in terminal.seen
    assert "▀" not in terminal.seen


def test_ctrl_c_leaves_the_account(wxctl: Wxctl, server: Controller) -> None:
    server.script = [SCANNING]
    terminal = Terminal(wxctl, "start", "alice")
    terminal.until("▀")
    os.killpg(terminal.process.pid, signal.SIGINT)
    terminal.until("the account is left as it is")
    assert terminal.end() == 130
    assert "Traceback" not in terminal.seen
    assert [method for method, _, _ in server.asked if method != "GET"] == ["POST"]


def test_remove_asks_on_a_terminal(wxctl: Wxctl, server: Controller) -> None:
    server.add("alice")
    terminal = Terminal(wxctl, "remove", "alice")
    terminal.until("Remove alice")
    terminal.type("n\n")
    terminal.until("wxctl: alice is not removed")
    assert terminal.end() == 130
    assert "interrupted" not in terminal.seen
    assert "alice" in server.accounts
