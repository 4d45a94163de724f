"""The reader of accounts' journals: the controller gets what accounts' units have said, and nobody anything else."""

import contextlib
import json
import time
from collections.abc import Iterator

import pytest

from tests.system.actors import Caller, Json, Phone, until, use_sandbox
from tests.system.host import Host

pytestmark = pytest.mark.system
SOCKET = "/run/wxclient-journal.sock"
ASK = """
import socket, sys
with socket.socket(socket.AF_UNIX) as asked:
    asked.connect(sys.argv[1])
    asked.sendall(sys.argv[2].encode())
    asked.shutdown(socket.SHUT_WR)
    while piece := asked.recv(65536):
        sys.stdout.buffer.write(piece)
"""


@pytest.fixture(scope="module", autouse=True)
def account(host: Host) -> None:
    use_sandbox(host)
    Phone(host)
    assert Caller(host).openwx("start_client", client="alice")["code"] == 0
    Caller(host).until_state("alice", "scaning")
    host.run("logger", "-t", "elsewhere", "a secret of another program")
    host.run("journalctl", "--sync")


def asked(host: Host, question: str, user: str = "wxcontroller") -> str:
    return host.run("/usr/bin/python3", "-c", ASK, SOCKET, question, user=user, check=False).stdout.decode()


@contextlib.contextmanager
def followed(host: Host, query: str, headers: dict[str, str] | None = None) -> Iterator[Iterator[Json]]:
    """Follow alice's journal; yields its lines as they come."""
    connection = host.connection(timeout=60)
    accept = {"Accept": "text/event-stream", **(headers or {})}
    connection.request("GET", f"/v1/accounts/alice/journal{query}", headers=accept)
    answer = connection.getresponse()
    assert answer.status == 200
    try:
        yield (
            json.loads(raw[6:])
            for raw in iter(answer.readline, b"")
            if raw.startswith(b"data: ") and raw != b"data: {}\n"
        )
    finally:
        answer.close()
        connection.close()


def test_an_accounts_lines_and_no_more_than_asked_for(host: Host) -> None:
    found = asked(host, "alice 100\n").splitlines()
    assert any("waiting for a scan" in line for line in found)
    assert any("Started wxclient@alice.service" in line for line in found)
    assert len(asked(host, "alice 2\n").splitlines()) == 2
    status, answer = Caller(host).v1("GET", "/accounts/alice/journal?lines=2")
    assert status == 200
    assert [line["event"] for line in answer["lines"]] == ["qrcode", "state"]
    assert "waiting for a scan" in answer["lines"][-1]["message"]


@pytest.mark.parametrize(
    "question",
    [
        "ssh.service 10\n",
        "* 100\n",
        "alice* 100\n",
        "a.service --unit=* 100\n",
        "alice 100 --unit=init.scope\n",
        "alice --lines=100\n",
        "alice 100000\n",
        "alice -1\n",
        "alice all\n",
        "-u 10\n",
        "--system 10\n",
        "../alice 10\n",
        "alice@x 10\n",
        "$(id) 10\n",
        "`id` 10\n",
        "alice;id 10\n",
        "小店 10\n",
        f"{'a' * 28} 10\n",
        "\n",
        "alice\n",
        "alice 10",
        "alice 10 more\n",
        "alice 10 after=s=1\n",
        "alice 10 once since=yesterday\n",
        "alice 10 once since=\n",
        "alice 10 once since=1 --unit=init.scope\n",
        "alice 10 follow --unit=init.scope\n",
        "alice 10 follow after=$(id)\n",
        "alice 10 follow after=s=1' --unit=*\n",
        f"alice 10 follow after={'0' * 300}\n",
        "",
    ],
)
def test_other_questions_get_no_answer(host: Host, question: str) -> None:
    assert asked(host, question) == ""


def test_those_after_a_line_or_from_a_time_on(host: Host) -> None:
    lines = [json.loads(line) for line in asked(host, "alice 100\n").splitlines()]
    cursors = [line["__CURSOR"] for line in lines]
    assert len(cursors) > 4
    after = asked(host, f"alice 2 once after={cursors[1]}\n").splitlines()
    assert [json.loads(line)["__CURSOR"] for line in after] == cursors[2:4]
    since = [json.loads(line)["__CURSOR"] for line in asked(host, "alice 2 once since=1\n").splitlines()]
    assert since == cursors[-2:]
    assert asked(host, f"alice 2 once since={int(time.time()) + 3600}\n") == ""


def test_lines_are_followed_as_they_are_written_and_nothing_is_left_behind(host: Host) -> None:
    caller = Caller(host)
    *_, known = asked(host, "alice 1000\n").splitlines()
    with followed(host, "?lines=1") as events:
        assert next(events)["message"] == json.loads(known)["MESSAGE"]
        told = json.loads(known)["__CURSOR"]
        caller.openwx("stop_client", client="alice")
        seen = [next(events)]
        while not seen[-1]["message"].startswith("Stopped wxclient@alice.service"):
            seen.append(next(events))
    # Who was cut off after the first line gets the same ones again.
    with followed(host, "", {"Last-Event-ID": told}) as events:
        assert [next(events) for _ in seen] == seen
    shown = ("systemctl", "list-units", "--plain", "--no-legend", "wxclient-journal@*")
    until(lambda: not host.text(*shown), "no program that reads")
    assert caller.openwx("start_client", client="alice")["code"] == 0


def test_another_accounts_line_with_this_ones_name_is_not_taken_for_its_own(host: Host) -> None:
    """Fields can be made up by who writes the line; which unit wrote it can't."""
    forged = b"MESSAGE=a forged line\nWX_ACCOUNT=alice\nUNIT=wxclient@alice.service\n\n"
    forge = "systemd-run -q --wait -p DynamicUser=yes -P logger --journald"
    host.run("sh", "-c", forge, input=forged, check=False)
    host.run("journalctl", "--sync")
    assert "a forged line" in host.text("journalctl", "--no-pager", "-n", "50")
    assert "a forged line" not in asked(host, "alice 1000\n")


@pytest.mark.parametrize("user", ["nobody", "daemon"])
def test_nobody_else_may_ask(host: Host, user: str) -> None:
    assert asked(host, "alice 10\n", user) == ""


def test_the_controller_itself_reads_no_journal(host: Host) -> None:
    assert "systemd-journal" not in host.text("id", "-nG", "wxcontroller")
    groups = host.text("sh", "-c", "grep ^Groups: /proc/$(systemctl show -P MainPID wxcontroller)/status")
    journal = host.text("getent", "group", "systemd-journal").split(":")[2]
    assert journal not in groups.split()


def test_asking_leaves_no_lines_of_its_own(host: Host) -> None:
    assert asked(host, "alice 10\n")
    host.run("journalctl", "--sync")
    assert "wxclient-journal@" not in host.text("journalctl", "--no-pager", "-b")
