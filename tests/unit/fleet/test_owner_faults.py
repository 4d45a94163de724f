"""Failures in a fleet with etcd: an account ends up on exactly one host, or on none, with a remedy."""

import asyncio
import contextlib
import json
import re
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import aiohttp
import click
import pytest

from tests.patience import until
from tests.unit.fleet.hosts import introduce
from tests.unit.fleet.owning import Fleet, FleetMaker, OwningHost
from wxcontroller.cli.connection.api import Api
from wxcontroller.cli.context import WxctlRun
from wxcontroller.cli.doctor.accountchecks import fleet as doctor_fleet
from wxcontroller.cli.doctor.result import CheckTarget
from wxcontroller.cli.verbs.host.fleet import _show
from wxcontroller.controller.alerts.findings import Problem, etcd_of
from wxcontroller.controller.hosts import hostowners
from wxcontroller.core.errors import UnitFailed
from wxcontroller.core.jsontypes import JsonObject, integer, items, obj, read_json, text
from wxcontroller.core.names import parse_name
from wxcontroller.core.registry.account import LARGEST_EPOCH
from wxcontroller.core.registry.check import Level
from wxcontroller.core.states import Desired
from wxcontroller.core.text.templates import verbatim
from wxcontroller.fleet import etcd as etcd_module
from wxcontroller.fleet.etcd import Etcd, EtcdFailure, EtcdMember, EtcdMoment, Put
from wxcontroller.fleet.keeper import MOMENT
from wxcontroller.fleet.owners import OwnedElsewhere, Owners
from wxcontroller.fleet.records import AccountRecord

EVE = parse_name("eve")
MOVE: JsonObject = {"to": "b", "id": "5f2c", "sent": True}


async def stop_etcd(fleet: Fleet) -> None:
    fleet.servers.members[0].kill(signal.SIGKILL)
    await until(lambda: all(host.ownership.records.reason for host in fleet.hosts))


async def start_etcd(fleet: Fleet) -> None:
    fleet.servers.start(fleet.servers.members[0])
    for host in fleet.hosts:
        await host.ownership.records.until_read()


async def advice(host: OwningHost, account: str) -> str:
    _, content = await host.v1("GET", f"accounts/{account}")
    found = obj(content["advice"])
    return f"{text(found['message'])}; {text(found['remedy'])}"


async def adopt(host: OwningHost, epoch: int) -> object:
    """Adopt account eve from a bundle of an epoch, and start it; return its new epoch."""
    status, content = await host.v1("POST", "accounts", {"name": "eve", "epoch": epoch, "adopted": epoch})
    assert status == 201, content
    assert (await host.v1("POST", "accounts/eve/start", {}))[0] == 200
    return content["epoch"]


async def returns(host: OwningHost, fleet: Fleet) -> None:
    """Let a lost host hold a lease again, and wait until its copy of account eve is settled."""
    await host.keep(fleet.etcd)
    await until(lambda: host.accounts.registry.all()["eve"].desired is Desired.STOPPED)
    assert host.settled == ["eve"]


async def test_one_of_two_hosts_gets_a_new_account(owning: FleetMaker) -> None:
    async with owning("a", "b", known=False) as fleet:
        starts = (host.accounts.start(EVE, {}, {}) for host in fleet.hosts)
        ended = await asyncio.gather(*starts, return_exceptions=True)
        [refused] = [each for each in ended if isinstance(each, BaseException)]
        assert isinstance(refused, OwnedElsewhere)
        [owner] = [host for host in fleet.hosts if "eve" in host.units.processes]
        assert await fleet.owners() == {"eve": (owner.name, 1)}
        assert sum(bool(host.accounts.registry.all()) for host in fleet.hosts) == 1


async def test_without_etcd_running_accounts_continue_and_none_is_started(owning: FleetMaker) -> None:
    async with owning("a") as fleet:
        [a] = fleet.hosts
        await a.start("alice")
        await a.start("eve")
        await a.v1("POST", "accounts/eve/stop")
        await stop_etcd(fleet)
        await a.join()  # as after a restart of the controller
        await until(lambda: "etcdctl endpoint status" in str(a.ownership.trouble))
        code, words = await a.error("POST", "accounts/bob/start", {})
        assert code == "etcd-unreachable"
        assert fleet.servers.endpoints[0] in words
        assert "etcdctl endpoint status" in words
        assert "wxcontroller_fleet_etcd_up 0.0" in await a.metrics()
        assert "etcd" in await a.alerts()
        # They are owned here, and the permit is valid.
        await a.v1("POST", "accounts/alice/restart", {})
        await a.v1("POST", "accounts/eve/start", {})
        assert set(a.units.processes) == {"alice", "eve"}
        await start_etcd(fleet)
        await until(lambda: not a.ownership.trouble and a.ownership.records.accounts["eve"].is_wanted)
        assert set(a.units.processes) == {"alice", "eve"}


async def test_host_without_a_lease_refuses_starts_with_a_reason(owning: FleetMaker) -> None:
    async with owning("a") as fleet:
        [a] = fleet.hosts
        await a.isolate()
        code, words = await a.error("POST", "accounts/eve/start", {})
        assert code == "not-claimable"
        assert "systemctl status wxcontroller-keeper" in words
        assert not a.accounts.registry.all()
        assert "no lease" in str(a.ownership.trouble)
        assert "etcd" in await a.alerts()


async def test_late_renewal_is_an_alert(owning: FleetMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    async with owning("a") as fleet:
        [a] = fleet.hosts
        assert "etcd" not in await a.alerts()
        monkeypatch.setattr(hostowners, "LATE_SECONDS", 30.0)
        assert "was not renewed; its accounts stop in" in str(a.ownership.trouble)
        assert "etcd" in await a.alerts()


async def test_account_is_removed_only_when_the_other_hosts_can_know(
    owning: FleetMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with owning("a", "b", known=False) as fleet:
        a, b = fleet.hosts
        await a.start("eve")
        await b.knows("eve", epoch=1, owner="a")
        release, failures = Owners.release, [EtcdFailure("http://m0", verbatim("no response in time"))]

        async def failing_once(self: Owners, instance: str, wanted: AccountRecord) -> None:
            if failures:
                raise failures.pop()
            await release(self, instance, wanted)

        monkeypatch.setattr(Owners, "release", failing_once)
        assert (await a.error("DELETE", "accounts/eve"))[0] == "etcd-unreachable"
        assert set(a.accounts.registry.all()) == {"eve"}
        assert (await a.v1("DELETE", "accounts/eve"))[0] == 200
        assert await fleet.records() == {}
        await until(lambda: b.ownership.records.accounts["eve"].removed)
        await b.start("eve")  # the name is free, but not the epochs of copies that others may have
        assert await fleet.owners() == {"eve": ("b", 2)}


async def test_old_copy_of_a_running_account_is_not_started(owning: FleetMaker) -> None:
    async with owning("a", "b", known=False) as fleet:
        a, b = fleet.hosts
        await a.start("eve")
        await b.knows("eve", epoch=1, owner="a")
        old: JsonObject = {"name": "eve", "epoch": 1}
        code, words = await b.error("POST", "accounts", old)
        assert (code, words) == (
            "owned-elsewhere",
            "account eve is owned by a; start it there, or move it: wxctl move eve b",
        )
        assert (await b.v1("POST", "accounts", {**old, "arrived": "5f2c"}))[0] == 201  # a record that got there
        assert (await b.error("POST", "accounts/eve/start", {}))[1] == words
        with pytest.raises(UnitFailed):
            await b.units._start("eve")  # systemctl start
        assert json.loads(b.paths.owner_file("eve").read_bytes())["host"] == "a"
        await a.v1("POST", "accounts/eve/stop")
        assert (await b.error("POST", "accounts/eve/start", {}))[1] == words
        assert not b.units.processes


async def test_an_account_is_adopted_only_when_the_lease_of_its_host_has_ended(owning: FleetMaker) -> None:
    async with owning("a", "b", known=False) as fleet:
        a, b = fleet.hosts
        await a.start("eve")
        await a.lapse()
        await a.keep(fleet.etcd)
        await a.runs("eve")  # in epoch 2, of which no bundle was sent
        assert [(each.epoch, each.noted) for each in fleet.ran] == [(1, 1), (2, 2)]
        await b.knows("eve", epoch=2, owner="a")
        bundle: JsonObject = {"name": "eve", "epoch": 2, "adopted": 2}
        assert (await b.error("POST", "accounts", bundle))[0] == "owned-elsewhere"
        await a.lapse()
        await b.knows("eve", epoch=2)
        [lost] = items(obj((await b.v1("GET", "fleet"))[1]["etcd"])["accounts"])
        assert "policy hold" in text(obj(lost)["reason"])
        assert "wxctl claim eve" in text(obj(lost)["reason"])
        assert "wxcontroller_fleet_unowned 1.0" in await b.metrics()
        assert await adopt(b, 2) == 3
        await returns(a, fleet)
        copy = replace(a.accounts.registry.all()["eve"], desired=Desired.STARTED)
        assert a.ownership._is_adopted(copy)
        assert not a.ownership._is_adopted(replace(copy, epoch=1))  # from a backup
        assert "account eve is owned by b" in (await a.error("POST", "accounts/eve/start", {}))[1]
        assert set(b.units.processes) == {"eve"}


async def test_copy_of_a_host_lost_during_a_claim_is_settled(owning: FleetMaker) -> None:
    async with owning("a", "b", known=False) as fleet:
        a, b = fleet.hosts
        await a.start("eve")
        await a.lapse()
        # A claim raises the epoch in etcd; the host is lost again before its own record has that.
        [entry] = (await fleet.etcd.read("/wxcontroller/main/accounts/eve")).entries
        content = obj(read_json(entry.value))
        owner: JsonObject = {**obj(content["owner"]), "epoch": 2}
        await fleet.etcd.commit((), (Put(entry.key, json.dumps({**content, "owner": owner}).encode()),))
        assert await fleet.records() == {"eve": ("a", 2)}
        assert a.accounts.registry.all()["eve"].epoch == 1
        await b.knows("eve", epoch=2)
        assert await adopt(b, 2) == 3
        await returns(a, fleet)
        assert set(b.units.processes) == {"eve"}


async def test_settling_a_lost_copy_does_not_block_the_account(owning: FleetMaker) -> None:
    async with owning("a", "b", known=False) as fleet:
        a, b = fleet.hosts
        await a.start("eve")
        await a.lapse()
        await b.knows("eve", epoch=1)
        await adopt(b, 1)
        a.settles = False
        await introduce(fleet.hosts)  # only now: b does not adopt what a host has that responds
        await a.keep(fleet.etcd)
        await until(lambda: a.settled == ["eve"])
        await until(lambda: "eve" in (rows := b.other("a").rows) and rows["eve"].is_running)
        await b.lapse()
        await b.keep(fleet.etcd)
        await b.runs("eve")
        assert (await b.v1("POST", "accounts/eve/stop"))[0] == 200
        assert (await b.v1("POST", "accounts/eve/start", {}))[0] == 200


async def test_each_lost_copy_of_an_account_that_was_adopted_twice_is_settled(owning: FleetMaker) -> None:
    async with owning("a", "b", "c", known=False) as fleet:
        a, b, c = fleet.hosts
        await a.start("eve")
        for lost, adopter, epoch in ((a, b, 2), (b, c, 4)):  # a start raises it, too
            await lost.lapse()
            await adopter.knows("eve", epoch - 1)
            # The second time, too, from a bundle of the first host: the other one has sent none.
            assert await adopt(adopter, 2) == epoch
        for host in (a, b):
            await returns(host, fleet)
        assert set(c.units.processes) == {"eve"}


async def test_restored_etcd_results_in_one_owner(owning: FleetMaker) -> None:
    async with owning("a", "b", known=False) as fleet:
        a, b = fleet.hosts
        await a.start("eve")
        fleet.servers.save()
        await a.v1("PUT", "departures/eve", MOVE)
        await b.v1("POST", "accounts", {"name": "eve", "epoch": 2, "arrived": "5f2c"})
        await b.v1("POST", "arrivals/eve?id=5f2c")
        assert await fleet.owners() == {"eve": ("b", 3)}
        fleet.servers.restore()  # a owns it there, under a lease that is valid; and b runs it
        await until(lambda: not a.lease and not b.lease)
        for host in fleet.hosts:
            await host.keep(fleet.etcd)
        assert "was restored" in (await b.error("POST", "accounts/eve/start", {}))[1]
        await b.runs("eve")
        assert await fleet.owners() == {"eve": ("b", 4)}
        assert not a.units.processes


async def test_epochs_continue_in_an_etcd_that_was_rebuilt(owning: FleetMaker, tmp_path: Path) -> None:
    async with owning("a", "b", known=False) as fleet:
        a, b = fleet.hosts
        await a.start("eve")
        await a.v1("POST", "accounts/eve/restart", {})
        before = a.accounts.account("eve").epoch
        await stop_etcd(fleet)
        shutil.rmtree(tmp_path / "etcd-m0")
        await start_etcd(fleet)
        await until(lambda: not a.lease and not b.lease)
        for host in fleet.hosts:
            await host.keep(fleet.etcd)
        await a.runs("eve")
        assert await fleet.owners() == await fleet.records() == {"eve": ("a", before + 1)}


async def test_delayed_release_does_not_release_a_restarted_account(
    owning: FleetMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with owning("a") as fleet:
        [a] = fleet.hosts
        await a.start("eve")
        call, late = Etcd._call, list[JsonObject]()

        async def stalled(
            self: Etcd, path: str, body: JsonObject, unsure: list[EtcdFailure] | None = None
        ) -> JsonObject:
            if path != "/v3/kv/txn":
                return await call(self, path, body, unsure)
            late.append(body)
            raise EtcdFailure("http://m0", verbatim("no response in time"))

        with monkeypatch.context() as patch:
            patch.setattr(Etcd, "_call", stalled)
            assert (await a.error("PUT", "departures/eve", MOVE))[0] == "moving"
        assert (await a.v1("DELETE", "departures/eve?id=5f2c"))[0] == 200
        assert late
        for body in late:
            assert (await call(fleet.etcd, "/v3/kv/txn", body)).get("succeeded") is not True
        assert (await fleet.owners())["eve"][0] == "a"


@pytest.mark.parametrize("source", ["keeper", "before the boot"])
async def test_restarted_controller_detects_a_restored_etcd(owning: FleetMaker, source: str) -> None:
    async with owning("a") as fleet:
        [a] = fleet.hosts
        await a.start("eve")
        moment = replace((await fleet.etcd.read("/")).moment, term=1000)
        await until(a.paths.etcd_state.exists)
        file = a.paths.fleet_runtime / MOMENT if source == "keeper" else a.paths.etcd_state
        await a.leave()  # while it runs, it replaces the file
        file.write_text(json.dumps(moment.as_json()))
        await a.join()  # as after a restart of the controller
        await until(lambda: not a.lease)
        assert "was restored" in (await a.error("POST", "accounts/eve/start", {}))[1]
        assert EtcdMoment.read(file) == moment  # for the next start, until all old leases have ended


@pytest.mark.parametrize("then", ["finished", "undone"])
@pytest.mark.parametrize("step", ["release", "claim"])
async def test_a_move_without_etcd_can_be_finished_and_undone(owning: FleetMaker, step: str, then: str) -> None:
    async with owning("a", "b", known=False) as fleet:
        a, b = fleet.hosts
        await a.start("eve")
        if step == "release":
            await stop_etcd(fleet)
            code, words = await a.error("PUT", "departures/eve", MOVE)
            assert (code, "etcd" in words, "wxctl move eve --undo" in words) == ("moving", True, True)
            assert "wxctl move eve --undo" in await advice(a, "eve")
        else:
            assert (await a.v1("PUT", "departures/eve", MOVE))[0] == 200
        assert not a.units.processes
        if step == "claim":
            assert (await b.v1("POST", "accounts", {"name": "eve", "epoch": 2, "arrived": "5f2c"}))[0] == 201
            await stop_etcd(fleet)
            assert (await b.error("POST", "arrivals/eve?id=5f2c"))[0] == "etcd-unreachable"
        if then == "undone" and step == "claim":  # only etcd knows whether it was claimed there
            assert (await b.error("DELETE", "arrivals/eve?id=5f2c"))[0] == "etcd-unreachable"
        if then == "undone":
            assert (await a.error("DELETE", "departures/eve?id=5f2c"))[0] == "etcd-unreachable"
            await start_etcd(fleet)
            assert step == "release" or (await b.v1("DELETE", "arrivals/eve?id=5f2c"))[0] == 200
            await a.runs("eve")  # it stays here, and is wanted
        else:
            await start_etcd(fleet)
            assert (await a.v1("PUT", "departures/eve", MOVE))[0] == 200
            await b.v1("POST", "accounts", {"name": "eve", "epoch": 2, "arrived": "5f2c"})
            assert (await b.v1("POST", "arrivals/eve?id=5f2c"))[0] == 200
            assert (await a.v1("POST", "departures/eve?id=5f2c"))[0] == 200
        [owner] = (await fleet.owners()).values()
        assert owner[0] == ("a" if then == "undone" else "b")
        assert sum(len(host.units.processes) for host in fleet.hosts) == 1


async def test_unreadable_records_are_not_claimed_and_stop_nothing(owning: FleetMaker) -> None:
    async with owning("a") as fleet:
        [a] = fleet.hosts
        impossible = [b'{"host": "a", "epoch": %d}' % epoch for epoch in (0, LARGEST_EPOCH, 10**40)]
        for record in (b"\xff", *impossible):
            await fleet.etcd.commit((), (Put("/wxcontroller/main/accounts/eve", record),))
            await a.join()
            code, words = await a.error("POST", "accounts/eve/start", {})
            assert (code, "cannot be read" in words) == ("not-claimable", True)
        await a.start("alice")
        await fleet.etcd.commit((), (Put("/wxcontroller/main/schema", b'{"least": 2}'),))
        await a.join()
        await until(lambda: "newer version" in str(a.ownership.trouble))
        assert "upgrade this host" in (await a.error("POST", "accounts/bob/start", {}))[1]


async def test_member_that_is_down_is_shown_while_the_others_form_a_quorum(
    owning: FleetMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it, the next loss would stop all accounts, and nobody would know."""
    monkeypatch.setattr(hostowners, "_MEMBERS_SECONDS", 0.1)
    monkeypatch.setattr(Etcd.__init__, "__defaults__", (2.0,))
    async with owning("a", members=3) as fleet:
        [a] = fleet.hosts
        await a.start("eve")
        await until(lambda: len(a.ownership.members) == 3 and not any(a.ownership.members.values()))
        assert "etcd" not in await a.alerts()
        assert "wxcontroller_fleet_etcd_members_down 0.0" in await a.metrics()
        fleet.servers.members[1].kill(signal.SIGKILL)
        url = fleet.servers.endpoints[1]
        await until(lambda: a.ownership.members[url])
        assert [each for each, why in a.ownership.members.items() if why] == [url]
        await a.ownership.records.until_read()
        await until(lambda: not a.ownership.trouble)
        assert "etcd" in await a.alerts()
        assert "wxcontroller_fleet_etcd_members_down 1.0" in await a.metrics()
        shown = items(obj((await a.v1("GET", "fleet"))[1]["etcd"])["members"])
        assert [bool(obj(each)["reason"]) for each in shown] == [False, True, False]
        assert set(a.units.processes) == {"eve"}


async def test_fleet_shows_the_leader_the_lag_and_the_quorum_of_etcd(
    owning: FleetMaker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(hostowners, "_MEMBERS_SECONDS", 0.1)
    monkeypatch.setattr(Etcd.__init__, "__defaults__", (2.0,))
    answer, lagging = etcd_module._answer, set[str]()

    async def behind(endpoint: str, response: aiohttp.ClientResponse, *limit: int) -> JsonObject:
        found = await answer(endpoint, response, *limit)
        if endpoint in lagging and "raftAppliedIndex" in found:
            found["raftAppliedIndex"] = str(integer(found["raftAppliedIndex"]) - 5000)
        return found

    monkeypatch.setattr(etcd_module, "_answer", behind)

    async def shown(host: OwningHost) -> tuple[str, dict[str, list[str]]]:
        """Return the line about the quorum, and the rows about members."""
        with contextlib.suppress(click.exceptions.Exit):
            await asyncio.to_thread(_show, WxctlRun(url=host.url))
        lines = capsys.readouterr().out.splitlines()
        rows = [re.split(r"\s{2,}", line) for line in lines if line.startswith("http://")]
        return next((line for line in lines if "quorum" in line), ""), {url: cells for url, *cells in rows}

    async with owning("a", members=3) as fleet, asyncio.timeout(60):
        [a] = fleet.hosts
        with monkeypatch.context() as starting:
            found = a.ownership.as_json()
            starting.setattr(a.ownership, "as_json", lambda: {**found, "members": []})
            assert await shown(a) == ("", {})
        await until(lambda: len(a.ownership.members) == 3 and not any(a.ownership.members.values()))
        words, rows = await shown(a)
        assert words == "etcd: 3 of 3 members can be used; a quorum is 2"
        assert sorted(row[0] for row in rows.values()) == ["follower", "follower", "leader"]
        assert all(0 <= int(row[1]) < 100 for row in rows.values())
        members = items(obj((await a.v1("GET", "fleet"))[1]["etcd"])["members"])
        [leader] = [text(obj(each)["url"]) for each in members if obj(each)["leader"]]
        assert rows[leader][0] == "leader"
        lagging.update({*rows} - {leader})
        while sum(int(row[1]) >= 4900 for row in rows.values()) != 2:
            words, rows = await shown(a)
        assert [int(row[1]) >= 4900 for url, row in sorted(rows.items())] == [url in lagging for url in sorted(rows)]
        lost = fleet.servers.members[fleet.servers.endpoints.index(leader)]
        lost.kill(signal.SIGKILL)
        while "2 of 3" not in words or sorted(row[0] for row in rows.values()) != ["down", "follower", "leader"]:
            words, rows = await shown(a)
        assert rows[leader] == ["down", "-", "-", "Connection refused"]


async def test_certificate_is_reported_before_it_ends(
    owning: FleetMaker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now, member = int(time.time()), "https://m0:2379"
    ends = {"certificate": now + 31 * 86400, member: now + 29 * 86400}

    async def seen(self: Etcd) -> dict[str, int]:
        return ends

    async def shown(host: OwningHost) -> tuple[int, str]:
        code = 0
        try:
            await asyncio.to_thread(_show, WxctlRun(url=host.url))
        except click.exceptions.Exit as ended:
            code = ended.exit_code
        return code, capsys.readouterr().out

    monkeypatch.setattr(Etcd, "certificate_ends", seen)
    monkeypatch.setattr(hostowners, "_CERTIFICATES_SECONDS", 0.1)
    async with owning("a") as fleet:
        [a] = fleet.hosts
        await until(lambda: a.ownership.ending)
        assert "etcd" in await a.alerts()
        verdict, day = etcd_of(a.ownership), time.strftime("%Y-%m-%d", time.gmtime(ends[member]))
        assert isinstance(verdict, Problem)
        assert f"certificate for etcd expires on {day}: {member}" in str(verdict.message)
        [shown_end] = re.findall(rf'_certificate_ends{{of="{member}"}} (.+)', await a.metrics())
        assert int(float(shown_end)) == ends[member]
        code, words = await shown(a)
        assert (code, bool(re.search(rf"a certificate for etcd expires on .+: {member};", words))) == (1, True)
        assert re.search(r"^etcd: certificate expires on \d{4}-\d\d-\d\d$", words, re.MULTILINE)
        target = CheckTarget(Api(a.url), a.paths)
        [found] = [each for each in await asyncio.to_thread(list, doctor_fleet(target)) if each.level is Level.WARN]
        assert re.fullmatch(rf"a certificate for etcd expires on .+: {member}", str(found.message))
        seen_end = ends.pop(member)  # it is not reached for a while
        await asyncio.sleep(0.3)
        assert a.ownership.ending == {member: seen_end}
        ends[member] = ends["certificate"]  # it was replaced
        await until(lambda: not a.ownership.ending)
        assert "etcd" not in await a.alerts()
        assert f"{member};" not in (await shown(a))[1]


async def test_half_of_an_even_number_of_members_is_no_quorum(
    owning: FleetMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def half(_: Etcd) -> dict[str, EtcdMember]:
        return {"m0": EtcdMember(), "m1": EtcdMember(verbatim("it does not accept the certificate of this host"))}

    monkeypatch.setattr(Etcd, "members", half)
    async with owning("a") as fleet:
        [a] = fleet.hosts
        await a.start("eve")
        await a.isolate()
        await until(lambda: "1 of 2 members cannot be used, as m1: it does not" in str(a.accounts.halted))


async def test_accounts_say_why_their_host_has_no_lease(owning: FleetMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    async def advises(*words: str) -> None:
        found = ""
        while not all(word in found for word in words):
            await asyncio.sleep(0.05)
            found = await advice(a, "eve")

    monkeypatch.setattr(hostowners, "_MEMBERS_SECONDS", 0.1)
    monkeypatch.setattr(Etcd.__init__, "__defaults__", (2.0,))
    async with owning("a", members=3) as fleet, asyncio.timeout(60):
        [a] = fleet.hosts
        await a.start("eve")
        await until(lambda: len(a.ownership.members) == 3 and not any(a.ownership.members.values()))
        await a.isolate()
        await advises("no lease: wxcontroller-keeper.service does not run", "systemctl status wxcontroller-keeper")
        masked = a.paths.root / "etc/systemd/system/wxcontroller-keeper.service"
        masked.parent.mkdir(parents=True)
        masked.symlink_to("/dev/null")
        await advises("wxcontroller-keeper.service is masked", "systemctl unmask wxcontroller-keeper.service")
        assert "systemctl unmask wxcontroller-keeper.service" in str(a.ownership.trouble)
        assert "etcd" in await a.alerts()
        masked.unlink()
        (a.paths.root / "usr/lib/systemd/system").mkdir(parents=True)
        await advises("wxcontroller-fleet is not installed", "apt install wxcontroller-fleet")
        (a.paths.root / "usr/lib/systemd/system/wxcontroller-keeper.service").touch()
        (a.paths.fleet_runtime / "trouble").write_text("user or password is wrong\n")
        await advises("no lease: user or password is wrong", "journalctl -u wxcontroller-keeper")
        for member in fleet.servers.members[1:]:
            member.kill(signal.SIGKILL)
        await advises("etcd has no quorum for this host: ", "of 3 members cannot be used, as http", "start again")
        for member in fleet.servers.members[1:]:
            fleet.servers.start(member)
        await until(lambda: not any(a.ownership.members.values()))
        await a.keep(fleet.etcd)
        await a.runs("eve")
        assert "lease" not in str((await a.v1("GET", "accounts/eve"))[1]["advice"])
