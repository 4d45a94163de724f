"""An account that moves to another host runs on one host only."""

import asyncio
import socket

import pytest

from tests.patience import PATIENCE
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


async def test_exported_account_returns_only_in_a_later_epoch(host: Machine) -> None:
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


async def test_a_host_that_loses_its_power_while_sending_can_send_again_at_once(host: Machine) -> None:
    async def importing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    host.paths.receive_socket.parent.mkdir(parents=True, exist_ok=True)
    tcp_repair = 19  # closes without a word to the other end
    async with await asyncio.start_unix_server(importing, host.paths.receive_socket):
        sender = socket.create_connection(host.address)
        head = "PUT /v1/arrivals/eve HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n\r\nhalf"
        sender.sendall(head.encode())
        await until_receiving(host, True)
        sender.setsockopt(socket.IPPROTO_TCP, tcp_repair, 1)
        sender.close()
        await until_receiving(host, False)


async def until_receiving(host: Machine, expected: bool) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await host.v1("GET", "arrivals/eve"))[1]["under_way"] is not expected:
            await asyncio.sleep(0.1)
