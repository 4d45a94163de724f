"""``make torture``: the long runs one after the other, and one summary of all. It goes on after one that fails."""

import argparse
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def runs(given: argparse.Namespace) -> dict[str, list[str]]:
    """Return by name what is to be run, a module and its arguments: what has a number above 0."""
    tools, seed, crashes = f"{given.tools}/bin", ["--seed", str(given.seed)], given.crashes
    crash = "tests.torture.crashpoints"
    found = {
        "decoders": (given.inputs, ["tests.fuzz", "--python", f"{tools}/python", "--inputs"]),
        "the HTTP edge": (given.examples, ["tests.openapi.edge", f"{tools}/schemathesis", "--examples"]),
        "messages": (given.messages, ["tests.torture", *seed, "--messages"]),
        "restarts": (given.restarts, ["tests.torture.restarts", "--restarts"]),
        "crashes": (crashes, [crash, *seed, "--runs"]),
        # More than 20,000 messages; one send a second goes out.
        "crashes on iLink": (crashes // 8, [crash, *seed, "--route", "ilink", "--pause", "0.02", "--runs"]),
        "crashes on File Transfer": (crashes // 20, [crash, *seed, "--route", "filehelper", "--runs"]),
    }
    return {name: [*command, str(number)] for name, (number, command) in found.items() if number > 0}


def carry_out(command: list[str]) -> tuple[int, str]:
    """Run a module, showing what it says as it comes; return its exit code and what it said at last."""
    last = ""
    with subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(f"  {line}", end="", flush=True)
            last = line.strip() or last
    return process.returncode, last


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.torture.everything", description=__doc__)
    parser.add_argument("--tools", required=True, help="where tests/fuzz/tools has put what only these runs need")
    amounts = {"inputs": 1_000_000, "examples": 400, "messages": 20_000, "restarts": 200, "crashes": 1000}
    for name, default in amounts.items():
        parser.add_argument(f"--{name}", type=int, default=default, help="0: not this run")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the messages and the crashes")
    summary, bad = ["", "Summary"], 0
    chosen = runs(parser.parse_args())
    for number, (name, command) in enumerate(chosen.items(), 1):
        print(f"{number} of {len(chosen)}: {name}: python3 -m {' '.join(command)}", flush=True)
        begun = time.monotonic()
        code, last = carry_out(command)
        bad += code != 0
        verdict = f"FAILED ({code})" if code else "good"
        summary.append(f"{name:24} {verdict:12} {time.monotonic() - begun:6.0f} s  {last}")
    print(*summary, sep="\n")
    return min(bad, 1)


if __name__ == "__main__":
    sys.exit(main())
