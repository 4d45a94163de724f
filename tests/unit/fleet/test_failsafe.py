"""Fail-safe mode: accounts run on without etcd while all other hosts confirm it, and never on two hosts."""

import json
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.etcd import EtcdServers, connected
from tests.patience import until
from tests.unit.fleet.failsafes import TIMES, SafeHost, safe_hosts
from tests.unit.fleet.owning import Fleet, FleetMaker
from tests.unit.fleet.test_takeovers import SOON, receiving, send_bundle, start
from wxcontroller.core.jsontypes import JsonValue, items, obj, text
from wxcontroller.core.names import parse_name
from wxcontroller.fleet.etcd import Etcd, EtcdMoment, Put
from wxcontroller.fleet.failsafe import FailsafeHosts
from wxcontroller.fleet.owners import Owners
from wxcontroller.fleet.promises import LeaseEnded, NotConfirmed, Promises
from wxcontroller.fleet.recordcache import NotClaimable
from wxcontroller.fleet.records import Wanted

PREFIX = "/wxcontroller/main/"
EVE = Wanted(parse_name("eve"), "started", "ilink", "")


def stop_etcd(fleet: Fleet) -> None:
    fleet.servers.members[0].kill(signal.SIGKILL)


async def started_again(host: SafeHost) -> None:
    """Have a host's controller begin with nothing but its files."""
    assert host.settings.fleet is not None
    await host.join(*host.settings.fleet.hosts)


async def test_accounts_continue_only_while_all_hosts_confirm(failsafe: FleetMaker) -> None:
    async with failsafe("a", "b", "c") as fleet:
        a, b, c = safe_hosts(fleet)
        await a.start("eve")
        await b.start("bob")
        await a.owns("eve")
        await b.owns("bob")
        stop_etcd(fleet)
        await until(lambda: a.since and b.since and c.since)
        began = time.monotonic()
        await until(lambda: time.monotonic() > began + TIMES.lease + TIMES.watchdog)  # no lease lives so long
        assert "run without etcd since" in str(a.ownership.trouble)
        assert "etcd" in await a.alerts()
        assert "wxcontroller_fleet_failsafe 1.0" in await a.metrics()
        etcd = obj((await a.v1("GET", "fleet"))[1]["etcd"])
        assert [obj(each)["host"] for each in items(etcd["promises"])] == ["b", "c"]
        assert (await a.v1("POST", "accounts/eve/restart", {}))[0] == 200  # it is its own
        assert (await a.error("POST", "accounts/new/start", {}))[0] == "etcd-unreachable"
        fleet.servers.start(fleet.servers.members[0])
        await until(lambda: not a.since and not b.since and not c.since)  # with the leases of before
        assert await fleet.owners() == {"eve": ("a", 1), "bob": ("b", 1)}
        # Nothing has stopped but eve, for its restart.
        assert sorted((each.account, each.host, bool(each.end)) for each in fleet.ran) == [
            ("bob", "b", False),
            ("eve", "a", False),
            ("eve", "a", True),
        ]
        stop_etcd(fleet)
        await until(lambda: a.since and b.since and c.since)
        a.ways["c"].cut()
        cut = time.monotonic()
        await until(lambda: not a.units.processes)
        assert time.monotonic() - cut < TIMES.watchdog + 2 * TIMES.request + 1
        assert not a.since
        fleet.servers.start(fleet.servers.members[0])
        a.ways["c"].repair()
        await a.runs("eve")
        assert (await fleet.owners())["eve"] == ("a", 2)


async def test_an_account_is_not_taken_over_while_its_host_is_confirmed(
    failsafe: FleetMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with failsafe("a", "b", "c", takeovers=SOON) as fleet:
        a, b, _ = safe_hosts(fleet)
        await start(fleet, a)
        await send_bundle(a, b)
        async with receiving(b, monkeypatch) as asked:
            a.store.cut()
            await until(lambda: a.since)
            await until(lambda: "a" not in b.ownership.records.hosts)
            began = time.monotonic()
            await until(lambda: time.monotonic() > began + SOON.after + 2)
            assert set(a.units.processes) == {"eve"}
            assert "etcd responds to b, c" in str(a.ownership.trouble)
            assert "may run it without etcd" in text(
                obj(items(obj((await b.v1("GET", "fleet"))[1]["etcd"])["accounts"])[0])["reason"]
            )
            assert not b.ownership.held
            await started_again(b)
            await b.fleet.standbys.look()
            await b.ownership.records.until_read()
            assert b.ownership.records.promise_left("a") > 0
            assert not asked
            await until(lambda: (a.ownership.keeper.permit_left() or 0) > TIMES.permit - 1)
            a.ways["b"].cut()
            await until(lambda: not a.units.processes)
            await b.runs("eve")
            a.store.repair()
            a.ways["b"].repair()
            await until(lambda: a.lease)
            await a.passed()
            assert (await fleet.owners())["eve"][0] == "b"
            assert not a.units.processes


async def test_host_stops_at_once_if_another_saw_its_lease_end(failsafe: FleetMaker) -> None:
    """As after a pause of its machine, in which its clocks stood still."""
    async with failsafe("a", "b") as fleet:
        a, b = safe_hosts(fleet)
        await a.start("eve")
        lease = a.lease
        a.store.cut()
        await fleet.etcd.revoke(lease)
        await until(lambda: "a" not in b.ownership.records.hosts)
        began = time.monotonic()
        await until(lambda: not a.units.processes)
        # Two tries to renew, and an answer: it does not wait for the watchdog.
        assert time.monotonic() - began < TIMES.renewal + 3 * TIMES.request
        assert not b.ownership.as_json()["promises"]
        assert a.lease != lease


async def test_host_confirms_only_known_leases_and_honours_confirmations(failsafe: FleetMaker) -> None:
    async with failsafe("a", "b", "c", off=["c"]) as fleet:
        a, b, c = safe_hosts(fleet)
        assert a.settings.fleet is not None
        hosts = a.settings.fleet.hosts
        # Both names lead to b.
        crossed = replace(a.settings.fleet, hosts=(hosts[0], replace(hosts[0], name="c")))
        async with FailsafeHosts(a.settings.fleet, 5.0, 30) as others, FailsafeHosts(crossed, 5.0, 30) as same:
            answers = {each.host: each.reason for each in await others.ask(a.lease)}
            assert (answers["b"], "does not confirm" in answers["c"]) == ("", True)
            assert "its name is b" in {each.host: each.reason for each in await same.ask(a.lease)}["c"]
            assert all(each.ended for each in await others.ask(1) if each.host == "b")
        assert a.ownership.as_json()["failsafe_off"] == ["c"]
        with pytest.raises(NotConfirmed):
            b.ownership.confirm("d", a.lease, 30)
        stop_etcd(fleet)
        await until(lambda: b.ownership.records.reason)
        await started_again(b)
        b.ownership.confirm("a", a.lease, 30)  # it has promised that before
        with pytest.raises(NotConfirmed, match="has not reached etcd") as refused:
            b.ownership.confirm("c", c.lease, 30)
        assert not isinstance(refused.value, LeaseEnded)
        file = b.paths.controller_runtime / "promises"
        file.unlink()  # as by a boot
        await started_again(b)
        assert Promises(file, 0).left("anybody") > 0
        with pytest.raises(NotConfirmed, match="has not reached etcd"):
            b.ownership.confirm("a", a.lease, 30)


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


@pytest.fixture
async def etcd(tmp_path: Path) -> AsyncIterator[Etcd]:
    with EtcdServers(tmp_path).running() as servers:
        async with connected(servers.settings()) as etcd:
            yield etcd


async def put(etcd: Etcd, key: str, **content: JsonValue) -> None:
    await etcd.commit((), (Put(f"{PREFIX}{key}", json.dumps(content).encode()),))


async def test_only_hosts_of_the_list_claim_from_a_host_in_failsafe_mode_and_none_that_has_promised(
    etcd: Etcd,
) -> None:
    promises: dict[str | None, float] = {"a": 20.0}
    lease = await etcd.grant(60)
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
    """Records that would say of whom an account is may be lost."""
    left, lease = 20.0, 0
    owners = Owners(etcd, PREFIX, "b", lambda: lease, 0.0, promised=lambda host: 0.0 if host else left)
    await owners._load()
    owners._note(EtcdMoment("another", 9, 9), EtcdMoment("this", 2, 1))
    await owners._load()
    lease = await etcd.grant(60)
    with pytest.raises(NotClaimable, match="was restored"):
        await owners.claim(EVE, 0)
    left = 0.0
    await owners.claim(EVE, 0)
