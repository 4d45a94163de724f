"""Three rounds of `make fleet`; proof that its judge sees what must not happen, and that killing is no fence."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.judge import Finding
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


def found(rounds: Rounds, kind: str, account: str) -> list[Finding]:
    """Return what the judge says about an account now."""
    rounds.look()
    return [each for each in rounds.judge.findings({}) if (each.kind, each.account) == (kind, account)]


def test_three_rounds(fleet: World) -> None:
    """A link is cut, a process is killed, and a move is interrupted. The other tests damage the hosts."""
    rounds = Rounds(fleet, seed=1, longest=0.5)
    assert not rounds.play(3, ["host_cut", "keeper_killed", "mover_killed_sending"]), rounds.summary()


@pytest.mark.parametrize("is_fenced", [True, False])
def test_what_a_dead_client_left_in_its_kernel(fleet: World, is_fenced: bool) -> None:
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
    late = found(rounds, "late", "alice")
    assert not late if is_fenced else [each for each in late if f"from {home}" in each.what], late


def test_a_copy_beside_the_living_account_is_found(fleet: World) -> None:
    """The controllers refuse that as long as they know; here only systemd does, as after a restored backup."""
    rounds = Rounds(fleet, seed=0)
    [home] = rounds.homes("bob")
    first, second = fleet.hosts[home], fleet.hosts[max(HOSTS.keys() - {home})]
    for unit in ("wxcontroller.socket", "wxcontroller.service"):
        second.run("systemctl", "stop", unit)
    drop_ins = "/etc/systemd/system/wxclient@.service.d"
    second.run("rm", f"{drop_ins}/40-times.conf")
    second.write(f"{drop_ins}/30-fleet.conf", b"")  # instead of the one that binds accounts to the lease
    second.run("systemctl", "daemon-reload")
    files = ("wxcontroller/clients/bob.env", "private/wxclient/bob")
    copy = first.run("tar", "--directory=/var/lib", "--create", *files).stdout
    second.run("tar", "--directory=/var/lib", "--extract", "--same-owner", input=copy)
    # Its port may be another account's there.
    second.run("sed", "-i", "s/OPENWX_PORT=.*/OPENWX_PORT=3999/", f"/var/lib/{files[0]}")
    second.run("systemctl", "start", "--no-block", "wxclient@bob")
    until(lambda: found(rounds, "at once", "bob"), "two pollers")
    assert until(lambda: found(rounds, "late", "bob"), "the first host's polls")
