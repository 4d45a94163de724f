"""What the controller does by itself: bringing accounts back after a boot, and telling how all are."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from tests.unit.controller.machine import Machine
from wxcontroller.controller.heartbeat import heartbeat
from wxcontroller.controller.reconcile import BootMark, Watch, after_boot, summary
from wxcontroller.controller.units import UnitRecord
from wxcontroller.core.settings import Settings
from wxcontroller.core.states import LoginState, UnitState


async def boot(host: Machine) -> None:
    """All processes and everything under /run are gone; the accounts' files stay."""
    for instance in list(host.units.processes):
        await host.units.kill(instance)
        host.paths.state_file(instance).unlink()
    host.units.records.clear()
    host.units.calls.clear()


async def test_wanted_accounts_come_back_and_stopped_ones_stay_stopped(host: Machine) -> None:
    mark = BootMark(host.paths)
    assert await after_boot(host.accounts, mark) == "after boot: 0 accounts wanted, 0 up, 0 started"
    for name in ("alice", "bob", "小店", "carol"):
        await host.start(name)
    await host.get("stop_client", client="bob")
    await boot(host)
    # Within the same boot nothing is started: the admin may have stopped a unit by hand.
    assert "no boot" in await after_boot(host.accounts, mark)
    assert host.units.calls == []
    (host.paths.controller_runtime / "accounts-started").unlink()
    assert await after_boot(host.accounts, mark) == "after boot: 3 accounts wanted, 0 up, 3 started"
    assert sorted(host.units.processes) == sorted(
        ["alice", "carol", host.accounts.known.resolve("小店")],
    )


async def test_one_that_does_not_come_up_does_not_hold_the_others(host: Machine) -> None:
    for name in ("alice", "bob"):
        await host.start(name)
    await boot(host)
    host.units.refuse = "no"
    assert await after_boot(host.accounts, BootMark(host.paths)) == (
        "after boot: 2 accounts wanted, 0 up, 0 started, 2 failed"
    )


async def test_the_status_line(host: Machine) -> None:
    assert summary(await host.accounts.views()) == "no accounts"
    (await host.start("alice")).say(LoginState.RUNNING)
    (await host.start("bob")).show_qrcode()
    (await host.start("carol")).say(LoginState.PARKED)
    await host.start("dave")
    await host.units.kill("dave", UnitRecord("dave", UnitState.FAILED, "failed"))
    await host.start("eve")
    await host.get("stop_client", client="eve")
    assert summary(await host.accounts.views()) == (
        "1 of 4 accounts running, 1 waiting for a scan, 1 parked, 1 down (1 stopped)"
    )


async def test_an_account_that_goes_down_is_told_once(host: Machine, caplog: pytest.LogCaptureFixture) -> None:
    await host.start("alice")
    watch = Watch()
    watch.look(await host.accounts.views())
    await host.units.kill("alice", UnitRecord("alice", UnitState.FAILED, "failed"))
    for _ in range(3):
        watch.look(await host.accounts.views())
    told = [entry for entry in caplog.records if "went down" in entry.getMessage()]
    assert len(told) == 1
    assert "journalctl -u wxclient@alice.service" in told[0].getMessage()


async def test_the_heartbeat_beats_whatever_the_answer_and_follows_nobody(tmp_path: Path) -> None:
    beats: list[str] = []
    enough = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        beats.append(request.raw_path)
        if len(beats) >= 3:
            enough.set()
        if len(beats) == 1:
            raise web.HTTPFound("/elsewhere")
        return web.Response(status=500)

    app = web.Application()
    app.router.add_get("/{rest:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    settings = Settings(poll_api=f"http://127.0.0.1:{runner.addresses[0][1]}/beat?x=1", poll_interval=0.01)
    task = asyncio.create_task(heartbeat(lambda: settings))
    await asyncio.wait_for(enough.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await runner.cleanup()
    assert set(beats) == {"/beat?x=1"}  # no client= either


async def test_the_heartbeat_outlives_a_server_that_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings(poll_api="http://user:secret@127.0.0.1:9/x?key=secret", poll_interval=0.01)
    task = asyncio.create_task(heartbeat(lambda: settings))
    await asyncio.sleep(0.2)
    assert not task.done()
    task.cancel()
    assert sum("heartbeat" in entry.getMessage() for entry in caplog.records) == 1
    assert "secret" not in caplog.text
