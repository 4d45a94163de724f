"""The records of a fleet in etcd as one host changes them."""

import asyncio
import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from tests.etcd import EtcdServers, connected, until_healthy
from tests.patience import PATIENCE
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.jsontypes import JsonObject, JsonValue, obj, read_json
from wxcontroller.core.names import parse_name
from wxcontroller.fleet.credentials import credentials_of
from wxcontroller.fleet.etcd import Etcd, EtcdFailure, Put
from wxcontroller.fleet.hop import CALLER_HEADER_LENGTH, BadCaller, HopCaller, read_caller
from wxcontroller.fleet.owners import OwnedElsewhere, Owners
from wxcontroller.fleet.recordcache import NotClaimable
from wxcontroller.fleet.records import AccountRecord

PREFIX = "/wxcontroller/main/"
EVE = parse_name("eve")
WANTED = AccountRecord("eve", "", 0, "started", driver="ilink")


async def owners_of(etcd: Etcd) -> Owners:
    """Return the records as host ``a`` with a lease has read them."""
    lease = await etcd.grant(600)
    owners = Owners(etcd, PREFIX, "a", lambda: lease, 30.0)
    await owners._load()
    return owners


async def test_owned_account_is_not_reported_as_released(etcd: Etcd, monkeypatch: pytest.MonkeyPatch) -> None:
    owners = await owners_of(etcd)
    await owners.claim(EVE, WANTED, 0)
    commit = Etcd.commit

    async def after_another(self: Etcd, *arguments: object) -> int | None:
        [entry] = (await etcd.read(f"{PREFIX}accounts/")).entries
        await commit(self, (), (Put(entry.key, entry.value, entry.lease),))
        return await commit(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Etcd, "commit", after_another)
    for given_up in (owners.release("eve", WANTED), owners.forget("eve")):
        with pytest.raises(NotClaimable, match="account eve cannot be given up"):
            await given_up


@pytest.mark.parametrize("sign", ["revision", "term", "cluster"])
async def test_no_account_is_claimed_from_a_restored_etcd(servers: EtcdServers, etcd: Etcd, sign: str) -> None:
    """Also when others have written so much before this host looks that the revision is higher than before."""
    servers.save()
    owners = await owners_of(etcd)
    await owners.claim(EVE, WANTED, 0)
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
        await owners.claim(EVE, WANTED, 0)


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
    lease, owners = await etcd.grant(600), await owners_of(etcd)
    for kind, refusal, words in (
        ("claim", OwnedElsewhere, "is owned by b"),
        ("take_over", NotClaimable, "keep changing"),
    ):
        await etcd.commit((), (Put(f"{PREFIX}accounts/eve", owned_by("b", lease)),), (f"{PREFIX}hosts/b",))
        await owners._load()
        assert owners.owner("eve") is None
        await etcd.commit((), (Put(f"{PREFIX}hosts/b", b"{}", lease),))
        with pytest.raises(refusal, match=words):
            await (owners.claim(EVE, WANTED, 5) if kind == "claim" else owners.take_over("eve", "b", 0, 1, "", 60))


def owned_by(host: str, lease: int, epoch: int = 1, **more: JsonValue) -> bytes:
    """Return the value of the record of account eve."""
    owner: JsonObject = {"host": host, "epoch": epoch, "lease": lease, "removed": False, **more}
    return json.dumps({"owner": owner, "name": "eve", "desired": "started"}).encode()


async def test_records_of_2_3_0_are_read_and_replaced(etcd: Etcd) -> None:
    """Hosts are upgraded one by one: an account stays where it runs, and 2.3.0 claims none of a later version."""
    lease, owners = await etcd.grant(600), await owners_of(etcd)
    old = b'{"host": "b", "epoch": 3, "name": "eve", "desired": "started"}'
    await etcd.commit(
        (),
        (
            Put(f"{PREFIX}hosts/b", b"{}", lease),
            Put(f"{PREFIX}owners/eve", b'{"host": "b", "epoch": 3}', lease),
            Put(f"{PREFIX}accounts/eve", old),
        ),
    )
    await owners._load()
    assert owners.owner("eve") is not None
    with pytest.raises(OwnedElsewhere, match="is owned by b"):
        await owners.claim(EVE, WANTED, 5)
    await etcd.commit((), (), (f"{PREFIX}owners/eve",))  # b releases it, as for a move
    await owners._load()
    with pytest.raises(OwnedElsewhere, match="was last on b, with epoch 3"):
        await owners.claim(EVE, WANTED, 3)
    await etcd.commit((), (Put(f"{PREFIX}owners/eve", b'{"host": "b", "epoch": 4}', lease),))
    with pytest.raises(OwnedElsewhere, match="is owned by b"):  # it has claimed it meanwhile
        await owners.claim(EVE, WANTED, 5)
    await etcd.commit((), (), (f"{PREFIX}owners/eve",))
    await owners._load()
    assert (await owners.claim(EVE, WANTED, 4)).epoch == 5
    [entry] = (await etcd.read(f"{PREFIX}accounts/eve")).entries
    # 2.3.0 reads a record only with these; without, its claims fail because the key exists.
    assert not {"host", "epoch"} & obj(read_json(entry.value)).keys()


async def test_upgraded_host_keeps_what_2_3_0_has_claimed_under_its_lease(etcd: Etcd) -> None:
    lease = await etcd.grant(600)
    owners = Owners(etcd, PREFIX, "a", lambda: lease, 30.0)
    key = f"{PREFIX}owners/eve"
    record = Put(f"{PREFIX}accounts/eve", b'{"host": "a", "epoch": 3, "name": "eve", "desired": "started"}')
    await etcd.commit((), (Put(key, b'{"host": "a", "epoch": 3}', lease), record))
    await owners._load()
    assert owners.is_own("eve", lease)
    assert not owners.is_recorded("eve", WANTED)
    await owners.tell("eve", WANTED)
    assert (await etcd.read(key)).entries == ()
    assert owners.is_own("eve", lease)
    assert owners.is_recorded("eve", WANTED)
    assert owners.accounts["eve"].epoch == 3


async def test_what_two_tasks_record_at_once_is_written_once(etcd: Etcd) -> None:
    owners = await owners_of(etcd)
    first = (await owners.claim(EVE, WANTED, 4)).entry.mod_revision
    stopped = replace(WANTED, desired="stopped")
    await asyncio.gather(*(owners.tell("eve", stopped) for _ in range(2)))
    [entry] = (await etcd.read(f"{PREFIX}accounts/eve")).entries
    assert entry.mod_revision == first + 1


async def test_copy_of_a_removed_account_is_not_started_and_its_epoch_not_used_again(etcd: Etcd) -> None:
    owners = await owners_of(etcd)
    await owners.claim(EVE, WANTED, 4)
    await owners.forget("eve")
    record = owners.accounts["eve"]
    assert (record.removed, record.lease, record.is_wanted, record.epoch) == (True, 0, False, 5)
    with pytest.raises(OwnedElsewhere, match="was removed on a, in epoch 5") as refused:
        await owners.claim(EVE, WANTED, 5)
    assert "wxctl remove eve" in refused.value.remedy
    assert (await owners.claim(EVE, WANTED, 0)).epoch == 6  # a new account of the name


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
            await owners_a.claim(EVE, WANTED, 0)
            await owners_b._load()
            with pytest.raises(OwnedElsewhere):
                await owners_b.claim(EVE, WANTED, 5)
            await owners_a.release("eve", WANTED)
            await owners_b._load()
            await owners_b.claim(EVE, WANTED, 5)
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
