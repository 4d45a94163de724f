"""Notifications to systemd, the report about a process that hangs, and the memory of a process."""

import asyncio
import logging
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.patience import PATIENCE, until
from wxcontroller.core.process import dumps, watchdog
from wxcontroller.core.process.notify import Notifier
from wxcontroller.core.process.watchdog import Deadlines, Watchdog


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(PATIENCE)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listening


def test_stuck_systemd_blocks_no_caller(systemd: socket.socket) -> None:
    notifier = Notifier()
    for number in range(2000):  # more than any queue takes
        notifier.watchdog()
        notifier.status(f"line {number}")
    systemd.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            systemd.recv(4096)
    # A lost status is sent again.
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
    # asyncio may complain of another test's leftovers in the meantime.
    logged = await until(lambda: [record for record in caplog.records if record.name == watchdog.__name__])
    for task in (hanging, watching):
        task.cancel()
    await asyncio.wait({hanging, watching})
    assert re.search(r"with_a_text .* > .*forgotten_lock .* > .*wait", logged[0].getMessage())
    assert "what a friend wrote" not in caplog.text


# -- dumps


CODE = """
import os
import sys
from pathlib import Path
print(Path(f"/proc/{os.getpid()}/environ").stat().st_uid)
forbid_dumps()
print(Path(f"/proc/{os.getpid()}/environ").stat().st_uid)
descriptor = os.open("/etc/passwd", os.O_RDONLY)
print(Path(f"/proc/self/fd/{descriptor}").readlink(), Path(f"/proc/self/fd/{descriptor}").stat().st_size > 0)
sys.stdout.flush()  # otherwise, the child would print it, too
parent = os.getpid()
child = os.fork()
if child == 0:
    try:
        Path(f"/proc/{parent}/environ").read_bytes()
    except PermissionError:
        print("refused", flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""


def test_process_memory_is_private_to_the_process() -> None:
    # Not as root, who may read everything; as a user who may be unable to read this tree.
    program = Path(dumps.__file__).read_text() + CODE
    command = ["/usr/bin/python3", "-c", program]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, user=65534, group=65534, extra_groups=[], cwd="/"
    )
    assert done.stdout.splitlines() == ["65534", "0", "/etc/passwd True", "refused"]
