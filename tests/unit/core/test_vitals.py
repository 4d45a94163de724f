"""The watchdog is fed while everything gets on, and not while anything is overdue. On a real notification socket."""

import asyncio
import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.patience import until
from wxcontroller.core.notify import Notifier
from wxcontroller.core.vitals import Vitals, Watchdog


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Systemd:
    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening

    def heard(self) -> int:
        """Return how often the watchdog was fed since the last question."""
        count = 0
        while True:
            try:
                count += self._listening.recv(4096) == b"WATCHDOG=1"
            except BlockingIOError:
                return count


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        yield Systemd(listening)


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
