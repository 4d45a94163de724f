"""Signs of life while the driver waits."""

import asyncio

import pytest

from wxcontroller.core.watchdog import Deadlines
from wxcontroller.drivers.base import DriverEvent
from wxcontroller.drivers.connection.pulse import Pulse
from wxcontroller.drivers.connection.timing import LineTiming


async def test_failing_progress_report_ends_the_wait() -> None:
    failed = asyncio.Event()

    async def emit(event: DriverEvent) -> None:
        failed.set()
        raise OSError(str(event))

    async def answered() -> None:
        await failed.wait()

    with pytest.raises(OSError, match="Progress"):
        await Pulse(emit, LineTiming(progress_every=0.01), Deadlines()).wait(answered())
