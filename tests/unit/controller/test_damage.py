"""Accounts whose files are lost or unreadable while their units live, and starts that hang."""

import asyncio
import contextlib
import resource
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from tests.ports import FIRST_PORT
from tests.unit.controller.machine import Machine, machine
from wxcontroller.controller.statefiles import Unreadable
from wxcontroller.controller.units import UnitRecord
from wxcontroller.core.jsontypes import obj
from wxcontroller.core.states import LoginState, UnitState


def damage(host: Machine, name: str, how: str) -> None:
    path = host.paths.account_file(name)
    if how == "gone":
        path.unlink()
    else:
        path.write_text('MOJO_WEIXIN_ACCOUNT="' + name)
    host.accounts.registry.forget(name)


@pytest.mark.parametrize("how", ["gone", "damaged"])
async def test_a_start_puts_a_live_account_without_a_file_onto_its_new_one(host: Machine, how: str) -> None:
    await host.start("alice")
    damage(host, "alice", how)
    await host.start("alice")
    assert host.units.calls[-1] == "restart wxclient@alice.service"
    assert obj((await host.get("echo", client="alice"))["headers"])["Host"] == (
        f"127.0.0.1:{host.process('alice').account.port}"
    )


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


async def test_a_running_account_keeps_its_port_when_the_range_moves(host: Machine) -> None:
    port = (await host.start("alice")).account.port
    host.accounts.settings = replace(host.settings, backend_start_port=FIRST_PORT + 50)
    status, answer = await host.v1("POST", "accounts/alice/start", {"send_interval": 5})
    assert (status, answer["result"], answer["port"]) == (200, "already running", port)
    status, answer = await host.v1("POST", "accounts/alice/restart")
    assert answer["port"] == FIRST_PORT + 50


async def test_remove_leaves_nothing_behind(host: Machine) -> None:
    await host.start("alice")
    damage(host, "alice", "damaged")
    await host.start("alice")
    broken = host.paths.accounts / "alice.env.broken"
    assert broken.exists()
    assert (await host.v1("DELETE", "accounts/alice"))[0] == 200
    assert [path.name for path in host.paths.accounts.iterdir()] == [".lock"]


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


async def test_a_program_that_writes_no_state_file_costs_no_second_look(host: Machine) -> None:
    await host.start("alice")
    host.paths.state_file("alice").unlink()
    await host.accounts.views()
    before = host.units.looks
    for _ in range(3):
        await host.accounts.views()
        await host.accounts.view("alice")
    assert host.units.looks - before == 6
    # Its end is still seen at once by who insists, and a state file that comes and goes is a change.
    host.process("alice").say(LoginState.RUNNING)
    assert [view.word for view in await host.accounts.views()] == ["running"]


async def test_a_passing_failure_to_read_passes(tmp_path: Path) -> None:
    async with machine(tmp_path) as host:
        (await host.start("alice")).say(LoginState.RUNNING)
        process = host.process("alice")
        files = (host.paths.account_file("alice"), host.paths.state_file("alice"))
        for path in files:
            # No byte of either file can be read while no descriptor is left, but both are there.
            process.say(LoginState.RUNNING, status=path.name)
            text = path.read_text()
            path.write_text(text)
        with no_descriptors():
            host.accounts.registry.forget("alice")
            account = host.accounts.registry.get("alice")
            with pytest.raises(Unreadable):
                host.accounts.state_files.get("alice")
        host.accounts.registry.forget("alice")
        assert account is not None
        assert host.accounts.registry.get("alice") is not None
        state = host.accounts.state_files.get("alice")
        assert state is not None
        assert state.login is LoginState.RUNNING


@contextlib.contextmanager
def no_descriptors() -> Iterator[None]:
    """Let this process open nothing more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_what_an_account_says_of_itself_acts_on_no_terminal(host: Machine) -> None:
    process = await host.start("alice")
    said = "\x1b]0;owned\x07 a\u009b2J\u202eb\nc \ud800"
    process.say(LoginState.RUNNING, status=said, reason=said, user={"id": "@a", "name": said})
    _, account = await host.v1("GET", "accounts/alice")
    shown = " ]0;owned  a 2J b c  "
    assert (account["status"], account["reason"]) == (shown, shown)
    assert account["user"] == {"id": "@a", "name": shown}


@pytest.mark.parametrize(
    "content",
    ["[" * 100_000, '{"a":' * 70 + "1" + "}" * 70, '{"pid": ' + "9" * 50 + "}"],
    ids=["brackets", "depth", "digits"],
)
async def test_a_state_file_beyond_all_measure_is_unreadable(host: Machine, content: str) -> None:
    process = await host.start("alice")
    process.write(content.encode())
    assert (await host.get("check_client", client="alice"))["status"] == "client state file read error"


async def test_an_administrators_file_that_cannot_be_read_hides_no_account(host: Machine) -> None:
    host.paths.overrides.mkdir(parents=True)
    host.paths.override_file("alice").symlink_to("alice.env")  # to itself: nobody can open it, not even root
    await host.start("alice")
    assert [each["account"] for each in await host.states()] == ["alice"]
    assert (await host.v1("POST", "accounts/alice/stop"))[0] == 200
    status, answer = await host.v1("GET", "accounts/alice")
    assert (status, answer["desired"]) == (200, "stopped")


async def test_a_start_is_no_trouble_while_systemd_keeps_the_state_file_to_itself(host: Machine) -> None:
    process = await host.start("alice")
    process.write(b"{of an earlier run, unreadable")
    unreadable = (await host.v1("GET", "accounts/alice"))[1]
    host.units.records["alice"] = UnitRecord("alice", UnitState.ACTIVATING, "start")
    host.units.remember()
    starting = (await host.v1("GET", "accounts/alice"))[1]
    assert (unreadable["condition"], starting["condition"]) == ("unreadable", "starting")
    assert unreadable["reason"]
    assert starting["reason"] == ""
    assert starting["status"] != unreadable["status"]


async def test_an_unreadable_override_is_logged_once(host: Machine, caplog: pytest.LogCaptureFixture) -> None:
    host.paths.overrides.mkdir(parents=True)
    for name in ("alice", "nobody"):
        host.paths.override_file(name).symlink_to(f"{name}.env")  # to itself: not even root can open it
    await host.start("alice")
    for _ in range(3):
        assert (await host.v1("GET", "accounts/alice"))[0] == 200
        assert (await host.v1("GET", "accounts/nobody"))[0] == 404
    assert [getattr(record, "WX_ACCOUNT", "") for record in caplog.records if record.levelname == "ERROR"] == [
        "alice"
    ]
    # A file that was repaired and breaks again is a new problem.
    host.paths.override_file("alice").unlink()
    host.accounts.registry.forget("alice")
    assert (await host.v1("GET", "accounts/alice"))[0] == 200
    host.paths.override_file("alice").symlink_to("alice.env")
    host.accounts.registry.forget("alice")
    assert (await host.v1("GET", "accounts/alice"))[0] == 200
    assert caplog.text.count("Too many levels") == 2


async def test_a_start_that_no_file_can_be_written_for_says_which_and_why(host: Machine) -> None:
    host.paths.account_file("alice").mkdir()
    answer = await host.get("start_client", client="alice")
    assert (answer["code"], str(host.paths.account_file("alice")) in str(answer["status"])) == (3, True)
    assert "space" not in str(answer["status"])
    status, failure = await host.v1("POST", "accounts/alice/start")
    assert (status, obj(failure["error"])["code"]) == (500, "disk")
    assert str(host.paths.account_file("alice")) in str(obj(failure["error"])["message"])
