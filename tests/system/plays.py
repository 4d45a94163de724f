"""What readers of the documents do beside the commands, with the phone mostly, and what they see."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.system.actors import Caller, Phone, until
from tests.system.host import Host

UIN = "1234567001"
EXAMPLE_NAMES = "127.0.0.1 proxy.example wx.example hooks.example"


@dataclass(frozen=True, slots=True)
class Stage:
    """Where plays take place."""

    host: Host
    phone: Phone
    caller: Caller


Act = Callable[[Stage], object]


@dataclass(frozen=True, slots=True)
class Play:
    """What is done before a block of a page, the one with ``text``, and while it runs."""

    page: str
    text: str
    before: Act | None = None
    beside: Act | None = None


def scan(stage: Stage) -> None:
    """Scan the code that waits and confirm."""
    uuid = stage.phone.waiting_login(60)
    stage.phone.scan(uuid, UIN)
    stage.phone.confirm(uuid)


def write(stage: Stage) -> None:
    stage.phone.write(UIN, "同事小明", "are you there?")


def write_to_reader(stage: Stage) -> None:
    """Write when somebody reads the stream."""
    until(lambda: b"heartbeat" in stage.host.run("cat", "/tmp/endless", check=False).stdout, 20, "a reader")
    write(stage)


def first_start(stage: Stage) -> None:
    stage.host.run("wxctl", "remove", "alice", "--yes", check=False)


def logged_in(stage: Stage) -> None:
    """Have alice running, as in the pages that are about something else."""
    starting = threading.Thread(target=stage.host.run, args=("wxctl", "start", "alice"))
    starting.start()
    scan(stage)
    starting.join(60)
    stage.caller.until_state("alice", "running")


def scanned_and_in_a_group_called_home(stage: Stage) -> None:
    scan(stage)
    stage.caller.until_state("alice", "running")
    group = stage.phone.world(UIN)["groups"][0]["wxid"]
    stage.phone.call("POST", f"/accounts/{UIN}/change", {"who": group, "name": "家人"})
    until(lambda: stage.caller.openwx("search_group", client="alice", displayname="家人"), 20, "the group's name")


PLAYS = [
    Play("README.md", "wxctl start alice\n", beside=scan),
    Play("README.md", "start_client", before=first_start),
    Play("README.md", "check_client", before=scanned_and_in_a_group_called_home),
    Play("README.md", "check_event", beside=write),
    Play("docs/tutorial.md", "curl -sN", beside=write_to_reader),
]
# Commands that are ended by Ctrl-C, and what is seen of them before.
ENDLESS: Mapping[str, str] = {
    "wxctl logs alice -f": "running",
    "curl -sN 'http://127.0.0.1:2000/v1/events?account=alice'": "are you there",
}
# What blocks must have told, besides that no command failed and no answer was a refusal.
TOLD: Mapping[tuple[str, str], str] = {
    ("docs/tutorial.md", "wxctl status alice"): "login: running",
    ("docs/tutorial.md", 'receive 1234567001 小明 "are you there?"'): "you said: are you there?",
    ("docs/tutorial.md", "journalctl -u echo-bot"): '"content": "are you there?"',
    ("docs/tutorial.md", "python3 - <<"): "or at nine",
    ("docs/tutorial.md", "journalctl -x"): '"scan": with a QR code',
    ("docs/tutorial.md", "systemctl kill"): "you said: still there?",
}
