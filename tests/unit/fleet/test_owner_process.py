"""The controller as a process, in a fleet with etcd."""

import json
from pathlib import Path

import aiohttp

from tests.etcd import EtcdServers, connected
from tests.patience import until
from tests.unit.controller.processes import Host, started
from tests.unit.fleet.owning import granted
from wxcontroller.core.accountfiles import AccountFiles
from wxcontroller.core.jsontypes import obj
from wxcontroller.core.materialise import Materialiser
from wxcontroller.core.names import parse_name
from wxcontroller.core.settings import Settings


async def test_after_a_boot_accounts_are_started_once_the_host_has_a_lease(tmp_path: Path) -> None:
    host = Host(tmp_path / "a")
    paths = host.paths
    Materialiser(paths, Settings(template_path=paths.template)).start(parse_name("eve"), {}, {})
    for place in (paths.fleet_runtime, paths.owners):
        place.mkdir(parents=True)
    with EtcdServers(tmp_path).running() as servers:
        async with connected(servers.settings()) as etcd, aiohttp.ClientSession() as http:
            host.settings(f'[fleet]\nname = "a"\n[fleet.etcd]\nendpoints = ["{servers.endpoints[0]}"]')
            async with started(host):

                async def reason() -> str:
                    async with http.get(f"http://127.0.0.1:{host.address[1]}/v1/health") as answer:
                        return str(obj(obj((await answer.json())["fleet"])["etcd"])["reason"])

                assert await reason()
                assert not any(call.startswith("--no-ask-password start wxclient@") for call in host.calls)
                lease = await granted(etcd, paths, "a", 60, {})
                await until(lambda: "--no-ask-password start wxclient@eve.service" in host.calls)
                assert not await reason()
                owner = json.loads(paths.owner_file("eve").read_bytes())
                assert owner == {"host": "a", "epoch": 2, "lease": lease}
                assert AccountFiles(paths).load("eve").epoch == 2
    host.close()
