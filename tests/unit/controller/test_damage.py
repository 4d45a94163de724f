"""Accounts whose files are lost or unreadable while their units live, and starts that hang."""

import asyncio

import pytest

from tests.patience import PATIENCE
from tests.unit.controller.machine import Machine
from wxcontroller.core.jsontypes import items, obj


def damage(host: Machine, name: str, how: str) -> None:
    path = host.paths.account_file(name)
    if how == "gone":
        path.unlink()
    else:
        path.write_text('MOJO_WEIXIN_ACCOUNT="' + name)
    host.accounts.registry.forget(name)


@pytest.mark.parametrize("how", ["gone", "damaged"])
async def test_a_start_restarts_a_running_account_whose_file_was_lost(host: Machine, how: str) -> None:
    await host.start("alice")
    damage(host, "alice", how)
    await host.start("alice")
    assert host.units.calls[-1] == "restart wxclient@alice.service"
    assert obj((await host.get("echo", client="alice"))["headers"])["Host"] == (
        f"127.0.0.1:{host.process('alice').account.port}"
    )
    assert (host.paths.accounts / "alice.env.broken").exists() == (how == "damaged")
    assert (await host.v1("DELETE", "accounts/alice"))[0] == 200
    assert [path.name for path in host.paths.accounts.iterdir()] == [".lock"]


@pytest.mark.parametrize("how", ["gone", "damaged"])
async def test_a_live_account_without_a_file_can_be_stopped(host: Machine, how: str) -> None:
    for stop in ("openwx", "v1"):
        await host.start("alice")
        damage(host, "alice", how)
        if stop == "openwx":
            answer = await host.get("stop_client", client="alice")
            assert answer["code"] == 0
        else:
            status, answer = await host.v1("POST", "accounts/alice/stop")
            assert (status, answer["unit_state"]) == (200, "absent")
        assert "file is missing or damaged" in str(answer["note"])
        assert host.units.processes == {}
    assert (await host.v1("POST", "accounts/alice/stop"))[0] == 404


async def test_a_stop_does_not_wait_for_a_start_that_hangs(host: Machine) -> None:
    host.units.hold = asyncio.Event()
    host.units.hold_stops = False
    starts = [asyncio.create_task(host.get("start_client", client="alice")) for _ in range(2)]
    await asyncio.wait_for(host.units.holding.wait(), PATIENCE)
    answer = await asyncio.wait_for(host.get("stop_client", client="alice"), PATIENCE)
    assert answer["code"] == 0
    for started in await asyncio.wait_for(asyncio.gather(*starts), PATIENCE):
        assert started["code"] != 0
        assert "was stopped while it came up" in str(started["status"])
    assert "alice" not in host.units.records
    assert (await host.v1("GET", "accounts/alice"))[1]["desired"] == "stopped"
    host.units.hold = None
    await host.start("alice")


async def test_an_administrators_file_that_cannot_be_read_hides_no_account(host: Machine) -> None:
    host.paths.overrides.mkdir(parents=True)
    host.paths.override_file("alice").symlink_to("alice.env")  # to itself: nobody can open it, not even root
    await host.start("alice")
    damage(host, "bob", "damaged")
    assert [each["account"] for each in await host.states()] == ["alice"]
    assert [obj(each)["name"] for each in items((await host.v1("GET", "accounts"))[1]["accounts"])] == ["alice"]
    assert (await host.v1("POST", "accounts/alice/stop"))[0] == 200
    status, answer = await host.v1("GET", "accounts/alice")
    assert (status, answer["desired"]) == (200, "stopped")
