"""Failures around running accounts. Each is a function that causes one for a while and repairs it."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from tests.system import clock
from tests.system.actors import Json, Phone, Webhook
from tests.system.host import Host
from tests.torture.disk import Disk
from tests.torture.ledger import Ledger
from tests.torture.lines import Line

BACKLOG = 5  # messages that wait for the webhook when the power is cut


@dataclass
class Receiver(Webhook):
    """``status`` is the response to each report, 0 for none; with ``accepts``, the ledger has the report."""

    port: int = 8901
    ledger: Ledger = field(default_factory=Ledger)
    status: int = 200
    accepts: bool = True

    def __post_init__(self) -> None:
        self.answer = self._note

    def _note(self, report: Json) -> int:
        if self.accepts and report.get("post_type") == "receive_message":
            self.ledger.reports.append((report["_client"], str(report["id"]), report["_delivery"]))
        return self.status


@dataclass
class Scene:
    """The accounts and everything around them. ``pause`` scales how long failures last."""

    host: Host
    phone: Phone
    receiver: Receiver
    disks: Mapping[str, Disk]
    line: Line
    uins: Mapping[str, str]  # of the accounts
    chance: random.Random
    pause: float = 1.0
    backlogs: int = 0  # power cuts while a backlog was acknowledged and nothing of it delivered
    done: Counter[str] = field(default_factory=Counter)
    excused: Mapping[str, set[str]] = field(default_factory=dict)  # messages that WeChat lost on the way
    _writing: threading.Lock = field(default_factory=threading.Lock)

    def any_account(self) -> str:
        return self.chance.choice(list(self.disks))

    def write(self, account: str) -> str:
        """Send one more message to an account, from any thread. Returns its id, "" when WeChat is down."""
        sent = self.receiver.ledger.sent[account]
        with self._writing:  # the ledger has the order in which WeChat has them
            try:
                message = self.line.write(self.uins[account], f"{account} {len(sent)}")
            except (OSError, AssertionError):
                return ""
            sent.append(message)
        return message

    def acknowledged(self, account: str) -> int:
        """Return how many events an account has acknowledged to WeChat."""
        try:
            return self.line.acknowledged(self.uins[account])
        except (OSError, AssertionError):
            return 0

    def faults(self) -> list[str]:
        """Return what is wrong with the reports."""
        ledger = self.receiver.ledger
        reported = frozenset(message for _, message, _ in ledger.reports)
        self.excused = {account: self.line.excused(uin, reported) for account, uin in self.uins.items()}
        return ledger.faults(self.excused)

    def wait(self, least: float, limit: float) -> None:
        time.sleep(self.chance.uniform(least, limit) * self.pause)

    def kill(self, unit: str, number: str = "KILL") -> None:
        self.host.run("systemctl", "kill", f"--signal={number}", unit, check=False)

    def start(self, account: str) -> None:
        self.host.run("systemctl", "reset-failed", f"wxclient@{account}", check=False)
        self.host.run("systemctl", "start", f"wxclient@{account}", check=False)

    def build_backlog(self, account: str) -> None:
        """Send messages to an account and wait until it has acknowledged them, unless that takes too long."""
        before = self.acknowledged(account)
        written = {message for _ in range(BACKLOG) if (message := self.write(account))}
        deadline = time.monotonic() + 30  # it may have been killed just now, and a busy machine is slow
        while (reached := self.acknowledged(account)) < before + BACKLOG and time.monotonic() < deadline:
            time.sleep(0.05)
        reported = {message for _, message, _ in self.receiver.ledger.reports}
        self.backlogs += len(written) == BACKLOG <= reached - before and not written & reported


def kill_client(scene: Scene) -> None:
    scene.kill(f"wxclient@{scene.any_account()}")
    scene.wait(0, 1)


def kill_everything(scene: Scene) -> None:
    for unit in ("wxclient@*.service", "wxcontroller.service"):
        scene.kill(unit)
    scene.wait(0, 1)


def restart_client(scene: Scene) -> None:
    scene.host.run("systemctl", "restart", f"wxclient@{scene.any_account()}", check=False)


def wechat_fails(scene: Scene) -> None:
    faults = [("garbage", "<html>"), ("truncate", None), ("status", 503), ("reset", "after"), ("reset", "before")]
    kind, value = scene.chance.choice([*faults, ("drop", 1)])
    endpoint = scene.chance.choice(scene.line.polls)
    with suppress(OSError), scene.phone.fault(endpoint, kind, value):
        scene.wait(1, 4)


def disk_full(scene: Scene) -> None:
    disk = scene.disks[scene.any_account()]
    disk.fill()
    try:
        scene.wait(2, 5)
    finally:
        disk.free()


def power_cut(scene: Scene) -> None:
    """Stop an account while its webhook is down and messages wait for it, and reset its disk to what was written.

    WeChat does not send again what the account has acknowledged: only its disk has it.
    """
    account = scene.any_account()
    unit, disk = f"wxclient@{account}", scene.disks[account]
    scene.receiver.leave()
    try:
        scene.build_backlog(account)
        scene.kill(unit, "STOP")
        copy = disk.cut()
        scene.kill(unit, "KILL")
        scene.host.run("systemctl", "stop", unit)
        disk.restore(copy)
        scene.start(account)
    finally:
        scene.receiver.listen()


def clock_jumps(scene: Scene) -> None:
    clock.jump(scene.host, scene.chance)
    try:
        scene.wait(2, 5)
    finally:
        clock.set_right(scene.host)


def _webhook(status: int, accepts: bool = True) -> Callable[[Scene], None]:
    """Return a failure in which the webhook responds with a status for a while, 0: not at all."""

    def change(scene: Scene) -> None:
        scene.receiver.status, scene.receiver.accepts = status, accepts
        try:
            scene.wait(1, 4)
        finally:
            scene.receiver.status, scene.receiver.accepts = 200, True

    return change


FAILURES: Mapping[str, Callable[[Scene], None]] = {
    **{each.__name__: each for each in (kill_client, kill_everything, restart_client)},
    **{each.__name__: each for each in (wechat_fails, disk_full, power_cut, clock_jumps)},
    "webhook_refuses": _webhook(503, accepts=False),
    "webhook_accepts_and_fails": _webhook(500),
    "webhook_hangs": _webhook(0),
}
