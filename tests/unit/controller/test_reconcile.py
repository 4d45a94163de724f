"""Starts of accounts after a boot, restart delays and the heartbeat."""

import asyncio
import logging
import os
from collections.abc import Callable

import pytest
from aiohttp import web

from tests.patience import PATIENCE, until
from tests.serving import serving
from tests.unit.controller.machine import Machine
from wxcontroller.controller.accounts.units import SYSTEMCTL_AT_A_TIME
from wxcontroller.controller.heartbeat import heartbeat
from wxcontroller.controller.reconcile import RUNS_WELL_SECONDS, BootMark, RestartDelays, after_boot
from wxcontroller.core.backoff import Backoff
from wxcontroller.core.config.settings import Settings
from wxcontroller.core.states import LoginState


async def boot(host: Machine) -> None:
    """Remove all processes and their files in /run, as a reboot does."""
    for instance in list(host.units.processes):
        await host.units.kill(instance)
    host.units.records.clear()
    host.units.calls.clear()


Lines = Callable[[], list[str]]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """Return the logged lines so far."""
    caplog.set_level(logging.INFO)
    return lambda: [
        record.getMessage() for record in caplog.records if record.name == "wxcontroller.controller.reconcile"
    ]


async def back(host: Machine, lines: Lines) -> str:
    """Start the desired accounts, without long pauses; return the last logged line."""
    await asyncio.wait_for(after_boot(host.accounts, BootMark(host.paths), Backoff(0.01, 0.02)), PATIENCE)
    return lines()[-1]


async def test_desired_accounts_are_restarted_and_stopped_ones_are_not(host: Machine, lines: Lines) -> None:
    assert await back(host, lines) == "after boot: 0 accounts wanted, 0 up, 0 started"
    for name in ("alice", "bob", "小店", "carol"):
        await host.start(name)
    await host.get("stop_client", client="bob")
    await boot(host)
    # Within the same boot nothing is started: the admin may have stopped a unit by hand.
    await back(host, lines)
    assert host.units.calls == []
    (host.paths.controller_runtime / "accounts-started").unlink()
    assert await back(host, lines) == "after boot: 3 accounts wanted, 0 up, 3 started"
    assert sorted(host.units.processes) == sorted(["alice", "carol", host.accounts.registry.resolve("小店")])


async def test_failed_starts_are_retried_until_they_succeed(host: Machine, lines: Lines) -> None:
    for name in ("alice", "bob"):
        await host.start(name)
    await boot(host)
    mark = BootMark(host.paths)
    host.units.refuse = "no"
    task = asyncio.create_task(after_boot(host.accounts, mark, Backoff(0.01, 0.02)))
    await until(lambda: lines().count("after boot: 2 accounts wanted, 0 up, 0 started, 2 failed") >= 2)
    assert not mark.is_set()
    host.units.refuse = ""
    await asyncio.wait_for(task, PATIENCE)
    assert sorted(host.units.processes) == ["alice", "bob"]
    assert mark.is_set()


async def test_an_account_stopped_during_the_pass_is_not_started_again(host: Machine, lines: Lines) -> None:
    names = [f"a{number}" for number in range(SYSTEMCTL_AT_A_TIME + 1)]
    for name in names:
        await host.start(name)
    await boot(host)
    host.units.hold = asyncio.Event()
    passing = asyncio.create_task(back(host, lines))
    await asyncio.wait_for(host.units.holding.wait(), PATIENCE)
    host.units.hold_stops = False
    await host.get("stop_client", client=names[-1])
    host.units.hold.set()
    assert await passing == (
        f"after boot: {len(names)} accounts wanted, 0 up, {SYSTEMCTL_AT_A_TIME} started, 1 stopped meanwhile"
    )
    assert sorted(host.units.processes) == names[:-1]


async def test_heartbeat_continues_after_server_failures(caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings(poll_api="http://user:secret@127.0.0.1:9/x?key=secret", poll_interval=0.01)
    task = asyncio.create_task(heartbeat(lambda: settings))
    await until(lambda: caplog.records)
    await asyncio.sleep(0.1)  # for more heartbeats, which are not logged
    assert not task.done()
    task.cancel()
    assert sum("heartbeat" in entry.getMessage() for entry in caplog.records) == 1
    assert "secret" not in caplog.text


async def test_heartbeat_accepts_any_response_and_follows_no_redirect(caplog: pytest.LogCaptureFixture) -> None:
    beats: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        beats.append(request.raw_path)
        if len(beats) == 1:
            raise web.HTTPFound("/elsewhere")
        return web.Response(status=500)

    async with serving(answer) as port:
        settings = Settings(poll_api=f"http://127.0.0.1:{port}/beat?x=1", poll_interval=0.01)
        task = asyncio.create_task(heartbeat(lambda: settings))
        await until(lambda: len(beats) >= 3)
        task.cancel()
        await asyncio.wait({task})
    assert set(beats) == {"/beat?x=1"}
    assert "heartbeat" not in caplog.text


async def test_recovered_unit_is_restarted_quickly_again(host: Machine) -> None:
    for name in ("alice", "bob", "carol"):
        await host.start(name)
    host.units.restarted = {"alice": 6, "carol": 7}
    delays, now = RestartDelays(host.units, 0.0), 0.0

    async def minutes(number: int) -> list[str]:
        nonlocal now
        host.units.calls.clear()
        for _ in range(number):
            now += 60
            await delays.look(await host.accounts.views(), now)
        return host.units.calls

    assert await minutes(6) == []
    host.process("carol").say(LoginState.RUNNING, pid=os.getppid())  # another crash
    assert 600 <= RUNS_WELL_SECONDS < 660
    assert sorted(await minutes(6)) == ["reset-failed wxclient@alice.service", "shorten own delay"]
    assert await minutes(6) == ["reset-failed wxclient@carol.service"]
    assert await minutes(20) == []
