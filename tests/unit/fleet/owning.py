"""Hosts of a fleet with a real etcd, in this process.

Their units do what the drop-in of wxclient@.service and the client's permit do: a process comes up only with an owner
file of the present lease, and ends with the lease. The stand-in for its keeper holds a
lease that ends only when a test ends it.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from tests.etcd import EtcdServers, connected
from tests.patience import until
from tests.unit.fleet.hosts import FleetHost, introduce
from wxcontroller.controller.accounts.units import UnitRecord
from wxcontroller.controller.hosts.hostowners import HostOwners
from wxcontroller.controller.reconcile import BootMark
from wxcontroller.core.config.fleetsettings import EtcdSettings
from wxcontroller.core.errors import UnitFailed
from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, obj, read_json, text
from wxcontroller.core.states import UnitState
from wxcontroller.fleet.etcd import Etcd, EtcdFailure, Put

# No lease of a stand-in ends because a test was starved: a lapse revokes it, which the other hosts cannot tell from
# its end.
_LEASE_SECONDS = 60
_FILE_SECONDS = 3.0


@dataclass
class Ran:
    """A process of an account. ``end`` is None while it runs.

    ``noted`` is the epoch that etcd knew to be in the account's record on the host when it began.
    """

    account: str
    host: str
    epoch: int
    noted: int
    begin: float
    end: float | None = None


class OwningHost(FleetHost):
    """One host with a stand-in for its keeper."""

    ran: list[Ran]
    settled: list[str]
    settles = True  # whether the copy of an adopted account is settled at once; otherwise its process stays
    lease = 0
    _keeping: asyncio.Task[None] | None = None
    _keeper_etcd: Etcd

    async def __aenter__(self) -> "OwningHost":
        self.settled = []
        self.paths.fleet_runtime.mkdir(parents=True)
        self.paths.owners.mkdir(parents=True)
        await super().__aenter__()
        BootMark(self.paths).set()
        start, kill = self.units._start, self.units.kill

        async def fenced_start(instance: str) -> None:
            if self._owner_file(instance).get("settle") is True:
                self.settled.append(instance)
                state, sub = (UnitState.INACTIVE, "dead") if self.settles else (UnitState.ACTIVE, "running")
                self.units.records[instance] = UnitRecord(instance, state, sub)
                return
            if instance not in self.units.processes:
                self.units.records[instance] = UnitRecord(instance, UnitState.ACTIVATING, "start")
                if not await self._may_run(instance):
                    self.units.records[instance] = UnitRecord(instance, UnitState.FAILED, "failed")
                    raise UnitFailed("exited with status 78")
                record = self.ownership.records.accounts.get(instance)
                noted = record.noted if record is not None else 0
                self.ran.append(Ran(instance, self.name, self._owner(instance)[1], noted, time.monotonic()))
            await start(instance)

        async def noted_kill(instance: str, then: UnitRecord | None = None) -> None:
            await kill(instance, then)
            for each in self.ran:
                if (each.account, each.host, each.end) == (instance, self.name, None):
                    each.end = time.monotonic()

        self.units._start, self.units.kill = fenced_start, noted_kill  # type: ignore[method-assign]
        return self

    async def __aexit__(self, *problem: object) -> None:
        await self.lapse()
        await super().__aexit__(*problem)

    @property
    def ownership(self) -> HostOwners:
        assert self.fleet.ownership is not None
        return self.fleet.ownership

    def _owner_file(self, instance: str) -> JsonObject:
        try:
            return obj(read_json(self.paths.owner_file(instance).read_bytes()))
        except OSError:
            return {}

    def _owner(self, instance: str) -> tuple[int, int]:
        content = self._owner_file(instance)
        return integer(content.get("lease")), integer(content.get("epoch"))

    async def _may_run(self, instance: str) -> bool:
        end = time.monotonic() + _FILE_SECONDS
        while time.monotonic() < end:
            if self.lease and self._owner(instance)[0] == self.lease:
                return True
            await asyncio.sleep(0.02)
        return False

    async def keep(self, etcd: Etcd, **changed: JsonValue) -> None:
        """Hold a lease from now on, and write what the keeper writes, with other values if some are given."""
        self._keeper_etcd = etcd
        lease = await etcd.grant(_LEASE_SECONDS)
        content = {"version": "2.3.0", "capacity": 100, "labels": [], **changed}
        key = f"/wxcontroller/main/hosts/{self.name}"
        assert await etcd.commit((), (Put(key, json.dumps(content).encode(), lease),))
        self._permit()
        (self.paths.fleet_runtime / "lease").write_text(json.dumps({"host": self.name, "lease": lease}))
        self.lease = lease
        self._keeping = asyncio.create_task(self._renew())
        await self.ownership.may_claim()
        await until(lambda: self.name in self.ownership.records.hosts)

    async def passed(self) -> None:
        """Wait for the pass under the present lease, which also starts accounts that systemctl has stopped."""
        await until(lambda: self.ownership.starts.passed == self.lease)

    async def isolate(self) -> None:
        """Renew the lease no more; all processes end, as systemd ends them."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
            self._keeping = None
        await self._end()

    async def lapse(self) -> None:
        """Isolate the host, and end its lease, as etcd ends one that is not renewed."""
        lease = self.lease
        await self.isolate()
        if lease:
            with contextlib.suppress(EtcdFailure):
                await self._keeper_etcd.revoke(lease)

    def _permit(self) -> None:
        end = time.clock_gettime(time.CLOCK_BOOTTIME) + 20
        (self.paths.fleet_runtime / "permit").write_text(f"{end:.3f}\n")

    async def _renew(self) -> None:
        left = 1
        while left:
            self._permit()
            await asyncio.sleep(0.3)
            with contextlib.suppress(EtcdFailure):
                left = await self._keeper_etcd.renew(self.lease)
        await self._end()

    async def _end(self) -> None:
        self.lease = 0
        for name in ("lease", "permit"):
            (self.paths.fleet_runtime / name).unlink(missing_ok=True)
        for instance in list(self.units.processes):
            await self.units.kill(instance, UnitRecord(instance, UnitState.INACTIVE, "dead"))

    async def runs(self, account: str) -> None:
        """Wait until an account runs here."""
        await until(lambda: account in self.units.processes)

    async def knows(self, account: str, epoch: int, owner: str = "") -> None:
        """Wait until this host has seen an account's record with an epoch, and its owner ("" for none)."""
        records = self.ownership.records

        def is_known() -> bool:
            record, owned = records.accounts.get(account), records.owner(account)
            return record is not None and record.epoch == epoch and (owned.host if owned else "") == owner

        await until(is_known)

    async def metrics(self) -> str:
        """Return the answer of /metrics."""
        async with self.http.get("/metrics") as answer:
            return await answer.text()

    async def error(self, method: str, path: str, body: JsonObject | None = None) -> tuple[str, str]:
        """Return code and sentence of a call that fails."""
        status, content = await self.v1(method, path, body)
        assert status >= 400, content
        problem = obj(content["error"])
        return text(problem["code"]), f"{text(problem['message'])}; {text(problem['remedy'])}"


@dataclass
class Fleet:
    """Hosts, their etcd and a client of it."""

    hosts: list[OwningHost]
    servers: EtcdServers
    etcd: Etcd
    ran: list[Ran]

    async def owners(self) -> dict[str, tuple[str, int]]:
        """Return host and epoch of each account that is owned: its host has the lease that it names."""
        return {name: found[:2] for name, found in (await self._read()).items() if found[2]}

    async def records(self) -> dict[str, tuple[str, int]]:
        """Return host and epoch of each account that has a record, and was not removed."""
        return {name: found[:2] for name, found in (await self._read()).items() if not found[3]}

    async def _read(self) -> dict[str, tuple[str, int, bool, bool]]:
        entries = {each.key: each for each in (await self.etcd.read("/wxcontroller/main/")).entries}
        found = dict[str, tuple[str, int, bool, bool]]()
        for key, entry in entries.items():
            if "/accounts/" in key:
                owner = obj(obj(read_json(entry.value))["owner"])
                living = entries.get(f"/wxcontroller/main/hosts/{text(owner['host'])}")
                owned = living is not None and living.lease == owner["lease"]
                removed = owner["removed"] is True
                found[key.rpartition("/")[2]] = text(owner["host"]), integer(owner["epoch"]), owned, removed
        return found

    def overlaps(self) -> list[tuple[Ran, Ran]]:
        """Return the processes of one account that ran at the same time."""
        return [
            (one, other)
            for number, one in enumerate(self.ran)
            for other in self.ran[number + 1 :]
            if one.account == other.account and other.begin < (one.end or time.monotonic())
        ]


# ``owning_fleet`` in the directory of a test.
FleetMaker: TypeAlias = Callable[..., AbstractAsyncContextManager[Fleet]]


@contextlib.asynccontextmanager
async def owning_fleet(
    root: Path,
    *names: str,
    known: bool = True,
    takeovers: EtcdSettings | None = None,
    members: int = 1,
) -> AsyncIterator[Fleet]:
    """Hosts that hold leases and, if ``known``, reach each other. No two run an account at the same time."""
    async with contextlib.AsyncExitStack() as stack:
        servers = stack.enter_context(EtcdServers(root, members).running())
        etcd = await stack.enter_async_context(connected(servers.settings()))
        fleet = Fleet([], servers, etcd, [])
        for number, name in enumerate(names):
            (root / name).mkdir()
            host = OwningHost(root / name, name, number)
            host.etcd = replace(takeovers or EtcdSettings(), endpoints=servers.endpoints)
            host.ran = fleet.ran
            host.settings = replace(host.settings, client={"placement": name})  # unless a test names another one
            fleet.hosts.append(await stack.enter_async_context(host))
        await (introduce(fleet.hosts) if known else asyncio.gather(*(host.join() for host in fleet.hosts)))
        for host in fleet.hosts:
            await host.keep(fleet.etcd)
        for host in fleet.hosts:
            await host.passed()
        yield fleet
        assert not fleet.overlaps()
