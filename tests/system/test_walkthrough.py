"""`make run` succeeds and leaves nothing behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

NAME = f"wxwalk-{os.getpid()}"
pytestmark = pytest.mark.system


def test_walkthrough_succeeds_and_removes_its_host(debs: list[Path]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.system.walkthrough", "--exit", "--name", NAME, *map(str, debs)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    for sentence in ("webhook got: login [1]", "running again after", "webhook got: stop"):
        assert sentence in done.stdout, done.stdout
    assert NAME not in Path("/proc/self/mounts").read_text()
