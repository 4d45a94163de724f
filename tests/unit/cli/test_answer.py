"""Questions of an account are answered by wxctl answer, and on the terminal of wxctl start."""

import json

import pytest

from tests.unit.cli.conftest import Wxctl
from tests.unit.cli.host import ASKING, ASKING_CODE, RUNNING, SCANNING, Host, State
from tests.unit.cli.terminal import Terminal


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
    assert json.loads(wxctl("answer", "alice", value, "--json").stdout)


def test_code_is_requested_on_a_terminal(wxctl: Wxctl, host: Host) -> None:
    host.add("alice", ASKING)
    terminal = Terminal(wxctl, "answer", "alice")
    terminal.until("[y/N]")
    assert "account's safety" in terminal.seen  # the risk is told first
    terminal.type("n\n")
    assert "alice still waits" in terminal.rest()
    assert (terminal.end(), host.process("alice").answers) == (130, [])
    terminal = Terminal(wxctl, "answer", "alice")
    terminal.until("[y/N]")
    terminal.type("y\n")
    terminal.rest()
    assert (terminal.end(), host.process("alice").answers) == (0, [{"id": "allow-desktop", "value": "yes"}])


def test_code_is_not_sent_to_an_account_that_needs_none(wxctl: Wxctl, host: Host) -> None:
    host.add("alice", RUNNING)
    done = wxctl("answer", "alice", "yes")
    assert (done.returncode, "wxctl status alice" in done.stderr, host.process("alice").answers) == (1, True, [])
    assert wxctl("answer", "nobody", "yes").returncode == 4


def test_interactive_start_asks_until_the_code_is_correct(wxctl: Wxctl, host: Host) -> None:
    host.script = [SCANNING, ASKING_CODE]
    terminal = Terminal(wxctl, "start", "alice")
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
