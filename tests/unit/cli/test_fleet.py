"""wxctl fleet and doctor: the other hosts of the controller."""

import json
import time

import pytest

from tests.unit.cli.conftest import Wxctl
from tests.unit.cli.standin import Controller
from wxcontroller.core.jsontypes import JsonObject

UP: JsonObject = {
    "name": "b",
    "url": "https://b.example",
    "state": "up",
    "reason": "",
    "version": "2.4.0",
    "accounts": 3,
}
DOWN: JsonObject = {**UP, "name": "c", "state": "unreachable", "reason": "Connection refused", "version": None}


def fleet(*hosts: JsonObject, **duplicates: list[str]) -> JsonObject:
    return {
        "name": "a",
        "hosts": [{**host, "since": int(time.time()) - 600} for host in hosts],
        "duplicates": [{"account": name, "hosts": [*found]} for name, found in duplicates.items()],
    }


def test_hosts_are_shown_with_what_is_wrong(server: Controller, wxctl: Wxctl) -> None:
    server.fleet = fleet(UP)
    done = wxctl("fleet")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].split() == ["b", "up", "10", "min", "3", "2.4.0", "https://b.example"]
    server.fleet = fleet(UP, DOWN, bob=["a", "c"])
    done = wxctl("fleet")
    assert done.returncode == 1
    assert "Connection refused" in done.stdout
    assert "bob exists on more than one host: a, c" in done.stdout
    assert json.loads(wxctl("fleet", "--json").stdout) == server.fleet


def test_a_machine_without_a_fleet_says_so(server: Controller, wxctl: Wxctl) -> None:
    done = wxctl("fleet")
    assert (done.returncode, done.stdout) == (0, "")
    assert "[fleet]" in done.stderr


@pytest.mark.parametrize(
    ("told", "level"), [(fleet(UP), "ok"), (fleet(DOWN), "fail"), (fleet(UP, bob=["a", "b"]), "fail")]
)
def test_the_doctor_looks_at_the_hosts(server: Controller, wxctl: Wxctl, told: JsonObject, level: str) -> None:
    server.fleet = told
    found = json.loads(wxctl("doctor", "--json").stdout)
    assert {each["level"] for each in found if each["check"] == "fleet"} == {level}
