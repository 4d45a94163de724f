"""Notifications to systemd on a real socket, and the report of a process that hangs."""

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.patience import PATIENCE, until
from wxcontroller.core.notify import Notifier
from wxcontroller.core.watchdog import Deadlines, Watchdog


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(PATIENCE)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listening


def test_status_is_sent_as_one_line_of_utf_8(systemd: socket.socket) -> None:
    Notifier().status("logged in as 小红 😄\nand more")
    assert systemd.recv(4096) == "STATUS=logged in as 小红 😄 and more".encode()


def test_a_stuck_systemd_blocks_no_caller(systemd: socket.socket) -> None:
    notifier = Notifier()
    for number in range(2000):  # more than any queue takes
        notifier.watchdog()
        notifier.status(f"line {number}")
    systemd.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            systemd.recv(4096)
    # What was lost is said again.
    notifier.status("line 1999")
    assert systemd.recv(4096) == b"STATUS=line 1999"


def test_essential_messages_wait_for_systemd(systemd: socket.socket) -> None:
    notifier = Notifier()
    for _ in range(2000):
        notifier.watchdog()

    def read_late() -> None:
        time.sleep(0.2)
        while systemd.recv(4096) != b"READY=1":
            pass
        heard.set()

    heard = threading.Event()
    reader = threading.Thread(target=read_late)
    reader.start()
    notifier.ready()
    assert heard.wait(PATIENCE)
    reader.join()


async def test_stuck_tasks_are_logged_before_the_watchdog_kills(
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
    watching = asyncio.create_task(Watchdog(Notifier(), Deadlines()).watch())
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
