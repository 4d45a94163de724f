"""wxctl refuses wrong arguments and does nothing."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Wxctl, program
from tests.unit.cli.host import RUNNING, Host


def test_in_json_wrong_usage_is_an_object_with_the_verbs_help(wxctl: Wxctl) -> None:
    for arguments in (["--json", "list", "--bogus"], ["list", "--bogus", "--json"], ["list", "--json", "--bogus"]):
        done = wxctl(*arguments)
        error = json.loads(done.stderr)["error"]
        assert (done.returncode, error["code"], error["remedy"]) == (2, "usage", "see: wxctl list --help")
    assert "see: wxctl token create --help" in wxctl("token", "create", "--json").stderr
    assert "{" not in wxctl("send", "alice", "--", "--json").stderr


def test_accounts_move_on_their_own_machine_only(wxctl: Wxctl, host: Host, stand_in_program: Path) -> None:
    """At the end of a tunnel another machine's account would be stopped for the copy of this one's."""
    program(stand_in_program, "systemctl", "echo 'Listen=127.0.0.1:1 (Stream)'\n")
    host.add("alice", RUNNING)
    for verb in (["export", "alice", "out", "--stop"], ["import", "in"]):
        done = wxctl(*verb, "--passphrase-file", "x")
        assert done.returncode == 2, verb
        assert "is not this machine's controller" in done.stderr
    assert host.asked == []


@pytest.mark.parametrize("arguments", [["list"], ["list", "--json"]], ids=["long", "short"])
def test_an_answer_into_a_closed_pipe(wxctl: Wxctl, host: Host, arguments: list[str]) -> None:
    """A short one only notices when the buffer is written, at the end."""
    if "--json" not in arguments:
        host.add("alice", RUNNING)
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*wxctl.command, *arguments], env=wxctl.variables, stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


VERBS = ("start", "stop", "restart", "status", "qr", "logs", "remove")
WRONG = (
    *("list --what", "start", "strat", "start a -o x", "add .x", "list --state odd", "list --url ftp://x"),
    *(f"{verb} ../etc" for verb in VERBS),
    *("events --since soon", "events --after +y", "events --since 1h --after 5", "events -n 0", "events .x"),
    *("send a @c", "send a @c -", "send a @c hello --file f", "send a @c --file empty", "send a @c --file nowhere"),
    *("deliveries replay a", "deliveries purge a", "deliveries replay a a-1 --dead", "deliveries replay"),
    *("deliveries list a --state odd", "list --url http://[::1"),
)


def test_wrong_arguments_are_refused_uniformly_without_effect(wxctl: Wxctl, host: Host) -> None:
    """The program and the failure, then what to do; whoever found it."""
    host.add("a", RUNNING)
    host.process("a").sends = []
    host.process("a").friends = [{"id": "@c", "name": "c", "displayname": "c"}]
    (wxctl.directory / "f").write_text("x")
    (wxctl.directory / "empty").touch()
    for arguments in WRONG:
        done = wxctl(*arguments.split())
        assert (done.returncode, done.stdout) == (2, ""), arguments
        failed, remedy = done.stderr.splitlines()
        assert re.match(r"wxctl: (?![A-Z][a-z])", failed), failed
        assert not failed.endswith("."), failed
        assert re.match(r"  \S", remedy), remedy
    assert host.changes == []
