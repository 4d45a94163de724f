"""Calls of systemctl, for which a script stands in; system tests use the real one."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.patience import PATIENCE, until
from wxcontroller.controller.accounts.units import SYSTEMCTL_AT_A_TIME, Restarts, Systemd, UnitRecord, Verb, record
from wxcontroller.core.config.alertsettings import Channel
from wxcontroller.core.errors import BadName, UnitFailed
from wxcontroller.core.states import UnitState

LIST = [
    {"unit": f"{unit}.service", "load": "loaded", "active": active, "sub": sub, "description": "x"}
    for unit, active, sub in (
        *(("wxclient@alice", "active", "running"), ("wxclient@x-abc", "activating", "auto-restart")),
        *(("wxclient@a.b", "active", "running"), ("wxclient-prepare@alice", "active", "exited")),
        ("wxclient@new", "levitating", "high"),
    )
]


class Script:
    """A systemctl made of shell; ``calls`` are its command lines."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "systemctl"
        self.log = directory / "calls"
        self.log.touch()

    def does(self, body: str) -> str:
        self.path.write_text(f'#!/bin/sh\necho "$*" >>{self.log}\n{body}\n')
        self.path.chmod(0o755)
        return str(self.path)

    @property
    def calls(self) -> list[str]:
        return self.log.read_text().splitlines()


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path)


async def test_units_are_read(script: Script) -> None:
    async with Systemd(script.does(f"echo '{json.dumps(LIST)}'")) as units:
        found = await units.snapshot()
        assert found == {
            "alice": UnitRecord("alice", UnitState.ACTIVE, "running"),
            "x-abc": UnitRecord("x-abc", UnitState.ACTIVATING, "auto-restart"),
            "new": UnitRecord("new", UnitState.MAINTENANCE, "high"),
        }
        assert (await record(units, "bob")).state is UnitState.ABSENT
    assert script.calls == ["--no-ask-password list-units --all --full --no-pager --output=json wxclient@*.service"]
    assert not found["x-abc"].has_process
    assert found["alice"].has_process


@pytest.mark.parametrize(
    ("result", "code", "status", "told"),
    [
        ("exit-code", 1, 3, "exit status 3"),
        ("signal", 2, 9, "signal SIGKILL"),
        ("core-dump", 3, 11, "signal SIGSEGV"),
        ("watchdog", 3, 6, "it hung, and was killed by the watchdog"),
        ("oom-kill", 2, 9, "it ran out of memory"),
        ("success", 0, 0, ""),
    ],
)
async def test_end_of_a_process_is_read(script: Script, result: str, code: int, status: int, told: str) -> None:
    numbers = f"NRestarts=2\nExecMainCode={code}\nExecMainStatus={status}\nStateChangeTimestamp=@1700000000"
    shown = f"Result={result}\n{numbers}\nId=wxclient@alice.service\n\nNRestarts=0\nId=wxclient@bob.service"
    async with Systemd(script.does(f"printf '%s\n' '{shown}'")) as units:
        found = await units.restarts(["alice", "bob"])
    assert (found["alice"].count, found["alice"].since, str(found["alice"].end)) == (2, 1_700_000_000, told)
    assert found["bob"] == Restarts(0)


async def test_concurrent_queries_share_one_systemctl_call(script: Script) -> None:
    async with Systemd(script.does("sleep 0.1; echo '[]'")) as units:
        await asyncio.gather(*(units.snapshot() for _ in range(50)))
        await units.snapshot(max_age=PATIENCE)
        assert len(script.calls) == 1
        await units.snapshot(max_age=0)
        assert len(script.calls) == 2
        assert units.recent() == {}
        async with asyncio.timeout(PATIENCE):
            while units.recent() is not None:  # until it is a second old
                await asyncio.sleep(0.05)


async def test_a_disconnecting_caller_does_not_cancel_a_shared_query(script: Script) -> None:
    async with Systemd(script.does("sleep 0.2; echo '[]'")) as units:
        first, second = asyncio.create_task(units.snapshot()), asyncio.create_task(units.snapshot())
        await asyncio.sleep(0.05)
        first.cancel()
        assert await second == {}
    assert len(script.calls) == 1


async def test_no_query_returns_the_state_from_before_an_action(script: Script, tmp_path: Path) -> None:
    after = json.dumps(LIST[:1])
    body = f"""cd {tmp_path}; case "$*" in
        *list-units*) cat units 2>/dev/null || echo '[]'; while [ -e held ]; do sleep 0.01; done;;
        *start*) echo '{after}' >units;;
    esac"""
    async with Systemd(script.does(body)) as units:
        assert await units.snapshot() == {}
        (tmp_path / "held").touch()
        looking = asyncio.create_task(units.snapshot(max_age=0))
        await until(lambda: len(script.calls) >= 2)
        assert units.recent() == {}
        await units.act(Verb.START, "alice", PATIENCE)
        assert units.recent() is None
        (tmp_path / "held").unlink()
        assert "alice" in await units.snapshot()
        assert "alice" in await looking


async def test_at_most_four_actions_at_once(script: Script, tmp_path: Path) -> None:
    busy, go_on = tmp_path / "busy", tmp_path / "go-on"
    busy.mkdir()
    body = f"touch {busy}/$$; until [ -e {go_on} ]; do sleep 0.02; done; ls {busy} | wc -l; rm {busy}/$$"
    async with Systemd(script.does(f"{{ {body}; }} >>{tmp_path}/counts")) as units, asyncio.TaskGroup() as tasks:
        for number in range(12):
            _ = tasks.create_task(units.act(Verb.START, f"a{number}", PATIENCE))
        await until(lambda: len(list(busy.iterdir())) >= 4)
        await asyncio.sleep(0.2)  # for a fifth, which would be an error
        go_on.touch()
    assert max(int(line) for line in (tmp_path / "counts").read_text().split()) == 4


async def test_a_stop_does_not_queue_behind_starts_that_hang(script: Script) -> None:
    async with Systemd(script.does('case "$*" in *start*) exec sleep 60;; esac')) as units:
        starts = [asyncio.create_task(units.act(Verb.START, f"a{number}", 60)) for number in range(6)]
        await until(lambda: len(script.calls) >= SYSTEMCTL_AT_A_TIME)
        await units.act(Verb.STOP, "a5", PATIENCE)
        for start in starts:
            start.cancel()
        await asyncio.gather(*starts, return_exceptions=True)


async def test_commands_are_retried_while_systemd_reexecutes(script: Script, tmp_path: Path) -> None:
    lost = "Failed to start wxclient@alice.service: Message recipient disconnected from message bus without replying"
    body = f"cd {tmp_path}; [ -e again ] && exec echo '[]'; touch again; echo '{lost}' >&2; exit 1"
    async with Systemd(script.does(body)) as units:
        await units.act(Verb.START, "alice", PATIENCE)
        (tmp_path / "again").unlink()
        assert await units.snapshot() == {}
    assert len(script.calls) == 4


async def test_a_hanging_systemctl_is_killed(script: Script, tmp_path: Path) -> None:
    async with Systemd(script.does(f"echo $$ >{tmp_path}/pid; exec sleep 60")) as units:
        with pytest.raises(UnitFailed) as caught:
            await units.act(Verb.STOP, "alice", 2)
    assert "stop was not done after 2 s" in str(caught.value)
    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        async with asyncio.timeout(PATIENCE):
            while True:
                os.kill(pid, 0)
                await asyncio.sleep(0.01)


async def test_a_failed_start_refers_to_all_units_of_the_account(script: Script) -> None:
    async with Systemd(script.does("echo 'A dependency job failed.' >&2; exit 1")) as units:
        with pytest.raises(UnitFailed, match="A dependency job failed") as caught:
            await units.act(Verb.START, "alice", PATIENCE)
        assert caught.value.remedy == "see: wxctl logs alice"
        with pytest.raises(UnitFailed):
            await units.purge("alice", PATIENCE)


@pytest.mark.parametrize(
    ("action", "commands"),
    [
        (lambda units: units.act(Verb.RESTART, "alice", PATIENCE), ["restart wxclient@alice.service"]),
        (lambda units: units.purge("alice", PATIENCE), ["start wxclient-purge@alice.service"]),
        (lambda units: units.deliver(Channel.MAIL, True), ["start wxcontroller-alert@mail.path"]),
        (lambda units: units.deliver(Channel.WEBHOOK, False), ["stop wxcontroller-alert@webhook.path"]),
        (lambda units: units.shorten_own_delay(), ["reset-failed wxcontroller.service"]),
        # Without names it would be asked for all units of the machine.
        (lambda units: units.restarts([]), []),
    ],
    ids=["restart", "purge", "alerts on", "alerts off", "own delay", "restarts of none"],
)
async def test_systemd_gets_the_command_of_an_action(
    script: Script, action: Callable[[Systemd], Awaitable[object]], commands: list[str]
) -> None:
    async with Systemd(script.does("exit 0")) as units:
        await action(units)
    assert script.calls == [f"--no-ask-password {command}" for command in commands]


async def test_end_of_the_controller_does_not_wait_for_a_query(script: Script) -> None:
    async with Systemd(script.does("exec sleep 60")) as units:
        looking = asyncio.create_task(units.snapshot())
        await until(lambda: len(script.calls) == 1)
    with pytest.raises(asyncio.CancelledError):  # UnitFailed, if it was waited for until its timeout
        await looking


@pytest.mark.parametrize("instance", ["../x", "a.b", "", "a b", "x" * 28, "alice.service wxcontroller"])
async def test_unit_names_contain_only_ids(script: Script, instance: str) -> None:
    async with Systemd(script.does("exit 0")) as units:
        for action in (units.act(Verb.START, instance, 5), units.purge(instance, 5)):
            with pytest.raises(BadName):
                await action
    assert script.calls == []
