"""Rounds of faults in a fleet: ``make fleet``, or ``python3 -m tests.fleet --rounds 100 --seed 7``."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.fleet.rounds import ALL_FAULTS, Rounds
from tests.fleet.world import world
from tests.torture.run import debs


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.fleet", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--scale", type=float, default=10, help="what all times are divided by")
    parser.add_argument("--faults", nargs="*", metavar="FAULT", default=[], help=", ".join(ALL_FAULTS))
    chosen = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="wx-fleet-") as place,
        world(debs(), Path(place), chosen.scale) as booted,
    ):
        rounds = Rounds(booted, chosen.seed)
        try:
            findings = rounds.run(chosen.rounds, chosen.faults)
        finally:
            print(f"{rounds.number} rounds, seed {chosen.seed}: {len(rounds.findings)} findings", flush=True)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
