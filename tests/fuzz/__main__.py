"""The long run: ``python3 -m tests.fuzz [--inputs N] [--processes N] [--python FILE] [--only WORD]``.

Each decoder gets its share of the inputs, in a process of its own that may use 1.5 GB. Findings are kept under
build/fuzz and printed; the exit code is then 1.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "build/fuzz"
_SECONDS, _MEGABYTES = 3600, 1500


@dataclass
class Share:
    """How one decoder did. ``broken``: its process did not come to its end, and these are its last words."""

    target: str
    inputs: int = 0
    taken: int = 0
    slowest: float = 0.0
    seconds: float = 0.0
    megabytes: int = 0
    guided: bool = False
    found: dict[str, str] = field(default_factory=dict)
    broken: str = ""

    @property
    def fault(self) -> str:
        if self.found or self.broken:
            return f"{len(self.found)} FOUND" if self.found else "BROKEN"
        return "MEMORY" if self.megabytes > _MEGABYTES else ""

    def __str__(self) -> str:
        return (
            f"{self.target:40} {self.inputs:9,} {100 * self.taken // max(1, self.inputs):4} % {self.slowest:8.2f} s "
            f"{self.megabytes:5} MB {self.seconds:7.0f} s  {self.fault}"
        )


def run_share(python: str, name: str, inputs: int, seed: int) -> Share:
    """Give one decoder its inputs."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0", "TMPDIR": str(PLACE / "tmp")}
    command = [python, "-m", "tests.fuzz.worker", name, str(inputs), str(seed), str(PLACE)]
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return Share(name, broken=f"not done after {_SECONDS} s")
    try:
        return Share(**json.loads(done.stdout.rstrip().rpartition(b"\n")[2]))
    except ValueError:
        return Share(name, broken=done.stderr.decode("utf-8", "replace")[-3000:])


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

    def work(name: str) -> Share:
        inputs = -(-arguments.inputs * weights[name] // sum(weights.values()))
        share = run_share(arguments.python, name, inputs, arguments.seed)
        print(share, flush=True)
        return share

    with ThreadPoolExecutor(arguments.processes) as pool:
        # The long ones first, so that all processors have something to do to the end.
        shares = list(pool.map(work, sorted(weights, key=lambda name: -weights[name])))
    shutil.rmtree(PLACE / "tmp", ignore_errors=True)
    bad = [share for share in shares if share.fault]
    for share in bad:
        print(f"\n{share.target}:\n{share.broken}" + "\n".join(share.found.values()))
    print(
        f"\n{sum(share.inputs for share in shares):,} inputs to {len(shares)} decoders in "
        f"{time.monotonic() - began:.0f} s, {sum(share.guided for share in shares)} of them guided by coverage; "
        f"findings: {sum(len(share.found) for share in shares)}, broken: {sum(bool(one.broken) for one in shares)}"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
