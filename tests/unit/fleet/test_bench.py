"""The bench of a fleet works: its claims, a takeover and its follower. What it measures here says nothing."""

import subprocess
import sys
from pathlib import Path

from tests.patience import PATIENCE


def test_a_fleet_of_simulated_hosts_is_measured() -> None:
    command = [sys.executable, "-m", "bench.fleet", "--short"]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False, timeout=PATIENCE * 2
    )
    assert done.returncode == 0, done.stderr
    [figures] = [line.split() for line in done.stdout.splitlines() if line.split()[0] == "10"]
    assert figures[1] == "2"
    assert float(figures[-2]) > 0
