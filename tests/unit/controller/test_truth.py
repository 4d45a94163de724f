"""The controller calls no account running whose process has told nothing for a minute."""

import pytest

from tests.unit.controller.machine import Machine
from wxcontroller.controller import statefiles
from wxcontroller.controller.reconcile import summary
from wxcontroller.controller.statefiles import BELIEVED_SECONDS, uptime
from wxcontroller.core.states import LoginState


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> "Later":
    return Later(monkeypatch)


class Later:
    """Moves the machine's time, which nobody can do in a test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def __call__(self, seconds: float) -> None:
        self._monkeypatch.setattr(statefiles, "uptime", lambda: uptime() + seconds)


async def test_a_client_that_goes_silent_is_not_called_running_for_long(host: Machine, later: Later) -> None:
    process = await host.start("alice")
    process.say(LoginState.RUNNING, last_sync_uptime=round(uptime(), 1), last_sync_time=1)
    later(BELIEVED_SECONDS - 2)
    [state] = await host.states(client="alice")
    assert (state["state"], state["login_state"]) == ("running", "running")
    later(BELIEVED_SECONDS + 2)
    [state] = await host.states(client="alice")
    assert (state["state"], state["login_state"], state["previous_state"]) == ("updating", "offline", "running")
    assert (await host.states())[0]["state"] == "updating"
    _, account = await host.v1("GET", "accounts/alice")
    assert (account["state"], account["login_state"]) == ("updating", "offline")
    assert "hang" in str(account["status"])
    assert "6" in str(account["reason"])
    assert summary(await host.accounts.views()) == "0 of 1 accounts running, 1 offline"
    # Its next word counts again.
    later(0)
    process.say(LoginState.RUNNING, last_sync_uptime=round(uptime(), 1))
    [state] = await host.states(client="alice")
    assert state["state"] == "running"


@pytest.mark.parametrize("told", [None, 0, -5, True, "1", 1e300, []])
async def test_programs_that_do_not_tell_are_believed(host: Machine, later: Later, told: object) -> None:
    process = await host.start("perl")
    process.say(LoginState.RUNNING, last_sync_uptime=told)  # type: ignore[arg-type]
    later(1e6)
    [state] = await host.states(client="perl")
    assert state["state"] == "running"
