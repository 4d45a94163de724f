"""events: what is shown, how it goes on after a break, and where a reader was."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from io import BytesIO
from typing import cast

import pytest

from tests.unit.cli.conftest import Wxctl
from tests.unit.cli.standin import RUNNING, Controller
from wxcontroller.cli import serversent
from wxcontroller.cli.serversent import followed
from wxcontroller.core.errors import ControllerUnreachable
from wxcontroller.core.jsontypes import JsonObject

HEARTBEAT = "id: 100\nevent: heartbeat\ndata: {}\n\n"


def event(number: int, account: str = "alice", **report: str) -> str:
    body: JsonObject = {
        "id": f"5f3a9c01-{number}",
        "account": account,
        "time": 1795600000.5,
        "type": "friend_message",
        "report": {"post_type": "receive_message", "sender": "王芳", "receiver": "我", **report},
    }
    place = f"id: 100.{account}=5f3a9c01-{number}\n"
    return f"{place}event: friend_message\ndata: {json.dumps(body)}\n\n"


@pytest.fixture(autouse=True)
def account(server: Controller) -> None:
    server.add("alice", **RUNNING)


def test_events_are_lines(wxctl: Wxctl, server: Controller) -> None:
    server.streams = [HEARTBEAT + event(1, content="早上好") + event(2, content="a\x1b[31mb\nc")]
    done = wxctl("events", "alice", "--type", "friend_message", "-n", "2")
    assert done.returncode == 0
    first, second = done.stdout.splitlines()
    assert first.endswith(" alice friend_message 王芳 → 我: 早上好")
    assert second.endswith("a [31mb c")  # what others write does not steer the terminal


def test_after_a_break_it_goes_on_where_it_was(wxctl: Wxctl, server: Controller) -> None:
    server.streams = [HEARTBEAT + event(1) + event(2), event(2) + event(3)]
    done = wxctl("events", "--json", "-n", "3")
    ids = [json.loads(line)["event"]["id"] for line in done.stdout.splitlines()]
    assert ids == ["5f3a9c01-1", "5f3a9c01-2", "5f3a9c01-3"]
    assert server.cursors[1] == "100.alice=5f3a9c01-2"
    assert "trying again" in done.stderr


def test_a_break_is_told_once_and_not_at_each_try(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serversent, "_FIRST_PAUSE", 0.01)
    tries = iter((False, False, False, True, False, True))

    @contextmanager
    def connect(_: str) -> Iterator[HTTPResponse]:
        if not next(tries):
            raise ControllerUnreachable("the controller is away")
        yield cast(HTTPResponse, BytesIO(f"{event(1)}{event(2)}".encode()))

    sent = followed(connect, "")
    assert [next(sent).kind for _ in range(3)]
    told = capsys.readouterr().err.splitlines()
    away, ended = "wxctl: the controller is away; trying again", "wxctl: the stream has ended; trying again"
    assert told == [away, ended, away]


def test_from_a_time_on(wxctl: Wxctl, server: Controller) -> None:
    server.streams = [event(1)] * 2
    assert wxctl("events", "--since", "2026-11-25T08:00+00:00", "-n", "1").returncode == 0
    assert server.cursors == ["1795593600000000"]
    assert wxctl("events", "--after", "5.alice=5f3a9c01-7", "-n", "1").returncode == 0
    assert server.cursors[1] == "5.alice=5f3a9c01-7"


@pytest.mark.parametrize(
    "arguments",
    [("--since", "soon"), ("--after", "x y"), ("--since", "1h", "--after", "5"), ("-n", "0"), (".x",)],
)
def test_what_makes_no_sense(wxctl: Wxctl, server: Controller, arguments: tuple[str, ...]) -> None:
    assert wxctl("events", *arguments).returncode == 2
    assert server.cursors == []


def test_who_is_not_let_in_is_told_and_not_waited_for(wxctl: Wxctl, server: Controller) -> None:
    server.tokens = {"T"}
    assert wxctl("events").returncode == 7


def test_a_type_that_does_not_exist_is_refused_with_those_that_do(wxctl: Wxctl, server: Controller) -> None:
    done = wxctl("events", "--type", "friend_message", "--type", "nonsense")
    assert (done.returncode, done.stdout, server.cursors) == (2, "", [])
    assert "nonsense" in done.stderr
    for known in ("friend_message", "group_notice", "state_change", "lose_group_member"):
        assert known in done.stderr
