"""The records of a fleet in etcd as one host changes them."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.etcd import EtcdServers, connected, until_healthy
from tests.patience import PATIENCE
from wxcontroller.core.access import Scope
from wxcontroller.core.names import parse_name
from wxcontroller.fleet.credentials import credentials_of
from wxcontroller.fleet.etcd import Etcd, EtcdFailure, Put
from wxcontroller.fleet.hop import CALLER_HEADER_LENGTH, BadCaller, HopCaller, read_caller
from wxcontroller.fleet.owners import OwnedElsewhere, Owners
from wxcontroller.fleet.recordcache import NotClaimable
from wxcontroller.fleet.records import Wanted

PREFIX = "/wxcontroller/main/"
EVE = Wanted(parse_name("eve"), "started", "ilink", "")


async def owners_of(etcd: Etcd) -> Owners:
    """Return the records as host ``a`` with a lease has read them."""
    lease = await etcd.grant(600)
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
async def test_no_account_is_claimed_from_a_restored_etcd(servers: EtcdServers, etcd: Etcd, sign: str) -> None:
    """Also when others have written so much before this host looks that the revision is higher than before."""
    servers.save()
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
    servers.restore("" if sign == "cluster" else "etcd-cluster")
    await until_healthy(etcd)
    if sign != "revision":
        while (await etcd.read("/else")).revision <= seen.revision:
            await etcd.commit((), (Put("/else", b""),))
    await owners._load()
    assert owners.settled is None
    with pytest.raises(NotClaimable, match="etcd was restored from a snapshot"):
        await owners.claim(EVE, 0)


@pytest.mark.parametrize(("more", "accepted"), [(0, True), (1, False)])
def test_header_that_names_the_caller_has_a_limited_length(more: int, accepted: bool) -> None:
    written = str(HopCaller("a", Scope.READ, None, "token x"))
    with nullcontext() if accepted else pytest.raises(BadCaller):
        read_caller(written.ljust(CALLER_HEADER_LENGTH + more))


def test_caller_with_too_many_accounts_is_not_forwarded() -> None:
    accounts = frozenset(f"x-{number:015}" for number in range(CALLER_HEADER_LENGTH // 18))
    with pytest.raises(BadCaller):
        str(HopCaller("a", Scope.READ, accounts, "token x"))


async def test_no_claim_while_the_lease_of_the_last_host_changes(etcd: Etcd) -> None:
    """A host that came back, which this one has not seen yet, keeps its account."""
    owners = await owners_of(etcd)
    record = b'{"host": "b", "epoch": 1, "name": "eve", "desired": "started"}'
    await etcd.commit((), (Put(f"{PREFIX}accounts/eve", record),))
    await owners._load()
    await etcd.commit((), (Put(f"{PREFIX}hosts/b", b"{}"),))
    for claim in (owners.claim(EVE, 5), owners.take_over("eve", "b", 0, 1, "", 60)):
        with pytest.raises(NotClaimable, match="keep changing"):
            await claim


async def joined(etcd: Etcd, name: str) -> tuple[int, Owners]:
    """Return the lease and the records of a host that has joined the fleet."""
    lease = await etcd.grant(600)
    assert await etcd.commit((), (Put(f"/wxcontroller/main/hosts/{name}", b"{}", lease),))
    owners = Owners(etcd, "/wxcontroller/main/", name, lambda: lease, 30.0)
    await owners._load()
    return lease, owners


async def test_hosts_etcd_role_allows_exactly_what_is_needed(tmp_path: Path) -> None:
    with EtcdServers(tmp_path).running() as servers:
        async with connected(servers.settings()):
            servers.add_users()
        etcds: dict[str, Etcd] = {}
        for name in ("host-a", "host-b"):
            settings = servers.settings(user=name, password=str(tmp_path / f"etcd-{name}"))
            etcds[name] = Etcd(settings, credentials_of(settings), PATIENCE)
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
            others = ("main/hosts/host-b", "other/owners/eve")
            for key in (*(f"/wxcontroller/{each}" for each in others), "/else"):
                with pytest.raises(EtcdFailure, match="grant the role of the user"):
                    await a.commit((), (Put(key, b"{}"),))
            assert await a.renew(lease_a) > 0
            await a.revoke(lease_a)
