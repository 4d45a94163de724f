"""The reader of accounts' journals: the controller gets what accounts' units have said, and nobody anything else."""

import pytest

from tests.system.actors import Caller, Phone, use_sandbox
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
        "",
    ],
)
def test_other_questions_get_no_answer(host: Host, question: str) -> None:
    assert asked(host, question) == ""


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
