"""Cached lists of accounts are never older than the files, the units and the time."""

import asyncio
import json
import random
import shutil
import time
from collections.abc import Callable

import pytest

from tests.patience import PATIENCE
from tests.unit.controller.machine import Machine
from wxcontroller.controller.accounts import statefiles, viewcache
from wxcontroller.controller.accounts.accountlists import KeptAnswers
from wxcontroller.controller.accounts.actions import Accounts
from wxcontroller.controller.accounts.statefiles import BELIEVED_SECONDS, uptime
from wxcontroller.controller.accounts.units import UnitRecord
from wxcontroller.controller.callers.authentication import ANYBODY
from wxcontroller.core.files.atomic import replace_file
from wxcontroller.core.files.directorywatch import Directories
from wxcontroller.core.jsontypes import JsonObject, items, obj
from wxcontroller.core.states import LoginState, UnitState


@pytest.fixture(autouse=True)
def _no_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the periodic sweep that would find all changes."""
    monkeypatch.setattr(viewcache, "SWEEP_SECONDS", 1e9)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return a function that sets the clocks to seconds from now."""
    wall = time.time

    def move(seconds: float) -> None:
        monkeypatch.setattr(time, "time", lambda: wall() + seconds)
        monkeypatch.setattr(statefiles, "uptime", lambda: uptime() + seconds)

    return move


async def accounts_of(host: Machine) -> list[JsonObject]:
    return [obj(account) for account in items((await host.v1("GET", "accounts"))[1]["accounts"])]


async def test_hung_account_is_not_shown_as_running(host: Machine, later: Callable[[float], None]) -> None:
    hanging, living = await host.start("hanging"), await host.start("living")
    hanging.say(LoginState.RUNNING, last_sync_uptime=round(uptime(), 1))
    living.say(LoginState.RUNNING, last_sync_uptime=round(uptime() + BELIEVED_SECONDS, 1))
    headers = {"Accept": "text/event-stream"}
    async with host.http.get("/v1/accounts", headers=headers) as stream, asyncio.timeout(PATIENCE):
        while b'"login_state":"running"' not in await stream.content.readline():
            pass
        assert [account["login_state"] for account in await accounts_of(host)] == ["running", "running"]
        assert [state["state"] for state in await host.states()] == ["running", "running"]
        later(BELIEVED_SECONDS + 20)
        assert [account["login_state"] for account in await accounts_of(host)] == ["offline", "running"]
        hung, running = await host.states()
        assert (hung["state"], hung["previous_state"], running["state"]) == ("updating", "running", "running")
        assert str(hung["status"]).startswith("it no longer reports its state")
        assert str(hung["reason"]).startswith("no answer from WeChat reported for ")
        while b'"login_state":"offline"' not in await stream.content.readline():
            pass
    silent = (await accounts_of(host))[0]["reason"]
    later(BELIEVED_SECONDS + 40)  # it contains the duration
    assert (await accounts_of(host))[0]["reason"] != silent
    hanging.say(LoginState.RUNNING, last_sync_uptime=round(uptime() + BELIEVED_SECONDS, 1))
    assert [state["state"] for state in await host.states()] == ["running", "running"]


async def test_row_has_the_heartbeats_that_the_account_publishes(host: Machine) -> None:
    process = await host.start("alice")
    process.publish(heartbeats={"minute": int(time.time() // 60), "beats": "rro", "messages": [1, 2]})
    [row] = await accounts_of(host)
    assert str(row["heartbeats"]).endswith("nrro")
    assert items(row["hourly_messages"])[-3:] in ([0, 1, 2], [1, 2, 0])  # an hour may have begun


async def test_long_login_becomes_a_problem_with_its_duration(host: Machine, later: Callable[[float], None]) -> None:
    process = await host.start("alice")
    process.say(LoginState.LOADING, state_since=int(time.time()))
    assert (await accounts_of(host))[0]["advice"] is None
    for minutes in (20, 21, 500):
        later(minutes * 60 + 20)
        [account] = await accounts_of(host)
        assert account["severity"] == "error"
        assert f" {minutes} minutes" in str(obj(account["advice"])["message"])
    later(-3600)  # the clock is set back
    assert (await accounts_of(host))[0]["advice"] is None


async def test_every_change_is_in_the_next_answer(host: Machine) -> None:
    """Files and units change at random."""
    names = [f"a{number}" for number in range(6)]
    for name in names:
        await host.start(name)
    paths, dice = host.paths, random.Random(15)
    kept = KeptAnswers(paths)

    def write_state(name: str) -> None:
        if paths.runtime(name).is_dir():
            word: LoginState = dice.choice([*LoginState])
            content = {"account": name, "login_state": word.value, "state": word.word, "n": dice.random()}
            raw = json.dumps(content).encode()
            if dice.random() < 0.5:
                replace_file(paths.state_file(name), raw, 0o640)
            else:
                paths.state_file(name).write_bytes(raw)  # as other programs may

    def tell_deliveries(name: str) -> None:
        if paths.runtime(name).is_dir():
            content: JsonObject = {"instance": name, "reports": {"waiting": dice.randrange(9)}}
            replace_file(paths.status_file(name), json.dumps(content).encode(), 0o640)

    def end_process(name: str) -> None:
        shutil.rmtree(paths.runtime(name), ignore_errors=True)
        host.units.records[name] = UnitRecord(name, UnitState.FAILED, "failed")
        host.units.remember()

    def begin_process(name: str) -> None:
        paths.runtime(name).mkdir(parents=True, exist_ok=True)
        host.units.records[name] = UnitRecord(name, UnitState.ACTIVE, "running")
        host.units.remember()
        write_state(name)

    def take_away(name: str) -> None:
        paths.state_file(name).unlink(missing_ok=True)

    def override(name: str) -> None:
        paths.overrides.mkdir(parents=True, exist_ok=True)
        paths.override_file(name).write_text(f"MOJO_WEIXIN_PLUGIN_OPENWX_POST_API=http://h/{dice.random()}\n")

    def no_overrides(_: str) -> None:
        shutil.rmtree(paths.overrides, ignore_errors=True)

    def unregister(name: str) -> None:
        paths.account_file(name).rename(paths.root / f"{name}.env")

    def register(name: str) -> None:
        if (paths.root / f"{name}.env").exists():
            (paths.root / f"{name}.env").rename(paths.account_file(name))

    events: list[Callable[[str], None]] = [write_state, write_state, tell_deliveries, take_away, override]
    events += [end_process, begin_process, no_overrides, unregister, register]
    for turn in range(150):
        for _ in range(dice.randrange(1, 4)):
            happens, name = dice.choice(events), dice.choice(names)
            if happens is not unregister or paths.account_file(name).exists():
                happens(name)
        async with Accounts(paths, host.settings, host.units) as fresh:
            real, now = await fresh.views(), await host.accounts.views()
            assert [(each.instance, each.state, each.unit, each.published) for each in now] == [
                (each.instance, each.state, each.unit, each.published) for each in real
            ], turn
            assert [each.account.options for each in now] == [each.account.options for each in real]
            assert kept.check_client.answer(now, ANYBODY) == KeptAnswers(paths).check_client.answer(real, ANYBODY)
            assert kept.accounts.answer(now, ANYBODY) == KeptAnswers(paths).accounts.answer(real, ANYBODY)
    for name in names:  # removed at the end of the processes
        paths.runtime(name).mkdir(parents=True, exist_ok=True)


async def test_changes_before_a_directory_is_watched_are_detected(
    host: Machine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """systemd creates it first, and then sets the group that lets the controller in."""
    watch, refused = Directories.watch, [str(host.paths.runtime("alice"))] * 2

    def refuses(self: Directories, path: str) -> bool:
        if path in refused:
            refused.remove(path)
            raise PermissionError(13, "Permission denied", path)
        return watch(self, path)

    monkeypatch.setattr(Directories, "watch", refuses)
    process = await host.start("alice")
    for state in (LoginState.LOADING, LoginState.SCANNING, LoginState.PARKED, LoginState.RUNNING):
        process.say(state)
        assert (await host.states())[0]["login_state"] == state.value
    assert not refused, "it was never looked at"
    assert "cannot watch" not in caplog.text


async def test_answers_are_current_after_too_many_changes_to_be_listed(host: Machine) -> None:
    process = await host.start("alice")
    await host.states()
    for number in range(3000):
        (host.paths.runtime("alice") / f"{number}").touch()
    for state in (LoginState.PARKED, LoginState.SCANNING):
        process.say(state)
        assert (await host.states())[0]["login_state"] == state.value


async def test_answers_are_current_without_inotify(host: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refused:
        def __init__(self) -> None:
            raise OSError(24, "Too many open files")

    process = await host.start("alice")
    monkeypatch.setattr(viewcache, "Directories", Refused)
    host.accounts._views._changes.close()
    for state in (LoginState.SCANNING, LoginState.PARKED):
        process.say(state)
        assert (await host.states())[0]["login_state"] == state.value
