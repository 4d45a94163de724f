"""Two hosts have one account: during a move, or from a backup. Only one of them starts it."""

import asyncio
from pathlib import Path

import pytest

from tests.patience import PATIENCE, until
from tests.unit.controller.test_reconcile import boot
from tests.unit.fleet.hosts import FleetHost, hosts_of, impostor
from wxcontroller.controller.reconcile import BootMark, after_boot
from wxcontroller.core.backoff import Backoff
from wxcontroller.core.jsontypes import JsonObject, obj

MOVE: JsonObject = {"to": "b", "id": "5f2c", "sent": True}


async def back(host: FleetHost) -> None:
    starting = after_boot(host.accounts, BootMark(host.paths), Backoff(0.01, 0.02), lambda: host.shared.fleet)
    await asyncio.wait_for(starting, PATIENCE)


@pytest.mark.parametrize(
    ("here", "there", "does", "comes_up"),
    [
        (1, 2, "stopped", False),  # a backup from before it was moved
        (1, 2, "started", False),
        (1, 1, "started", False),
        (1, 1, "stopped", True),
        (2, 1, "started", False),  # the other host has the old copy, and runs it
        (2, 1, "stopped", True),
        (2, 1, "lost", True),  # it was adopted from the other host, which has come back and does not run it
        (1, 2, "lost", False),  # on that host
        (2, 1, "leaving", True),  # the move that brought it has not ended
        (1, 2, "leaving", False),  # it has moved there, and on from there
    ],
)
async def test_accounts_of_another_host_are_not_started(
    tmp_path: Path, here: int, there: int, does: str, comes_up: bool
) -> None:
    async with hosts_of(tmp_path, "a", "b") as (a, b):
        await a.start("alice")
        for host, epoch in ((a, here), (b, there)):
            assert (await host.v1("POST", "accounts", {"name": "eve", "epoch": epoch}))[0] == 201
        await a.v1("POST", "accounts/eve/start")
        if does == "started":
            await b.v1("POST", "accounts/eve/start")
        elif does == "lost":
            await b.v1("POST", "accounts/eve/start")
            await boot(b)
        elif does == "leaving":
            await b.v1("PUT", "departures/eve", {**MOVE, "to": "a"})
        await boot(a)
        await b.join()
        await a.join(a.describe(b))  # which has not been greeted yet
        await back(a)
        assert "alice" in a.units.processes
        assert ("eve" in a.units.processes) == comes_up
        assert BootMark(a.paths).is_set()
        if does == "started" or (does, here) == ("lost", 2):
            await until(lambda: "eve" in a.accounts.duplicates)  # which is an alert


async def test_a_host_that_hangs_delays_no_boot_for_long(tmp_path: Path) -> None:
    async with hosts_of(tmp_path, "a") as [a]:
        for name in ("alice", "eve"):
            await a.start(name)
        await boot(a)
        a.paths.fleet_state.write_text('{"hosts": {"b": [{"name": "eve", "instance": "eve", "epoch": 2}]}}')
        async with impostor(a):
            await back(a)
        assert set(a.units.processes) == {"alice"}


@pytest.mark.parametrize("call", ["start", "restart"])
async def test_start_waits_for_the_list_of_hosts(tmp_path: Path, call: str) -> None:
    async with hosts_of(tmp_path, "a", "b") as (a, b):
        await a.start("eve")
        await a.v1("POST", "accounts/eve/stop")
        await b.start("eve")
        await b.join()
        await a.join(a.describe(b))
        assert (await a.v1("POST", f"accounts/eve/{call}"))[0] == 409
        assert "eve" not in a.units.processes


async def test_moving_account_stays_reachable_and_is_no_duplicate(tmp_path: Path) -> None:
    async with hosts_of(tmp_path, "a", "b", "c") as (a, b, c):
        await a.start("eve")
        for host in (a, b, c):
            await host.join(*(host.describe(other) for other in (a, b, c) if other is not host))
        for host in (b, c):
            await host.finds("eve", "a")
        assert (await a.v1("PUT", "departures/eve", MOVE))[0] == 200
        # No other account gets its name meanwhile; the move brings it.
        status, content = await b.v1("POST", "accounts", {"name": "eve"})
        assert (status, obj(content["error"])["code"]) == (409, "account-exists")
        assert (await b.v1("POST", "accounts", {"name": "eve", "epoch": 2, "arrived": "5f2c"}))[0] == 201
        assert (await b.v1("POST", "arrivals/eve?id=5f2c"))[1]["unit_state"] == "active"
        await c.finds("eve", "b")
        _, content = await c.v1("GET", "accounts/eve")
        assert (content["host"], content["epoch"]) == ("b", 2)
        for host in (a, b, c):
            await until(lambda: not host.accounts.duplicates)  # noqa: B023
            assert (await host.v1("GET", "fleet"))[1]["duplicates"] == []
        # Here it is refused with what to do; and once it has left, calls for it go to its new host.
        status, content = await a.v1("POST", "accounts/eve/start")
        assert (status, obj(content["error"])["code"]) == (409, "moving")
        assert (await a.v1("POST", "departures/eve?id=5f2c"))[0] == 200
        await a.finds("eve", "b")
        assert (await a.v1("GET", "accounts/eve"))[1]["host"] == "b"
