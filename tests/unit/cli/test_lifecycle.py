"""wxctl start, stop, restart, remove and answer: one account or several, with a terminal or without."""

import asyncio
import io
import json
import os
import re
import signal

import pytest
from rich.console import Console

from tests.patience import PATIENCE
from tests.unit.cli.conftest import Wxctl
from tests.unit.cli.host import (
    ASKING,
    ASKING_CODE,
    CONFIRMING,
    CRASH_LOOP,
    FAILED,
    LINK,
    PARKED,
    RESTARTING,
    RUNNING,
    SCANNING,
    STOPPED,
    Host,
    State,
    up,
)
from tests.unit.cli.terminal import Terminal
from wxcontroller.cli.output.startdisplay import display_for
from wxcontroller.controller.accounts.units import Verb
from wxcontroller.core.names import parse_name
from wxcontroller.core.states import LoginState
from wxcontroller.core.text.templates import Text

LOADING = up(LoginState.LOADING, status="loading")


def changed(host: Host) -> list[str]:
    """The accounts that something was done to, in any order."""
    return sorted(change.split("/")[1] for change in host.changes)


@pytest.fixture
def shops(host: Host) -> list[str]:
    names = [f"shop-{number}" for number in range(8)]
    for name in (*names, "bob"):
        host.add(name, RUNNING)
    return names


# --- one account


def test_login_link_lets_a_browser_see_the_code(wxctl: Wxctl, host: Host) -> None:
    host.add("alice", SCANNING)
    done = wxctl("login-link", "alice")
    assert (done.returncode, "works on this machine only" in done.stderr) == (0, True)
    page, _, secret = done.stdout.strip().partition("#")
    assert page == f"{host.url}/page/login"
    headers = {"X-Login-Link": secret, "X-Login-Browser": "1" * 64}
    assert host.do(host.machine.v1("GET", "login-code", headers=headers))[0] == 200
    link = wxctl("login-link", "alice", "--base", "https://wx.example").stdout
    assert link.startswith("https://wx.example/page/login#")


def test_start_follows_the_states_until_running(wxctl: Wxctl, host: Host) -> None:
    host.script = [SCANNING, SCANNING, CONFIRMING, RUNNING]
    done = wxctl("start", "alice", "--wait")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("alice: scanning: waiting for a scan of QR code 1 of 10") == 1
    assert "alice: confirming" in done.stdout
    assert done.stdout.endswith("alice is running as 爱丽丝. Next: send a message to yourself, to filehelper.\n")
    assert LINK not in done.stdout + done.stderr  # lines without a terminal end in logs
    done = wxctl("--json", "start", "alice")
    assert json.loads(done.stdout)["login_state"] == "running"
    assert "alice: running" in done.stderr


def test_new_account_gets_its_route_by_one_question(wxctl: Wxctl, host: Host) -> None:
    host.script = [SCANNING, RUNNING]
    terminal = Terminal(wxctl, "start", "alice")
    terminal.until("Route [ilink]: ")
    assert "writes first" in " ".join(terminal.seen.split())
    terminal.type("\r")
    assert "write to the bot" in terminal.rest()
    assert options(wxctl, "alice") == ("ilink", "request")
    host.script = [RUNNING] * 9
    again = Terminal(wxctl, "start", "alice")
    assert "Route [" not in again.rest()
    given = Terminal(wxctl, "start", "bob", "--driver", "web")
    assert "Route [" not in given.rest() and "filehelper" in given.seen
    silent = wxctl("start", "carol")
    assert "carol uses the route web, the default" in silent.stderr
    terminal = Terminal(wxctl, "add", "dora")
    terminal.until("Route [ilink]: ")
    terminal.type("web\r")
    terminal.rest()
    assert options(wxctl, "dora") == ("web", "request")


def options(wxctl: Wxctl, name: str) -> tuple[str, str]:
    """Return an account's route, and where it is from."""
    driver = json.loads(wxctl("show", name, "--json").stdout)["options"]["driver"]
    return driver["value"], driver["from"]


@pytest.mark.parametrize(
    ("states", "code", "words"),
    [
        ((SCANNING, PARKED), 6, "no phone scanned any of the QR codes"),
        ((SCANNING, ASKING_CODE), 6, "alice: the phone shows a code"),
        ((SCANNING, FAILED), 5, "wxclient@alice.service has failed"),
        ((SCANNING, STOPPED), 1, "alice was stopped"),
        ((RESTARTING, CRASH_LOOP), 5, "the process keeps exiting"),
    ],
)
def test_failed_start_ends_with_the_reason(
    wxctl: Wxctl, host: Host, states: tuple[State, ...], code: int, words: str
) -> None:
    host.script = [*states]
    done = wxctl("start", "alice", "--wait")
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    assert "wxctl " in done.stderr.splitlines()[-1]  # what to do


def test_start_gives_up_waiting_but_not_the_account(wxctl: Wxctl, host: Host) -> None:
    host.add("alice", SCANNING)
    done = wxctl("start", "alice", "--wait", "--timeout", "1")
    assert done.returncode == 1
    assert "alice: still scanning after 1 s" in done.stderr
    assert host.changes == ["POST accounts/alice/start"]


@pytest.mark.parametrize("verb", ["start", "restart"])
@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
def test_start_in_a_script_ends_when_a_code_has_to_be_scanned(
    wxctl: Wxctl, host: Host, verb: str, form: tuple[str, ...]
) -> None:
    host.add("alice", SCANNING)
    host.script = [LOADING, SCANNING]
    done = wxctl(*form, verb, "alice", "--timeout", "60")
    assert (done.returncode, "wxctl qr alice" in done.stderr, LINK in done.stderr) == (10, True, False)
    if form:
        assert json.loads(done.stderr.splitlines()[-1])["error"]["code"] == "needs-scan"


def test_start_with_an_option_that_has_no_value(wxctl: Wxctl, host: Host) -> None:
    done = wxctl("start", "alice", "--option", "send_interval")
    assert (done.returncode, host.asked) == (2, [])
    assert "KEY=VALUE" in done.stderr


def test_unreachable(wxctl: Wxctl, unused_url: str) -> None:
    for verb in (["list"], ["send", "alice", "x", "y"], ["list", "--url", unused_url.replace("//", "//bo:geheim@")]):
        done = wxctl("--url", unused_url, *verb)
        assert done.returncode == 3, verb
        assert f"{unused_url} cannot be reached: Connection refused" in done.stderr
        assert "geheim" not in done.stderr


@pytest.mark.parametrize(
    ("state", "value", "question"),
    [(ASKING, "yes", "allow-desktop"), (ASKING_CODE, "123456", "verify-code")],
    ids=["consent", "code"],
)
def test_an_answer_on_the_command_line(wxctl: Wxctl, host: Host, state: State, value: str, question: str) -> None:
    host.add("alice", state)
    host.process("alice").accepted = value
    done = wxctl("answer", "alice", value)
    assert (done.returncode, "wxctl start alice" in done.stdout) == (0, True)
    assert host.process("alice").answers == [{"id": question, "value": value}]


# --- with a terminal


def test_terminal_shows_the_code_and_redraws_it(wxctl: Wxctl, host: Host) -> None:
    host.script = [SCANNING, SCANNING.but(qrcode_link=f"{LINK}2"), CONFIRMING, RUNNING]
    terminal = Terminal(wxctl, "start", "alice", "--driver", "web")
    terminal.until("alice is running as 爱丽丝")
    assert terminal.end() == 0
    # Black on white whatever the terminal's own colours are.
    assert "\x1b[38;5;16;48;5;231m  " in terminal.seen
    assert "● scanning" in re.sub(r"\x1b\[[0-9;]*m", "", terminal.seen)


def test_ctrl_c_leaves_the_account_running(wxctl: Wxctl, host: Host) -> None:
    host.script = [SCANNING]
    terminal = Terminal(wxctl, "start", "alice", "--driver", "web")
    terminal.until("▀")
    os.killpg(terminal.process.pid, signal.SIGINT)
    terminal.until("the account is left as it is")
    assert terminal.end() == 130
    assert "Traceback" not in terminal.seen
    assert host.changes == ["POST accounts/alice/start"]


def test_consent_is_requested_on_a_terminal(wxctl: Wxctl, host: Host) -> None:
    host.add("alice", ASKING)
    for typed, code, answers in (("n", 130, []), ("y", 0, [{"id": "allow-desktop", "value": "yes"}])):
        terminal = Terminal(wxctl, "answer", "alice")
        terminal.until("[y/N]")
        assert "account's safety" in terminal.seen
        terminal.type(f"{typed}\n")
        terminal.rest()
        assert (terminal.end(), host.process("alice").answers) == (code, answers)


def test_interactive_start_asks_until_the_code_is_correct(wxctl: Wxctl, host: Host) -> None:
    host.script = [SCANNING, ASKING_CODE]
    terminal = Terminal(wxctl, "start", "alice", "--driver", "web")
    terminal.until("(6 digits): ")
    terminal.type("111111\n")
    terminal.until("(6 digits): 111111")
    while terminal.seen.count("(6 digits): ") < 2:
        terminal.read()
    host.process("alice").accepted = "123456"
    host.script = [RUNNING]
    terminal.type("123456\n")
    terminal.until("alice is running")
    assert terminal.end() == 0
    assert host.process("alice").answers == [{"id": "verify-code", "value": "123456"}]


def test_remove_asks_once_on_a_terminal(wxctl: Wxctl, host: Host, shops: list[str]) -> None:
    terminal = Terminal(wxctl, "remove", "shop-*")
    terminal.until("Remove 8 accounts")
    terminal.type("n\n")
    terminal.until("are not removed")
    assert (terminal.end(), len(host.names)) == (130, 9)
    refused = wxctl("remove", "shop-*")
    assert (refused.returncode, "--yes" in refused.stderr) == (2, True)
    done = wxctl("remove", "shop-*", "--yes")
    assert (done.returncode, host.names) == (0, ["bob"])


# --- several accounts


def test_a_pattern_means_all_accounts_that_match_four_at_a_time(wxctl: Wxctl, host: Host, shops: list[str]) -> None:
    barrier, restart = asyncio.Barrier(4), host.machine.units.act
    at_once, under_way = [], set[str]()

    async def act(verb: Verb, instance: str, timeout: float) -> None:
        under_way.add(instance)
        at_once.append(len(under_way))
        async with asyncio.timeout(PATIENCE):
            await barrier.wait()
        await restart(verb, instance, timeout)
        under_way.discard(instance)

    host.machine.units.act = act  # type: ignore[method-assign]
    done = wxctl("restart", "shop-*")
    assert done.returncode == 0, done.stderr
    assert changed(host) == shops
    assert max(at_once) == 4
    assert done.stdout.splitlines()[-1] == "8 accounts: 8 done, 0 failed"


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
    assert (done.returncode, "wxctl start 'shop-9*'" in done.stderr) == (4, True)
    assert wxctl("restart", "shop-9", "--no-wait").returncode == 0  # its name does
    assert changed(host) == [*shops, "shop-9"]


def test_the_exit_code_is_the_highest_and_each_failure_has_its_remedy(wxctl: Wxctl, host: Host) -> None:
    host.add("fine", RUNNING)
    host.add("parked", PARKED)
    host.add("broken", FAILED)
    done = wxctl("restart", "fine", "parked", "broken", "nobody")
    assert done.returncode == 6
    assert done.stdout.splitlines()[-1] == "4 accounts: 1 done, 3 failed"
    for words in ("no phone scanned", "wxctl start parked", "has failed", "wxctl logs broken", "no account nobody"):
        assert words in done.stderr
    host.add("new", SCANNING)
    done = wxctl("restart", "fine", "new")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (10, "2 accounts: 1 done, 0 failed, 1 to be scanned")


def test_json_is_an_object_for_a_name_and_an_array_for_several_or_a_pattern(
    wxctl: Wxctl, host: Host, shops: list[str]
) -> None:
    assert json.loads(wxctl("restart", "bob", "--json").stdout)["name"] == "bob"
    assert [load["name"] for load in json.loads(wxctl("restart", "b*", "--json").stdout)] == ["bob"]
    done = wxctl("stop", "shop-3", "nobody", "bob", "--json")
    first, second, third = json.loads(done.stdout)  # in the order of the arguments
    assert (first["name"], second["name"], third["name"], done.returncode) == ("shop-3", "nobody", "bob", 4)
    assert (second["error"]["code"], second["error"]["exit_code"]) == ("unknown", 4)


def test_unmatched_pattern_or_invalid_name_prevents_the_action(wxctl: Wxctl, host: Host, shops: list[str]) -> None:
    assert wxctl("stop", "bob", "nothing-*").returncode == 4
    assert wxctl("remove", "--yes", "bob", "../etc").returncode == 2
    assert changed(host) == []


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


def test_bad_settings_are_the_reason_of_a_failed_account(wxctl: Wxctl, host: Host) -> None:
    host.add("alice")
    override = host.machine.paths.override_file("alice")
    override.parent.mkdir()
    override.write_text('MOJO_WEIXIN_SEND_INTERVAL="soon"\n')
    cause = f"{override}:1: MOJO_WEIXIN_SEND_INTERVAL: must be a number of seconds from 0 to 3600"
    host.machine.units.refuse = "exit-code"  # as systemd does after exit status 78
    for verb in ("start", "status"):
        done = wxctl(verb, "alice")
        shown = " ".join((done.stdout + done.stderr).split())
        assert (done.returncode, cause in shown) == (5, True), shown
        assert "then start the account again: wxctl start alice" in shown
    override.unlink()
    assert cause not in wxctl("status", "alice").stdout


def test_words_before_the_first_state_are_drawn_at_once() -> None:
    drawn = io.StringIO()
    terminal = Console(file=drawn, force_terminal=True, width=80, _environ={"TERM": "xterm"})
    with display_for(terminal) as display:
        display.say(Text("the controller does not answer"))
        assert "the controller does not answer" in drawn.getvalue()
