"""The long run: ``python3 -m tests.fuzz [--inputs N] [--processes N] [--python FILE] [--only WORD]``.

Each decoder gets its share of the inputs, in a process of its own that may use 1.5 GB. Findings are kept under
build/fuzz and printed; the exit code is then 1.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "build/fuzz"
_SECONDS = 3600


def run_share(python: str, name: str, inputs: int, seed: int) -> str:
    """Give one decoder its inputs, and print its line; return what is wrong, "" for nothing."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0", "TMPDIR": str(PLACE / "tmp")}
    command = [python, "-m", "tests.fuzz.worker", name, str(inputs), str(seed), str(PLACE)]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"\n{name}: not done after {_SECONDS} s"
    line = done.stdout.rstrip().rpartition("\n")[2] if done.returncode in (0, 1) else f"{name:40} BROKEN"
    print(line, flush=True)
    return f"\n{name}:\n{done.stderr[-10_000:]}" if done.returncode else ""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--python", default=sys.executable, help="interpreter of the workers, with atheris or not")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", default="", help="decoders with this in their names")
    arguments = parser.parse_args()
    weights = {name: target.weight for name, target in TARGETS.items() if arguments.only in name}
    (PLACE / "tmp").mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    print(f"{'decoder':40} {'inputs':>9} {'taken':>6} {'slowest':>10} {'memory':>8} {'time':>9}", flush=True)

    def work(name: str) -> str:
        inputs = -(-arguments.inputs * weights[name] // sum(weights.values()))
        return run_share(arguments.python, name, inputs, arguments.seed)

    with ThreadPoolExecutor(arguments.processes) as pool:
        # The long ones first, so that all processors have something to do to the end.
        bad = list(filter(None, pool.map(work, sorted(weights, key=lambda name: -weights[name]))))
    shutil.rmtree(PLACE / "tmp", ignore_errors=True)
    print(*bad, sep="\n")
    seconds = time.monotonic() - began
    print(f"{arguments.inputs:,} inputs to {len(weights)} decoders in {seconds:.0f} s: {len(bad)} with findings")
    return min(len(bad), 1)


if __name__ == "__main__":
    sys.exit(main())
