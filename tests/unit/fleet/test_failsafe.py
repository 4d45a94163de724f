"""Fail-safe mode: accounts run on without etcd while all other hosts confirm it, and never on two hosts."""

import signal
import time
from dataclasses import replace

import pytest

from tests.patience import until
from tests.unit.fleet.owning import TIMES, Fleet, FleetMaker, SafeHost, safe_hosts
from tests.unit.fleet.test_takeovers import SOON, receiving, send_bundle, start
from wxcontroller.core.jsontypes import items, obj, text
from wxcontroller.fleet.failsafe import FailsafeHosts
from wxcontroller.fleet.promises import LeaseEnded, NotConfirmed, Promises


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
        await until(lambda: "run without etcd since" in str(a.ownership.trouble))
        assert "etcd" in await a.alerts()
        assert (await a.v1("POST", "accounts/eve/restart", {}))[0] == 200  # it is its own
        assert (await a.error("POST", "accounts/new/start", {}))[0] == "etcd-unreachable"
        fleet.servers.start(fleet.servers.members[0])
        await until(lambda: not a.since and not b.since and not c.since)  # with their old leases
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
            await until(lambda: time.monotonic() > began + SOON.takeover_after + 2)
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
