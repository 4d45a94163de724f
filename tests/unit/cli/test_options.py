"""add, show, set, logout: what is asked of the controller, and what is said."""

import json

import pytest

from tests.unit.cli.conftest import Wxctl
from tests.unit.cli.standin import Controller


def test_a_name_that_can_not_be_is_not_asked_for(wxctl: Wxctl, server: Controller) -> None:
    assert wxctl("add", ".x").returncode == 2
    assert wxctl("add", "x", "-o", "lang").returncode == 2
    assert server.asked == []


def test_options_are_shown_with_their_origin(wxctl: Wxctl, server: Controller) -> None:
    server.add("alice")
    server.options = {
        "lang": {"value": "en_US", "default": "zh_CN", "from": "settings"},
        "post_api": {"value": "http://h/in?key=…", "default": "", "from": "request"},
        "send_interval": {"value": "3", "default": "3", "from": "default"},
    }
    rows = [line.split() for line in wxctl("show", "alice").stdout.splitlines()]
    assert rows == [
        ["OPTION", "VALUE", "FROM"],
        ["lang", "en_US", "settings"],
        ["post_api", "http://h/in?key=…", "request"],
    ]
    server.limits = {
        "cookies": {"value": "300", "default": "200", "from": "settings"},
        "xml_depth": {"value": "50", "default": "50", "from": "default"},
    }
    shown = wxctl("show", "alice").stdout
    assert shown.splitlines()[-1].split() == ["limits.cookies", "300", "settings"]
    assert "xml_depth" not in shown
    assert "limits.xml_depth" in wxctl("show", "alice", "--all").stdout
    server.limits = {}
    assert "send_interval  3" in wxctl("show", "alice", "--all").stdout
    assert json.loads(wxctl("show", "alice", "--json").stdout)["options"] == server.options
    server.options = {}
    assert "no options but the defaults" in wxctl("show", "alice").stderr


def test_what_waits_for_a_restart_is_told(wxctl: Wxctl, server: Controller) -> None:
    server.add("alice")
    server.options = {"send_interval": {"value": "3", "in_force": "9", "default": "3", "from": "default"}}
    server.waiting = ["send_interval"]
    done = wxctl("show", "alice")
    assert done.stdout.splitlines()[-1].split() == ["send_interval", "3", "default"]
    assert "until its next start it runs with send_interval=9: wxctl restart alice" in done.stderr


@pytest.mark.parametrize("arguments", [(), ("lang",), ("nonsense=1",), ("--unset", "nonsense")])
def test_what_is_no_option_is_refused_here(wxctl: Wxctl, server: Controller, arguments: tuple[str, ...]) -> None:
    server.add("alice")
    assert wxctl("set", "alice", *arguments).returncode == 2
    assert server.asked == []


def test_what_fails_is_json_too(wxctl: Wxctl, server: Controller, nobody: str) -> None:
    for arguments, code, word in (
        (("show", "alice", "--json"), 4, "unknown"),
        (("--json", "set", "alice"), 2, "usage"),
        (("start", "--json"), 2, "usage"),
        (("list", "--json", "--url", nobody.replace("127.0.0.1", "127.0.0.2")), 3, "unreachable"),
    ):
        done = wxctl(*arguments)
        error = json.loads(done.stderr.splitlines()[-1])["error"]
        assert (done.returncode, error["exit_code"], error["code"]) == (code, code, word), arguments
        assert error["message"]
