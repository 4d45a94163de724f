"""What wxctl says to arguments that are wrong, and what it does not do then."""

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


@pytest.mark.parametrize(
    "arguments", [("list", "--what"), ("start",), ("strat",), ("start", "a", "-o", "x"), ("add", ".x")], ids=" ".join
)
def test_errors_have_one_form(wxctl: Wxctl, arguments: tuple[str, ...]) -> None:
    """The program and the failure, then what to do; whoever found it."""
    done = wxctl(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    failed, remedy = done.stderr.splitlines()
    assert re.match(r"wxctl: [^A-Z]", failed)
    assert not failed.endswith(".")
    assert re.match(r"  \S", remedy)
