"""The reader of accounts' journals gives the controller lines of accounts' units, and no other lines to any user."""

import contextlib
import json
import time
from collections.abc import Iterator

import pytest

from tests.system.actors import Caller, Json, until, use_sandbox
from tests.system.host import Host

pytestmark = pytest.mark.system
SOCKET = "/run/wxclient-journal.sock"
ASK = """
import json, socket, sys
responses = []
for question in json.loads(sys.argv[2]):
    with socket.socket(socket.AF_UNIX) as reader:
        reader.connect(sys.argv[1])
        reader.sendall(question.encode())
        reader.shutdown(socket.SHUT_WR)
        responses.append(reader.makefile().read())
print(json.dumps(responses))
"""
# Of other units, of several, of more lines, with options for journalctl, or incomplete.
_QUESTIONS = """ssh.service 10|* 100|alice* 100|alice 100 --unit=init.scope|alice 100000|alice all|--system 10
../alice 10|$(id) 10|alice;id 10|alice|alice 10 after=s=1|alice 10 once since=1 --unit=init.scope
alice 10 follow after=s=1' --unit=*"""
REFUSED = [f"{question}\n" for line in _QUESTIONS.splitlines() for question in line.split("|")]
REFUSED += ["", "alice 10", f"{'a' * 28} 10\n", f"alice 10 follow after={'0' * 300}\n"]


@pytest.fixture(scope="module", autouse=True)
def account(host: Host) -> None:
    use_sandbox(host)
    assert Caller(host).openwx("start_client", client="alice")["code"] == 0
    Caller(host).until_state("alice", "scaning")
    host.run("logger", "-t", "elsewhere", "a secret of another program")
    host.run("journalctl", "--sync")


def responses(host: Host, *questions: str, user: str = "wxcontroller") -> list[str]:
    ask = ("/usr/bin/python3", "-c", ASK, SOCKET, json.dumps(questions))
    return list(json.loads(host.run(*ask, user=user, check=False).stdout or "[]"))


def lines_of(host: Host, question: str) -> list[Json]:
    return [json.loads(line) for line in responses(host, question)[0].splitlines()]


@contextlib.contextmanager
def followed(host: Host, query: str, headers: dict[str, str] | None = None) -> Iterator[Iterator[Json]]:
    """Follow alice's journal; yield its lines as they are written."""
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


def test_reader_returns_the_requested_number_of_lines(host: Host) -> None:
    messages = [line["MESSAGE"] for line in lines_of(host, "alice 100\n")]
    assert any("waiting for a scan" in message for message in messages)
    assert any("Started wxclient@alice.service" in message for message in messages)
    assert len(lines_of(host, "alice 2\n")) == 2
    status, answer = Caller(host).v1("GET", "/accounts/alice/journal?lines=2")
    assert status == 200
    assert [line["event"] for line in answer["lines"]] == ["qrcode", "state"]
    assert "waiting for a scan" in answer["lines"][-1]["message"]


def test_other_requests_get_no_response(host: Host) -> None:
    found = dict(zip(REFUSED, responses(host, *REFUSED), strict=True))
    assert {question: response for question, response in found.items() if response} == {}


def test_reader_begins_after_a_line_or_at_a_time(host: Host) -> None:
    cursors = [line["__CURSOR"] for line in lines_of(host, "alice 100\n")]
    assert len(cursors) > 4
    assert [line["__CURSOR"] for line in lines_of(host, f"alice 2 once after={cursors[1]}\n")] == cursors[2:4]
    assert [line["__CURSOR"] for line in lines_of(host, "alice 2 once since=1\n")] == cursors[-2:]
    assert lines_of(host, f"alice 2 once since={int(time.time()) + 3600}\n") == []


def test_lines_are_followed_until_the_caller_disconnects(host: Host) -> None:
    caller = Caller(host)
    last = lines_of(host, "alice 1000\n")[-1]
    with followed(host, "?lines=1") as events:
        assert next(events)["message"] == last["MESSAGE"]
        caller.openwx("stop_client", client="alice")
        seen = [next(events)]
        while not seen[-1]["message"].startswith("Stopped wxclient@alice.service"):
            seen.append(next(events))
    # A caller that was cut off after the first line gets the others again.
    with followed(host, "", {"Last-Event-ID": last["__CURSOR"]}) as events:
        assert [next(events) for _ in seen] == seen
    shown = ("systemctl", "list-units", "--plain", "--no-legend", "wxclient-journal@*")
    until(lambda: not host.text(*shown), "no program that reads")
    assert caller.openwx("start_client", client="alice")["code"] == 0


def test_line_of_another_service_with_an_accounts_name_is_not_returned(host: Host) -> None:
    """Any program can make up fields, but not the unit that journald records."""
    forged = b"MESSAGE=a forged line\nWX_ACCOUNT=alice\nUNIT=wxclient@alice.service\n\n"
    forge = "systemd-run -q --wait -p DynamicUser=yes -P logger --journald"
    host.run("sh", "-c", forge, input=forged, check=False)
    host.run("journalctl", "--sync")
    assert "a forged line" in host.text("journalctl", "--no-pager", "-n", "50")
    assert "a forged line" not in responses(host, "alice 1000\n")[0]


def test_journal_is_read_by_the_controller_alone_and_only_through_the_reader(host: Host) -> None:
    for user in ("nobody", "daemon"):
        assert "".join(responses(host, "alice 10\n", user=user)) == ""
    assert "systemd-journal" not in host.text("id", "-nG", "wxcontroller")
    groups = host.text("sh", "-c", "grep ^Groups: /proc/$(systemctl show -P MainPID wxcontroller)/status")
    assert host.text("getent", "group", "systemd-journal").split(":")[2] not in groups.split()
