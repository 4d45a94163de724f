"""A fleet with etcd, of simulated hosts: writes and memory of etcd, memory of a controller's records, claims.

python3 -m bench.fleet [--accounts 10,500,5000] [--hosts 3,10,30] [--members 3] [--seconds N] [--short]

etcd is real, with synced writes. Each host is a keeper that renews its lease, and the records that a controller
follows and changes (``fleet/keeper.py``, ``fleet/owners.py``), all in this process: so a claim takes longer than on
hosts of their own. The first host owns up to 500 accounts and is lost; then the second one claims them as fast as it
can, four at a time. No account has a process.
"""

import argparse
import asyncio
import contextlib
import os
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp

from tests.etcd import EtcdServers, connected
from wxcontroller.core.config.fleetsettings import EtcdSettings, FleetSettings
from wxcontroller.core.config.settings import Settings
from wxcontroller.core.jsontypes import integer, kept_json
from wxcontroller.core.names import parse_name
from wxcontroller.core.paths import Paths
from wxcontroller.fleet.credentials import credentials_of
from wxcontroller.fleet.etcd import Etcd
from wxcontroller.fleet.keeper import Keeper, Times
from wxcontroller.fleet.owners import Owners
from wxcontroller.fleet.records import AccountRecord

HERE = Path(__file__).parents[1]
TIMES = Times(15.0)
LOST = 500
# The number of concurrent starts on a host.
AT_A_TIME = 4
_COUNTERS = ("etcd_server_proposals_committed_total", "etcd_mvcc_db_total_size_in_use_in_bytes")


@dataclass
class SimulatedHost:
    """``owners`` are the records as this host knows them."""

    name: str
    etcd: Etcd
    owners: Owners

    async def claim(self, numbers: Sequence[int], epoch: int = 0) -> float:
        """Claim accounts that have an epoch here; return how long that took."""
        waiting, began = list(reversed(numbers)), time.monotonic()

        async def some() -> None:
            while waiting:
                name = parse_name(f"account-{waiting.pop():05}")
                wanted = AccountRecord(name.name, "", 0, "started", driver="ilink")
                claim = await self.owners.claim(name, wanted, epoch)
                # As controllers do once the account's file has the epoch.
                await self.owners.tell(name.instance, replace(wanted, noted=claim.epoch))

        await asyncio.gather(*(some() for _ in range(AT_A_TIME)))
        return time.monotonic() - began


@contextlib.asynccontextmanager
async def hosts_of(settings: EtcdSettings, root: Path, number: int) -> AsyncIterator[list[SimulatedHost]]:
    """Yield so many hosts that have leases and know the records."""
    async with contextlib.AsyncExitStack() as stack:
        running: list[asyncio.Task[None]] = []
        hosts: list[SimulatedHost] = []
        for n in range(number):
            paths = Paths(root / f"h{n}")
            paths.fleet_runtime.mkdir(parents=True)
            fleet = FleetSettings(f"h{n}", etcd=settings)
            kept, owned = (Etcd(settings, credentials_of(settings)) for _ in range(2))
            for each in (kept, owned):
                await stack.enter_async_context(each)
            running.append(asyncio.create_task(Keeper(Settings(), fleet, kept, TIMES, f"b{n}", paths).run()))

            def lease(file: Path = paths.fleet_runtime / "lease") -> int:
                return integer(kept_json(file.read_bytes()).get("lease")) if file.exists() else 0

            owners = Owners(owned, settings.prefix, fleet.name, lease, TIMES.lease)
            running.append(asyncio.create_task(owners.run()))
            hosts.append(SimulatedHost(fleet.name, owned, owners))
        await until(lambda: all(len(host.owners.hosts) == number for host in hosts))
        try:
            yield hosts
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


async def counters(endpoint: str) -> tuple[float, float]:
    """Return how many writes a member has done, and the bytes of its store."""
    async with aiohttp.ClientSession() as http, http.get(f"{endpoint}/metrics") as answer:
        text = await answer.text()
    found = [re.search(rf"^{name} (\S+)$", text, re.MULTILINE) for name in _COUNTERS]
    first, second = (float(each[1]) if each else 0.0 for each in found)
    return first, second


def resident(pid: int) -> float:
    """Return the MiB of a process."""
    match = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(match[1]) / 1024 if match else 0.0


async def follow(endpoint: str) -> None:
    """Print the MiB that the records take in a process of their own, and the seconds to read them."""
    settings = EtcdSettings((endpoint,))
    async with Etcd(settings, credentials_of(settings)) as etcd:
        await etcd.read("/none")
        before, began = resident(os.getpid()), time.monotonic()
        owners = Owners(etcd, settings.prefix, "z", lambda: 0, TIMES.lease)
        following = asyncio.create_task(owners.run())
        await owners.until_read()
        print(f"{resident(os.getpid()) - before:.1f} {time.monotonic() - began:.2f}")
        following.cancel()


async def measure(accounts: int, number: int, members: int, seconds: float) -> None:
    """Print a row for so many accounts on so many hosts."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
        servers = EtcdServers(Path(place), members)
        servers.options = ["--unsafe-no-fsync=false"]
        with servers.running():
            async with connected(servers.settings()), hosts_of(servers.settings(), Path(place), number) as hosts:
                endpoint = servers.endpoints[0]
                lost = min(accounts, LOST)
                shares = [range(lost), *(range(n, accounts, number - 1) for n in range(lost, lost + number - 1))]
                writes, began = (await counters(endpoint))[0], time.monotonic()
                await asyncio.gather(*(host.claim(share) for host, share in zip(hosts, shares, strict=True)))
                took = time.monotonic() - began
                claiming = ((await counters(endpoint))[0] - writes) / took  # each claim is two
                await until(lambda: all(len(host.owners.owned) == accounts for host in hosts))
                writes = (await counters(endpoint))[0]
                await asyncio.sleep(seconds)
                now, size = await counters(endpoint)
                idle = (now - writes) / seconds
                program = [sys.executable, "-m", "bench.fleet", "--follow", endpoint]
                child = await asyncio.create_subprocess_exec(*program, cwd=HERE, stdout=asyncio.subprocess.PIPE)
                follower = (await child.communicate())[0].decode().split()
                await hosts[0].etcd.revoke(hosts[0].owners.hosts[hosts[0].name].entry.lease)
                await until(lambda: len(hosts[1].owners.owned) == accounts - lost)
                takeover = await hosts[1].claim(range(lost), epoch=2)
                pids = [member.process.pid for member in servers.members if member.process is not None]
                print(
                    f"{accounts:8}{number:6}{idle:9.2f}{claiming:10.0f}"
                    f"{max(map(resident, pids)):10.0f}{size / 1e6:8.2f}{follower[0]:>12}{follower[1]:>8}"
                    f"{takeover:8.2f} ({lost})",
                    flush=True,
                )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", default="10,500,5000", help="how many, separated by commas")
    parser.add_argument("--hosts", default="3,10,30", help="how many, separated by commas")
    parser.add_argument("--members", type=int, default=3, help="of etcd")
    parser.add_argument("--seconds", type=float, default=20.0, help="without claims")
    parser.add_argument("--short", action="store_true", help="ten accounts, two hosts, one member")
    parser.add_argument("--follow", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.follow:
        asyncio.run(follow(arguments.follow))
        return 0
    print("accounts hosts  writes/s when idle, claiming; MiB of a member; MB of the store;")
    print("        MiB of the records in a controller; seconds to read them; seconds to take over so many accounts")
    if arguments.short:
        asyncio.run(measure(10, 2, 1, 0.2))
        return 0
    for number in map(int, arguments.hosts.split(",")):
        for accounts in map(int, arguments.accounts.split(",")):
            asyncio.run(measure(accounts, number, arguments.members, arguments.seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
