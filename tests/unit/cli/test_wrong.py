"""wxctl when something is wrong: its arguments, its language, the controller, or the machine that it is used on."""

import json
import re
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.i18n import compiled
from tests.unit.cli.conftest import Wxctl, program
from tests.unit.cli.host import PARKED, RUNNING, Host

VERBS = ("start", "stop", "restart", "status", "qr", "logs", "remove")
WRONG = (
    *("list --bogus", "start", "strat", "start a -o x", "add .x", "list --state odd", "list --url ftp://x"),
    *(f"{verb} ../etc" for verb in VERBS),
    *("events --since soon", "events --after +y", "events --since 1h --after 5", "events -n 0", "events .x"),
    *("send a @c", "send a @c -", "send a @c hello --file f", "send a @c --file empty", "send a @c --file nowhere"),
    *("deliveries replay a", "deliveries purge a", "deliveries replay a a-1 --dead", "deliveries replay"),
    *("deliveries list a --state odd", "list --url http://[::1", "start a --timeout 0", "alert test --timeout -1"),
)


def test_wrong_arguments_are_refused_uniformly_without_effect(wxctl: Wxctl, host: Host) -> None:
    """The program and the failure, then what to do."""
    host.add("a", RUNNING)
    host.process("a").sends = []
    host.process("a").friends = [{"id": "@c", "name": "c", "displayname": "c"}]
    (wxctl.directory / "f").write_text("x")
    (wxctl.directory / "empty").touch()
    empty = (["events", "--since", ""], ["logs", "a", "--since", ""])  # as of an empty variable of a script
    keys = (["send", "a", "@c", "hello", "--key", key] for key in ("", "a\nb"))
    for arguments in (*map(str.split, WRONG), *empty, *keys):
        done = wxctl(*arguments)
        assert (done.returncode, done.stdout) == (2, ""), arguments
        failed, remedy = done.stderr.splitlines()
        assert re.match(r"wxctl: (?![A-Z][a-z])", failed), failed
        assert not failed.endswith("."), failed
        assert re.match(r"  \S", remedy), remedy
    assert host.changes == []
    wxctl("send", "a", "@c", "hello")
    assert host.changes == ["POST accounts/a/messages"]


def test_a_wrong_time_gets_one_answer_from_all_verbs(wxctl: Wxctl, host: Host, stand_in_program: Path) -> None:
    """The journal of this machine is read by journalctl, whose own words name neither the option nor a remedy."""
    program(stand_in_program, "systemctl", f"echo 'Listen=127.0.0.1:{urlsplit(host.url).port} (Stream)'\n")
    program(stand_in_program, "journalctl", "echo 'Failed to parse timestamp: soon' >&2; exit 1\n")
    host.add("alice", RUNNING)
    answers = {wxctl(*verb, "--since", "soon").stderr for verb in (("logs", "alice"), ("events",))}
    assert len(answers) == 1
    assert "yesterday" in answers.pop()


def test_a_hidden_option_is_not_suggested(wxctl: Wxctl) -> None:
    assert wxctl("doctor", "--foo").stderr == "wxctl: no such option: --foo\n  see: wxctl doctor --help\n"
    assert "did you mean --quiet?" in wxctl("doctor", "--quit").stderr


def test_in_json_wrong_usage_is_an_object_with_the_verbs_help(wxctl: Wxctl) -> None:
    for arguments in (["--json", "list", "--bogus"], ["list", "--bogus", "--json"]):
        done = wxctl(*arguments)
        error = json.loads(done.stderr)["error"]
        assert (done.returncode, error["code"], error["remedy"]) == (2, "usage", "see: wxctl list --help")
    assert "{" not in wxctl("send", "alice", "--", "--json").stderr


def test_messages_are_chinese_and_json_is_english(wxctl: Wxctl, host: Host, unused_url: str) -> None:
    compiled()
    wxctl.environment["LC_ALL"] = "zh_CN.UTF-8"
    host.add("bob", PARKED)
    unknown = wxctl("stop", "nobody")
    assert (unknown.returncode, unknown.stderr) == (4, "wxctl: 没有账号 nobody\n  wxctl list 可列出账号\n")
    assert f"无法连接 {unused_url} 的控制器：连接被拒绝" in wxctl("list", "--url", unused_url).stderr
    for arguments in (
        ["status", "bob"],
        ["doctor"],
        ["stop", "nobody"],
        ["list", "--bogus"],
        ["list", "--url", unused_url],
    ):
        done = wxctl(*arguments, "--json")
        assert not re.search(r"[\u4e00-\u9fff]", done.stdout + done.stderr), arguments


def test_accounts_move_on_their_own_machine_only(wxctl: Wxctl, host: Host, stand_in_program: Path) -> None:
    """At the end of a tunnel another machine's account would be stopped for the copy of this one's."""
    program(stand_in_program, "systemctl", "echo 'Listen=127.0.0.1:1 (Stream)'\n")
    host.add("alice", RUNNING)
    for verb in (["export", "alice", "out", "--stop"], ["import", "in"]):
        done = wxctl(*verb, "--passphrase-file", "x")
        assert done.returncode == 2, verb
        assert "is not this machine's controller" in done.stderr
    assert host.asked == []


# --- without the controller; system tests do the rest

CRASHING = r"""
case "$*" in *Listen*) echo "Listen=127.0.0.1:$PORT (Stream)"; exit ;; esac
while [ "$1" != -- ]; do shift || exit; done
shift
for unit; do printf 'Id=%s\nActiveState=activating\nNRestarts=7\nResult=exit-code\n\n' "$unit"; done
"""


@pytest.mark.parametrize("verb", [("list",), ("doctor", "-q")])
def test_a_controller_that_crashes_at_each_start_is_not_waited_for(
    wxctl: Wxctl, stand_in_program: Path, verb: tuple[str, ...]
) -> None:
    program(stand_in_program, "systemctl", CRASHING)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        wxctl.environment["PORT"] = str(port)
        done = wxctl(*verb, "--url", f"http://127.0.0.1:{port}")
    assert done.returncode == (1 if verb[0] == "doctor" else 3)
    assert "keeps failing; automatic restarts so far: 7" in done.stdout + done.stderr
