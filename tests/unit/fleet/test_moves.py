"""An account that is being moved: two hosts have it for a moment, and it counts on the one that it is not leaving."""

from functools import partial
from pathlib import Path

from tests.patience import until
from tests.unit.fleet.hosts import FleetHost, hosts_of
from wxcontroller.core.jsontypes import JsonObject, obj

MOVE: JsonObject = {"to": "b", "id": "5f2c", "sent": True}
BROUGHT: JsonObject = {"name": "eve", "epoch": 2, "arrived": "5f2c"}


def _has_no_duplicates(host: FleetHost) -> bool:
    return not host.accounts.duplicates


async def test_moving_account_stays_reachable_and_is_no_duplicate(tmp_path: Path) -> None:
    async with hosts_of(tmp_path, "a", "b", "c") as (a, b, c):
        await a.start("eve")
        for host in (a, b, c):
            await host.join(*(host.describe(other) for other in (a, b, c) if other is not host))
        for host in (b, c):
            await host.finds("eve", "a")
        assert (await a.v1("PUT", "departures/eve", MOVE))[0] == 200
        # Nobody makes another one of its name meanwhile; the move brings it.
        status, content = await b.v1("POST", "accounts", {"name": "eve"})
        assert (status, obj(content["error"])["code"]) == (409, "account-exists")
        assert (await b.v1("POST", "accounts", BROUGHT))[0] == 201
        assert (await b.v1("POST", "arrivals/eve?id=5f2c"))[1]["unit_state"] == "active"
        await c.finds("eve", "b")
        _, content = await c.v1("GET", "accounts/eve")
        assert (content["host"], content["epoch"]) == ("b", 2)
        for host in (a, b, c):
            await until(partial(_has_no_duplicates, host))
            assert (await host.v1("GET", "fleet"))[1]["duplicates"] == []
        # Here it is refused with what to do; and once it has left, calls for it go to its new host.
        status, content = await a.v1("POST", "accounts/eve/start")
        assert (status, obj(content["error"])["code"]) == (409, "moving")
        assert (await a.v1("POST", "departures/eve?id=5f2c"))[0] == 200
        await a.finds("eve", "b")
        assert (await a.v1("GET", "accounts/eve"))[1]["host"] == "b"
