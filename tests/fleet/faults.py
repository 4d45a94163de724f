"""The faults of rounds. Each is a context manager: it lasts for the block, and is repaired at the end.

Faults of links and frozen processes note that their host cannot be heard (``World.unheard``); the judge needs that.
"""

import contextlib
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
from tests.system import clock
from tests.system.host import ENVIRONMENT, Host


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a fault happens: at ``host``, which has ``account`` or is about to get it; ``other`` is another host."""

    world: World
    chance: random.Random
    account: str
    host: str
    other: str

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
        return self.world.etcd


class Action(threading.Thread):
    """A command on a host during the fault, repeated until it succeeds; ``outcome`` is "ok" or its last exit code."""

    def __init__(self, host: Host, *command: str) -> None:
        super().__init__()
        self._host, self._command, self.verb = host, command, command[1]
        self._over = threading.Event()
        self.outcome = self.words = ""

    def run(self) -> None:
        while not self._over.is_set():
            # The host may be frozen meanwhile: only the command's own time ends it.
            done = subprocess.run(
                self._host.command(*self._command, timeout=60),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                env=ENVIRONMENT,
                check=False,
            )
            self.words = done.stderr.strip()
            self.outcome = f"exit {done.returncode}" if done.returncode else "ok"
            # A move that has failed says what to do: when the round settles.
            if self.outcome == "ok" or self.verb == "move":
                return
            self._over.wait(0.3)

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
    "host_cut_from_etcd": lambda scene: both_ways(scene.host, *MEMBERS),
}
# In these another host may adopt the account: it cannot reach the host that has it.
ISOLATING = ("host_cut", "host_not_heard", "host_deaf", "host_cut_but_for_wechat", "hosts_cut")


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
    clock.jump(host, scene.chance)
    try:
        yield
    finally:
        clock.set_right(host)


@contextlib.contextmanager
def mover_killed(scene: Scene) -> Iterator[None]:
    """Kill ``wxctl move`` on the host at some moment. Sometimes also kill what receives the account."""
    time.sleep(scene.chance.uniform(0, 3))
    scene.world.hosts[scene.host].run("pkill", "-KILL", "-f", "wxctl move", check=False)
    if scene.chance.random() < 0.3:
        scene.world.hosts[scene.other].run("systemctl", "kill", "-sKILL", "wxcontroller-receive@*", check=False)
    yield


@contextlib.contextmanager
def _members_down(numbers: tuple[int, ...], number: Signals, scene: Scene) -> Iterator[None]:
    """Kill or freeze one of these numbers of members; killed ones are started again."""
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


def _of_unit(name: str, unit: str) -> dict[str, Fault]:
    signals = {f"{name}_killed": SIGKILL, f"{name}_frozen": SIGSTOP}
    return {fault: partial(_signalled, unit, number) for fault, number in signals.items()}


FAULTS: Mapping[str, Fault] = {
    **{name: partial(_cut, cuts) for name, cuts in _CUTS.items()},
    **{fault.__name__: fault for fault in (host_suspended, host_off, clock_jumps, mover_killed)},
    **_of_unit("client", "wxclient@{account}.service"),
    **_of_unit("controller", "wxcontroller.service"),
    **_of_unit("keeper", "wxcontroller-keeper.service"),
    "member_killed": partial(_members_down, (1,), SIGKILL),
    "quorum_lost": partial(_members_down, (2, 3), SIGKILL),
    "members_frozen": partial(_members_down, (1, 3), SIGSTOP),
    "member_cut": member_cut,
}
