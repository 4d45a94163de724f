"""The records of a fleet in etcd, as one host changes them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.etcd import EtcdServers, connected, until_healthy
from tests.patience import until
from wxcontroller.core.names import parse_name
from wxcontroller.fleet.etcd import Etcd, Put
from wxcontroller.fleet.owners import Owners
from wxcontroller.fleet.recordcache import NotClaimable
from wxcontroller.fleet.records import Wanted

PREFIX = "/wxcontroller/main/"
EVE = Wanted(parse_name("eve"), "started", "ilink", "")


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[EtcdServers]:
    with EtcdServers(tmp_path).running() as servers:
        yield servers


@pytest.fixture
async def etcd(servers: EtcdServers) -> AsyncIterator[Etcd]:
    async with connected(servers.settings()) as etcd:
        yield etcd


async def owners_of(etcd: Etcd) -> Owners:
    """Return the records as host ``a`` with a lease has read them."""
    lease = await etcd.grant(60)
    owners = Owners(etcd, PREFIX, "a", lambda: lease, 30.0)
    await owners._load()
    return owners


async def test_owned_account_is_not_reported_as_released(etcd: Etcd, monkeypatch: pytest.MonkeyPatch) -> None:
    owners = await owners_of(etcd)
    await owners.claim(EVE, 0)
    commit = Etcd.commit

    async def after_another(self: Etcd, *arguments: object) -> int | None:
        [entry] = (await etcd.read(f"{PREFIX}owners/")).entries
        await commit(self, (), (Put(entry.key, entry.value, entry.lease),))
        return await commit(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Etcd, "commit", after_another)
    with pytest.raises(NotClaimable, match="account eve cannot be given up"):
        await owners.release(EVE)


@pytest.mark.parametrize("sign", ["revision", "term", "cluster"])
async def test_no_account_is_claimed_from_a_restored_etcd(
    servers: EtcdServers, etcd: Etcd, tmp_path: Path, sign: str
) -> None:
    """Also when others have written so much before this host looks that the revision is higher than before."""
    servers.control("snapshot", "save", str(tmp_path / "snapshot"))
    owners = await owners_of(etcd)
    await owners.claim(EVE, 0)
    [member] = servers.members
    if sign == "term":
        member.kill()
        servers.start(member)
        await until_healthy(etcd)
        await owners._load()
    seen = owners.settled
    assert seen is not None
    servers.restore(tmp_path / "snapshot", "another" if sign == "cluster" else "etcd-cluster")
    await until_healthy(etcd)
    if sign != "revision":
        while (await etcd.read("/else")).revision <= seen.revision:
            await etcd.commit((), (Put("/else", b""),))
    await owners._load()
    assert owners.settled is None
    with pytest.raises(NotClaimable, match="etcd was restored from a snapshot"):
        await owners.claim(EVE, 0)


async def test_a_restored_etcd_is_detected_from_the_watch(servers: EtcdServers, etcd: Etcd, tmp_path: Path) -> None:
    owners = await owners_of(etcd)
    following = asyncio.ensure_future(owners.run())
    for name in ("b", "c"):  # the latter comes by the watch
        servers.control("snapshot", "save", str(tmp_path / "snapshot"))
        await etcd.commit((), (Put(f"{PREFIX}hosts/{name}", b"{}"),))
        await until(lambda name=name: name in owners.hosts)  # type: ignore[misc, arg-type]
    servers.restore(tmp_path / "snapshot")
    await until(lambda: owners.settled is None)
    following.cancel()
