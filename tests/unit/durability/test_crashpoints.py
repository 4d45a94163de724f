"""Accounts that die between two durable steps lose and repeat nothing. make torture does it for longer."""

import asyncio
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from tests.torture.crashpoints import crash
from tests.unit.durability.process import processed
from tests.unit.durability.routes import FILEHELPER, ILINK, ROUTES, WEB, Route
from wxcontroller.core.config.limits import LIMITS, variable_of
from wxcontroller.core.config.options import OPTIONS
from wxcontroller.core.process.faultpoints import VARIABLE, Point


@pytest.mark.timeout(600)  # a minute on two cores that have much else to do; each account dies at every point in turn
@pytest.mark.parametrize(
    ("route", "runs", "pause"),
    [(WEB, 24, 0.1), (ILINK, 16, 0.1), (FILEHELPER, 10, 0.1)],
    ids=lambda value: getattr(value, "name", ""),
)
async def test_crashes_lose_and_repeat_nothing(tmp_path: Path, route: Route, runs: int, pause: float) -> None:
    result = await crash(runs, seed=11, directory=tmp_path, route=route, pause=pause)
    print(result)
    assert result.faults == []
    assert result.good, str(result)
    assert set(result.killed) == {*route.latest}
    assert result.counts["sends accepted"]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
async def test_login_that_crashes_interrupt_needs_another_scan_only_until_it_is_stored(
    tmp_path: Path, route: Route
) -> None:
    async with processed(tmp_path, route) as account:
        for point in (Point.LOGIN_CONFIRMED, Point.LOGIN_STORED):
            account.environ[VARIABLE] = f"{point}:1"
            await account.launch()
            await account.scan()
            assert account.process is not None
            async with asyncio.timeout(PATIENCE):
                assert await account.process.wait() == -9
        del account.environ[VARIABLE]
        await account.start()
        message = route.write(account, "hello")
        await account.webhook.until(lambda reports: any(report.get("id") == message for report in reports))
        assert (await account.send("welcome"))["code"] == 0
        assert account.arrived() == ["welcome"]


def test_no_option_can_set_a_crash_point() -> None:
    assert VARIABLE not in {option.key for option in OPTIONS.values()} | {variable_of(name) for name in LIMITS}
