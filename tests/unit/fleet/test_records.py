"""The records of a fleet in etcd, as one host changes them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.etcd import EtcdServers, connected
from wxcontroller.core.names import parse_name
from wxcontroller.fleet.etcd import Etcd, Put
from wxcontroller.fleet.owners import NotClaimable, Owners, Wanted

PREFIX = "/wxcontroller/main/"
EVE = Wanted(parse_name("eve"), "started", "ilink", "")


@pytest.fixture
async def etcd(tmp_path: Path) -> AsyncIterator[Etcd]:
    with EtcdServers(tmp_path).running() as servers:
        async with connected(servers.settings()) as etcd:
            yield etcd


async def owners_of(etcd: Etcd) -> Owners:
    """Return the records as host ``a`` with a lease has read them."""
    lease = await etcd.grant(60)
    owners = Owners(etcd, PREFIX, "a", lambda: lease, 30.0)
    await owners._load()
    return owners


async def test_an_account_is_given_up_although_its_owner_was_written_again(etcd: Etcd) -> None:
    """As by a claim that etcd has done although it gave no answer."""
    owners = await owners_of(etcd)
    claimed = (await owners.claim(EVE, 0)).owner.entry
    await etcd.commit((), (Put(claimed.key, claimed.value, claimed.lease),))
    await owners.release(EVE)
    assert not (await etcd.read(f"{PREFIX}owners/")).entries


async def test_an_account_that_stays_owned_is_not_reported_as_given_up(
    etcd: Etcd, monkeypatch: pytest.MonkeyPatch
) -> None:
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
