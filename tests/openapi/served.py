"""The world of ``tests/openapi/world.py`` as a separate process, for browsers and programs."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.programs import serving
from wxcontroller.core.paths import Paths


@dataclass(frozen=True, slots=True)
class Served:
    """A running controller with the accounts alice and 小店, which are logged in, and one that waits for a scan."""

    url: str
    paths: Paths
    process: "subprocess.Popen[str]"


@contextlib.contextmanager
def served(place: Path, log: Path | None = None) -> Iterator[Served]:
    """Run it during a block; ``place`` is an empty directory, ``log`` a file for its standard error."""
    with serving([sys.executable, "-m", "tests.openapi.world", str(place)], log) as (url, process):
        assert url, "the world did not start"
        yield Served(url, Paths(place), process)
