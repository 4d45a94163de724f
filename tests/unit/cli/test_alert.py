"""wxctl alert: whether alerts get through, and what is wrong."""

import json
import time

from tests.unit.cli.conftest import Wxctl
from tests.unit.cli.standin import Controller
from wxcontroller.core.jsontypes import JsonObject


def state(**outcomes: str | None) -> JsonObject:
    """An answer in which channels have tried the test ("" for success), or an older alert (None)."""
    channels: JsonObject = {}
    for name, error in outcomes.items():
        last: JsonObject = {"id": "old", "error": "it answers 500", "time": 1_700_000_000}
        if error is not None:
            last = {"id": "new", "error": error or None, "time": int(time.time())}
        channels[name] = {"waiting": 0, "oldest_since": None, "last": last}
    return {"channels": channels, "problems": []}


def test_a_test_waits_for_each_way_and_says_how_it_went(server: Controller, wxctl: Wxctl) -> None:
    server.alerts = [state(webhook=None, mail=None), state(webhook="", mail=None), state(webhook="", mail="")]
    done = wxctl("alert", "test")
    assert (done.returncode, done.stdout) == (0, "webhook: delivered\nmail: delivered\n")


def test_a_way_that_fails_is_named_with_what_to_do(server: Controller, wxctl: Wxctl) -> None:
    server.alerts = [state(webhook="", mail="/usr/sbin/sendmail can't be run: No such file or directory")]
    done = wxctl("alert", "test")
    assert done.returncode == 1
    assert "webhook: delivered\n" in done.stdout
    assert "mail: /usr/sbin/sendmail can't be run" in done.stdout
    assert "journalctl -u wxcontroller-alert@mail" in done.stderr
    done = wxctl("alert", "test", "--json")
    assert json.loads(done.stdout)["channels"]["webhook"] is None


def test_a_way_that_does_not_try_is_not_waited_for_without_end(server: Controller, wxctl: Wxctl) -> None:
    server.alerts = [state(webhook=None)]
    done = wxctl("alert", "test", "--timeout", "0.5")
    assert done.returncode == 1
    assert "webhook: not tried within 0.5 s" in done.stdout
    assert "systemctl restart wxcontroller-alert@webhook" in done.stderr


def test_the_status_tells_the_ways_and_what_is_wrong(server: Controller, wxctl: Wxctl) -> None:
    answer = state(webhook=None, mail="")
    answer["problems"] = [
        {"message": "Account alice has given up: flagged.", "told": True},
        {"message": "Account bob does not hear WeChat.", "told": False},
    ]
    server.alerts = [answer]
    done = wxctl("alert", "status")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("webhook: last ")
    assert lines[0].endswith("it answers 500")
    assert lines[1].endswith("delivered")
    assert lines[2:] == [
        "Account alice has given up: flagged.",
        "Account bob does not hear WeChat. (not reported yet)",
    ]
    assert json.loads(wxctl("alert", "status", "--json").stdout) == answer


def test_without_a_channel_the_status_says_so_and_what_is_wrong(server: Controller, wxctl: Wxctl) -> None:
    server.alerts = [{"channels": {}, "problems": [{"message": "Account bob is offline.", "told": False}]}]
    done = wxctl("alert", "status")
    assert (done.returncode, done.stdout) == (0, "Account bob is offline.\n")
    assert "[alerts]" in done.stderr
