"""wxctl logs for another machine reads the journal through its controller."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Wxctl, program
from tests.unit.cli.host import RUNNING, Host
from tests.unit.cli.terminal import Terminal
from tests.unit.controller.test_journal import Journal, line
from wxcontroller.cli.errors import BadUsage
from wxcontroller.cli.remotelogs import moment
from wxcontroller.core.names import parse_name

STAMP = time.strftime("%b %d %H:%M:%S", time.localtime(1700000000))


def journal(host: Host, *lines: bytes) -> None:
    """Have the journal consist of these lines."""
    host.do(host.machine.stack.enter_async_context(Journal(host.machine.paths, b"".join(lines)).open()))


@pytest.fixture(autouse=True)
def account(host: Host, stand_in_program: Path) -> None:
    """The controller is not this machine's: systemd has no socket of its port, and journalctl would say so."""
    host.add("小店", RUNNING)
    program(stand_in_program, "systemctl", "echo 'Listen=127.0.0.1:1 (Stream)'\n")
    program(stand_in_program, "journalctl", "echo another machine; exit 9\n")


def test_logs_shows_the_newest_lines(wxctl: Wxctl, host: Host) -> None:
    journal(host, line("logged in"), line("two\nlines \x1b[2J", PRIORITY="3"))
    done = wxctl("logs", "小店", "-n", "2")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{STAMP} logged in\n{STAMP} two\n{' ' * 16}lines  [2J\n"
    assert wxctl("logs", "小店", "-n", "0").stdout == ""
    assert wxctl("logs", "nobody").returncode == 4


def test_following_continues_after_a_disconnection_without_repeats(wxctl: Wxctl, host: Host) -> None:
    unit = Journal(host.machine.paths)
    host.do(host.machine.stack.enter_async_context(unit.open()))
    terminal = Terminal(wxctl, "logs", "小店", "-f")
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
    assert unit.questions == [f"{instance} 10 follow\n", f"{instance} 10 follow after=i=2\n"]


def test_times_are_formatted_like_journalctl() -> None:
    now = time.time()
    for given, seconds in (("30s", 30), ("-10m", 600), ("2h ago", 7200), ("7d", 604800), ("2 min ago", 120)):
        assert abs(now - seconds - moment(given)) < 5, given
    assert moment("@1700000000") == 1700000000
    assert moment("2026-01-31 08:00") == moment("2026-01-31T08:00:00")
    assert moment("yesterday") < moment("today") <= now
    assert moment("00:00") == moment("today")
    for wrong in ("soon", "", "25:00", "@x", "-h"):
        with pytest.raises(BadUsage):
            moment(wrong)
