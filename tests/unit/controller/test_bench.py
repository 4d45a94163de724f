"""The benches work: their short forms, without peers. What they measure here says nothing."""

import subprocess
import sys
from pathlib import Path

import pytest


def printed(module: str, *options: str) -> str:
    command = [sys.executable, "-m", f"bench.{module}", *options]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.timeout(300)
def test_answers_about_all_accounts_are_measured() -> None:
    found = printed("answers", "--short", "--original", "")
    assert found.count("/openwx/check_client") == found.count("/v1/accounts") == 2
