"""Takeovers by policy: which host takes over an account of a lost host, when, and what prevents it."""

import asyncio
import io
import json
import ssl
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial

import pytest

from tests.patience import until
from tests.unit.fleet import bundles
from tests.unit.fleet.bundles import SECRET, account_of, as_root, kept, sealed
from tests.unit.fleet.owning import Fleet, FleetMaker, OwningHost
from wxcontroller.cli.connection.api import Api
from wxcontroller.cli.transfer.adoption import taken_over
from wxcontroller.controller.alerts.alertwatch import AlertWatch
from wxcontroller.controller.hosts import hosttakeovers
from wxcontroller.controller.reconcile import BootMark
from wxcontroller.core.config.fleetsettings import EtcdSettings
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import JsonObject, items, obj, text
from wxcontroller.core.names import parse_name
from wxcontroller.core.states import Desired
from wxcontroller.fleet.credentials import PeerCredentials
from wxcontroller.fleet.etcd import Etcd, EtcdEntry
from wxcontroller.fleet.owners import Owners
from wxcontroller.fleet.recordcache import NotClaimable
from wxcontroller.fleet.records import AccountRecord, LivingHost, record_of
from wxcontroller.fleet.takeoverplan import Outlooks

SOON = EtcdSettings(takeover_after=1.0, takeover_pause=60.0, takeover_rate=20.0)
LATER = replace(SOON, takeover_after=60.0)  # later than the test ends
OPTIONS = {"driver": "ilink", "takeover": "any", "standby": "b", "placement": ""}


async def start(fleet: Fleet, host: OwningHost, name: str = "eve", **changed: str) -> None:
    """Start an account that may be taken over; all hosts know that."""
    options = {**OPTIONS, **changed}
    first: JsonObject = {**options, "placement": host.name}
    status, content = await host.v1("POST", f"accounts/{name}/start", {"options": first})
    assert status == 200, content
    await host.v1("PATCH", f"accounts/{name}/options", {"placement": options["placement"]})

    def is_known(host: OwningHost) -> bool:
        record = host.ownership.records.accounts.get(name)
        return record is not None and (record.policy, record.placement) == (options["takeover"], options["placement"])

    for each in fleet.hosts:
        await until(partial(is_known, each))


async def send_bundle(source: OwningHost, to: OwningHost, name: str = "eve") -> None:
    """Have a host keep the standby bundle of an account of another one."""
    content = sealed(source, account_of(source, name), int(time.time()), source.name)
    assert "error" not in await asyncio.to_thread(kept, to, io.BytesIO(content), name)
    await to.fleet.standbys.look()


def receiving(
    host: OwningHost, monkeypatch: pytest.MonkeyPatch, act: Callable[[Api, str, bytes], JsonObject] = taken_over
) -> AbstractAsyncContextManager[list[str]]:
    """Root's program that takes accounts over on a host; yields what it was asked for."""
    as_root(monkeypatch, host)
    return bundles.receiving(host, lambda name, _: act(Api(host.url), name, SECRET))


async def outlook(host: OwningHost, account: str = "eve") -> JsonObject:
    """Return the plan that a host shows for an account."""
    found = items(obj((await host.v1("GET", "fleet"))[1]["etcd"])["accounts"])
    [row] = [obj(each) for each in found if obj(each)["account"] == account]
    return row


async def test_host_that_returns_in_time_keeps_its_accounts(
    owning: FleetMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with owning("a", "b", known=False, takeovers=LATER) as fleet:
        a, b = fleet.hosts
        await start(fleet, a)
        await send_bundle(a, b)
        async with receiving(b, monkeypatch) as asked:
            await a.lapse()
            takeovers = b.ownership.takeovers
            await until(lambda: "eve" in takeovers._lost)
            looked = takeovers._looked
            await until(lambda: takeovers._looked > looked + 0.5)  # it has had time to begin
            await a.keep(fleet.etcd)
            await a.runs("eve")
            await until(lambda: not b.ownership.takeovers._lost)
            assert not asked
        assert await fleet.owners() == {"eve": ("a", 2)}


async def test_only_one_of_two_hosts_takes_an_account_over(owning: FleetMaker) -> None:
    async with owning("a", "b", "c", known=False, takeovers=LATER) as fleet:
        a, *others = fleet.hosts
        await start(fleet, a)
        await until(lambda: a.ownership.starts.passed)  # later, what is stopped by systemctl stays down
        await a.units._stop("eve")
        await others[0].knows("eve", epoch=1, owner="a")
        with pytest.raises(NotClaimable):  # its host is there
            await others[0].ownership.records.take_over("eve", "a", 1, 1, "", 60)
        await a.lapse()
        for host in others:
            await until(lambda: "eve" in host.ownership.takeovers._lost)  # noqa: B023
            host.ownership.takeovers._running.add("eve")  # so that the controllers do not continue it
        ended = await asyncio.gather(
            *(host.ownership.records.take_over("eve", "a", 1, 1, "", 60) for host in others), return_exceptions=True
        )
        [refused] = [each for each in ended if each is not None]
        assert isinstance(refused, NotClaimable)
        winner = others[ended.index(None)]
        assert (await fleet.owners())["eve"] == (winner.name, 2)


async def test_a_failed_import_is_released_and_taken_over_by_the_next_host(
    owning: FleetMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def registers_and_fails(api: Api, instance: str, _: bytes) -> JsonObject:
        api.add(parse_name(instance), {**OPTIONS}, 2, "", 2)
        api.remove(parse_name(instance))  # as an import does whose files cannot be written
        raise WxError("the disk is full", "free some space there")

    async with owning("a", "b", "c", known=False, takeovers=SOON) as fleet:
        a, b, c = fleet.hosts
        await start(fleet, a)
        await send_bundle(a, b)
        await send_bundle(a, c)
        async with receiving(b, monkeypatch, registers_and_fails) as asked, receiving(c, monkeypatch):
            await a.lapse()
            await until(lambda: b.ownership.takeovers.counts["failed"] == 1)
            assert asked == ["eve takeover"]
            await until(lambda: bool(b.ownership.outlooks.failed))
            row = await outlook(b)
            assert ("the disk is full" in text(row["reason"]), row["held"]) == (True, True)
            assert not b.accounts.registry.all()
            monkeypatch.setattr(hosttakeovers, "_NEXT_HOST_SECONDS", 0.0)
            await c.runs("eve")
        assert (await fleet.owners())["eve"][0] == "c"


async def test_a_lost_hosts_copy_is_settled_after_any_takeover(
    owning: FleetMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host that takes it over loses its lease in the middle. Another host adopts the account, or it continues."""
    async with owning("a", "b", "c", known=False, takeovers=LATER) as fleet:
        a, b, c = fleet.hosts
        for name in ("eve", "bob"):
            await start(fleet, a, name)
            await send_bundle(a, b, name)
        await a.lapse()
        for name in ("eve", "bob"):
            await b.knows(name, epoch=1)
            b.ownership.takeovers._running.add(name)
            await b.ownership.records.take_over(name, "a", 1, 1, "", 60)
        await b.lapse()
        await c.knows("bob", epoch=2)
        assert (await c.v1("POST", "accounts", {"name": "bob", "epoch": 2, "adopted": 2}))[1]["epoch"] == 3
        await c.v1("POST", "accounts/bob/start", {})
        await b.join()  # as after a crash of the controller
        async with receiving(b, monkeypatch) as asked:
            await b.keep(fleet.etcd)
            await b.runs("eve")
            assert (await fleet.owners())["eve"] == ("b", 3)
            await a.keep(fleet.etcd)
            await until(lambda: sorted(a.settled) == ["bob", "eve"])
            assert asked == ["eve takeover"]


async def test_account_starts_once_there_is_room(owning: FleetMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosttakeovers, "_FAILED_SECONDS", 0.5)
    async with owning("a", "b", known=False, takeovers=SOON) as fleet:
        a, b = fleet.hosts
        await start(fleet, a)
        await send_bundle(a, b)
        await a.lapse()
        await until(lambda: "eve" in b.ownership.outlooks.failed)
        assert "wxcontroller-receive.socket" in text((await outlook(b))["reason"])
        assert await fleet.records() == {"eve": ("a", 1)}  # nothing was claimed
        b.accounts.settings = replace(b.accounts.settings, max_clients=0)
        async with receiving(b, monkeypatch):
            await until(lambda: "max_clients" in str(b.ownership.held.get("eve", "")))
            assert (await fleet.owners())["eve"][0] == "b"
            b.accounts.settings = replace(b.accounts.settings, max_clients=10)
            await b.runs("eve")
            await until(lambda: not b.ownership.held)


async def test_account_is_not_taken_over_twice_in_a_row(owning: FleetMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    async with owning("a", "b", "c", known=False, takeovers=SOON) as fleet:
        a, b, c = fleet.hosts
        await start(fleet, a)
        await send_bundle(a, b)
        async with receiving(b, monkeypatch):
            await a.lapse()
            await b.runs("eve")
            await until(lambda: b.ownership.takeovers.counts["done"] == 1)
            assert b.ownership.taken_over == {"eve": "a"}
        alerts = AlertWatch(b.accounts, b.shared.ports, BootMark(b.paths))
        await alerts.look(await b.accounts.views())
        assert b'"track": "taken-over", "kind": "takeover"' in alerts.ledger.dump()
        await b.v1("PATCH", "accounts/eve/options", {"standby": "c"})
        await until(lambda: c.ownership.records.accounts["eve"].standby == "c")
        await send_bundle(b, c)
        async with receiving(c, monkeypatch) as asked:
            await b.lapse()
            await until(lambda: "eve" in c.ownership.held)
            row = await outlook(c)
            assert (row["held"], row["taker"], "taken over from a" in text(row["outlook"])) == (True, None, True)
            alerts = AlertWatch(c.accounts, c.shared.ports, BootMark(c.paths))
            await alerts.look(await c.accounts.views())
            assert b'"track": "held", "kind": "takeover"' in alerts.ledger.dump()
            assert not asked
        assert not c.accounts.registry.all()


async def test_accounts_are_taken_over_one_at_a_time(owning: FleetMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    async with owning("a", "b", known=False, takeovers=replace(SOON, takeover_rate=1.0)) as fleet:
        a, b = fleet.hosts
        names = ("alice", "bob", "eve", "mallory")
        for name in names:
            await start(fleet, a, name)
            await send_bundle(a, b, name)
        async with receiving(b, monkeypatch):
            await a.lapse()
            await until(lambda: b.ownership.takeovers.counts["done"] == len(names))
        begun = sorted(each.begin for each in fleet.ran if each.host == "b")
        assert begun[-1] - begun[0] > 2  # one a second, and one of them may have taken a second longer to begin


async def test_changed_policy_takes_effect_at_once(owning: FleetMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    async with owning("a", "b", known=False, takeovers=SOON) as fleet:
        a, b = fleet.hosts
        await start(fleet, a, takeover="hold")
        await send_bundle(a, b)
        assert (await outlook(b))["taker"] is None
        await a.v1("PATCH", "accounts/eve/options", {"takeover": "any"})
        await until(lambda: b.ownership.records.accounts["eve"].policy == "any")
        assert (await outlook(b))["taker"] == "b"
        async with receiving(b, monkeypatch):  # its bundle still says that only a person may adopt it
            await a.lapse()
            await until(lambda: b.ownership.takeovers.counts["failed"] == 1)
        assert await fleet.records() == {"eve": ("a", 1)}


@pytest.mark.parametrize(
    ("changed", "made", "hosts"),
    [
        ({}, 5, ("b", "c")),
        ({}, 0, ()),
        ({"policy": ""}, 5, ()),
        ({"policy": "any", "driver": "web"}, 5, ()),
        ({"standby": ""}, 5, ()),
        ({"standby": "a"}, 5, ()),
        ({"standby": "full"}, 5, ()),
        ({"placement": "eu"}, 5, ("b",)),
        ({"policy": "same-egress", "driver": "web"}, 5, ("b",)),
        ({"policy": "same-egress", "egress": "line-2"}, 5, ()),
    ],
)
def test_hosts_that_can_take_an_account_over(changed: dict[str, str], made: int, hosts: tuple[str, ...]) -> None:
    etcd = Etcd(EtcdSettings(("http://127.0.0.1:1",)), PeerCredentials(ssl.create_default_context(), ""))
    owners, entry = Owners(etcd, "/", "b", lambda: 1, 0), EtcdEntry("", b"", 1, 1)
    owners.hosts["b"] = LivingHost("", frozenset({"eu"}), 5, entry, "line-1")
    owners.hosts["c"] = LivingHost("", frozenset(), 9, entry)
    owners.hosts["full"] = LivingHost("", frozenset(), 1, replace(entry, lease=7))
    owners.accounts["bob"] = AccountRecord("bob", "full", 1, "started", entry, lease=7)
    words = {"driver": "ilink", "policy": "any", "standby": "b", "egress": "line-1", **changed}
    content = {"host": "a", "epoch": 1, "desired": "started", "noted": 1, **words}
    record = record_of("accounts", "eve", replace(entry, value=json.dumps(content).encode()))
    assert isinstance(record, AccountRecord)
    owners.accounts["eve"] = record
    outlooks = Outlooks(owners, SOON, lambda *_: made)
    assert outlooks.of("eve", record).hosts == hosts
    assert bool(outlooks.of("eve", record).reason) == (not hosts)
    assert ("eve" in outlooks.lost()) == (not hosts)
    assert "{" not in str(outlooks.held("eve"))  # all its values are there


@pytest.mark.parametrize("by", ["takeover", "adoption"])
async def test_lost_host_does_not_start_an_account_that_was_removed_elsewhere(
    owning: FleetMaker, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    takeovers = SOON if by == "takeover" else LATER
    async with owning("a", "b", "c", known=False, takeovers=takeovers) as fleet:
        a, b, c = fleet.hosts
        await start(fleet, a)
        await send_bundle(a, b)
        async with receiving(b, monkeypatch):
            await a.lapse()
            if by == "adoption":
                await b.knows("eve", epoch=1)
                adopted: JsonObject = {"name": "eve", "epoch": 2, "adopted": 2}
                assert (await b.v1("POST", "accounts", adopted))[0] == 201
                await b.v1("POST", "accounts/eve/start")
            await b.runs("eve")
            await until(lambda: not b.ownership._acting)
        assert (await b.v1("DELETE", "accounts/eve"))[0] == 200
        await until(lambda: c.ownership.records.accounts["eve"].removed)
        await a.keep(fleet.etcd)
        await a.passed()
        await until(lambda: a.accounts.registry.all()["eve"].desired is Desired.STOPPED)
        assert a.settled == ["eve"]  # it delivers its reports, and does not log in
        assert not a.units.processes
        code, words = await a.error("POST", "accounts/eve/start")
        assert (code, "was removed on b" in words, "wxctl remove eve" in words) == ("owned-elsewhere", True, True)
        await a.v1("DELETE", "accounts/eve")
        await c.v1("POST", "accounts/eve/start", {"options": {"placement": "c"}})
        await c.runs("eve")  # another account of the name
        assert (await fleet.owners())["eve"][0] == "c"
