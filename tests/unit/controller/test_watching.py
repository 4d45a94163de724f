"""GET /v1/accounts as a stream: all rows first, then changes, for a limited number of readers."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

from tests.patience import PATIENCE
from tests.tokens import bearer, token
from tests.unit.controller.machine import Machine
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.access.tokenfile import TokenFile
from wxcontroller.core.jsontypes import JsonObject, items, obj, text
from wxcontroller.core.states import LoginState

STREAM = {"Accept": "text/event-stream"}


class Stream:
    """The reader's end."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer

    async def event(self) -> tuple[str, str, JsonObject]:
        """Return id, kind and data of the next event."""
        place = kind = ""
        async with asyncio.timeout(PATIENCE):
            async for raw in self.answer.content:
                name, _, value = raw.decode().strip().partition(": ")
                if name == "id":
                    place = value
                elif name == "event":
                    kind = value
                elif name == "data":
                    return place, kind, obj(json.loads(value))
        raise AssertionError("the stream has ended")

    async def next(self, wanted: str = "accounts") -> JsonObject:
        """Return the data of the next event of a kind."""
        while (found := await self.event())[1] != wanted:
            pass
        return found[2]

    async def row(self, name: str, **wanted: object) -> JsonObject:
        """Return the first row of an account that has these values."""
        while True:
            for account in items((await self.next())["accounts"]):
                found = obj(account)
                if found["name"] == name and wanted.items() <= found.items():
                    return found

    async def end(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while await self.answer.content.readany():
                pass


@contextlib.asynccontextmanager
async def watched(host: Machine, headers: dict[str, str] | None = None) -> AsyncIterator[Stream]:
    timeout = aiohttp.ClientTimeout(total=60)
    async with host.http.get("/v1/accounts", headers={**STREAM, **(headers or {})}, timeout=timeout) as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        yield Stream(answer)


def names(event: JsonObject) -> list[str]:
    return [text(obj(account)["name"]) for account in items(event["accounts"])]


async def test_all_rows_come_first_and_then_only_those_that_change(host: Machine) -> None:
    await host.start("alice")
    await host.start("小店")
    async with watched(host) as stream:
        first = await stream.next()
        assert first["all"] is True
        assert sorted(names(first)) == ["alice", "小店"]
        host.process("小店").say(LoginState.CONFIRMING)
        await stream.row("小店", login_state="confirming")  # rows of the start have arrived by then
        host.process("小店").say(LoginState.RUNNING, user={"id": "@1", "name": "小明"})
        changed = await stream.next()
        assert names(changed) == ["小店"]
        assert "all" not in changed
        row = obj(items(changed["accounts"])[0])
        assert row["login_state"] == "running"
        while True:  # what the account publishes apart from its state may come later
            _, account = await host.v1("GET", "accounts/小店")
            if all(account[key] == value for key, value in row.items() if key != "activity"):
                break
            row = obj(items((await stream.next())["accounts"])[0])


async def test_bound_token_gets_its_accounts_and_a_revoked_one_nothing(host: Machine) -> None:
    await host.start("alice")
    await host.start("bob")
    shown = token(host, Scope.READ, "alice", name="t")
    async with watched(host, bearer(shown)) as stream:
        assert names(await stream.next()) == ["alice"]
        host.process("bob").say(LoginState.RUNNING)
        host.process("alice").say(LoginState.RUNNING)
        assert names(await stream.next()) == ["alice"]
        TokenFile(host.paths.tokens_file).revoke("t")
        host.process("alice").say(LoginState.OFFLINE)
        await stream.end()


async def test_readers_are_bounded(tmp_path: Path) -> None:
    async with Machine(tmp_path) as host, watched(host) as stream:
        host.limit(watchers=1)
        await stream.next()
        async with host.http.get("/v1/accounts", headers=STREAM) as answer:
            assert answer.status == 503
            assert obj(obj(await answer.json())["error"])["code"] == "too-many-readers"


async def test_no_process_is_asked_for_what_it_publishes(host: Machine) -> None:
    process = await host.start("alice")
    process.say(LoginState.RUNNING)
    process.publish(queue={"waiting": 3}, reports={"dead": 2, "pending": 4}, capabilities={"groups": True})
    (await host.start("bob")).say(LoginState.RUNNING)  # as a program that publishes nothing
    async with watched(host) as stream:
        row = await stream.row("alice", login_state="running")
        activity = obj(row["activity"])
        assert (activity["queued"], activity["dead"], activity["capabilities"]) == (3, 2, {"groups": True})
        process.publish(queue={"waiting": 4})
        assert obj((await stream.row("alice"))["activity"])["queued"] == 4
    _, answer = await host.v1("GET", "deliveries")
    alice, bob = map(obj, items(answer["accounts"]))
    assert (alice["pending"], alice["error"], bob["pending"]) == (4, None, None)
    assert "publishes no deliveries" in text(bob["error"])
    async with host.http.get("/metrics") as figures:
        shown = await figures.text()
    assert 'wxclient_sends_waiting{account="alice"} 4.0' in shown
    assert 'wxclient_up{account="bob"} 1.0' in shown
    assert host.process("alice").requests == host.process("bob").requests == []
    await host.v1("POST", "accounts/bob/stop")
    _, answer = await host.v1("GET", "deliveries")
    assert [obj(row)["error"] for row in items(answer["accounts"])] == [None, "it is not running"]


async def test_status_that_names_another_account_is_not_shown(host: Machine) -> None:
    process = await host.start("alice")
    process.say(LoginState.RUNNING)
    process.publish(queue={"waiting": 3})
    async with watched(host) as stream:
        assert obj((await stream.row("alice", login_state="running"))["activity"])["queued"] == 3
        process.publish(instance="bob", queue={"waiting": 4})
        assert (await stream.row("alice"))["activity"] is None
