"""Takeovers by policy: a host is lost for longer than ``takeover_after``, and another one has a copy of its account.

Each kind is a fault (tests/fleet/faults.py): it begins with the loss of the host, continues with a disturbance of
the takeover, and lasts until the account is on another host, or until there has been time for that.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from tests.fleet.faults import FAULTS, Scene
from tests.fleet.world import ILINK, LEASE, TAKEOVER_SECONDS
from tests.patience import PATIENCE
from tests.system.actors import until

_LOSSES = ("host_off", "host_cut", "host_cut_but_for_wechat", "host_suspended")
# The second host waits so much longer (controller/hosts/hosttakeovers.py).
_NEXT_HOST_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Takeover:
    """``loss`` is the fault by which the host is lost, "" for any; ``disturb`` goes on until the host may return.

    ``has_two``: the third host has a copy, too. ``is_certain``: the account is elsewhere before the host returns.
    """

    loss: str
    disturb: Callable[[Scene], None]
    has_two: bool = False
    is_certain: bool = True

    def prepare(self, scene: Scene) -> None:
        """Let another host take the account over from now on, with a copy of it as it is now."""
        world = scene.world
        world.forget_takeovers()
        policy = "any" if scene.account == ILINK else "same-egress"
        world.hosts[scene.host].run("wxctl", "set", scene.account, f"takeover={policy}")
        for standby in (*([scene.third] if self.has_two else ()), scene.other):
            world.send_bundle(scene.account, scene.host, standby)

    @contextlib.contextmanager
    def __call__(self, scene: Scene) -> Iterator[None]:
        with FAULTS[self.loss or scene.chance.choice(_LOSSES)](scene):
            self.disturb(scene)
            yield


def taker(scene: Scene) -> str:
    """Return the host besides the lost one on which the account runs, "" for none."""
    for name in (scene.other, scene.third):
        host = scene.world.hosts[name]
        files = (
            f"/var/lib/wxcontroller/clients/{scene.account}.env",
            f"/run/wxclient/{scene.account}/mojo_weixin_pid_{scene.account}.pid",
        )
        if all(host.path(file).exists() for file in files):
            return name
    return ""


def _claimed(scene: Scene) -> bool:
    key = f"/wxcontroller/main/takeovers/{scene.account}"
    return bool(scene.etcd.control("get", "--print-value-only", key).strip())


def _lapse(scene: Scene) -> float:
    """Return the seconds from the loss of a host to the takeover of its accounts, or a little less."""
    return LEASE / scene.world.scale + TAKEOVER_SECONDS


def _until_taken(scene: Scene) -> None:
    with contextlib.suppress(AssertionError):  # the round finds it
        until(lambda: taker(scene), "the takeover", 2 * PATIENCE)


def _returns(scene: Scene) -> None:
    """Come back at about the moment of the takeover."""
    time.sleep(_lapse(scene) + scene.chance.uniform(-2, 3))


def _killed(unit: str, scene: Scene) -> None:
    """Kill a unit of the host that takes the account over, in the middle of that."""
    until(lambda: _claimed(scene), "the claim", 2 * PATIENCE)
    time.sleep(scene.chance.uniform(0, 2))
    scene.world.hosts[scene.other].run("systemctl", "kill", "-sKILL", unit, check=False)
    _until_taken(scene)


def _refused(scene: Scene) -> None:
    """Let the import fail on the first host: the third one takes the account over."""
    copy = f"/var/lib/wxcontroller-standby/{scene.account}.wxaccount"
    scene.world.hosts[scene.other].run("truncate", "--size=3000", copy)
    _until_taken(scene)


def _race(scene: Scene) -> None:
    """Let two hosts claim the account at about the same time."""
    controller = "wxcontroller.service"
    first = scene.world.hosts[scene.other]
    first.run("systemctl", "kill", "-sSTOP", controller)
    time.sleep(_lapse(scene) + _NEXT_HOST_SECONDS + scene.chance.uniform(-1.5, 1))
    first.run("systemctl", "kill", "-sCONT", controller, check=False)
    _until_taken(scene)


def _twice(scene: Scene) -> None:
    """Lose the host that has taken the account over, too."""
    _until_taken(scene)
    world = scene.world
    world.caller(scene.other).until_state(scene.account, "running")
    world.forget_takeovers()
    second = replace(scene, host=scene.other, other=scene.third)
    world.send_bundle(scene.account, second.host, second.other)
    with FAULTS[scene.chance.choice(_LOSSES)](second):
        until(lambda: taker(second) == second.other, "the second takeover", 2 * PATIENCE)


TAKEOVERS: Mapping[str, Takeover] = {
    **{f"takeover_{loss}": Takeover(loss, _until_taken) for loss in _LOSSES},
    "takeover_returning": Takeover("", _returns, is_certain=False),
    "takeover_refused": Takeover("", _refused, has_two=True),
    "takeover_race": Takeover("", _race, has_two=True),
    "takeover_twice": Takeover("", _twice),
    "takeover_controller_killed": Takeover("", lambda scene: _killed("wxcontroller.service", scene)),
    "takeover_keeper_killed": Takeover("", lambda scene: _killed("wxcontroller-keeper.service", scene)),
}
