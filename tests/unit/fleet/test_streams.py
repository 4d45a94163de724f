"""Streams of all hosts together: rows for the dashboard, and events."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from tests.unit.controller.test_stream import Reader, reading, say
from tests.unit.controller.test_watching import STREAM, Stream
from tests.unit.fleet.hosts import FleetHost, fleet_of
from wxcontroller.client.v1 import events as account_events
from wxcontroller.controller import hoststreams
from wxcontroller.controller.account_port import hub
from wxcontroller.core.access import Scope
from wxcontroller.core.backoff import Backoff
from wxcontroller.core.jsontypes import JsonObject, items, obj, text
from wxcontroller.core.states import LoginState

Pair = tuple[FleetHost, FleetHost]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(account_events, "HEARTBEAT_SECONDS", 0.2)
    monkeypatch.setattr(hub, "_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(hoststreams, "Backoff", lambda *_: Backoff(0.1, 0.1))
    yield


def origins(reader: Reader) -> list[tuple[str, str, object]]:
    return [(text(one["account"]), text(one["host"]), one["epoch"]) for one in reader.got]


async def test_reader_misses_nothing_of_a_disconnected_host(pair: Pair) -> None:
    a, b = pair
    bob = await b.start("bob")
    async with reading(a, Reader()) as reader:
        say(bob, "one")
        await reader.until(1)
    say(bob, "while nobody read")
    described = a.other("b").settings
    async with reading(a, reader):
        assert await reader.until(2) == ["one", "while nobody read"]
        await a.join()  # the host is gone, for this one
        say(bob, "unheard")
    await a.join(described)
    await a.sees("b")
    async with reading(a, reader):
        say(bob, "last")
        assert await reader.until(4) == ["one", "while nobody read", "unheard", "last"]
    assert len({text(one["id"]) for one in reader.got}) == 4


async def test_bound_token_gets_only_its_accounts_events_of_all_hosts(pair: Pair) -> None:
    a, b = pair
    bob, eve = await b.start("bob"), await b.start("eve")
    shown = a.token(Scope.READ, "bob")
    async with reading(a, Reader(), f"?token={shown}") as reader:
        say(eve, "no")
        say(bob, "yes")
        assert await reader.until(1) == ["yes"]


@pytest.mark.parametrize(("at", "query"), [("a", ""), ("c", "?account=eve,bob")])
async def test_stream_continues_while_an_account_is_moved(tmp_path: Path, at: str, query: str) -> None:
    async with fleet_of(tmp_path, "a", "b", "c") as (a, b, c):
        eve, bob = await a.start("eve"), await b.start("bob")
        for host, name, there in ((c, "eve", "a"), (c, "bob", "b"), (a, "bob", "b")):
            await host.finds(name, there)
        async with reading(a if at == "a" else c, Reader(), query) as reader:
            say(eve, "one")
            await reader.until(1)
            say(bob, "two")
            await reader.until(2)
            await a.v1("PUT", "departures/eve", {"to": "b", "id": "5f2c", "sent": True})
            shutil.copytree(a.paths.state("eve"), b.paths.state("eve"))  # with its log
            await b.v1("POST", "accounts", {"name": "eve", "epoch": 2, "arrived": "5f2c"})
            assert (await b.v1("POST", "arrivals/eve?id=5f2c"))[0] == 200
            say(b.process("eve"), "three")
            await reader.until(3)
            assert (await a.v1("POST", "departures/eve?id=5f2c"))[0] == 200
            say(b.process("eve"), "four")
            assert await reader.until(4) == ["one", "two", "three", "four"]
        assert [host for _, host, _ in origins(reader)] == ["a", "b", "b", "b"]


async def test_an_account_cannot_claim_a_host(pair: Pair) -> None:
    a, _ = pair
    alice = await a.start("alice")
    async with reading(a, Reader()) as reader:
        alice.log.append({"host": "b", "post_type": "x"}, deliver=False)
        say(alice, "real")
        await reader.until(1)
    assert [(obj(one).get("host"), obj(one["report"]).get("content")) for one in reader.got][-1] == ("a", "real")
    assert all(one["host"] == "a" for one in reader.got)


async def test_dashboard_rows_of_all_hosts_are_live(pair: Pair) -> None:
    a, b = pair
    await a.start("alice")
    async with a.http.get("/v1/accounts", headers=STREAM) as answer:
        stream = Stream(answer)
        rows: dict[str, JsonObject] = {}

        async def until(name: str, key: str, value: object) -> None:
            async with asyncio.timeout(PATIENCE):
                while name not in rows or rows[name].get(key) != value:
                    event = await stream.next()
                    rows.update({text(obj(row)["name"]): obj(row) for row in items(event["accounts"])})
                    for gone in items(event["gone"]):
                        del rows[text(gone)]

        await until("alice", "host", "a")
        bob = await b.start("bob")
        await until("bob", "host", "b")
        bob.say(LoginState.RUNNING)
        await until("bob", "login_state", "running")
        assert rows["bob"]["condition"] == "running"
        b.paths.tokens_file.write_text('{"tokens": []}')  # for this host it is away now
        await until("bob", "condition", "unreachable")
        assert (rows["alice"]["condition"] == "unreachable", rows["bob"]["login_state"]) == (False, None)
