"""Three rounds of `make fleet`."""

from pathlib import Path

import pytest

from tests.fleet.rounds import Rounds
from tests.fleet.world import world

pytestmark = pytest.mark.system


def test_three_rounds(fleet_debs: list[Path], tmp_path: Path) -> None:
    """A link is cut, a process is killed, and a move is interrupted."""
    # Times are divided by less than in `make fleet`: other tests run at the same time.
    with world(fleet_debs, tmp_path, scale=6) as booted:
        assert Rounds(booted, seed=1, longest=0.5).run(3, ["host_cut", "keeper_killed", "mover_killed"]) == []
