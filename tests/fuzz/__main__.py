"""A long run of the decoders: ``python3 -m tests.fuzz [--inputs N] [--seed N] [--only WORD]``."""

import argparse
import os
import resource
import sys
import time
from pathlib import Path

from tests.fuzz.targets import TARGETS

# A decoder that needs more gets MemoryError.
_BYTES = 1500 << 20

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python3 -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="for all decoders together")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", default="", help="decoders with this in their names")
    arguments = parser.parse_args()
    chosen = [target for target in TARGETS if arguments.only in target.name]
    resource.setrlimit(resource.RLIMIT_DATA, (_BYTES, _BYTES))
    os.environ |= {"FUZZ_INPUTS": str(-(-arguments.inputs // len(chosen))), "FUZZ_SEED": str(arguments.seed)}
    print(f"seed {arguments.seed}", flush=True)
    test = Path(__file__).parent / "test_decoders.py::test_any_input_is_accepted_or_refused"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", "-o", "timeout=0"]
    os.execv(sys.executable, [*command, *(f"{test}[{target.name}]" for target in chosen)])
