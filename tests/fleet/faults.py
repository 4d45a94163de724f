"""What goes wrong in a round. Each fault is a context manager: it lasts for the block, and is put right at the end.

Faults of links and frozen processes note that their host cannot be heard (``World.unheard``); the judge needs that.
"""

import contextlib
import json
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from signal import SIGCONT, SIGKILL, SIGSTOP, Signals
from typing import TypeAlias

from tests.etcd import EtcdServers
from tests.fleet.network import Cut, both_ways
from tests.fleet.world import MEMBERS, World
from tests.patience import PATIENCE
from tests.system.actors import until
from tests.system.host import ENVIRONMENT, Host
from tests.torture.mischief import CLOCK


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a fault happens: at ``host``, which has ``account`` or is about to get it; ``other`` is another host.

    ``move`` is the move or adoption that is under way, if any.
    """

    world: World
    chance: random.Random
    account: str
    host: str
    other: str
    move: "Action | None" = None

    @property
    def ports(self) -> list[str]:
        """The ports besides the host's own."""
        return [port for port in self.world.ports if port != self.host]

    @property
    def third(self) -> str:
        """The third host."""
        [third] = self.world.hosts.keys() - {self.host, self.other}
        return third

    @property
    def etcd(self) -> EtcdServers:
        assert self.world.etcd is not None
        return self.world.etcd


class Action(threading.Thread):
    """A command on a host during the fault, repeated until it succeeds; ``outcome`` is "ok" or its last exit code."""

    def __init__(self, host: Host, *command: str) -> None:
        super().__init__()
        self._host, self._command, self.verb = host, command, command[1]
        self._over, self._news = threading.Event(), threading.Condition()
        self.outcome = self.words = ""

    def run(self) -> None:
        while not self._over.is_set():
            with subprocess.Popen(
                self._host.command(*self._command, timeout=60),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                env=ENVIRONMENT,
            ) as process:
                assert process.stderr is not None
                self.words = ""
                for line in process.stderr:
                    with self._news:
                        self.words += line
                        self._news.notify_all()
            with self._news:
                self.outcome = f"exit {process.returncode}" if process.returncode else "ok"
                self._news.notify_all()
            # A move that has failed says what to do: when the round settles.
            if self.outcome == "ok" or self.verb == "move":
                return
            self._over.wait(0.3)

    def until_it_says(self, words: str) -> None:
        """Wait until it has said something, or has ended."""
        with self._news:
            self._news.wait_for(lambda: words in self.words or self.outcome, PATIENCE)

    def end(self) -> None:
        self._over.set()
        self.join()


Fault: TypeAlias = Callable[[Scene], AbstractContextManager[None]]
_CUTS: Mapping[str, Callable[[Scene], list[Cut]]] = {
    "host_cut": lambda scene: both_ways(scene.host, *scene.ports),
    "host_cut_from_wechat": lambda scene: both_ways(scene.host, "wechat"),
    "host_cut_but_for_wechat": lambda scene: both_ways(scene.host, *(set(scene.ports) - {"wechat"})),
    "host_not_heard": lambda scene: [Cut(scene.host, port) for port in scene.ports],
    "host_deaf": lambda scene: [Cut(port, scene.host) for port in scene.ports],
    "hosts_cut": lambda scene: both_ways(scene.host, scene.other),
    "host_lossy": lambda scene: both_ways(scene.host, *scene.ports, percent=30),
    "host_cut_from_etcd": lambda scene: both_ways(scene.host, *MEMBERS),
}
# In these another host may adopt the account: it cannot reach the host that has it.
LONELY = ("host_cut", "host_not_heard", "host_deaf", "host_cut_but_for_wechat", "hosts_cut")


@contextlib.contextmanager
def _cut(cuts: Callable[[Scene], list[Cut]], scene: Scene) -> Iterator[None]:
    with scene.world.unheard(scene.host), scene.world.switch.cut(*cuts(scene)):
        yield


@contextlib.contextmanager
def _signalled(unit: str, number: Signals, scene: Scene) -> Iterator[None]:
    """Kill or freeze all processes of a unit."""
    kill = ("systemctl", "kill", unit.format(account=scene.account))
    host = scene.world.hosts[scene.host]
    with scene.world.unheard(*([scene.host] if number == SIGSTOP else [])):
        host.run(*kill, f"--signal={number.name}", check=False)
        try:
            yield
        finally:
            if number == SIGSTOP:
                host.run(*kill, f"--signal={SIGCONT.name}", check=False)


@contextlib.contextmanager
def host_slow(scene: Scene) -> Iterator[None]:
    leader = str(scene.world.hosts[scene.host].leader)
    with scene.world.unheard(scene.host), scene.world.switch.slow(scene.host, leader, "64kbit", "400ms"):
        yield


@contextlib.contextmanager
def host_suspended(scene: Scene) -> Iterator[None]:
    with scene.world.unheard(scene.host), scene.world.frozen(scene.host):
        yield


@contextlib.contextmanager
def host_off(scene: Scene) -> Iterator[None]:
    """Cut the power of a host, and boot it again."""
    with scene.world.unheard(scene.host):
        scene.world.cut_power(scene.host)
        try:
            yield
        finally:
            scene.world.bring_back(scene.host)


@contextlib.contextmanager
def clock_jumps(scene: Scene) -> Iterator[None]:
    """Set the clock of a host's services, forwards or backwards."""
    host = scene.world.hosts[scene.host]
    host.write(CLOCK, scene.chance.choice((b"+86400", b"-86400", b"+30", b"-30")))
    try:
        yield
    finally:
        host.write(CLOCK, b"+0")


# What ``wxctl move`` says before each of its steps.
_STEPS = {"stopping": "stopping it here", "sending": "sending it", "starting": "starting it on the other host"}


@contextlib.contextmanager
def _mover_killed(step: str, scene: Scene) -> Iterator[None]:
    """Kill ``wxctl move`` on the host during a step, or when the account runs on the other host ("leaving").

    Sometimes also kill what the other host receives.
    """
    assert scene.move is not None
    host, other = (scene.world.hosts[name] for name in (scene.host, scene.other))
    scene.move.until_it_says(_STEPS.get(step, _STEPS["starting"]))
    if step == "leaving":
        process = other.path(f"/run/wxclient/{scene.account}/mojo_weixin_pid_{scene.account}.pid")
        until(lambda: process.exists() or (scene.move and scene.move.outcome), "the account on the other host")
    else:
        time.sleep(scene.chance.uniform(0, 0.3))
    host.run("pkill", "-KILL", "-f", "wxctl move", check=False)
    if step == "sending" and scene.chance.random() < 0.5:
        other.run("systemctl", "kill", "-sKILL", "wxcontroller-receive@*", check=False)
    yield


@contextlib.contextmanager
def _members_down(numbers: tuple[int, ...], number: Signals, scene: Scene) -> Iterator[None]:
    """Kill or freeze so many members of etcd; killed ones are started again."""
    chosen = scene.chance.sample(scene.etcd.members, scene.chance.choice(numbers))
    for member in chosen:
        member.kill(number)
    try:
        yield
    finally:
        for member in chosen:
            if number == SIGSTOP:
                member.kill(SIGCONT)
            else:
                scene.etcd.start(member)


@contextlib.contextmanager
def member_cut(scene: Scene) -> Iterator[None]:
    """Cut a member off from everything, or from the other members only."""
    member = scene.chance.choice(list(MEMBERS))
    others = {*scene.chance.choice((scene.world.ports, list(MEMBERS)))} - {member}
    with scene.world.switch.cut(*both_ways(member, *others)):
        yield


@contextlib.contextmanager
def disk_full(scene: Scene) -> Iterator[None]:
    """Fill the disks of two members; one that has ended for that is started again."""
    chosen = scene.chance.sample(scene.etcd.members, 2)
    for member in chosen:
        with contextlib.suppress(OSError), (member.root / "filler").open("wb") as file:
            while True:
                file.write(bytes(1 << 20))
    try:
        yield
    finally:
        for member in chosen:
            (member.root / "filler").unlink()
            if member.process and member.process.poll() is not None:
                scene.etcd.start(member)


@contextlib.contextmanager
def store_full(scene: Scene) -> Iterator[None]:
    """Let etcd refuse writes for lack of space, as with a store that nobody compacts."""
    control = scene.etcd.control
    with contextlib.suppress(subprocess.CalledProcessError):
        for number in range(64):
            control("put", f"filler-{number}", "x" * 120_000)
    try:
        yield
    finally:
        control("del", "--prefix", "filler-")
        revision = json.loads(control("endpoint", "status", "-w", "json"))[0]["Status"]["header"]["revision"]
        control("compact", str(revision))
        control("defrag")
        control("alarm", "disarm")


def _of_unit(name: str, unit: str) -> dict[str, Fault]:
    signals = {f"{name}_killed": SIGKILL, f"{name}_frozen": SIGSTOP}
    return {fault: partial(_signalled, unit, number) for fault, number in signals.items()}


# All faults; the last ones are of hosts whose accounts are owned by etcd.
ENGINE_FAULTS: Mapping[str, Fault] = {
    **{name: partial(_cut, cuts) for name, cuts in _CUTS.items()},
    **{fault.__name__: fault for fault in (host_slow, host_suspended, host_off, clock_jumps)},
    **{f"mover_killed_{step}": partial(_mover_killed, step) for step in (*_STEPS, "leaving")},
    **_of_unit("client", "wxclient@{account}.service"),
    **_of_unit("controller", "wxcontroller.service"),
    **_of_unit("keeper", "wxcontroller-keeper.service"),
    "member_killed": partial(_members_down, (1,), SIGKILL),
    "quorum_lost": partial(_members_down, (2, 3), SIGKILL),
    "members_frozen": partial(_members_down, (1, 3), SIGSTOP),
    **{fault.__name__: fault for fault in (member_cut, disk_full, store_full)},
}
_OWNED = ("keeper_", "member", "quorum_", "disk_", "store_", "host_cut_from_etcd")
FAULTS = {name: fault for name, fault in ENGINE_FAULTS.items() if not name.startswith(_OWNED)}
