"""The ways in which a day goes wrong. Each is a function that does it, for a while, and puts things right again."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from tests.system.actors import Phone
from tests.system.host import Host
from tests.torture.disk import Disk
from tests.torture.receiver import Receiver

CLOCK = "/run/wxtorture-clock"
BACKLOG = 5  # messages that wait for the webhook when the power goes


@dataclass
class Stage:
    """Everything there is to break. ``pause`` scales how long things stay broken."""

    host: Host
    phone: Phone
    receiver: Receiver
    disks: Mapping[str, Disk]
    people: Mapping[str, tuple[str, str]]  # uin of an account, and a friend who writes to it
    chance: random.Random
    pause: float = 1.0
    backlogs: int = 0  # power cuts that found a backlog acknowledged and nothing of it delivered
    done: Counter[str] = field(default_factory=Counter)
    _writing: threading.Lock = field(default_factory=threading.Lock)

    def some(self) -> str:
        return self.chance.choice(list(self.disks))

    def write(self, account: str) -> str:
        """Let an account get one more message, from any thread. Returns its id, "" when WeChat is down."""
        ledger = self.receiver.ledger
        with self._writing:  # the books have the order in which WeChat has them
            try:
                message = self.phone.write(*self.people[account], f"{account} {len(ledger.sent[account])}")
            except (OSError, AssertionError):
                return ""
            ledger.send(account, message)
        return message

    def acknowledged(self, account: str) -> int:
        """Return how many events an account has told WeChat it has."""
        try:
            sessions = self.phone.world(self.people[account][0])["sessions"]
        except (OSError, AssertionError):
            return 0
        return int(sessions[0]["acknowledged"]) if sessions else 0

    def rest(self, least: float, limit: float) -> None:
        time.sleep(self.chance.uniform(least, limit) * self.pause)

    def kill(self, unit: str, number: str = "KILL") -> None:
        self.host.run("systemctl", "kill", f"--signal={number}", unit, check=False)

    def start(self, account: str) -> None:
        self.host.run("systemctl", "reset-failed", f"wxclient@{account}", check=False)
        self.host.run("systemctl", "start", f"wxclient@{account}", check=False)

    def pile_up(self, account: str) -> None:
        """Let an account get messages and tell WeChat that it has them, unless that takes too long."""
        before = self.acknowledged(account)
        written = {message for _ in range(BACKLOG) if (message := self.write(account))}
        deadline = time.monotonic() + 8  # it may have been killed just now
        while (reached := self.acknowledged(account)) < before + BACKLOG and time.monotonic() < deadline:
            time.sleep(0.05)
        arrived = {one.message for one in self.receiver.ledger.got}
        self.backlogs += len(written) == BACKLOG <= reached - before and not written & arrived

    def put(self, setting: str) -> None:
        """Set the clock of the accounts: what is added to the real time."""
        self.host.write(CLOCK, setting.encode(), 0o644)


def _kills(*units: str) -> Callable[[Stage], None]:
    """Return what kills units, in which ``{}`` is one of the accounts."""

    def kill(stage: Stage) -> None:
        for unit in units:
            stage.kill(unit.format(stage.some()))
        stage.rest(0, 1)

    return kill


def restart_client(stage: Stage) -> None:
    stage.host.run("systemctl", "restart", f"wxclient@{stage.some()}", check=False)


def webhook_gone(stage: Stage) -> None:
    stage.receiver.leave()
    try:
        stage.rest(1, 4)
    finally:
        stage.receiver.listen()


def wechat_down(stage: Stage) -> None:
    stage.host.run("systemctl", "stop", "wxcontroller-sandbox")
    try:
        stage.rest(1, 4)
    finally:
        stage.host.run("systemctl", "start", "wxcontroller-sandbox")


def wechat_garbage(stage: Stage) -> None:
    faults = [("garbage", "<html>"), ("truncate", None), ("status", 503), ("reset", "after"), ("reset", "before")]
    kind, value = stage.chance.choice([*faults, ("drop", 1)])
    endpoint = stage.chance.choice(["webwxsync", "synccheck"])
    with suppress(OSError), stage.phone.fault(endpoint, kind, value):
        stage.rest(1, 4)


def disk_full(stage: Stage) -> None:
    disk = stage.disks[stage.some()]
    disk.fill()
    try:
        stage.rest(2, 5)
    finally:
        disk.free()


def disk_read_only(stage: Stage) -> None:
    account = stage.some()
    unit, disk = f"wxclient@{account}", stage.disks[account]
    stage.host.run("systemctl", "stop", unit)
    disk.protect(True)
    try:
        stage.start(account)
        stage.rest(2, 5)
    finally:
        # A file that is open for reading keeps nobody from this.
        disk.protect(False)


def power_cut(stage: Stage) -> None:
    """The account's world stops while its webhook is away and messages wait for it; its disk comes back as it was
    written by then. WeChat does not send again what the account has acknowledged: only its disk has it."""
    account = stage.some()
    unit, disk = f"wxclient@{account}", stage.disks[account]
    stage.receiver.leave()
    try:
        stage.pile_up(account)
        stage.kill(unit, "STOP")
        copy = disk.cut()
        stage.kill(unit, "KILL")
        stage.host.run("systemctl", "stop", unit)
        disk.restore(copy)
        stage.start(account)
    finally:
        stage.receiver.listen()


def clock_jumps(stage: Stage) -> None:
    stage.put(stage.chance.choice(["+86400", "-86400", "+3600", "-3600", "+30", "-30"]))
    try:
        stage.rest(1, 4)
    finally:
        stage.put("+0")


def _webhook(status: int, takes: bool = True) -> Callable[[Stage], None]:
    """Return what has the webhook respond with a status for a while, 0: not at all."""

    def change(stage: Stage) -> None:
        stage.receiver.status, stage.receiver.takes = status, takes
        try:
            stage.rest(1, 4)
        finally:
            stage.receiver.status, stage.receiver.takes = 200, True

    return change


MISCHIEF: Mapping[str, Callable[[Stage], None]] = {
    "kill_client": _kills("wxclient@{}"),
    "kill_controller": _kills("wxcontroller.service"),
    "kill_both": _kills("wxcontroller.service", "wxclient@{}"),
    "kill_everything": _kills("wxclient@*.service", "wxcontroller.service"),
    "restart_client": restart_client,
    "power_cut": power_cut,
    "webhook_refuses": _webhook(503, takes=False),
    "webhook_forgets": _webhook(500),
    "webhook_hangs": _webhook(0),
    "webhook_gone": webhook_gone,
    "wechat_down": wechat_down,
    "wechat_garbage": wechat_garbage,
    "disk_full": disk_full,
    "disk_read_only": disk_read_only,
    "clock_jumps": clock_jumps,
}
