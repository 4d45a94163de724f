"""`make run` succeeds and leaves nothing behind."""

import os
import sys
from pathlib import Path

import pytest

from tests.programs import output_of

NAME = f"wxwalk-{os.getpid()}"
pytestmark = pytest.mark.system


def test_walkthrough_succeeds_and_removes_its_host(debs: list[Path]) -> None:
    printed = output_of(sys.executable, "-m", "tests.system.walkthrough", "--exit", "--name", NAME, *debs)
    for sentence in ("webhook got: login [1]", "running again after", "webhook got: stop"):
        assert sentence in printed, printed
    assert NAME not in Path("/proc/self/mounts").read_text()
