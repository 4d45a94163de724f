"""The commands of docs/howto/etcd.md that create users and roles: they suffice for a host, and allow nothing more."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.etcd import ETCDCTL, EtcdServers, connected
from tests.patience import PATIENCE
from wxcontroller.core.names import parse_name
from wxcontroller.fleet.credentials import credentials_of
from wxcontroller.fleet.etcd import Etcd, EtcdFailure, Put
from wxcontroller.fleet.owners import OwnedElsewhere, Owners, Wanted

PAGE = Path(__file__).parents[3] / "docs/howto/etcd.md"
EVE = Wanted(parse_name("eve"), "started", "ilink", "")


def users_and_roles(servers: EtcdServers, root: Path) -> None:
    """Run the block that begins by naming the members, with files below ``root``."""
    [block] = re.findall(r"```sh[^\n]*test_etcd_howto[^\n]*\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    commands = "\n".join(line for line in block.splitlines() if not line.startswith("export"))
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


async def test_a_host_may_do_what_it_has_to_and_nothing_else(tmp_path: Path) -> None:
    with EtcdServers(tmp_path).running() as servers:
        async with connected(servers.settings()):
            users_and_roles(servers, tmp_path)
        etcds: dict[str, Etcd] = {}
        for name in ("host-a", "host-b"):
            settings = servers.settings(user=name, password=str(tmp_path / f"etcd-{name}"))
            etcds[name] = Etcd(settings, credentials_of(settings))
        async with etcds["host-a"] as a, etcds["host-b"] as b:
            leases = {}
            for name, etcd in (("host-a", a), ("host-b", b)):
                leases[name] = await etcd.grant(30)
                assert await etcd.commit((), (Put(f"/wxcontroller/main/hosts/{name}", b"{}", leases[name]),))
            owners = {
                name: Owners(etcd, "/wxcontroller/main/", name, lambda name=name: leases[name], 30.0)  # type: ignore[misc]
                for name, etcd in (("host-a", a), ("host-b", b))
            }
            for each in owners.values():
                await each._load()
            await owners["host-a"].claim(EVE, 0)
            await owners["host-b"]._load()
            with pytest.raises(OwnedElsewhere):
                await owners["host-b"].claim(EVE, 5)
            await owners["host-a"].release(EVE)
            await owners["host-b"]._load()
            await owners["host-b"].claim(EVE, 5)
            for key in ("/wxcontroller/main/hosts/host-b", "/wxcontroller/other/owners/eve", "/else"):
                with pytest.raises(EtcdFailure, match="grant the role of the user"):
                    await a.commit((), (Put(key, b"{}"),))
            assert await a.renew(leases["host-a"]) > 0
            await a.revoke(leases["host-a"])
