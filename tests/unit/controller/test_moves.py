"""An account on its way to another host: it runs nowhere by mistake, and comes back or goes for good."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.unit.controller.machine import Machine
from wxcontroller.core.accountfiles import AccountFiles
from wxcontroller.core.errors import AccountMoved
from wxcontroller.core.jsontypes import JsonObject, field, items, obj
from wxcontroller.core.materialise import Materialiser
from wxcontroller.core.states import Desired

MOVE: JsonObject = {"to": "host-b", "id": "5f2c"}


async def code_of(host: Machine, method: str, path: str, body: JsonObject | None = None) -> str:
    _, answer = await host.v1(method, path, body)
    return str(field(answer.get("error"), "code"))


async def test_an_account_that_is_leaving_is_stopped_and_started_by_nobody(host: Machine) -> None:
    await host.v1("POST", "accounts/alice/start")
    status, account = await host.v1("PUT", "departures/alice", MOVE)
    assert (status, account["unit_state"], account["desired"]) == (200, "absent", "stopped")
    assert account["leaving"] == {**MOVE, "ran": True, "sent": False}
    assert [obj(issue)["code"] for issue in items(account["issues"])] == ["moving"]
    calls: list[tuple[str, str, JsonObject | None]] = [
        ("POST", "accounts/alice/start", None),
        ("POST", "accounts/alice/restart", None),
        ("DELETE", "accounts/alice", None),
        ("PATCH", "accounts/alice/options", {"lang": "en_US"}),
        ("PUT", "departures/alice", {"to": "host-c", "id": "other"}),
    ]
    for method, path, body in calls:
        assert await code_of(host, method, path, body) == "moving", path
    assert "is being moved to host host-b" in str((await host.get("start_client", client="alice"))["status"])
    assert AccountFiles(host.paths).load("alice").desired is Desired.STOPPED
    assert host.units.calls.count("start wxclient@alice.service") == 1
    # The same move again only adds that it is being sent.
    _, account = await host.v1("PUT", "departures/alice", {**MOVE, "sent": True})
    assert account["leaving"] == {**MOVE, "ran": True, "sent": True}
    _, account = await host.v1("PUT", "departures/alice", MOVE)
    assert account["leaving"] == {**MOVE, "ran": True, "sent": True}


async def test_an_undone_move_leaves_the_account_as_it_was(host: Machine) -> None:
    await host.v1("POST", "accounts/alice/start")
    await host.v1("POST", "accounts", {"name": "bob"})
    for name in ("alice", "bob"):
        await host.v1("PUT", f"departures/{name}", MOVE)
        assert await code_of(host, "DELETE", f"departures/{name}?id=wrong") == "no-such-move"
        status, account = await host.v1("DELETE", f"departures/{name}?id=5f2c")
        wanted = ("started", "active") if name == "alice" else ("stopped", "absent")
        assert (status, account["desired"], account["unit_state"]) == (200, *wanted)
        assert (account["leaving"], account["epoch"]) == (None, 1)


async def test_an_account_that_has_left_begins_here_again_only_in_a_later_epoch(host: Machine) -> None:
    await host.v1("POST", "accounts/alice/start")
    for query in ("?id=5f2c", "?id=", ""):
        assert await code_of(host, "POST", f"departures/alice{query}") == "no-such-move"
    await host.v1("PUT", "departures/alice", {**MOVE, "sent": True})
    assert (await host.v1("POST", "departures/alice?id=5f2c"))[0] == 200
    assert AccountFiles(host.paths).instances() == []
    assert not host.paths.private_state("alice").exists()
    _, there = await host.v1("GET", "arrivals/alice")
    assert (there["account"], there["gone"]) == (None, {"to": "host-b", "epoch": 2})
    assert await code_of(host, "POST", "accounts/alice/start") == "moved"
    assert await code_of(host, "POST", "accounts", {"name": "alice"}) == "stale-epoch"
    assert await code_of(host, "POST", "accounts", {"name": "alice", "epoch": 2}) == "stale-epoch"
    with pytest.raises(AccountMoved, match="has moved to host host-b"):  # systemctl start
        Materialiser(host.paths, host.accounts.settings).prepare("alice")
    status, account = await host.v1("POST", "accounts", {"name": "alice", "epoch": 3, "arrived": "77aa"})
    assert (status, account["epoch"], account["arrived"]) == (201, 3, "77aa")
    status, account = await host.v1("POST", "accounts/alice/start")
    assert (status, account["epoch"], account["arrived"]) == (200, 3, "77aa")


async def put(host: Machine, content: bytes) -> tuple[int, JsonObject]:
    async with host.http.put("/v1/arrivals/alice", data=content) as answer:
        return answer.status, obj(json.loads(await answer.read()))


@asynccontextmanager
async def importing(host: Machine, answer: bytes, take: int = -1) -> AsyncIterator[list[bytes]]:
    """Stand behind the socket where root imports: read ``take`` bytes, or all, and answer."""
    got: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.readline())
        got.append(await (reader.read() if take < 0 else reader.readexactly(take)))
        writer.write(answer)
        await writer.drain()
        while await reader.read(1 << 16):
            pass
        writer.close()

    host.paths.receive_socket.parent.mkdir(parents=True, exist_ok=True)
    server = await asyncio.start_unix_server(serve, host.paths.receive_socket)
    async with server:
        yield got


async def test_what_comes_in_is_passed_on_to_root_as_it_is(host: Machine) -> None:
    _, there = await host.v1("GET", "arrivals/alice")
    assert (there["receiving"], there["under_way"], there["account"], there["gone"]) == (False, False, None, None)
    assert isinstance(there["free"], int)
    assert there["free"] > 0
    content = b"sealed" * 500_000
    assert field((await put(host, content))[1]["error"], "code") == "not-receiving"
    await host.v1("POST", "accounts", {"name": "alice", "epoch": 2, "arrived": "5f2c"})  # as the import does
    async with importing(host, b'warning: something\n{"name": "alice"}\n') as got:
        assert (await host.v1("GET", "arrivals/alice"))[1]["receiving"] is True
        status, answer = await put(host, content)
    assert (status, answer["name"], answer["arrived"]) == (201, "alice", "5f2c")
    assert got[0] == b"alice\n"
    assert hashlib.sha256(got[1]).digest() == hashlib.sha256(content).digest()


@pytest.mark.parametrize("take", [-1, 100])
async def test_a_refused_import_is_told_with_its_reason(host: Machine, take: int) -> None:
    refusal = b'{"error": {"code": "locked", "message": "the passphrase is wrong", "remedy": "correct it"}}\n'
    async with importing(host, refusal, take):
        status, answer = await put(host, b"x" * 20_000_000)
    error = obj(answer["error"])
    assert (status, error["code"], error["remedy"]) == (409, "arrival-refused", "correct it")
    assert error["message"] == "account alice cannot be received: the passphrase is wrong"
