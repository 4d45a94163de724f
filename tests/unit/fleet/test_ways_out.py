"""The guide's table of states and losses, walked: in each cell, the account runs or the command makes it run.

Host a has the accounts and host b their standby copies. All accounts of a column are in one fleet, each in another
state.
"""

import asyncio
import contextlib
import io
import re
import shutil
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.etcd import until_healthy
from tests.patience import until
from tests.readers import reader_of
from tests.unit.fleet import bundles
from tests.unit.fleet.bundles import SECRET, account_of, as_root, kept, sealed
from tests.unit.fleet.owning import Fleet, FleetMaker, OwningHost
from wxcontroller.cli.connection.api import Api
from wxcontroller.cli.context import WxctlRun
from wxcontroller.cli.transfer import claims, importing, moving
from wxcontroller.cli.transfer.adoption import taken_over
from wxcontroller.cli.transfer.copy.quiescing import UnitSnapshot
from wxcontroller.cli.transfer.importing import take_in
from wxcontroller.cli.transfer.sending import SealedAccount
from wxcontroller.controller.hosts import hostowners
from wxcontroller.core.config.fleetsettings import EtcdSettings
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.names import parse_name
from wxcontroller.core.registry.materialise import Materialiser
from wxcontroller.fleet import owners
from wxcontroller.fleet.etcd import Etcd
from wxcontroller.fleet.standby import SentBundle, write_sent

DOCS = Path(__file__).parents[3] / "docs"
GONE = "https://host-{name}.invalid:2443"
ABSENT = "—"
# In the order of the rows and columns of the table.
STATES = ("runs", "stopped", "leaving", "arrived", "taken", "taken-over", "removed")
LOSSES = ("nothing", "host-a", "host-b", "files", "bundle", "name")
Cells: TypeAlias = Mapping[tuple[str, str], str]


def cells_of(rows: list[list[str]]) -> Cells:
    """Return the cells by state and loss, as "VERB HOST"."""
    assert [len(row) for row in rows] == [len(LOSSES)] * len(STATES)
    return {
        (state, loss): cell
        for state, row in zip(STATES, rows, strict=True)
        for loss, cell in zip(LOSSES, row, strict=True)
    }


def read_guide(page: str) -> Cells:
    """Return the table of a guide: the only one with host-b in its head."""
    content = (DOCS / page).read_text("utf-8")
    [table] = re.findall(r"^\|[^\n]*`host-b`[^\n]*\n\| ---[^\n]*\n((?:\|[^\n]*\n)+)", content, re.MULTILINE)

    def word(cell: str) -> str:
        if cell == ABSENT:
            return ABSENT
        verb, host = re.search(r"`(\w+)`", re.sub(r"`host-\w`", "", cell)), re.search(r"`host-(\w)`", cell)
        assert host, cell
        return f"{verb[1] if verb else 'runs'} {host[1]}"

    return cells_of([[word(cell) for cell in line[2:-2].split(" | ")[1:]] for line in table.splitlines()])


def read_docstring() -> Cells:
    """Return the table in the code."""
    lines = [line for line in (owners.__doc__ or "").splitlines() if re.search(rf" ({ABSENT}|\w+ [AB])$", line)]
    return cells_of([[cell.lower() for cell in re.split(r"\s{2,}", line.strip())[1:]] for line in lines])


@dataclass
class World:
    """A fleet of three hosts, and who of them is lost."""

    fleet: Fleet
    monkeypatch: pytest.MonkeyPatch
    cells: Cells = field(default_factory=lambda: read_guide("howto/etcd.md"))
    exports: dict[str, bytes] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    # Root's programs of one host at a time: they have their paths in globals.
    acting: threading.Lock = field(default_factory=threading.Lock)

    def __getitem__(self, letter: str) -> OwningHost:
        return self.fleet.hosts["abc".index(letter)]

    @property
    def there(self) -> list[OwningHost]:
        return [host for letter, host in zip("abc", self.fleet.hosts, strict=True) if letter not in self.lost]

    async def meet(self) -> None:
        """Have the hosts that are there know each other, and not reach the lost ones."""
        for host in self.there:
            others = [other for other in self.fleet.hosts if other is not host]
            await host.join(
                *(
                    host.describe(other, **({} if other in self.there else {"url": GONE.format(name=other.name)}))
                    for other in others
                )
            )
            self.write_settings(host)
        for host in self.there:
            for other in self.there:
                if other is not host:
                    await host.sees(other.name)

    def write_settings(self, host: OwningHost) -> None:
        """Write a host's settings where root's programs read them."""
        found = host.accounts.settings.fleet
        assert found is not None
        words = [
            f'[fleet.hosts.{each.name}]\nurl = "{each.url}"\ntoken = "{each.token}"\nca_file = "{each.ca_file}"\n'
            for each in found.hosts
            if each.url
        ]
        host.paths.settings_dropins.mkdir(parents=True, exist_ok=True)
        content = f'[fleet]\nname = "{host.name}"\n{"".join(words)}'
        (host.paths.settings_dropins / "fleet.toml").write_text(content)

    async def lose(self, letter: str) -> None:
        """Turn a host off for good."""
        self.lost.add(letter)
        await self[letter].leave()
        await self[letter].lapse()
        await self.meet()
        for host in self.there:
            await until(lambda: self[letter].name not in host.ownership.records.hosts)  # noqa: B023
            await host.ownership.may_claim()

    async def back(self, host: OwningHost) -> None:
        await host.keep(self.fleet.etcd)
        await host.passed()

    @contextlib.contextmanager
    def root(self, host: OwningHost, target: OwningHost | None = None) -> Iterator[WxctlRun]:
        """Have root's programs work on a host, and those that import on the ``target`` of a move."""
        with self.monkeypatch.context() as patched:
            as_root(patched, host)
            for module in (claims, importing, moving):
                patched.setattr(module, "at_home", lambda _: Api(host.url))
            for module in (claims, moving):
                patched.setattr(module, "fleet_passphrase", lambda: SECRET)
            patched.setattr(moving, "PATHS", host.paths)
            patched.setattr(moving, "_LOCK", host.paths.root / "move-lock")
            patched.setattr(moving, "disable", lambda *_: None)
            patched.setattr(moving, "look", lambda _: UnitSnapshot("inactive", ""))
            patched.setattr(
                moving,
                "SealedAccount",
                lambda account, secret, at: SealedAccount(
                    account, secret, at, "", host.paths, read=reader_of(host.paths)
                ),
            )
            if target is not None:
                patched.setattr(importing, "PATHS", target.paths)
            yield WxctlRun(url=host.url)

    async def wxctl(self, host: OwningHost, *words: str) -> None:
        """Run a command of root on a host. Raises WxError."""
        target = self[words[2]] if words[0] == "move" and words[2] in "abc" else None
        await asyncio.to_thread(self.acting.acquire)
        try:
            await self._act(host, target, words)
        finally:
            self.acting.release()

    async def _act(self, host: OwningHost, target: OwningHost | None, words: tuple[str, ...]) -> None:
        with self.root(host, target) as session:
            match words:
                case ("start", name):
                    await asyncio.to_thread(Api(host.url).start, parse_name(name), {})
                case ("remove", name):
                    await asyncio.to_thread(Api(host.url).remove, parse_name(name))
                case ("claim", name):
                    await asyncio.to_thread(claims.claimed, session, [name], claims.ClaimOptions(True, True))
                case ("move", name, "--undo"):
                    await asyncio.to_thread(moving.undone, session, [name])
                case ("move", name, to):
                    await asyncio.to_thread(moving.moved, session, [name], self[to].name, False)
                case ("import", name):
                    content = io.BytesIO(self.exports[name])
                    await asyncio.to_thread(take_in, Api(host.url), content, lambda: SECRET, None)
                case _:
                    raise AssertionError(words)

    async def refusal(self, host: OwningHost, *words: str) -> str:
        """Return what a command of root answers that is refused, "" if it is not."""
        try:
            await self.wxctl(host, *words)
        except WxError as problem:
            return f"{problem.message}; {problem.remedy}"
        return ""


def receiving(world: World, host: OwningHost) -> AbstractAsyncContextManager[list[str]]:
    """Have a host receive accounts that are moved to it, and take over from its bundles."""

    def act(name: str, content: bytes) -> JsonObject:
        if content:
            return take_in(Api(host.url), io.BytesIO(content), lambda: SECRET, None, this_host=True)[0]
        with world.acting, world.root(host):
            return taken_over(Api(host.url), name, SECRET)

    return bundles.receiving(host, act)


# -- the states; each account is named after its state


async def prepare(world: World) -> None:
    """Have all accounts run on host a, with copies on host b and exports."""
    a, b = world["a"], world["b"]
    for name in STATES:
        options: JsonObject = {"driver": "ilink", "standby": "b", "placement": "a"}
        takeover = "any" if name in ("taken", "taken-over", "removed") else "hold"
        body: JsonObject = {"options": {**options, "takeover": takeover}}
        status, content = await a.v1("POST", f"accounts/{name}/start", body)
        assert status == 200, content
        account, now = account_of(a, name), int(time.time())
        assert "error" not in await asyncio.to_thread(kept, b, io.BytesIO(sealed(a, account, now, "a")), name)
        world.exports[name] = sealed(a, account, now, "")
    await b.fleet.standbys.look()
    write_sent(a.paths, {name: SentBundle("b", 1, at=int(time.time())) for name in STATES})
    await a.fleet.standbys.look()
    assert (await a.v1("POST", "accounts/stopped/stop"))[0] == 200
    for name in ("leaving", "arrived"):
        assert (await a.v1("PUT", f"departures/{name}", {"to": "b", "id": name, "sent": True}))[0] == 200
    sent = SealedAccount(account_of(a, "arrived"), SECRET, int(time.time()), "", a.paths, read=reader_of(a.paths))
    with world.root(b):
        await asyncio.to_thread(Api(b.url).arrive, parse_name("arrived"), sent.pieces)
    # Host a is away, and host b takes over.
    await a.lapse()
    records = b.ownership.records
    await until(lambda: "a" not in records.hosts)
    for name in ("taken", "taken-over", "removed"):
        if name == "taken":
            b.ownership.takeovers._running.add(name)  # it gets no further
        await records.take_over(name, "a", 1, 1, "", 60)
    for name in ("taken-over", "removed"):
        await until(lambda: not records.takes_over(name))  # noqa: B023
        await b.runs(name)
    assert (await b.v1("DELETE", "accounts/removed"))[0] == 200
    await world.back(a)
    for name in ("taken-over", "removed"):
        await until(lambda: a.accounts.registry.all()[name].desired.value == "stopped")  # noqa: B023
    await a.runs("runs")


# -- the losses


def delete_files(host: OwningHost, *names: str) -> None:
    for name in names:
        host.paths.account_file(name).unlink()
        shutil.rmtree(host.paths.private_state(name), ignore_errors=True)
        host.accounts.registry.forget(name)


async def lose_files(host: OwningHost, fleet: Fleet, *names: str) -> None:
    """Lose what a host has of accounts, as with a new disk."""
    await host.lapse()
    delete_files(host, *names)
    await host.keep(fleet.etcd)
    for other in fleet.hosts:
        for name in names:
            if other is not host:
                await until(lambda: name not in other.other(host.name).rows)  # noqa: B023


async def lose(world: World, loss: str, holder: str) -> None:
    a, b = world["a"], world["b"]
    match loss:
        case "host-a" | "host-b":
            await world.lose(loss[-1])
        case "files":
            await lose_files(a, world.fleet, *(name for name in STATES if name != "taken-over"))
            await lose_files(b, world.fleet, "taken-over")
        case "bundle":
            for file in b.paths.standby.glob("*.wxaccount"):
                file.unlink()
            await b.fleet.standbys.look()
        case "name":
            await world[holder].lapse()
            world[holder].name += "2"
            await world.meet()
            await world.back(world[holder])


# -- the walk


async def refuses_claim(world: World, state: str, letter: str) -> None:
    """Have the other host refuse to claim an account that it has a copy of, and name the command that moves it."""
    host = world[letter]
    has_copy = host.paths.account_file(state).exists() or host.paths.standby_bundle(state).exists()
    if has_copy and letter not in world.lost:
        refused = await world.refusal(host, "claim", state)
        assert f"wxctl move {state}" in refused, (letter, refused)


async def walk(world: World, state: str, cell: str) -> None:
    """Do what a cell says; the account runs then."""
    if cell == ABSENT:
        return
    verb, letter = cell.split()
    host = world[letter]
    if state == "taken" and "b" not in world.lost:
        world["b"].ownership.takeovers._running.discard(state)  # it goes on
        records = host.ownership.records
        await until(lambda: records.open_takeover(state) is None or records.owner(state) is None)
    await refuses_claim(world, state, "b" if letter == "a" else "a")
    match verb:
        case "runs":
            await host.runs(state)
        case "start":
            await world.wxctl(host, "start", state)
        case "move":
            for words in ("start", state), ("import", state), ("move", state, "c"), ("remove", state):
                refused = await world.refusal(host, *words)
                assert f"wxctl move {state} b" in refused, (words, refused)
            await world.wxctl(host, "move", state, "b")
            host = world["b"]
        case "claim":
            for words in (("start", state), ("import", state), ("move", state, "c"), ("move", state, "--undo")):
                refused = await world.refusal(host, *words)
                assert f"wxctl claim {state}" in refused, (words, refused)
            await world.wxctl(host, "claim", state)
        case _:
            raise AssertionError(cell)
    assert [each.name for each in world.fleet.hosts if state in each.units.processes] == [host.name]
    assert (await world.fleet.owners())[state][0] == host.name


async def walk_all(world: World, loss: str, holder: str = "ab") -> None:
    """Walk a column of the table, for the accounts of some hosts."""
    failures = dict[str, object]()
    for state in STATES:
        if HOLDERS.get(state, "a") in holder:
            try:
                await walk(world, state, world.cells[state, loss])
            except (WxError, AssertionError, TimeoutError) as problem:
                failures[state] = problem
    assert not failures, "".join(f"\n{state}: {problem!r}" for state, problem in failures.items())


HOLDERS = {"taken": "b", "taken-over": "b"}


@asynccontextmanager
async def world_of(owning: FleetMaker, monkeypatch: pytest.MonkeyPatch, members: int = 1) -> AsyncIterator[World]:
    later = EtcdSettings(takeover_after=60.0, takeover_rate=20.0)
    async with owning("a", "b", "c", takeovers=later, members=members) as fleet, contextlib.AsyncExitStack() as stack:
        world = World(fleet, monkeypatch)
        for host in fleet.hosts:
            await stack.enter_async_context(receiving(world, host))
        await world.meet()
        await prepare(world)
        yield world


@pytest.mark.parametrize(("loss", "holder"), [*((loss, "ab") for loss in LOSSES[:-1]), ("name", "a"), ("name", "b")])
async def test_each_state_with_each_loss(
    owning: FleetMaker, monkeypatch: pytest.MonkeyPatch, loss: str, holder: str
) -> None:
    async with world_of(owning, monkeypatch) as world:
        await lose(world, loss, holder)
        await walk_all(world, loss, holder)


async def test_each_state_with_a_lost_member_and_after_a_lost_quorum(
    owning: FleetMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hostowners, "_MEMBERS_SECONDS", 0.1)
    monkeypatch.setattr(Etcd.__init__, "__defaults__", (2.0,))
    async with world_of(owning, monkeypatch, members=3) as world:
        a, members = world["a"], world.fleet.servers.members
        members[1].kill()
        members[2].kill()
        for host in world.fleet.hosts:  # their keepers cannot renew the leases
            await host.isolate()
        assert not any(host.units.processes for host in world.fleet.hosts)
        await until(lambda: "no quorum" in str(a.accounts.halted))
        assert "has no quorum for this host" in await world.refusal(a, "start", "stopped")
        world.fleet.servers.start(members[1])
        await until_healthy(world.fleet.etcd)
        await until(lambda: not any(host.ownership.records.reason for host in world.fleet.hosts))
        await asyncio.gather(*map(world.back, world.fleet.hosts))
        await walk_all(world, "nothing")  # one is still lost


async def test_each_state_after_the_loss_of_settings_and_package(
    owning: FleetMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world_of(owning, monkeypatch) as world:
        a, b = world["a"], world["b"]
        # The keeper, to which the accounts are bound, ends without its settings or its program.
        for host in (a, b):
            await host.lapse()
        etcd, a.etcd = a.etcd, None
        await world.meet()
        assert await world.refusal(a, "start", "stopped")
        (b.paths.root / "usr/lib/systemd/system").mkdir(parents=True)
        assert "apt install wxcontroller-fleet" in await world.refusal(b, "start", "taken-over")
        assert not a.units.processes.keys() | b.units.processes.keys()
        a.etcd = etcd
        await world.meet()
        for host in (a, b):
            await world.back(host)
        await walk_all(world, "nothing")


@pytest.mark.parametrize(("has_copy", "keeps_lease"), [(True, False), (False, False), (False, True)])
async def test_no_blank_account_takes_the_place_of_lost_files(
    owning: FleetMaker, monkeypatch: pytest.MonkeyPatch, has_copy: bool, keeps_lease: bool
) -> None:
    """A start by systemctl, by hand or at boot, and one by wxctl name the command that brings the account back."""
    async with owning("a", "b") as fleet:
        world = World(fleet, monkeypatch)
        a = world["a"]
        assert (await a.v1("POST", "accounts/eve/start", {"options": {"placement": "a", "standby": "b"}}))[0] == 200
        export = sealed(a, account_of(a), int(time.time()), "")
        if has_copy:
            write_sent(a.paths, {"eve": SentBundle("b", 1, at=int(time.time()))})
            await a.fleet.standbys.look()
            await until(lambda: a.ownership.records.accounts["eve"].copies)
        if keeps_lease:
            await a.v1("POST", "accounts/eve/stop")
            delete_files(a, "eve")
        else:
            await lose_files(a, fleet, "eve")
        with pytest.raises(WxError, match="eve is not on this host") as refused:
            Materialiser(a.paths, a.accounts.settings).prepare("eve")  # as wxclient-prepare@eve.service
        assert refused.value.remedy == "start it through the controller, which claims it: wxctl start eve"
        expected = "host b has a standby copy; run there: wxctl claim eve"
        if not has_copy:
            expected = "with an export of it: wxctl claim eve --from FILE; otherwise, remove it: wxctl remove eve"
        assert expected in await world.refusal(a, "start", "eve")
        world.exports["eve"] = export
        assert expected in await world.refusal(a, "import", "eve")
        assert not a.accounts.registry.all()
        assert await fleet.records() == {"eve": ("a", 1)}
        await world.wxctl(a, "remove", "eve")
        assert await fleet.records() == {}
        await world.wxctl(a, "start", "eve")
        assert await fleet.owners() == {"eve": ("a", 2)}


def test_the_table_is_the_same_everywhere() -> None:
    assert read_guide("howto/etcd.md") == read_guide("zh/howto/etcd.md") == read_docstring()
