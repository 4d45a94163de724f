"""The long run: ``python3 -m tests.fuzz [--inputs N] [--processes N] [--python FILE] [--only WORD]``.

Each decoder gets its share of the inputs, in a process of its own that may use a gigabyte and a half. What is found
is kept under build/fuzz and told; the exit code is then 1.
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
_MOST_SECONDS = 3600
_MOST_MEGABYTES = 1500


@dataclass
class Share:
    """How one decoder did. ``broken``: its process did not come to its end, and these are its last words."""

    name: str
    inputs: int = 0
    taken: int = 0
    slowest: float = 0.0
    seconds: float = 0.0
    megabytes: int = 0
    guided: bool = False
    found: dict[str, str] = field(default_factory=dict)
    broken: str = ""

    @property
    def good(self) -> bool:
        return not self.found and not self.broken and self.megabytes <= _MOST_MEGABYTES

    def line(self) -> str:
        words = (
            ""
            if self.good
            else f"  {len(self.found)} FOUND"
            if self.found
            else "  BROKEN"
            if self.broken
            else "  MEMORY"
        )
        accepted = f"{100 * self.taken // max(1, self.inputs)} %"
        return (
            f"{self.name:40} {self.inputs:9,} {accepted:>6} {self.slowest:8.2f} s {self.megabytes:5} MB "
            f"{self.seconds:7.0f} s{words}"
        )


def run_share(python: str, name: str, inputs: int, seed: int, place: Path) -> Share:
    """Give one decoder its inputs."""
    command = [python, "-m", "tests.fuzz.worker", name, str(inputs), str(seed), str(place)]
    temporary = place / "tmp"
    temporary.mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0", "TMPDIR": str(temporary)}
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, timeout=_MOST_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return Share(name, broken=f"not done after {_MOST_SECONDS} s")
    last = done.stdout.decode("utf-8", "replace").rstrip().rpartition("\n")[2]
    try:
        told = json.loads(last)
    except ValueError:
        return Share(name, broken=done.stderr.decode("utf-8", "replace")[-3000:])
    told.pop("target")
    return Share(name, **told)


def main() -> int:
    arguments = _parser().parse_args()
    chosen = {name: target for name, target in TARGETS.items() if arguments.only in name}
    weights = sum(target.weight for target in chosen.values())
    place = ROOT / "build/fuzz"
    place.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    print(f"{'decoder':40} {'inputs':>9} {'taken':>6} {'slowest':>10} {'memory':>8} {'time':>9}", flush=True)
    shares: list[Share] = []

    def work(name: str) -> Share:
        inputs = -(-arguments.inputs * chosen[name].weight // weights)
        share = run_share(arguments.python, name, inputs, arguments.seed, place)
        print(share.line(), flush=True)
        return share

    with ThreadPoolExecutor(arguments.processes) as pool:
        # The long ones first, so that both processors have something to do to the end.
        shares = list(pool.map(work, sorted(chosen, key=lambda name: -chosen[name].weight)))
    shutil.rmtree(place / "tmp", ignore_errors=True)
    bad = [share for share in shares if not share.good]
    for share in bad:
        print(f"\n{share.name}:\n{share.broken}" + "\n".join(share.found.values()))
    guided = sum(share.guided for share in shares)
    print(
        f"\n{sum(share.inputs for share in shares):,} inputs to {len(shares)} decoders in "
        f"{time.monotonic() - began:.0f} s, {guided} of them guided by coverage; "
        f"findings: {sum(len(share.found) for share in shares)}, broken: {sum(bool(one.broken) for one in shares)}"
    )
    return 1 if bad else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--python", default=sys.executable, help="the interpreter of the workers, with atheris or not"
    )
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", default="", help="decoders with this in their names")
    return parser


if __name__ == "__main__":
    sys.exit(main())
