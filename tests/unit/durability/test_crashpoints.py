"""Accounts that die between two durable steps lose and repeat nothing. make torture does it for longer."""

from pathlib import Path

import pytest

from tests.torture.crashpoints import crash
from tests.unit.durability.routes import ILINK, WEB, Route
from wxcontroller.core.faultpoints import VARIABLE, Point
from wxcontroller.core.limits import LIMITS
from wxcontroller.core.options import OPTIONS


@pytest.mark.timeout(600)  # a minute on two cores that have much else to do; each account dies at every point in turn
@pytest.mark.parametrize(
    ("route", "runs", "pause"), [(WEB, 10, 0.06), (ILINK, 10, 0.03)], ids=lambda value: getattr(value, "name", "")
)
async def test_crashes_lose_and_repeat_nothing(tmp_path: Path, route: Route, runs: int, pause: float) -> None:
    result = await crash(runs, seed=11, directory=tmp_path, route=route, pause=pause)
    print(result)
    assert result.faults == []
    assert result.good, str(result)
    assert set(result.killed) == {*Point}
    assert result.counts["sends accepted"]


def test_no_option_can_set_a_crash_point() -> None:
    assert VARIABLE not in {option.variable for option in OPTIONS.values()} | {
        one.variable for one in LIMITS.values()
    }
