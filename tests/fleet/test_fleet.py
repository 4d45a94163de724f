"""Three rounds of `make fleet`, and what a killed account leaves in its kernel."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.network import both_ways
from tests.fleet.rounds import Rounds
from tests.fleet.world import HOSTS, WECHAT, World, world
from tests.system.actors import until
from tests.system.host import Host

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def fleet(fleet_debs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    # Divided by less than in `make fleet`: other tests run at the same time.
    with world(fleet_debs, tmp_path_factory.mktemp("fleet"), scale=6) as booted:
        yield booted


def waiting(host: Host) -> bool:
    """Return whether the kernel has something for WeChat that it could not send."""
    connections = host.text("ss", "-Htn", "dst", WECHAT).splitlines()
    return any(int(line.split()[2]) for line in connections)


def test_three_rounds(fleet: World) -> None:
    """A link is cut, a process is killed, and a move is interrupted."""
    rounds = Rounds(fleet, seed=1, longest=0.5)
    assert rounds.run(3, ["host_cut", "keeper_killed", "mover_killed"]) == []


def test_data_of_a_dead_client_in_its_kernel_is_dropped(fleet: World) -> None:
    """Killing a process is no fence: its kernel would send what it has when another host has the account.

    It has to drop that in time (TCP_USER_TIMEOUT).
    """
    rounds = Rounds(fleet, seed=0)
    [home] = rounds.homes("alice")
    host, target = fleet.hosts[home], min(HOSTS.keys() - {home})
    with fleet.switch.cut(*both_ways(home, "wechat")):
        to = {"client": "alice", "id": "filehelper", "content": "send-0", "async": "1"}
        assert fleet.caller(home).openwx("send_friend_message", **to)["code"] == 0
        until(lambda: waiting(host), "the send to be with the kernel")
        host.run("systemctl", "kill", "--signal=KILL", "wxclient@alice")
        host.run("wxctl", "move", "alice", target, "--leave-behind")
        fleet.caller(target).until_state("alice", "running")
    until(lambda: not waiting(host), "the kernel to send or to drop it")
    rounds.look()
    assert not [each for each in rounds.judge.findings({}) if each.kind == "late"]
