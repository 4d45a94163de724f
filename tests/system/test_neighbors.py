"""No account answers for another one, and none can keep another one from its work.

Mallory's unit runs a hostile program with the unit's whole sandbox. All accounts may listen on all ports of the
accounts' range.
"""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from tests.system.actors import Caller, Json, Phone, Webhook, log_in, until, use_sandbox
from tests.system.host import Host
from tests.system.units import dropin, inside, port_of, show

pytestmark = pytest.mark.system
SQUATTER = "/usr/local/lib/squatter.py"
ALERTS = "/etc/wxcontroller/wxcontroller.toml.d/alerts.toml"
SEEN = "/run/wxclient/mallory/seen"
# ``make torture-neighbors`` has more.
RESTARTS = int(os.environ.get("NEIGHBOR_RESTARTS", "10"))


@dataclass
class Alice:
    """An account with a friend, whose calls and events nobody else may get or make."""

    host: Host
    caller: Caller
    phone: Phone
    uin: str
    port: int

    def send(self, text: str) -> Json:
        """Send a text through the controller; return the answer, {} for none."""
        to = {"client": "alice", "id": "filehelper"}
        _, _, body = self.caller.get("/openwx/send_friend_message", **to, content=text)
        return json.loads(body)


@pytest.fixture(scope="module")
def alice(host: Host) -> Alice:
    host.write(SQUATTER, Path(__file__).with_name("squatter.py").read_bytes())
    use_sandbox(host)
    caller, phone = Caller(host), Phone(host)
    uin = phone.account("Alice")
    log_in(caller, phone, "alice", uin)
    until(lambda: phone.world(uin)["contacts"], "the sandbox's contacts")
    return Alice(host, caller, phone, uin, port_of(host, "alice"))


@contextmanager
def program(host: Host, instance: str, *arguments: object) -> Iterator[None]:
    """Run the squatter in an account's unit during a block."""
    unit, words = f"wxclient@{instance}.service", " ".join(map(str, arguments))
    command = f"ExecStart=\nExecStart=/usr/bin/python3 {SQUATTER} {words}\nWatchdogSec=0\nRestart=no\n"
    with dropin(host, unit, f"[Service]\n{command}"):
        host.run("systemctl", "restart", unit)
        try:
            yield
        finally:
            host.run("systemctl", "stop", unit)


def seen(host: Host, instance: str = "mallory") -> str:
    """Return what a squatter received."""
    return host.text("sh", "-c", f"cat /run/wxclient/{instance}/seen 2>&- || :")


@dataclass
class Reader(threading.Thread):
    """Reads alice's events through the controller, again and again, until ``done``."""

    host: Host
    done: threading.Event
    received: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        while not self.done.is_set():
            connection = self.host.connection(timeout=15)
            try:
                connection.request("GET", "/v1/events?account=alice", headers={"Accept": "text/event-stream"})
                answer = connection.getresponse()
                while not self.done.is_set() and (line := answer.readline()):
                    self.received.append(line)
            except OSError:
                continue
            finally:
                connection.close()


@dataclass
class Sender(threading.Thread):
    """Sends texts as alice, one after the other, until ``done``."""

    alice: Alice
    done: threading.Event
    answers: list[Json] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def has_answered(self, number: int) -> bool:
        return len(self.answers) >= number

    def run(self) -> None:
        while not self.done.is_set():
            self.answers.append(self.alice.send(f"text {len(self.answers)}"))


def test_nothing_crosses_while_an_account_restarts(host: Host, alice: Alice) -> None:
    done = threading.Event()
    reader, sender = Reader(host, done), Sender(alice, done)
    with program(host, "mallory", 3, 0.2, alice.port):
        reader.start()
        sender.start()
        try:
            for _ in range(RESTARTS):
                host.run("systemctl", "restart", "wxclient@alice.service", check=False)
                answered = len(sender.answers)
                until(partial(sender.has_answered, answered + 3), "calls of alice")
            crossed = [answer for answer in sender.answers if answer.get("id") == "forged"]
            crossed += [line for line in reader.received if b"forged" in line]
            assert (seen(host).replace("connection\n", ""), crossed) == ("", [])
            alice.caller.until_state("alice", "running")
            alice.phone.write(alice.uin, alice.phone.friend(alice.uin), "from a friend")
            until(lambda: any(b"from a friend" in line for line in reader.received), "the friend's message")
        finally:
            done.set()
            sender.join(PATIENCE)
    print(f"{RESTARTS} restarts, {len(sender.answers)} calls, {len(reader.received)} lines of events")
    accepted = [answer for answer in sender.answers if answer.get("code") == 0]
    assert accepted, sender.answers[-3:]
    assert len(alice.phone.sent(alice.uin, seconds=0)) >= len(accepted)


@pytest.fixture
def alerted(host: Host) -> Iterator[Webhook]:
    """A receiver of alerts."""
    with Webhook(host, port=8950) as hook:
        host.write(ALERTS, f'[alerts]\nwebhook = "{hook.address}"\nafter = 10\nper_hour = 500\n'.encode(), 0o640)
        host.run("chgrp", "wxcontroller", ALERTS)
        host.run("systemctl", "reload", "wxcontroller")
        yield hook
    host.run("rm", ALERTS)
    host.run("systemctl", "reload", "wxcontroller")


def test_account_works_without_its_port_and_takes_it_when_it_is_free(
    host: Host, alice: Alice, alerted: Webhook
) -> None:
    with program(host, "mallory", 1e6, 0, alice.port):
        host.run("systemctl", "stop", "wxclient@alice.service")
        until(lambda: str(alice.port) in host.text("ss", "-Hltn", f"sport = :{alice.port}"), "mallory has the port")
        host.run("systemctl", "start", "wxclient@alice.service")
        alice.caller.until_state("alice", "running")
        assert alice.send("without a port")["code"] == 0
        issue = until(lambda: issue_of(alice, "wxclient@mallory.service"), "an issue that names the other account")
        assert issue["code"] == "port-taken"
        assert "wxclient@mallory.service" in host.text("wxctl", "doctor", check=False)
        alerted.wait_for(names_the_taken_port, "an alert")
        assert seen(host) == ""
    until(lambda: show(host, "wxclient@alice.service", "MainPID") in listener(host, alice.port), "alice has the port")
    until(lambda: not alice.caller.account("alice")["issues"], "the end of the issue")
    assert host.http("GET", f"http://127.0.0.1:{alice.port}/openwx/get_user_info")[0] == 200


def names_the_taken_port(alert: Json) -> bool:
    return any((item["account"], item["code"]) == ("alice", "port-taken") for item in alert["items"])


def issue_of(alice: Alice, words: str) -> Json:
    return next((each for each in alice.caller.account("alice")["issues"] if words in each["message"]), None)


def listener(host: Host, port: int) -> str:
    return host.text("ss", "-Hltnp", f"sport = :{port}")


def test_accounts_start_while_all_ports_are_taken(host: Host, alice: Alice) -> None:
    caller = alice.caller
    host.run("systemctl", "stop", "wxclient@alice.service")
    with program(host, "mallory", "all", 3000, 4999):
        until(lambda: "taken" in seen(host), "mallory has all ports")
        assert host.text("ss", "-Hltn", "sport >= :3000 and sport <= :4999").count("LISTEN") == 2000
        host.run("systemctl", "start", "wxclient@alice.service", "wxclient@newcomer.service")
        caller.until_state("alice", "running")
        caller.until_state("newcomer", "scaning")
        assert alice.send("without any port")["code"] == 0
        assert caller.v1("POST", "/accounts/another/start", {})[0] in (200, 201, 202)
        caller.until_state("another", "scaning")
    for name in ("newcomer", "another"):
        host.run("systemctl", "stop", f"wxclient@{name}.service")


def test_foreign_program_is_reached_at_its_port_only_if_it_is_its_own(host: Host, alice: Alice) -> None:
    call = ("/openwx/get_user_info", {"client": "foreign"})
    assert alice.caller.openwx("start_client", client="foreign")["code"] == 0
    port = port_of(host, "foreign")
    with program(host, "foreign", "serve"):
        until(lambda: str(port) in listener(host, port), "the foreign program listens")
        status, _, body = alice.caller.get(call[0], **call[1])
        assert (status, json.loads(body)["id"]) == (200, "honest")
        assert "GET /openwx/get_user_info" in seen(host, "foreign")
    with program(host, "mallory", 1e6, 0, port), program(host, "foreign", "silent"):
        until(lambda: str(port) in listener(host, port), "mallory has the port")
        status, _, body = alice.caller.get(call[0], **call[1])
        assert status == 502, body
        assert alice.caller.v1("GET", "/accounts/foreign")[1]["client"] is None
        # Connected to, and nothing was sent.
        assert set(seen(host).split()) == {"connection"}


def test_controller_sees_the_users_of_accounts(host: Host, alice: Alice) -> None:
    assert alice.caller.openwx("start_client", client="bob")["code"] == 0
    with inside(host, "wxcontroller.service", 2000) as taken:
        users = taken.evaluate(*(f"os.stat('/run/wxclient/{name}').st_uid" for name in ("alice", "bob")))
        [mode] = taken.evaluate("oct(os.stat('/run/wxclient/alice/api.sock').st_mode & 0o777)")
    assert users == [int(host.text("stat", "-c", "%u", f"/run/wxclient/{name}")) for name in ("alice", "bob")]
    assert len({*users, 0, 65534}) == 4
    assert mode == "0o660"
