"""wxctl list, status, logs, events and show."""

import json
import os
import signal
import time
from dataclasses import replace
from http.client import HTTPResponse
from pathlib import Path

import pytest

from tests.inthread import in_thread
from tests.patience import PATIENCE
from tests.serving import answering
from tests.unit.cli.conftest import Wxctl, program
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
    parked,
    up,
)
from tests.unit.cli.terminal import Terminal
from tests.unit.controller.machine import reports_of
from tests.unit.controller.test_journal import Journal, line
from wxcontroller.cli.clierrors import NoResponse
from wxcontroller.cli.connection.serversent import followed
from wxcontroller.cli.localtime import moment
from wxcontroller.core.condition.deliverystate import DeliveryState
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.names import parse_name
from wxcontroller.core.states import LoginState
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import Text, text_fields

# --- list and status


def test_status_tells_by_its_exit_code(wxctl: Wxctl, host: Host) -> None:
    states = {"stopped": STOPPED, "parked": PARKED, "crashing": RESTARTING, "failed": FAILED, "down": DOWN}
    for name, state in states.items():
        host.add(name, state)
    assert [wxctl("status", name).returncode for name in states] == [0, 6, 5, 5, 5]
    assert "no phone scanned" in wxctl("status", "parked").stdout
    host.add("alice", ASKING)
    done = wxctl("status", "alice")
    assert (done.returncode, RISK in done.stdout.replace("\n", " ")) == (6, True)
    host.add("scan", SCANNING)
    host.add("offline", up(LoginState.OFFLINE))
    host.add("webhook", RUNNING)
    failing = DeliveryState(waiting=1, oldest_since=1, last_error=Text("the webhook returned 500"))
    host.process("webhook").publish(reports=reports_of(failing))
    host.add("fine", RUNNING)
    assert [wxctl("status", name).returncode for name in ("scan", "offline", "webhook", "fine")] == [6, 1, 1, 0]


def test_status_without_names_covers_all_accounts(wxctl: Wxctl, host: Host) -> None:
    host.add("alice", RUNNING)
    host.add("小店 一号", PARKED)
    host.machine.shared.settings_error = Text("wxcontroller.toml: max_clients must be at least 1")
    done = wxctl("status")
    assert done.returncode == 0
    assert "2 (1 running, 1 parked)" in done.stdout
    assert "wxctl start '小店 一号'\n" in done.stdout  # can be copied into a shell
    assert "not reloaded; the previous settings remain in use: wxcontroller.toml: max_clients" in done.stdout
    assert command("qr", "-a b", "--output", "qr.svg") == "wxctl qr --output qr.svg -- '-a b'"


def test_response_of_another_program_is_reported_as_such(wxctl: Wxctl) -> None:
    with in_thread(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>")) as server:
        done = wxctl("list", "--url", f"http://127.0.0.1:{server.entered}")
    assert (done.returncode, "not as wxcontroller does" in done.stderr) == (3, True)


def test_escape_sequences_of_accounts_do_not_reach_the_terminal(wxctl: Wxctl, host: Host) -> None:
    hostile = "\x1b]0;owned\x07\u009b2J\u202eb"
    user: JsonObject = {"id": "@a", "name": hostile + "\ud800"}
    host.add("alice", up(LoginState.RUNNING, status=hostile, user=user, state_since=10**30))
    status = {"account": "alice", "queue": {"waiting": 1, "last_error": hostile}}
    host.process("alice").status = json.dumps(status).encode()
    for arguments in (["list"], ["status", "alice"], ["status", "alice", "--json"], ["list", "--json"]):
        done = wxctl(*arguments)
        assert done.returncode == 0, done.stderr
        assert not [c for c in done.stdout + done.stderr if ord(c) < 32 and c not in "\n\t"]
        assert not {"\x9b", "\u202e"} & set(done.stdout)
    assert json.loads(wxctl("status", "alice", "--json").stdout)["queue"] == status["queue"]


def test_list_selects_and_sorts(wxctl: Wxctl, host: Host) -> None:
    now = int(time.time())
    states = {"f": FAILED, "a": RUNNING, "d": DOWN, "p": PARKED, "s": SCANNING, "z": STOPPED}
    for age, (name, state) in enumerate(states.items()):
        host.add(name, state.but(state_since=now - 100 * age) if state.file else state)
    for arguments, names in (
        (["--state", "failed", "--trouble"], "f"),
        (["--sort", "since"], "apsdfz"),  # accounts without a process have no time
        (["--sort", "state"], "dfpasz"),
        (["--trouble"], "dfps"),
        (["--sort", "severity"], "dfpsaz"),
        ([], "adfpsz"),
    ):
        done = wxctl("list", *arguments)
        assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == list(names)
    assert [load["name"] for load in json.loads(wxctl("list", "--json", "--trouble").stdout)] == list("dfps")


def test_worst_accounts_come_first_and_say_why_in_80_columns(wxctl: Wxctl, host: Host) -> None:
    host.add("a-scan", SCANNING)
    host.add("shop-number-17", PARKED.but(user={"id": "@a", "name": "小店客服一号"}))
    terminal = Terminal(wxctl, "list", "--trouble", columns=80)
    terminal.until("must be scanned")
    assert terminal.end() == 0
    first, *_ = [line for line in terminal.seen.splitlines() if "shop-number-17" in line]
    assert "no phone scanned any of the QR codes" in first  # and is not cut
    assert terminal.seen.index("shop-number-17") < terminal.seen.index("a-scan")


def test_long_reasons_are_wrapped_in_80_columns(wxctl: Wxctl, host: Host) -> None:
    words = "jslogin: cannot connect to login.wx.qq.com: its name is not known to the resolver; check the resolver"
    status = Text("login is stuck, retrying: {reason}", reason=Text(words))
    host.add("alice", up(LoginState.LOADING, **text_fields(status=status, reason=Text(words))))
    host.add("bob", parked(Text(words)))
    for arguments, times in ((["status", "alice"], 1), (["status", "bob"], 1), (["status"], 2)):
        terminal = Terminal(wxctl, *arguments, columns=80)
        shown = terminal.rest()
        terminal.end()
        assert max(map(len, shown.splitlines())) <= 80, shown
        assert " ".join(shown.split()).count(words) == times, shown
    assert words in wxctl("status", "alice").stdout  # on one line for grep


# --- show


def test_options_are_shown_with_their_origin_and_the_value_in_force(wxctl: Wxctl, host: Host) -> None:
    host.machine.accounts.settings = replace(host.machine.settings, client={"lang": "en_US"})
    host.machine.limit(contact_pages=20)
    host.add("bob", STOPPED, post_api="http://h/in?key=secret")
    assert "http://h/in?key=… " in wxctl("show", "bob").stdout
    host.add("alice", RUNNING, send_interval="9")
    in_force = {"instance": "alice", "options": {"send_interval": "9"}, "credentials": ["proxy"]}
    host.process("alice").options = json.dumps(in_force).encode()
    done = wxctl("set", "alice", "send_interval=5", "proxy=http://other.example:3128")
    assert "/etc/wxcontroller/credentials/alice.proxy" in done.stderr  # it overrides the option
    done = wxctl("show", "alice")
    rows = [line.split() for line in done.stdout.splitlines()]
    for row in (
        ["lang", "en_US", "settings"],
        ["send_interval", "5", "request"],
        ["limits.contact_pages", "20", "settings"],
    ):
        assert row in rows
    assert "until its next start it runs with send_interval=9: wxctl restart alice" in done.stderr


# --- logs


@pytest.fixture
def journalctl(wxctl: Wxctl, host: Host, stand_in_program: Path) -> Path:
    """A journalctl that prints its arguments. The controller is not this machine's: systemd has another port."""
    host.add("小店", RUNNING)
    program(stand_in_program, "systemctl", "echo 'Listen=127.0.0.1:1 (Stream)'\n")
    program(stand_in_program, "journalctl", 'printf "%s\\n" "$@"; exit 7\n')
    return stand_in_program


def test_logs_become_journalctl(wxctl: Wxctl, host: Host, journalctl: Path) -> None:
    program(journalctl, "systemctl", f"echo 'Listen=127.0.0.1:{host.port} (Stream)'\n")
    done = wxctl("logs", "小店", "-f", "-n", "20")
    assert done.returncode == 7  # journalctl's own exit code
    arguments = done.stdout.splitlines()
    assert {"--follow", "--lines=20"} <= {*arguments}
    for unit in ("wxclient", "wxclient-prepare", "wxclient-credentials"):
        assert any(argument.startswith(f"--unit={unit}@x-") for argument in arguments)
    assert "--output=json" not in arguments
    assert "--output=json" in wxctl("logs", "小店", "--json").stdout.splitlines()


def test_logs_of_another_machine_are_read_through_its_controller(wxctl: Wxctl, host: Host, journalctl: Path) -> None:
    lines = line("logged in") + line("two\nlines \x1b[2J", PRIORITY="3")
    unit = Journal(host.machine.paths, lines)
    host.do(host.machine.stack.enter_async_context(unit.open()))
    stamp = time.strftime("%b %d %H:%M:%S", time.localtime(1700000000))
    done = wxctl("logs", "小店", "-n", "2", "--since", "@1700000000")
    assert (done.returncode, done.stderr) == (0, "")
    assert unit.questions == [f"{parse_name('小店').instance} 2 once since=1700000000\n"]
    assert done.stdout == f"{stamp} logged in\n{stamp} two\n{' ' * 16}lines  [2J\n"


@pytest.mark.usefixtures("journalctl")
def test_following_continues_after_a_disconnection_without_repeats(wxctl: Wxctl, host: Host) -> None:
    unit = Journal(host.machine.paths)
    host.do(host.machine.stack.enter_async_context(unit.open()))
    terminal = Terminal(wxctl, "logs", "小店", "-f", "-n", "5")
    host.do(unit.say(line("one", __CURSOR="i=1") + line("two", __CURSOR="i=2")))
    terminal.until("two")
    host.call(host.break_off)
    host.until(lambda: len(unit.questions) == 2)
    host.do(unit.say(line("two", __CURSOR="i=2") + line("three", __CURSOR="i=3")))
    terminal.until("three")
    os.killpg(terminal.process.pid, signal.SIGINT)
    assert terminal.end() == 130
    assert [terminal.seen.count(each) for each in ("one", "two", "three", "trying again")] == [1, 1, 1, 1]
    instance = parse_name("小店").instance
    assert unit.questions == [f"{instance} 5 follow\n", f"{instance} 5 follow after=i=2\n"]


@pytest.mark.parametrize("at_first", [True, False])
def test_only_events_wait_for_a_controller_that_is_not_there(monkeypatch: pytest.MonkeyPatch, at_first: bool) -> None:
    """wxctl events is started with the machine; wxctl logs is typed by someone who wants to see why."""
    monkeypatch.setattr(time, "sleep", lambda _: None)
    cursors = list[str]()

    def connect(cursor: str) -> HTTPResponse:
        cursors.append(cursor)
        if len(cursors) == 3:
            raise WxError("this token is not valid")
        raise NoResponse("connection refused")

    with pytest.raises(WxError if at_first else NoResponse):
        next(followed(connect, "c", at_first))
    assert cursors == ["c"] * (3 if at_first else 1)


def test_times_are_formatted_like_journalctl() -> None:
    now = time.time()
    for words, seconds in (("30s", 30), ("-10m", 600), ("2h ago", 7200), ("2 min ago", 120)):
        assert abs(now - seconds - moment(words)) < 5, words
    assert moment("@1700000000") == 1700000000
    assert moment("2026-01-31 08:00") == moment("2026-01-31T08:00:00")
    assert moment("yesterday") < moment("today") == moment("00:00") <= now


# --- events


def report(host: Host, content: str, name: str = "alice", kind: str = "friend_message") -> None:
    """Have an account's process report a message."""
    log = host.process(name).log
    message: JsonObject = {"post_type": "receive_message", "type": kind, "content": content}
    host.call(lambda: log.append({**message, "sender": "王芳", "receiver": "我"}, deliver=True))
    assert host.do(log.settled(PATIENCE))


def test_events_continue_after_a_disconnection(wxctl: Wxctl, host: Host) -> None:
    host.add("alice", RUNNING)
    place = wxctl.directory / "cursor"
    report(host, "before")
    terminal = Terminal(wxctl, "events", "--cursor-file", str(place), "-n", "2")
    host.until(lambda: "GET events" in host.asked)
    report(host, "one")
    terminal.until("one")
    host.until(place.exists)
    first = place.read_text().strip()
    host.call(host.break_off)
    report(host, "two")
    shown = terminal.rest()
    assert (terminal.end(), shown.count("one"), "before" in shown) == (0, 1, False)
    assert "two" in shown
    assert "trying again" in shown
    assert host.requests[-1].headers["Last-Event-ID"] == first
    report(host, "a\x1b[31mb\nc")
    line = wxctl("events", "alice", "--cursor-file", str(place), "-n", "1").stdout
    assert line.endswith(" alice friend_message 王芳 → 我: a [31mb c\n")


def test_events_start_at_a_time_or_cursor(wxctl: Wxctl, host: Host) -> None:
    host.add("alice", RUNNING)
    report(host, "one")
    shown = json.loads(wxctl("events", "--since", "1h", "-n", "1", "--json").stdout)
    assert abs(int(host.requests[-1].headers["Last-Event-ID"]) / 1e6 - (time.time() - 3600)) < 60
    since_yesterday = json.loads(wxctl("events", "--since", "yesterday", "-n", "1", "--json").stdout)
    assert since_yesterday["event"] == shown["event"]
    report(host, "two")
    assert wxctl("events", "--after", shown["cursor"], "-n", "1").stdout.endswith("two\n")


def test_events_are_those_of_the_accounts_and_types_that_were_named(wxctl: Wxctl, host: Host) -> None:
    for name in ("alice", "bob"):
        host.add(name, RUNNING)
    for name, kind in (("bob", "friend_message"), ("alice", "group_message"), ("alice", "friend_message")):
        report(host, f"{kind} of {name}", name, kind)
    done = wxctl("events", "alice", "--type", "friend_message", "--since", "1h", "-n", "1")
    assert done.stdout.endswith(": friend_message of alice\n"), done
    assert host.requests[-1].query_string == "account=alice&types=friend_message"
