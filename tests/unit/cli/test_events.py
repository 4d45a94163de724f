"""wxctl events: output, reconnecting, and cursors."""

import json

import pytest

from tests.patience import PATIENCE
from tests.unit.cli.conftest import Wxctl
from tests.unit.cli.host import RUNNING, Host
from tests.unit.cli.terminal import Terminal


def happens(host: Host, **report: str) -> None:
    """Have alice's program report a message."""
    report = {"post_type": "receive_message", "type": "friend_message", "sender": "王芳", "receiver": "我", **report}
    log = host.process("alice").log
    host.call(lambda: log.append({**report}, deliver=True))
    assert host.do(log.settled(PATIENCE))


@pytest.fixture(autouse=True)
def account(host: Host) -> None:
    host.add("alice", RUNNING)


def test_events_are_lines(wxctl: Wxctl, host: Host) -> None:
    happens(host, content="早上好")
    happens(host, content="a\x1b[31mb\nc")
    done = wxctl("events", "alice", "--since", "1h", "--type", "friend_message", "-n", "2")
    assert done.returncode == 0
    first, second = done.stdout.splitlines()
    assert first.endswith(" alice friend_message 王芳 → 我: 早上好")
    assert second.endswith("a [31mb c")  # what others write does not steer the terminal


def test_events_continue_after_a_disconnection(wxctl: Wxctl, host: Host) -> None:
    place = wxctl.directory / "cursor"
    happens(host, content="before")
    terminal = Terminal(wxctl, "events", "--cursor-file", str(place), "-n", "2")
    host.until(lambda: "GET events" in host.asked)
    happens(host, content="one")
    terminal.until("one")
    host.until(place.exists)
    first = place.read_text().strip()
    host.call(host.break_off)
    happens(host, content="two")
    shown = terminal.rest()
    assert (terminal.end(), shown.count("one"), "before" in shown) == (0, 1, False)
    assert "two" in shown
    assert "trying again" in shown
    assert host.requests[-1].headers["Last-Event-ID"] == first
    happens(host, content="three")
    assert wxctl("events", "alice", "--cursor-file", str(place), "-n", "1").stdout.endswith("three\n")


def test_events_start_at_a_time_or_cursor(wxctl: Wxctl, host: Host) -> None:
    happens(host, content="one")
    assert wxctl("events", "--since", "2026-11-25T08:00+00:00", "-n", "1").returncode == 0
    shown = json.loads(wxctl("events", "--since", "1h", "-n", "1", "--json").stdout)
    happens(host, content="two")
    assert wxctl("events", "--after", shown["cursor"], "-n", "1").stdout.endswith("two\n")
    places = [request.headers["Last-Event-ID"] for request in host.requests if request.path == "/v1/events"]
    assert (places[0], places[2]) == ("1795593600000000", shown["cursor"])
