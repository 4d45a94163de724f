"""Memory that an account no longer needs."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.patience import until
from tests.unit.client.conftest import RunningClient
from wxcontroller.client import memory

Start = Callable[..., RunningClient]
NUMBER, SIZE = 4000, 16_384


def private() -> int:
    """Return how many KiB this process has for itself."""
    rollup = Path("/proc/self/smaps_rollup").read_text()
    return sum(int(kib) for kib in re.findall(r"^Private_\w+:\s+(\d+) kB", rollup, re.MULTILINE))


async def test_freed_pages_between_used_ones_are_returned(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_PAUSE_SECONDS", 0.01)
    await start().until_state("loading")
    large, small = [], []
    for _ in range(NUMBER):
        large.append(b"x" * SIZE)
        small.append(b"x" * 1000)
    full = private()
    large.clear()
    await until(lambda: private() < full - NUMBER * SIZE // 1024 // 2)
    assert len(small) == NUMBER
