"""logs of another machine: what its controller tells of an account's journal."""

import json
import time
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Wxctl, program
from tests.unit.cli.standin import RUNNING, Controller
from wxcontroller.cli.errors import BadUsage
from wxcontroller.cli.remotelogs import moment
from wxcontroller.core.jsontypes import JsonObject

HEARTBEAT = "retry: 1000\n\nevent: heartbeat\ndata: {}\n\n"
STAMP = time.strftime("%b %d %H:%M:%S", time.localtime(1700000000))


def line(number: int, message: str, **more: object) -> JsonObject:
    return {
        "cursor": f"s={number}",
        "time": 1700000000.25,
        "priority": 6,
        "message": message,
        "event": None,
        **more,  # type: ignore[dict-item]
    }


def sent(*lines: JsonObject) -> str:
    return "".join(f"id: {one['cursor']}\nevent: line\ndata: {json.dumps(one)}\n\n" for one in lines)


@pytest.fixture(autouse=True)
def account(server: Controller, stand_in_program: Path) -> None:
    """The controller is not this machine's: systemd has no socket of its port, and journalctl would say so."""
    server.add("小店", **RUNNING)
    program(stand_in_program, "systemctl", "echo 'Listen=127.0.0.1:1 (Stream)'\n")
    program(stand_in_program, "journalctl", "echo another machine; exit 9\n")


def test_the_newest_lines(wxctl: Wxctl, server: Controller) -> None:
    server.journal = [line(1, "logged in"), line(2, "two\nlines \x1b[2J", priority=3)]
    done = wxctl("logs", "小店", "-n", "2")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{STAMP} logged in\n{STAMP} two\n{' ' * 16}lines  [2J\n"
    assert wxctl("logs", "小店", "-n", "0").stdout == ""
    assert wxctl("logs", "nobody").returncode == 4


def test_in_json_they_have_the_journals_own_fields(wxctl: Wxctl, server: Controller) -> None:
    server.journal = [line(1, "logged in", event="login"), line(2, "x\u009b", priority=3)]
    first, second = (json.loads(each) for each in wxctl("logs", "小店", "--json").stdout.splitlines())
    assert first == {
        "__CURSOR": "s=1",
        "__REALTIME_TIMESTAMP": "1700000000250000",
        "MESSAGE": "logged in",
        "PRIORITY": "6",
        "WX_EVENT": "login",
    }
    assert (second["PRIORITY"], "WX_EVENT" in second) == ("3", False)


def test_more_than_a_controller_tells(wxctl: Wxctl, server: Controller) -> None:
    server.journal = [line(number, "x") for number in range(1000)]
    done = wxctl("logs", "小店")
    assert (len(done.stdout.splitlines()), done.returncode) == (1000, 0)
    assert "the newest 1000 lines" in done.stderr
    done = wxctl("logs", "小店", "-n", "1001")
    assert (done.returncode, done.stdout) == (2, "")
    assert "wxctl logs 小店" in done.stderr


def test_following_goes_on_after_a_break_and_repeats_nothing(wxctl: Wxctl, server: Controller) -> None:
    server.streams = [
        HEARTBEAT + sent(line(1, "one"), line(2, "two")),
        HEARTBEAT + sent(line(2, "two"), line(3, "3")),
    ]
    server.refuse_streams = True
    done = wxctl("logs", "小店", "-f")
    assert done.stdout == f"{STAMP} one\n{STAMP} two\n{STAMP} 3\n"
    assert done.returncode == 7  # the stand-in lets nobody in any more, which no other try can mend
    assert done.stderr.startswith("wxctl: the stream has ended; trying again\n")
    assert server.cursors == ["", "s=2"]
    assert [path.partition("?")[2] for _, path, _ in server.asked if "?" in path] == ["lines=10"] * 2


def test_a_controller_that_is_not_there_or_knows_no_stream_is_told_at_once(
    wxctl: Wxctl, server: Controller, nobody: str
) -> None:
    done = wxctl("logs", "小店", "-f", "--url", nobody)
    assert done.returncode == 3
    assert "on its machine: journalctl -u wxclient@x-" in done.stderr
    server.journal = []
    done = wxctl("logs", "小店", "-f")
    assert done.returncode == 3
    assert "instead of a stream" in done.stderr


def test_a_time_that_is_none_is_told_before_journalctl_is_called(
    wxctl: Wxctl, stand_in_program: Path, nobody: str
) -> None:
    program(stand_in_program, "systemctl", f"echo 'Listen={nobody.removeprefix('http://')} (Stream)'\n")
    complaint = "case \"$*\" in *nonsense*) echo 'Failed to parse timestamp: nonsense' >&2; exit 1;; esac\n"
    program(stand_in_program, "journalctl", complaint + 'echo "$@"\n')
    wxctl.url = nobody
    done = wxctl("logs", "小店", "--since", "nonsense", "--json")
    assert done.returncode == 2
    assert json.loads(done.stderr)["error"]["message"] == "invalid --since: nonsense"
    done = wxctl("logs", "小店", "--since", "2h", "--json")
    assert "--since=-2h" in done.stdout
    assert "--quiet" in done.stdout  # no hints for people among the objects


def test_times_are_those_of_journalctl() -> None:
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
