"""What is told of a process that hangs."""

import asyncio
import logging

import pytest

from tests.patience import until
from wxcontroller.core.notify import Notifier
from wxcontroller.core.vitals import Vitals, Watchdog


async def test_where_it_hangs_is_told_before_it_is_killed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "500000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    caplog.set_level(logging.ERROR)

    async def forgotten_lock() -> None:
        await asyncio.Event().wait()

    async def with_a_text(_: str) -> None:
        await forgotten_lock()

    hanging = asyncio.create_task(with_a_text("what a friend wrote"))
    watching = asyncio.create_task(Watchdog(Notifier(), Vitals()).watch())
    await until(lambda: caplog.records)
    for task in (hanging, watching):
        task.cancel()
    await asyncio.wait({hanging, watching})
    [told] = [record.getMessage() for record in caplog.records]
    [line] = [line for line in told.splitlines() if "forgotten_lock" in line]
    assert [place.rpartition(".")[2].partition(" ")[0] for place in line.replace(".py:", ":").split(" > ")] == [
        "with_a_text",
        "forgotten_lock",
        "wait",
    ]
    assert "what a friend wrote" not in told
