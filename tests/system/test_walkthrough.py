"""`make run` does what it shows, from the built packages to the clean end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

NAME = f"wxwalk-{os.getpid()}"
pytestmark = pytest.mark.system


def test_the_walk_through_runs_to_its_end_and_leaves_nothing(debs: list[Path]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.system.walkthrough", "--exit", "--name", NAME, *map(str, debs)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=300,
        check=False,
    )
    told = done.stdout.decode()
    assert done.returncode == 0, told + done.stderr.decode()
    for sentence in ("running", "webhook got: login [1]", "0 failed", "running again after", "webhook got: stop"):
        assert sentence in told, told
    assert NAME not in Path("/proc/self/mounts").read_text()
