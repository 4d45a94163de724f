"""``make torture``: the long runs one after the other, and one summary of all. It goes on after one that fails."""

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Run:
    """One of the long runs: a module with its arguments."""

    name: str
    module: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """How one went, by its exit code, and what it said at last."""

    run: Run
    code: int
    seconds: float
    last: str


def runs(given: argparse.Namespace) -> list[Run]:
    """Return what is to be run: what has a number above 0."""
    tools = Path(given.tools) / "bin"
    found = (
        (given.inputs, Run("decoders", "tests.fuzz", ("--python", f"{tools}/python", "--inputs", str(given.inputs)))),
        (
            given.examples,
            Run("the HTTP edge", "tests.openapi.edge", (f"{tools}/schemathesis", "--examples", str(given.examples))),
        ),
        (
            given.messages,
            Run("messages", "tests.torture", ("--messages", str(given.messages), "--seed", str(given.seed))),
        ),
        (given.restarts, Run("restarts", "tests.torture.restarts", ("--restarts", str(given.restarts)))),
        (
            given.crashes,
            Run("crashes", "tests.torture.crashpoints", ("--runs", str(given.crashes), "--seed", str(given.seed))),
        ),
        (  # more than 20,000 messages; one send a second goes out
            given.crashes // 8,
            Run(
                "crashes on iLink",
                "tests.torture.crashpoints",
                ("--route", "ilink", "--runs", str(given.crashes // 8), "--pause", "0.02", "--seed", str(given.seed)),
            ),
        ),
        (
            given.crashes // 20,
            Run(
                "crashes on File Transfer",
                "tests.torture.crashpoints",
                ("--route", "filehelper", "--runs", str(given.crashes // 20), "--seed", str(given.seed)),
            ),
        ),
    )
    return [run for number, run in found if number > 0]


def carry_out(run: Run) -> Result:
    """Run it, showing what it says as it comes."""
    begun, last = time.monotonic(), ""
    command = [sys.executable, "-m", run.module, *run.arguments]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(f"  {line}", end="", flush=True)
            last = line.strip() or last
    return Result(run, process.returncode, time.monotonic() - begun, last)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.torture.everything", description=__doc__)
    parser.add_argument("--tools", required=True, help="where tests/fuzz/tools has put what only these runs need")
    for name, default in (
        *(("inputs", 1_000_000), ("examples", 400), ("messages", 20_000)),
        *(("restarts", 200), ("crashes", 1000)),
    ):
        parser.add_argument(f"--{name}", type=int, default=default, help="0: not this run")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the messages and the crashes")
    chosen = runs(parser.parse_args())
    results: list[Result] = []
    for number, run in enumerate(chosen, 1):
        print(f"{number} of {len(chosen)}: {run.name}: python3 -m {run.module} {' '.join(run.arguments)}", flush=True)
        results.append(carry_out(run))
    print("\nSummary")
    for one in results:
        verdict = "good" if one.code == 0 else f"FAILED ({one.code})"
        print(f"{one.run.name:24} {verdict:12} {one.seconds:6.0f} s  {one.last}")
    return 0 if all(one.code == 0 for one in results) else 1


if __name__ == "__main__":
    sys.exit(main())
