"""events: what is shown, how it goes on after a break, and where a reader was."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from io import BytesIO
from types import SimpleNamespace
from typing import cast

import pytest

from tests.patience import PATIENCE
from tests.unit.cli.conftest import Wxctl
from tests.unit.cli.host import RUNNING, Host
from tests.unit.cli.terminal import Terminal
from wxcontroller.cli import serversent
from wxcontroller.cli.api import Api
from wxcontroller.cli.events import following
from wxcontroller.core.errors import ControllerUnreachable


def event(number: int) -> str:
    return f'id: 100.alice={number}\nevent: friend_message\ndata: {{"account": "alice", "id": "{number}"}}\n\n'


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


def test_after_a_break_it_goes_on_where_it_was(wxctl: Wxctl, host: Host) -> None:
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


def test_a_break_is_told_once_and_what_comes_twice_is_shown_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serversent, "_FIRST_PAUSE", 0.01)
    streams = iter(("", "", "", event(1) + event(2), "", event(2) + event(3)))

    @contextmanager
    def connect(*_: object) -> Iterator[HTTPResponse]:
        if not (stream := next(streams)):
            raise ControllerUnreachable("the controller is away")
        yield cast(HTTPResponse, BytesIO(stream.encode()))

    sent = following(cast(Api, SimpleNamespace(events=connect)), [], (), "")
    assert [next(sent)[0]["id"] for _ in range(3)] == ["1", "2", "3"]
    told = capsys.readouterr().err.splitlines()
    away, ended = "wxctl: the controller is away; trying again", "wxctl: the stream has ended; trying again"
    assert told == [away, ended, away]


def test_from_a_time_or_a_place_on(wxctl: Wxctl, host: Host) -> None:
    happens(host, content="one")
    assert wxctl("events", "--since", "2026-11-25T08:00+00:00", "-n", "1").returncode == 0
    shown = json.loads(wxctl("events", "--since", "1h", "-n", "1", "--json").stdout)
    happens(host, content="two")
    assert wxctl("events", "--after", shown["cursor"], "-n", "1").stdout.endswith("two\n")
    places = [request.headers["Last-Event-ID"] for request in host.requests if request.path == "/v1/events"]
    assert (places[0], places[2]) == ("1795593600000000", shown["cursor"])


@pytest.mark.parametrize(
    "arguments",
    [("--since", "soon"), ("--after", "x y"), ("--since", "1h", "--after", "5"), ("-n", "0"), (".x",)],
)
def test_what_makes_no_sense(wxctl: Wxctl, host: Host, arguments: tuple[str, ...]) -> None:
    assert wxctl("events", *arguments).returncode == 2
    assert "GET events" not in host.asked


def test_who_is_not_let_in_is_told_and_not_waited_for(wxctl: Wxctl, host: Host) -> None:
    host.token()
    assert wxctl("events").returncode == 7


def test_a_type_that_does_not_exist_is_refused_with_those_that_do(wxctl: Wxctl, host: Host) -> None:
    done = wxctl("events", "--type", "friend_message", "--type", "nonsense")
    assert (done.returncode, done.stdout, host.asked) == (2, "", [])
    assert "nonsense" in done.stderr
    for known in ("friend_message", "group_notice", "state_change", "lose_group_member"):
        assert known in done.stderr
