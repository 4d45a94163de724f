"""The keeper against etcd, without systemd: tests/system/test_keeper.py has what systemd makes of it."""

import asyncio
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.etcd import EtcdServers
from tests.patience import PATIENCE, until
from wxcontroller.core.config.fleetsettings import FleetSettings
from wxcontroller.core.config.settings import Settings
from wxcontroller.core.jsontypes import integer, kept_json
from wxcontroller.core.paths import Paths
from wxcontroller.core.process.notify import Notifier
from wxcontroller.fleet import keeper as module
from wxcontroller.fleet.credentials import credentials_of
from wxcontroller.fleet.etcd import Etcd, Put
from wxcontroller.fleet.keeper import HostNameTaken, Keeper, LeaseLost, Times

KEY = "/wxcontroller/main/hosts/host-a"
TIMES = Times(1.5)


@dataclass
class World:
    """A keeper's lease, in etcd and on its host. ``fed`` is how often it has fed its watchdog lately."""

    servers: EtcdServers
    etcd: Etcd
    paths: Paths
    fed: int = 0

    async def begin(self, boot: str = "this") -> "asyncio.Task[None]":
        settings = self.servers.settings()

        async def run() -> None:
            async with Etcd(settings, credentials_of(settings), TIMES.request) as etcd:
                fleet = FleetSettings("host-a", etcd=settings)
                await Keeper(Settings(), fleet, etcd, TIMES, boot, self.paths).run()

        return asyncio.ensure_future(run())

    async def renewals(self, number: int) -> None:
        """Wait until the keeper has fed its watchdog so often since the last call."""
        await until(lambda: self.fed >= number)
        self.fed = 0

    @property
    def lease(self) -> int:
        file = self.paths.fleet_runtime / "lease"
        return integer(kept_json(file.read_bytes() if file.exists() else b"").get("lease"))

    @property
    def permit(self) -> float:
        """Return the seconds until the end of the permit, 0 for none."""
        file = self.paths.fleet_runtime / "permit"
        return float(file.read_text()) - time.clock_gettime(time.CLOCK_BOOTTIME) if file.exists() else 0.0

    async def key_lease(self) -> int:
        return next((entry.lease for entry in (await self.etcd.read(KEY)).entries), 0)


@pytest.fixture
def world(servers: EtcdServers, etcd: Etcd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(servers, etcd, Paths(tmp_path))
    world.paths.fleet_runtime.mkdir(parents=True)

    def feed(_: Notifier) -> None:
        world.fed += 1

    monkeypatch.setattr(Notifier, "watchdog", feed)
    return world


async def test_watchdog_and_permit_follow_lease_renewals_only(world: World) -> None:
    keeping = await world.begin()
    await until(lambda: world.lease)
    assert await world.key_lease() == world.lease
    await world.renewals(1)
    assert 0 < world.permit <= TIMES.permit
    [member] = world.servers.members
    member.kill(signal.SIGSTOP)
    await asyncio.sleep(TIMES.request)
    world.fed, moment = 0, world.permit
    await asyncio.sleep(TIMES.renewal * 2)
    assert not world.fed
    assert world.permit < moment
    member.kill(signal.SIGCONT)
    # It was too long: the lease has ended, and with the files go the accounts.
    async with asyncio.timeout(PATIENCE):
        await asyncio.sleep(TIMES.lease)
        if not keeping.done():
            await world.etcd.revoke(world.lease)
        with pytest.raises(LeaseLost):
            await keeping
    assert not world.lease
    assert not world.permit


async def test_revoked_lease_ends_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Times, "renewal", PATIENCE)
    keeping = await world.begin()
    await world.renewals(1)
    for _ in range(2):  # the first one is from before the watch
        await world.etcd.commit([], [Put(f"{KEY}-else", b"")])
        await world.renewals(1)
    await world.etcd.revoke(world.lease)
    with pytest.raises(LeaseLost):
        await asyncio.wait_for(keeping, PATIENCE / 2)
    assert not world.permit


async def test_stop_releases_the_name_once_no_account_runs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    keeping = await world.begin()
    await until(lambda: world.lease)
    runs = True
    monkeypatch.setattr(module, "accounts_run", lambda: runs)
    keeping.cancel()
    await until(lambda: not world.lease and not world.permit)
    await asyncio.sleep(0.2)
    assert await world.key_lease()
    runs = False
    async with asyncio.timeout(PATIENCE):
        await keeping
    assert not await world.key_lease()


async def test_a_late_renewal_does_not_feed_the_watchdog(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The watchdog counts from the answer, the lease from before the request: the two must not be far apart."""
    renew, slow = Etcd.renew, asyncio.Event()

    async def slow_once(self: Etcd, lease: int) -> int:
        if not slow.is_set():
            slow.set()
            await asyncio.sleep(TIMES.renewal * 2)
        return await renew(self, lease)

    def note(_: Notifier) -> None:
        if slow.is_set():  # before, a keeper that waits for etcd feeds it, too
            permits.append(world.permit)

    permits: list[float] = []
    monkeypatch.setattr(Etcd, "renew", slow_once)
    monkeypatch.setattr(Notifier, "watchdog", note)
    keeping = await world.begin()
    await until(lambda: permits)
    assert permits[0] > TIMES.permit - TIMES.renewal * 1.5
    keeping.cancel()
    await keeping


async def test_keeper_waits_for_old_leases_after_an_etcd_restoration(world: World) -> None:
    keeping = await world.begin()
    await until(lambda: world.lease)
    world.servers.save()
    await world.etcd.commit([], [Put("/else", b"")])
    world.fed = 0
    await world.renewals(2)  # the second one has begun after that
    world.servers.restore()  # the snapshot has the lease
    with pytest.raises(LeaseLost):
        await asyncio.wait_for(keeping, PATIENCE)
    assert not world.lease
    begun = time.monotonic()
    keeping = await world.begin()
    await until(lambda: world.lease)
    assert time.monotonic() - begun > TIMES.lease
    keeping.cancel()
    await keeping


@pytest.mark.parametrize("boot", ["this", ""])
async def test_restarted_keeper_ends_only_a_lease_of_its_own_boot(world: World, boot: str) -> None:
    before = await world.etcd.grant(3600)
    await world.etcd.commit([], [Put(KEY, b'{"boot": "%b"}' % boot.encode(), before)])
    keeping = await world.begin(boot)
    if not boot:  # whose lease it is cannot be told
        with pytest.raises(HostNameTaken):
            await asyncio.wait_for(keeping, PATIENCE)
        assert await world.key_lease() == before
        return
    await until(lambda: world.lease)  # at once, without a wait for the end of the old one
    assert await world.etcd.renew(before) == 0
    keeping.cancel()
    await keeping


async def test_name_of_a_living_host_is_refused_and_of_a_dead_one_accepted(world: World) -> None:
    dead = await world.etcd.grant(2)
    await world.etcd.commit([], [Put(KEY, b'{"boot": "another"}', dead)])
    keeping = await world.begin()
    await until(lambda: world.lease)
    lease = world.lease
    living = await world.begin("a third")
    with pytest.raises(HostNameTaken, match="another running host of the fleet is named host-a"):
        await asyncio.wait_for(living, PATIENCE)
    assert await world.key_lease() == lease
    keeping.cancel()
    await keeping


def test_missing_slice_means_no_account_runs(tmp_path: Path) -> None:
    own = tmp_path / "proc/self/cgroup"
    own.parent.mkdir(parents=True)
    own.write_text("0::/wx.slice/wxcontroller-keeper.service\n")
    events = tmp_path / "sys/fs/cgroup/wxclient.slice/cgroup.events"
    assert not module.accounts_run(tmp_path)
    events.parent.mkdir(parents=True)
    for words, runs in (("populated 1\nfrozen 0\n", True), ("populated 0\nfrozen 0\n", False)):
        events.write_text(words)
        assert module.accounts_run(tmp_path) is runs
    events.unlink()
    events.mkdir()  # it cannot be read
    with pytest.raises(OSError, match="Is a directory"):
        module.accounts_run(tmp_path)
