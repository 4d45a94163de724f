"""The bench of the proxy works: its short form, without peers. What it measures here says nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.proxy import CASES


@pytest.mark.timeout(300)
def test_every_case_is_measured() -> None:
    command = [sys.executable, "-m", "bench.proxy", "--short"]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert [case.name for case in CASES if case.name not in done.stdout] == []
