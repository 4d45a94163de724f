"""Signs of life while the driver waits."""

import asyncio

import pytest

from tests.patience import PATIENCE
from wxcontroller.core.watchdog import Deadlines
from wxcontroller.drivers.base import DriverEvent, Progress
from wxcontroller.drivers.connection.pulse import Pulse
from wxcontroller.drivers.connection.timing import LineTiming


async def test_a_long_wait_shows_progress_until_it_ends() -> None:
    shown, enough = list[DriverEvent](), asyncio.Event()

    async def emit(event: DriverEvent) -> None:
        shown.append(event)
        if len(shown) == 3:
            enough.set()

    async def answered() -> str:
        await enough.wait()
        return "answer"

    async with asyncio.timeout(PATIENCE):
        assert await Pulse(emit, LineTiming(progress_every=0.01), Deadlines()).wait(answered()) == "answer"
    assert shown == [Progress(False)] * 3
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_failing_progress_report_ends_the_wait() -> None:
    failed = asyncio.Event()

    async def emit(event: DriverEvent) -> None:
        failed.set()
        raise OSError(str(event))

    async def answered() -> None:
        await failed.wait()

    with pytest.raises(OSError, match="Progress"):
        await Pulse(emit, LineTiming(progress_every=0.01), Deadlines()).wait(answered())
