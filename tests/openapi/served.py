"""The world of ``tests/openapi/world.py`` in a process of its own, for clients that block: browsers and programs."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wxcontroller.core.paths import Paths

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Served:
    """A running controller with the accounts alice and 小店, which are logged in, and one that waits for a scan."""

    url: str
    paths: Paths
    process: "subprocess.Popen[str]"


@contextlib.contextmanager
def served(place: Path, log: Path | None = None) -> Iterator[Served]:
    """Run it for the duration of a block, with what it complains of in a log; ``place`` is an empty directory."""
    world = subprocess.Popen(
        [sys.executable, "-m", "tests.openapi.world", str(place)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log.open("w") if log else None,
        text=True,
    )
    try:
        assert world.stdout is not None
        url = world.stdout.readline().strip()
        assert url, "the world did not start"
        yield Served(url, Paths(place), world)
    finally:
        world.kill()
        world.wait()
        if world.stdout is not None:
            world.stdout.close()
