"""Owners of accounts in a fleet with etcd: claims, moves, lapsed leases, and starts and stops on other hosts."""

import asyncio

import pytest

from tests.patience import until
from tests.unit.fleet.owning import FleetMaker
from wxcontroller.core.jsontypes import JsonObject, obj, read_json
from wxcontroller.core.names import parse_name
from wxcontroller.core.text.templates import verbatim
from wxcontroller.fleet.etcd import EtcdFailure
from wxcontroller.fleet.owners import OwnedElsewhere, Owners

KEY = "/wxcontroller/main/accounts/eve"
MOVE: JsonObject = {"to": "b", "id": "5f2c", "sent": True}


async def test_accounts_stopped_by_a_lost_lease_start_under_the_next_one(owning: FleetMaker) -> None:
    async with owning("a", "b") as fleet:
        a, b = fleet.hosts
        await a.start("eve")
        await a.start("alice")
        await a.v1("POST", "accounts/alice/stop")
        await a.lapse()
        await b.knows("eve", epoch=1)
        with pytest.raises(OwnedElsewhere, match="was last on a, with epoch 1"):
            await b.accounts.start(parse_name("eve"), {}, {})
        assert not b.accounts.registry.all()
        await a.keep(fleet.etcd)
        await a.runs("eve")
        assert set(a.units.processes) == {"eve"}
        assert await fleet.owners() == {"eve": ("a", 2)}


async def test_accounts_with_an_action_in_progress_start_under_a_new_lease_afterwards(owning: FleetMaker) -> None:
    async with owning("a") as fleet:
        [a] = fleet.hosts
        for name in ("eve", "bob"):
            await a.start(name)
        await a.lapse()
        done = asyncio.Event()

        async def work() -> None:
            await done.wait()

        async with asyncio.TaskGroup() as group:
            a.ownership._act(group, "eve", work())
            await a.keep(fleet.etcd)
            await a.runs("bob")
            done.set()
        await a.runs("eve")
        assert await fleet.owners() == {"eve": ("a", 2), "bob": ("a", 2)}


async def test_new_account_is_placed_by_labels_and_free_slots(owning: FleetMaker) -> None:
    async with owning("a", "b") as fleet:
        a, b = fleet.hosts
        await b.lapse()
        await b.keep(fleet.etcd, capacity=102, labels=["eu", "line-2"])
        hosts = a.ownership.records.hosts
        await until(lambda: "b" in hosts and hosts["b"].capacity == 102)
        await a.get("start_client", client="eve")
        await a.v1("POST", "accounts", {"name": "bob", "options": {"placement": "line-2 eu"}})
        await a.v1("POST", "accounts/carol/start", {"options": {"placement": "b"}})
        await a.get("start_client", client="dave", placement="")  # b has more free places
        await a.finds("dave", "b")
        await a.get("start_client", client="frank", placement="")
        await until(lambda: len(a.ownership.records.owned) == 4)
        await a.get("start_client", client="grace", placement="")  # both have as many now
        assert set(a.accounts.registry.all()) == {"eve", "grace"}
        assert set(b.accounts.registry.all()) == {"bob", "carol", "dave", "frank"}
        code, words = await a.error("POST", "accounts/mallory/start", {"options": {"placement": "b us"}})
        assert (code, "b us" in words) == ("no-host", True)
        owners = await fleet.owners()
        assert {name: host for name, (host, _) in owners.items()} == {
            **dict.fromkeys(("eve", "grace"), "a"),
            **dict.fromkeys(("carol", "dave", "frank"), "b"),
        }


async def test_stopped_account_stays_owned_and_its_next_start_writes_nothing(owning: FleetMaker) -> None:
    async with owning("a", "b", known=False) as fleet:
        a, b = fleet.hosts
        await a.start("eve")
        record, file = (await fleet.etcd.read(KEY)).entries, a.paths.owner_file("eve")
        written = file.stat()
        await a.units._stop("eve")
        await asyncio.sleep(1.2)  # the controller looks at it in between
        await a.units._start("eve")
        await a.v1("POST", "accounts/eve/restart", {})
        assert (await fleet.etcd.read(KEY)).entries == record
        # Not even for a moment: without etcd nothing would write it again, and no process could come up.
        assert file.stat() == written
        # Others must know at once that it is not to run: a host is often turned off after its accounts were stopped.
        await a.v1("POST", "accounts/eve/stop")
        [stopped] = (await fleet.etcd.read(KEY)).entries
        assert obj(read_json(stopped.value))["desired"] == "stopped"
        assert await fleet.owners() == {"eve": ("a", 1)}
        await a.v1("POST", "accounts/eve/start", {})
        await until(lambda: b.ownership.records.accounts["eve"].is_wanted)
        assert await fleet.owners() == {"eve": ("a", 1)}


async def test_account_is_released_and_forgotten_only_after_it_has_stopped(
    owning: FleetMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with owning("a") as fleet:
        [a] = fleet.hosts
        await a.start("eve")

        async def ignored(instance: str) -> None:
            pass

        with monkeypatch.context() as stuck:
            stuck.setattr(a.units, "_stop", ignored)
            await a.v1("POST", "accounts/eve/stop")
        assert set(a.units.processes) == {"eve"}
        assert await fleet.owners() == {"eve": ("a", 1)}
        await a.v1("DELETE", "accounts/eve")
        assert await fleet.records() == {}


async def test_refused_start_does_not_change_the_owner(owning: FleetMaker) -> None:
    async with owning("a") as fleet:
        [a] = fleet.hosts
        await a.start("eve")
        await a.v1("POST", "accounts/eve/stop")
        a.paths.template.write_text("{{ broken")
        for name in ("eve", "bob"):
            assert (await a.error("POST", f"accounts/{name}/start", {}))[0] == "template"
        assert await fleet.owners() == await fleet.records() == {"eve": ("a", 1)}


@pytest.mark.parametrize("keeps_lease", [True, False])
async def test_refused_start_of_a_damaged_account_does_not_make_it_a_removed_one(
    owning: FleetMaker, keeps_lease: bool
) -> None:
    """Its login and messages are here. Another account of the name would make standby copies worthless."""
    async with owning("a", "b") as fleet:
        a, b = fleet.hosts
        await a.start("eve")
        await a.v1("POST", "accounts/eve/stop")
        if not keeps_lease:
            await a.lapse()
        a.paths.account_file("eve").write_text("damaged")
        template = a.paths.template.read_text()
        a.paths.template.write_text("{{ broken")
        if not keeps_lease:
            await a.keep(fleet.etcd)
        for _ in range(2):  # the damaged file is put aside by the first
            assert (await a.error("POST", "accounts/eve/start", {}))[0] == "template"
        assert not a.paths.account_file("eve").exists()
        assert set(await fleet.records()) == {"eve"}
        # While b still sees the account on a, it passes the start on.
        refused, _ = await b.error("POST", "accounts/eve/start", {"options": {"placement": "b"}})
        assert refused in {"owned-elsewhere", "template"}
        assert not b.units.processes
        a.paths.template.write_text(template)
        await a.start("eve")
        assert set(await fleet.owners()) == {"eve"}


async def test_refused_start_whose_claim_stays_does_not_block_the_name(
    owning: FleetMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with owning("a") as fleet:
        [a] = fleet.hosts

        async def failing(self: Owners, instance: str) -> None:
            raise EtcdFailure("http://m0", verbatim("no response in time"))

        template = a.paths.template.read_text()
        a.paths.template.write_text("{{ broken")
        with monkeypatch.context() as patch:
            patch.setattr(Owners, "forget", failing)
            for name in ("eve", "bob"):
                assert (await a.error("POST", f"accounts/{name}/start", {}))[0] == "template"
        assert await fleet.records() == {"eve": ("a", 1), "bob": ("a", 1)}
        a.paths.template.write_text(template)
        await a.start("eve")
        assert (await a.v1("DELETE", "accounts/bob"))[0] == 200
        assert await fleet.records() == {"eve": ("a", 1)}
