"""Delivering what waits: in order, again after trouble, given up in the end; and the program that does it."""

import os
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.programs import run
from tests.unit.alert.kit import alert
from wxcontroller.alert import mail
from wxcontroller.alert.__main__ import AGAIN
from wxcontroller.alert.deliver import ALERT_KEEP_SECONDS, ALERT_REFUSALS, Trouble, deliver_all
from wxcontroller.core.alerts import Alert
from wxcontroller.core.alertsettings import Channel
from wxcontroller.core.alertspool import Spool
from wxcontroller.core.paths import Paths

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    made = Spool(Paths(tmp_path), Channel.COMMAND)
    for channel in Channel:
        for place in (made.paths.alerts_spool(channel), made.paths.alerts_runtime(channel)):
            place.mkdir(parents=True)
    return made


@dataclass
class Receiver:
    """Takes alerts; ``troubles`` are raised in turn, None for none; then all is well."""

    troubles: list[Trouble | None] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)

    async def __call__(self, given: Alert) -> None:
        self.tried.append(given.id)
        trouble = self.troubles.pop(0) if self.troubles else None
        if trouble is not None:
            raise trouble
        self.taken.append(given.id)


def put(spool: Spool, *numbers: int) -> None:
    for number in numbers:
        spool.put(alert(number))
        os.utime(
            spool.paths.alerts_spool(spool.channel) / f"alert{number}.json", (number, time.time() - 1000 + number)
        )


async def test_refused_alert_is_dropped_without_delaying_others(spool: Spool) -> None:
    receiver = Receiver([Trouble("the webhook returned 400", final=True), None])
    put(spool, 1, 2)
    assert not await deliver_all(spool, receiver)
    assert receiver.taken == ["alert2"]
    for round_ in range(2, ALERT_REFUSALS + 1):
        receiver.troubles = [Trouble("the webhook returned 400", final=True)]
        assert await deliver_all(spool, receiver) == (round_ == ALERT_REFUSALS)
    assert receiver.tried.count("alert1") == ALERT_REFUSALS
    assert spool.waiting() == []
    last = spool.state().last
    assert last is not None
    assert (last.id, last.error) == ("alert1", "the webhook returned 400")


async def test_alert_older_than_a_day_is_tried_once(spool: Spool) -> None:
    put(spool, 1)
    path = spool.waiting()[0].path
    os.utime(path, (0, time.time() - ALERT_KEEP_SECONDS - 5))
    receiver = Receiver([Trouble("it can't be reached")])
    await deliver_all(spool, receiver)
    assert receiver.tried == ["alert1"]  # it is tried once
    assert spool.waiting() == []


async def test_damaged_alert_is_dropped(spool: Spool) -> None:
    (spool.paths.alerts_spool("command") / "bad.json").write_text("{")
    put(spool, 1)
    receiver = Receiver()
    assert await deliver_all(spool, receiver)
    assert receiver.taken == ["alert1"]
    assert spool.waiting() == []


async def test_links_and_pipes_in_the_spool_are_removed(spool: Spool) -> None:
    for place in spool._places:
        (place / "note.txt").touch()
        (place / "directory.json").mkdir()
        (place / "directory.json" / "full").touch()
        os.mkfifo(place / "pipe.json")
        (place / "link.json").symlink_to("/etc/passwd")
    receiver = Receiver()
    put(spool, 1)
    assert await deliver_all(spool, receiver)
    assert receiver.taken == ["alert1"]
    for place in spool._places:
        assert not list(place.glob("[!.]*.json"))


async def test_unrenderable_alert_does_not_delay_others(spool: Spool) -> None:
    for number, host in ((1, "vps1\nBcc: evil@example.org"), (2, "vps1")):
        spool.put(replace(alert(number), host=host))
    taken: list[bytes] = []

    async def deliver(given: Alert) -> None:
        taken.append(mail.message("ops@example.org", given))

    for _ in range(ALERT_REFUSALS):
        await deliver_all(spool, deliver)
    [sent] = taken
    assert b"Bcc" not in sent
    assert spool.waiting() == []
    last = spool.state().last
    assert last is not None
    assert last.id == "alert1"
    assert "ValueError" in last.error


async def test_undeletable_alert_is_delivered_once(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    put(spool, 1)

    def read_only(self: Path, missing_ok: bool = False) -> None:
        raise OSError(30, "Read-only file system")

    receiver = Receiver()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", read_only)
        for _ in range(3):
            assert not await deliver_all(spool, receiver)
    assert receiver.taken == ["alert1"]
    assert await deliver_all(spool, receiver)
    assert receiver.taken == ["alert1"]
    assert spool.waiting() == []


# -- the program


def test_exit_status_requests_a_restart(tmp_path: Path, spool: Spool) -> None:
    command = (sys.executable, "-m", "wxcontroller.alert", "--root", str(tmp_path), "command")
    settings = Paths(tmp_path).settings_file
    settings.parent.mkdir(parents=True)
    settings.write_text('[alerts]\ncommand = "/nowhere/tell"\n')
    put(spool, 1)
    done = run(*command)
    assert done.returncode == AGAIN
    assert "/nowhere/tell can't be run" in done.stderr
    settings.write_text("[alerts]\ncommand = 5\n")
    done = run(*command)
    assert done.returncode == 78
    assert "alerts" in done.stderr
    assert len(spool.waiting()) == 1
