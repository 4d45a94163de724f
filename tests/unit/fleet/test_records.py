"""The records of a fleet in etcd as one host changes them, and its promises to others."""

import json
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.etcd import EtcdServers, connected, until_healthy
from tests.patience import PATIENCE
from wxcontroller.core.access import Scope
from wxcontroller.core.jsontypes import JsonValue
from wxcontroller.core.names import parse_name
from wxcontroller.fleet.credentials import credentials_of
from wxcontroller.fleet.etcd import Etcd, EtcdFailure, EtcdMoment, Put
from wxcontroller.fleet.hop import CALLER_HEADER_LENGTH, BadCaller, HopCaller, read_caller
from wxcontroller.fleet.owners import OwnedElsewhere, Owners
from wxcontroller.fleet.promises import LONGEST_PROMISE, Promises
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


def test_without_readable_promises_nothing_is_claimed_for_some_time(tmp_path: Path) -> None:
    file = tmp_path / "promises"
    assert Promises(file, 20.0).left("a") > 19
    after = Promises(file, 0.0)
    assert after.left("a") > 19  # it was written down
    after.give("a", 5, 40.0)
    assert (after.left("a") > 39, 19 < after.left("b") < 21, after.lease("a"), after.lease("b")) == (True, True, 5, 0)
    file.write_text("{")
    assert Promises(file, 30.0).left("b") > 29
    file.write_text('{"*": {"until": 0}}')
    held = Promises(file, 30.0)
    assert held.left(None) == 0
    file.unlink()
    file.mkdir()  # it cannot be read
    assert held.left(None) > 29
    # However long one that is read is: the clock of another boot.
    file.rmdir()
    held.give("a", 5, 10 * LONGEST_PROMISE)
    assert held.left("a") == LONGEST_PROMISE


@pytest.mark.parametrize(("more", "accepted"), [(0, True), (1, False)])
def test_header_that_names_the_caller_has_a_limited_length(more: int, accepted: bool) -> None:
    written = str(HopCaller("a", Scope.READ, None, "token x"))
    with nullcontext() if accepted else pytest.raises(BadCaller):
        read_caller(written.ljust(CALLER_HEADER_LENGTH + more))


def test_caller_with_too_many_accounts_is_not_forwarded() -> None:
    accounts = frozenset(f"x-{number:015}" for number in range(CALLER_HEADER_LENGTH // 18))
    with pytest.raises(BadCaller):
        str(HopCaller("a", Scope.READ, accounts, "token x"))


async def put(etcd: Etcd, key: str, **content: JsonValue) -> None:
    await etcd.commit((), (Put(f"{PREFIX}{key}", json.dumps(content).encode()),))


async def test_only_hosts_of_the_list_claim_from_a_host_in_failsafe_mode_and_none_that_has_promised(
    etcd: Etcd,
) -> None:
    promises: dict[str | None, float] = {"a": 20.0}
    lease = await etcd.grant(600)
    owners = Owners(etcd, PREFIX, "b", lambda: lease, 0.0, promised=lambda host: promises.get(host, 0.0))
    await put(etcd, "accounts/eve", host="a", epoch=1, name="eve", desired="started")
    for listed, words in ((["c"], "does not ask this host"), (["b"], "has confirmed it")):
        await put(etcd, "failsafe/a", hosts=[*listed])
        promises["a"] = 20.0 if listed == ["b"] else 0.0
        await owners._load()
        with pytest.raises(NotClaimable, match=words):
            owners.adoption(EVE.name)
        with pytest.raises(NotClaimable, match=words):
            await owners.claim(EVE, 5)
        with pytest.raises(NotClaimable, match=words):
            await owners.take_over("eve", "a", 0, 1, "", 60)
    promises["a"] = 0.0
    for key in ("failsafe/a", "hosts/a"):  # which this host has not seen
        await put(etcd, key, hosts=["c"])
        for claim in (owners.claim(EVE, 5), owners.take_over("eve", "a", 0, 1, "", 60)):
            with pytest.raises(NotClaimable, match="keep changing"):
                await claim
        await etcd.commit((), (), [f"{PREFIX}hosts/a"])
        await put(etcd, "failsafe/a", hosts=["b"])
        await owners._load()
    await owners.take_over("eve", "a", 0, 1, "", 60)
    assert owners.owners["eve"].host == "b"


async def test_after_a_restoration_nothing_is_claimed_while_there_are_promises(etcd: Etcd) -> None:
    """Records that name the owner of an account may be lost."""
    left, lease = 20.0, 0
    owners = Owners(etcd, PREFIX, "b", lambda: lease, 0.0, promised=lambda host: 0.0 if host else left)
    await owners._load()
    owners._note(EtcdMoment("another", 9, 9), EtcdMoment("this", 2, 1))
    await owners._load()
    lease = await etcd.grant(600)
    with pytest.raises(NotClaimable, match="was restored"):
        await owners.claim(EVE, 0)
    left = 0.0
    await owners.claim(EVE, 0)


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
            assert await a.commit((), (Put("/wxcontroller/main/failsafe/host-a", b"{}"),))
            others = ("main/hosts/host-b", "main/failsafe/host-b", "other/owners/eve")
            for key in (*(f"/wxcontroller/{each}" for each in others), "/else"):
                with pytest.raises(EtcdFailure, match="grant the role of the user"):
                    await a.commit((), (Put(key, b"{}"),))
            assert await a.renew(lease_a) > 0
            await a.revoke(lease_a)
