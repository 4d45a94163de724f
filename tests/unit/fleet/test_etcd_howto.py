"""The commands of docs/howto/etcd.md: certificates, three members, users and roles, and a restoration."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.etcd import ETCDCTL, EtcdServers, connected, guide, member_settings
from tests.patience import PATIENCE
from wxcontroller.core.names import parse_name
from wxcontroller.fleet.credentials import credentials_of
from wxcontroller.fleet.etcd import Etcd, EtcdFailure, Put
from wxcontroller.fleet.owners import OwnedElsewhere, Owners
from wxcontroller.fleet.records import Wanted

EVE = Wanted(parse_name("eve"), "started", "ilink", "")


# A host takes its key. The response has the id of the cluster, by which hosts detect a restoration.
HOST = """
ETCDCTL_CERT=$PWD/host-a.pem ETCDCTL_KEY=$PWD/host-a.key \\
  etcdctl --user="host-a:$(cat etcd-host-a)" --write-out=json put /wxcontroller/main/hosts/host-a {}
"""


# Members check that the address of another one belongs to the name in its certificate.
NETWORK = """
mount -t tmpfs tmpfs /run
ip link add members type bridge
ip addr add 192.0.2.10/24 dev members
ip link set members up
for number in 1 2 3; do
  ip netns add m$number
  ip link add m$number type veth peer name eth0 netns m$number
  ip link set m$number master members up
  ip -n m$number addr add 192.0.2.$number/24 dev eth0
  ip -n m$number link set eth0 up
  ip -n m$number link set lo up
done
"""


def test_three_members_start_and_are_restored_as_written(tmp_path: Path) -> None:
    """Each in its network, with a /etc/hosts of their own; without systemd, apt and places outside of a directory."""
    users = guide("3. Create a user for each host")
    restore = guide("Restore etcd")

    def here(text: str, number: int = 1) -> str:
        """Return commands or variables with the places of a member in the directory."""
        text = re.sub(r"^(systemctl|chown) .*$", "true", text, flags=re.MULTILINE)
        text = text.replace("/etc/ssl/certs/wx-etcd.pem", "/root/ca.pem").replace("/etc/etcd/", "/root/")
        text = text.replace("/etc/default/etcd", f"/root/default-{number}")
        return text.replace("/var/lib/etcd", f"/root/m{number}").replace("/root/", f"{tmp_path}/")

    for number in (1, 2, 3):
        own = "\n".join(
            line if line.startswith("ETCD_INITIAL_CLUSTER=") else line.replace("etcd-1", f"etcd-{number}")
            for line in member_settings().splitlines()
        )
        (tmp_path / f"default-{number}").write_text(here(own, number) + "\nETCD_UNSAFE_NO_FSYNC=true\n")
    (tmp_path / "hosts").write_text("".join(f"192.0.2.{number} etcd-{number}.example\n" for number in (1, 2, 3)))
    members = f"""
for number in 1 2 3; do
  mkdir -p {tmp_path}/m$number
  (set -a; . {tmp_path}/default-$number; set +a; exec ip netns exec m$number etcd --log-level=error) &
done"""
    healthy = f"until etcdctl --command-timeout=1s endpoint health >{tmp_path}/health 2>&1; do sleep 0.2; done"
    script = "\n".join(
        [
            f"mount --bind {tmp_path}/hosts /etc/hosts; cd {tmp_path}; umask 077",
            NETWORK,
            guide("1. Create certificates"),
            members,
            *(line for line in here(users).splitlines() if line.startswith("export")),
            healthy,
            here(users),
            HOST,
            f"etcdctl --user root:$(cat {tmp_path}/etcd-root) snapshot save {tmp_path}/etcd.snapshot >/dev/null",
            "kill -9 $(jobs -p); wait || true",
            *(here(restore, number) for number in (1, 2, 3)),
            members,
            healthy,
            HOST,
        ]
    )
    path = f"{Path(ETCDCTL).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["unshare", "-mnpf", "--kill-child", "/bin/bash", "-euc", script],
        check=False,
        env={**os.environ, "PATH": path},
        timeout=PATIENCE * 2,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    assert first["header"]["cluster_id"] != second["header"]["cluster_id"]


def users_and_roles(servers: EtcdServers, root: Path) -> None:
    """Run the guide's commands with files below ``root``, at members without TLS."""
    found = guide("3. Create a user for each host")
    commands = "\n".join(line for line in found.splitlines() if not line.startswith("export"))
    environment = {
        **os.environ,
        "ETCDCTL_ENDPOINTS": servers.endpoints[0],
        "PATH": f"{Path(ETCDCTL).parent}:{os.environ['PATH']}",
    }
    subprocess.run(
        ["/bin/bash", "-euc", commands.replace("/root/", f"{root}/")],
        check=True,
        env=environment,
        timeout=PATIENCE,
        capture_output=True,
    )


async def joined(etcd: Etcd, name: str) -> tuple[int, Owners]:
    """Return the lease and the records of a host that has joined the fleet."""
    lease = await etcd.grant(30)
    assert await etcd.commit((), (Put(f"/wxcontroller/main/hosts/{name}", b"{}", lease),))
    owners = Owners(etcd, "/wxcontroller/main/", name, lambda: lease, 30.0)
    await owners._load()
    return lease, owners


async def test_hosts_etcd_role_allows_exactly_what_is_needed(tmp_path: Path) -> None:
    with EtcdServers(tmp_path).running() as servers:
        async with connected(servers.settings()):
            users_and_roles(servers, tmp_path)
        etcds: dict[str, Etcd] = {}
        for name in ("host-a", "host-b"):
            settings = servers.settings(user=name, password=str(tmp_path / f"etcd-{name}"))
            etcds[name] = Etcd(settings, credentials_of(settings))
        async with etcds["host-a"] as a, etcds["host-b"] as b:
            lease_a, owners_a = await joined(a, "host-a")
            lease_b, owners_b = await joined(b, "host-b")
            await owners_a.claim(EVE, 0)
            await owners_b._load()
            with pytest.raises(OwnedElsewhere):
                await owners_b.claim(EVE, 5)
            await owners_a.release(EVE)
            await owners_b._load()
            await owners_b.claim(EVE, 5)
            await b.revoke(lease_b)  # host b is lost
            await owners_a._load()
            await owners_a.take_over("eve", "host-b", 0, 1, "", 60)
            await owners_a.end_takeover("eve")
            assert await a.commit((), (Put("/wxcontroller/main/failsafe/host-a", b"{}"),))
            others = ("main/hosts/host-b", "main/failsafe/host-b", "other/owners/eve")
            for key in (*(f"/wxcontroller/{each}" for each in others), "/else"):
                with pytest.raises(EtcdFailure, match="grant the role of the user"):
                    await a.commit((), (Put(key, b"{}"),))
            assert await a.renew(lease_a) > 0
            await a.revoke(lease_a)
