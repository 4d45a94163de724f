"""``wxctl claim`` in a fleet with etcd: each state in which nothing else makes an account run, and its way out."""

import asyncio
import io
import json
import re
import time
from collections.abc import Awaitable, Callable

import click
import pytest

from tests.patience import until
from tests.unit.fleet.bundles import SECRET, account_of, as_root, kept, sealed
from tests.unit.fleet.hosts import FleetHost, introduce
from tests.unit.fleet.owning import Fleet, FleetMaker
from wxcontroller.cli.connection.api import Api
from wxcontroller.cli.context import WxctlRun
from wxcontroller.cli.transfer import claims
from wxcontroller.cli.transfer.importing import take_in
from wxcontroller.core.errors import AccountExists, UnknownAccount, WxError
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.registry.account import Account
from wxcontroller.core.states import Desired
from wxcontroller.fleet.etcd import Put
from wxcontroller.fleet.host import HostState

KEY = "/wxcontroller/main/accounts/eve"
MOVE: JsonObject = {"to": "b", "id": "5f2c", "sent": True}


def registered(host: FleetHost, name: str = "eve") -> Account:
    return host.accounts.registry.all()[name]


def acts_as_root(monkeypatch: pytest.MonkeyPatch, host: FleetHost) -> None:
    """Have ``wxctl claim`` and ``wxctl fleet forget`` work on a host, which has no other ones in its settings."""
    as_root(monkeypatch, host)
    host.paths.settings_dropins.mkdir(parents=True, exist_ok=True)
    (host.paths.settings_dropins / "fleet.toml").write_text(f'[fleet]\nname = "{host.name}"\n')
    monkeypatch.setattr(claims, "at_home", lambda _: Api(host.url))
    monkeypatch.setattr(claims, "fleet_passphrase", lambda: SECRET)
    monkeypatch.setattr("wxcontroller.cli.transfer.moving._LOCK", host.paths.etcd_state.with_name("move-lock"))


async def rewrite(fleet: Fleet, **owner: object) -> None:
    """Change who has account eve, by its record."""
    [entry] = (await fleet.etcd.read(KEY)).entries
    content = json.loads(entry.value)
    content["owner"].update(owner)
    assert await fleet.etcd.commit((), (Put(KEY, json.dumps(content).encode()),))


async def taken_over_by_a_host_that_is_lost(fleet: Fleet) -> None:
    """The standby host takes the account over, and is lost: before it has imported it, or later."""
    a, b, _ = fleet.hosts
    await a.lapse()
    await b.knows("eve", epoch=1)
    await b.ownership.records.take_over("eve", "a", 1, 1, "", 60)
    await b.leave()
    await b.lapse()
    await a.keep(fleet.etcd)


async def adopted_by_a_host_that_is_lost(fleet: Fleet) -> None:
    a, b, _ = fleet.hosts
    await a.lapse()
    await b.knows("eve", epoch=1)
    assert (await b.v1("POST", "accounts", {"name": "eve", "epoch": 2, "adopted": 2}))[0] == 201
    assert (await b.v1("POST", "accounts/eve/start"))[0] == 200
    await b.leave()
    await b.lapse()
    await a.keep(fleet.etcd)
    await until(lambda: registered(a).desired is Desired.STOPPED)


async def removed_on_another_host(fleet: Fleet) -> None:
    a, _, _ = fleet.hosts
    await a.v1("POST", "accounts/eve/stop")
    await rewrite(fleet, host="b", epoch=7, removed=True)


async def host_has_another_name(fleet: Fleet) -> None:
    a, _, _ = fleet.hosts
    await a.v1("POST", "accounts/eve/stop")
    await rewrite(fleet, host="earlier-name", epoch=1)


async def moved_to_a_host_that_is_lost(fleet: Fleet) -> None:
    a, b, _ = fleet.hosts
    assert (await a.v1("PUT", "departures/eve", MOVE))[0] == 200
    await b.leave()
    await b.lapse()


@pytest.mark.parametrize(
    "state",
    [
        taken_over_by_a_host_that_is_lost,
        adopted_by_a_host_that_is_lost,
        removed_on_another_host,
        host_has_another_name,
        moved_to_a_host_that_is_lost,
    ],
)
async def test_claim_ends_a_state_in_which_the_account_is_not_started(
    owning: FleetMaker, state: Callable[[Fleet], Awaitable[None]]
) -> None:
    async with owning("a", "b", "c", known=False) as fleet:
        a, _, c = fleet.hosts
        await a.start("eve")
        await state(fleet)
        await until(lambda: not a.ownership._acting)
        await a.ownership.records.read_account("eve")
        before = a.ownership.records.accounts["eve"].epoch
        _, words = await a.error("POST", "accounts/eve/start")
        assert "wxctl claim eve" in words
        status, content = await a.v1("POST", "claims/eve")
        assert status == 200, content
        assert (await a.v1("POST", "accounts/eve/start"))[0] == 200
        assert set(a.units.processes) == {"eve"}
        host, epoch = (await fleet.owners())["eve"]
        assert (host, epoch > before, registered(a).leaving) == ("a", True, None)
        # Messages that waited in the copy may have been sent elsewhere.
        assert registered(a).adopted == content["epoch"]
        await c.ownership.records.read_account("eve")
        assert c.ownership.records.refusal(registered(a).name, before) is not None


async def test_lost_host_that_comes_back_after_a_claim_does_not_start_its_copy(owning: FleetMaker) -> None:
    async with owning("a", "b", "c", known=False) as fleet:
        a, b, _ = fleet.hosts
        await a.start("eve")
        await adopted_by_a_host_that_is_lost(fleet)
        await a.v1("POST", "claims/eve")
        await a.v1("POST", "accounts/eve/start")
        await b.join()
        await b.keep(fleet.etcd)
        await b.passed()
        await until(lambda: registered(b).desired is Desired.STOPPED)
        assert (set(b.units.processes), set(a.units.processes)) == (set(), {"eve"})


async def test_claim_stops_a_copy_that_is_being_settled(owning: FleetMaker) -> None:
    async with owning("a", "b", "c", known=False) as fleet:
        a, b, _ = fleet.hosts
        a.settles = False
        await a.start("eve")
        await a.lapse()
        await b.knows("eve", epoch=1)
        await b.v1("POST", "accounts", {"name": "eve", "epoch": 2, "adopted": 2})
        await b.v1("POST", "accounts/eve/start")
        await a.keep(fleet.etcd)
        await until(lambda: a.settled == ["eve"])
        await b.leave()
        await b.lapse()
        await until(lambda: "b" not in a.ownership.records.hosts)
        status, content = await a.v1("POST", "claims/eve")
        assert status == 200, content
        assert (await a.v1("POST", "accounts/eve/start"))[0] == 200
        assert (await fleet.owners())["eve"][0] == "a"
        code, words = await a.error("POST", "claims/eve")
        assert (code, "runs on this host" in words) == ("account-exists", True)
        assert set(a.units.processes) == {"eve"}


async def test_account_of_a_living_host_is_not_claimed(owning: FleetMaker) -> None:
    async with owning("a", "b", known=False) as fleet:
        a, b = fleet.hosts
        await a.start("eve")
        await b.knows("eve", epoch=1, owner="a")
        b.accounts._materialiser.add(registered(a).name, {}, {})
        assert (await b.error("POST", "claims/eve"))[0] == "owned-elsewhere"
        await a.v1("POST", "accounts/eve/stop")
        await a.lapse()
        await a.keep(fleet.etcd)
        await b.knows("eve", epoch=1)
        code, words = await b.error("POST", "claims/eve")
        assert (code, "its lease is valid" in words, "wxctl move eve b" in words) == ("not-claimable", True, True)
        await introduce(fleet.hosts)
        await b.finds("eve", "a")
        code, words = await b.error("POST", "claims/eve")
        assert (code, "host a responds" in words, "wxctl move eve b" in words) == ("account-exists", True, True)


async def test_rivals_are_the_other_hosts_that_may_have_an_account(owning: FleetMaker) -> None:
    async with owning("a", "b", known=False) as fleet:
        a, b = fleet.hosts
        nothing: JsonObject = {"name": "eve", "epoch": None, "rivals": [], "copies": []}
        assert (await a.v1("GET", "claims/eve"))[1] == nothing
        await a.start("eve")
        assert (await a.v1("GET", "claims/eve"))[1] == {**nothing, "epoch": 1}
        await b.knows("eve", epoch=1, owner="a")
        assert (await b.v1("GET", "claims/eve"))[1]["rivals"] == [{"host": "a", "epoch": 1, "down_since": None}]
        await a.v1("PUT", "departures/eve", MOVE)
        assert (await a.v1("GET", "claims/eve"))[1]["rivals"] == [{"host": "b", "epoch": 1, "down_since": None}]


async def test_claim_shows_who_has_copies_and_what_may_be_lost(
    owning: FleetMaker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before its question: a later copy on another host loses less than the one here."""
    async with owning("a", "b", "c") as fleet:
        a, b, _ = fleet.hosts
        assert (await a.v1("POST", "accounts/eve/start", {"options": {"standby": "b", "placement": "a"}}))[0] == 200
        bundle = sealed(a, account_of(a), int(time.time()) - 3 * 3600, "a")
        assert "error" not in await asyncio.to_thread(kept, b, io.BytesIO(bundle), "eve")
        [entry] = (await fleet.etcd.read(KEY)).entries
        await a.leave()
        await a.lapse()
        record = {**json.loads(entry.value), "copies": {"b": 1, "c": 2}}
        assert await fleet.etcd.commit((), (Put(KEY, json.dumps(record).encode()),))
        await until(lambda: "c" in b.ownership.records.accounts["eve"].copies)
        await b.join(b.describe(a, url="https://host-a.invalid:2443"))
        down = b.other("a")
        await until(lambda: down.state is HostState.UNREACHABLE)
        down.since = int(time.time()) - 600
        await b.ownership.may_claim()
        acts_as_root(monkeypatch, b)
        with pytest.raises(WxError, match="not claimed: eve"):
            await asyncio.to_thread(claims.claimed, WxctlRun(url=b.url), ["eve"], claims.ClaimOptions(False, None))
        shown = capsys.readouterr()
        rows = [re.split(r"\s{2,}", line) for line in shown.out.splitlines() if line.startswith("eve")]
        assert [[*row[1:4], row[5]] for row in rows] == [
            ["b", "a standby copy", "1", "3 h"],
            ["a", "the account, as far as is known", "1", "10 min"],
            ["c", "a standby copy", "2", "-"],
        ]
        assert "host c has a later copy of eve: claim the account there instead" in shown.err


async def test_import_replaces_no_account_of_this_host(owning: FleetMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    async with owning("a", "b") as fleet:
        a, _ = fleet.hosts
        await a.start("eve")
        export = sealed(a, account_of(a), 1000, "")
        as_root(monkeypatch, a)
        with pytest.raises(AccountExists, match="there is an account eve already") as refused:
            await asyncio.to_thread(take_in, Api(a.url), io.BytesIO(export), lambda: SECRET, None)
        assert refused.value.remedy == "remove it first: wxctl remove eve"
        assert set(a.units.processes) == {"eve"}


async def test_import_names_the_host_of_an_account_and_not_its_removal(
    owning: FleetMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Removing it, as the refusal advised, would have removed the account on the other host."""
    async with owning("a", "b") as fleet:
        a, b = fleet.hosts
        await a.start("eve")
        export = sealed(a, account_of(a), 1000, "")
        as_root(monkeypatch, b)
        await b.finds("eve", "a")
        with pytest.raises(AccountExists, match="account eve is on host a") as refused:
            await asyncio.to_thread(take_in, Api(b.url), io.BytesIO(export), lambda: SECRET, None)
        assert "wxctl claim eve --from FILE" in refused.value.remedy
        assert "remove" not in refused.value.remedy
        await a.lapse()
        await b.join()  # it is not in the settings any more
        await b.ownership.may_claim()
        await b.knows("eve", epoch=1)
        account, _ = await asyncio.to_thread(
            take_in, Api(b.url), io.BytesIO(export), lambda: SECRET, None, lambda _: None, True, True
        )
        assert account["epoch"] == 2
        assert (await b.v1("POST", "accounts/eve/start"))[0] == 200
        assert (await fleet.owners())["eve"][0] == "b"


async def test_forgetting_a_host_claims_its_accounts_of_which_there_is_a_copy(
    owning: FleetMaker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with owning("a", "b", known=False) as fleet:
        a, b = fleet.hosts
        for name in ("adam", "eve", "paused", "carol"):
            await b.start(name)
        await a.start("own")
        await b.v1("POST", "accounts/paused/stop")
        await a.v1(
            "POST", "accounts", {"name": "adam", "epoch": 1, "arrived": "5f2c"}
        )  # as after a move that was undone
        await a.v1("POST", "accounts", {"name": "paused", "epoch": 1, "arrived": "5f2d"})
        bundle = sealed(b, account_of(b), 1000, "b")
        assert "error" not in await asyncio.to_thread(kept, a, io.BytesIO(bundle), "eve")
        await b.leave()
        await b.lapse()
        await until(lambda: "b" not in a.ownership.records.hosts)
        acts_as_root(monkeypatch, a)
        session = WxctlRun(url=a.url)
        await asyncio.to_thread(claims.forgotten, session, "b", claims.ClaimOptions(True, None))
        assert "this host has no copy of carol" in capsys.readouterr().err
        assert set(a.units.processes) == {"adam", "eve", "own"}
        owners = await fleet.owners()
        assert {name: host for name, (host, _) in owners.items()} == dict.fromkeys(("adam", "eve", "own"), "a")
        # The others are this host's as well, or still those of the lost one.
        assert {name: host for name, (host, _) in (await fleet.records()).items()} == {
            **dict.fromkeys(("adam", "eve", "own"), "a"),
            **dict.fromkeys(("carol", "paused"), "b"),
        }
        assert registered(a, "paused").epoch > 1
        with pytest.raises(UnknownAccount, match="no copy of any account of host c"):
            await asyncio.to_thread(claims.forgotten, session, "c", claims.ClaimOptions(True, None))


async def test_host_that_is_there_is_not_forgotten(
    owning: FleetMaker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with owning("a", "b", known=False) as fleet:
        a, b = fleet.hosts
        for name in ("adam", "eve"):
            await b.start(name)
            await a.v1("POST", "accounts", {"name": name, "epoch": 1, "arrived": "5f2c"})
        acts_as_root(monkeypatch, a)
        with pytest.raises(click.exceptions.Exit):
            await asyncio.to_thread(claims.forgotten, WxctlRun(url=a.url), "b", claims.ClaimOptions(True, None))
        assert "is owned by b" in capsys.readouterr().err
        assert {name: host for name, (host, _) in (await fleet.owners()).items()} == {"adam": "b", "eve": "b"}
        assert not a.units.processes
