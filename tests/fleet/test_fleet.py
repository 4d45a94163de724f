"""Three rounds of `make fleet`, and proof that killing is no fence and that the judge sees it."""

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
    """A link is cut, a process is killed, and a move is interrupted. The other test damages the hosts."""
    rounds = Rounds(fleet, seed=1, longest=0.5)
    assert rounds.run(3, ["host_cut", "keeper_killed", "mover_killed"]) == []


@pytest.mark.parametrize("is_fenced", [True, False])
def test_data_of_a_dead_client_in_its_kernel_is_dropped(fleet: World, is_fenced: bool) -> None:
    """Killing a process is no fence: its kernel sends what it has once it can, when another host has the account.

    Unless it drops that in time (TCP_USER_TIMEOUT).
    """
    rounds = Rounds(fleet, seed=0)
    [home] = rounds.homes("alice")
    host, target = fleet.hosts[home], min(HOSTS.keys() - {home})
    seconds = 8 / fleet.scale if is_fenced else 3600
    host.write(
        "/run/systemd/system/wxclient@alice.service.d/50-fence.conf",
        f"[Service]\nEnvironment=WXCLIENT_FLEET_SECONDS={seconds}\n".encode(),
    )
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "restart", "wxclient@alice")
    fleet.caller(home).until_state("alice", "running")
    with fleet.switch.cut(*both_ways(home, "wechat")):
        to = {"client": "alice", "id": "filehelper", "content": f"send-{seconds}", "async": "1"}
        assert fleet.caller(home).openwx("send_friend_message", **to)["code"] == 0
        until(lambda: waiting(host), "the send to be with the kernel")
        host.run("systemctl", "kill", "--signal=KILL", "wxclient@alice")
        host.run("wxctl", "move", "alice", target, "--leave-behind")
        fleet.caller(target).until_state("alice", "running")
    until(lambda: not waiting(host), "the kernel to send or to drop it")
    rounds.look()
    late = [each.what for each in rounds.judge.findings({}) if (each.kind, each.account) == ("late", "alice")]
    assert not late if is_fenced else any(f"from {home}" in what for what in late), late
