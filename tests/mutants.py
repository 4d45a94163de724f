"""Break the code on purpose, one behavior at a time, and see whether its tests fail: ``python3 -m tests.mutants``.

``mutants.toml`` lists the behaviors that matter. Each entry replaces a text of a file, which must occur there exactly
once, and names the tests that must fail then. Everything happens in copies of the tree, one for each processor, never
in the tree itself.

The named tests are first run in a copy as it is: a test that fails anyway catches nothing. A mutant is

- *caught* when a named test fails; the line tells where and why, as a test may also have had too little time;
- *survived* when all pass: the behavior can be lost without anybody noticing;
- *invalid* when its text is not there once, its tests don't exist, or fail without it, or can't even be collected.

The exit status is 1 when more survive than ``mutants.toml`` allows, or when an entry is invalid. With ``--only`` none
may survive.
"""

import argparse
import contextlib
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatch
from pathlib import Path
from types import FrameType
from typing import NoReturn

ROOT = Path(__file__).parents[1]
LIST = ROOT / "tests" / "mutants.toml"
# For one test. A mutation often makes a test wait for what never comes, so there is less patience with one; the
# slowest of the named tests takes a few seconds on an idle machine.
_TEST_SECONDS, _MUTATED_SECONDS = 120, 30
# For all tests of a run together, should pytest's own limit not end one.
_RUN_SECONDS = 3600
# Exit statuses of pytest: anything else means that nothing was tested.
_PASSED, _FAILED = 0, 1


class Verdict(StrEnum):
    CAUGHT = "caught"
    SURVIVED = "survived"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A behavior, the mutation that breaks it, and the tests (node ids) that notice."""

    area: str
    behavior: str
    file: str
    text: str
    replacement: str
    tests: Sequence[str]

    def __str__(self) -> str:
        return f"{self.area}: {self.behavior}"

    def occurrences(self, root: Path) -> int:
        """Return how often the text occurs in its file below ``root``; 0 also for a file that is gone."""
        try:
            return (root / self.file).read_text().count(self.text)
        except OSError:
            return 0


def listed(path: Path = LIST) -> tuple[list[Mutant], int]:
    """Return the mutants, and how many of them may survive."""
    found = tomllib.loads(path.read_text())
    survivors = int(found.pop("survivors"))
    mutants = [
        Mutant(area, one["behavior"], one["file"], one["text"], one["replacement"], tuple(one["tests"]))
        for area, entries in found.items()
        for one in entries
    ]
    return mutants, survivors


def _copied(root: Path, where: Path) -> None:
    """Copy the files of a work tree: those git knows, and those it would add."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=root, check=True, capture_output=True, timeout=60).stdout
    for name in filter(None, os.fsdecode(names).split("\0")):
        source, copy = root / name, where / name
        if source.is_file() or source.is_symlink():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy, follow_symlinks=False)
    # etcd and other tools that git does not know.
    if (tools := root / ".cache/venv").is_dir():
        (where / ".cache").mkdir()
        (where / ".cache/venv").symlink_to(tools)


class Bench:
    """A copy of the tree in which tests run, in a directory that is theirs."""

    def __init__(self, place: Path) -> None:
        self.root = place / "tree"
        self._temporary = place / "t"  # short: paths of sockets are
        self._running: subprocess.Popen[str] | None = None
        self._stopped = False

    def run(self, tests: Sequence[str], seconds: int = _TEST_SECONDS, *options: str) -> tuple[int, str]:
        """Run tests; return pytest's exit status and what it printed. ``seconds``: for each test.

        Raises InterruptedError after ``stop``.
        """
        command = [
            *(sys.executable, "-m", "pytest", "-q", "--tb=line"),
            *("-o", f"timeout={seconds}", f"--basetemp={self._temporary}", *options, *tests),
        ]
        with subprocess.Popen(
            command,
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # so that what the tests start can be ended with them
        ) as process:
            self._running = process
            try:
                if self._stopped:
                    raise InterruptedError
                output, _ = process.communicate(timeout=_RUN_SECONDS)
            except subprocess.TimeoutExpired:
                # Its own time limit did not end it: the mutation has it hang.
                return _FAILED, "hangs"
            finally:
                self._kill()
                self._running = None
        return process.returncode, output

    def stop(self) -> None:
        """End the tests that are running, and what they started, for good."""
        self._stopped = True
        self._kill()

    def _kill(self) -> None:
        if self._running is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._running.pid, signal.SIGKILL)

    @contextlib.contextmanager
    def mutated(self, mutant: Mutant) -> Iterator[None]:
        """Have the mutation in the copy."""
        path = self.root / mutant.file
        original = path.read_text()
        try:
            _write(path, original.replace(mutant.text, mutant.replacement))
            yield
        finally:
            _write(path, original)

    def judge(self, mutant: Mutant, red: frozenset[str]) -> tuple[Verdict, str]:
        """Return what becomes of a mutant, and why. ``red`` are tests that fail without a mutation."""
        if (count := mutant.occurrences(self.root)) != 1:
            return Verdict.INVALID, f"its text occurs {count} times in {mutant.file}"
        if failing := sorted(red.intersection(mutant.tests)):
            return Verdict.INVALID, f"without the mutation, too: {', '.join(failing)}"
        with self.mutated(mutant):
            status, output = self.run(mutant.tests, _MUTATED_SECONDS, "-x")
        if status == _PASSED:
            return Verdict.SURVIVED, ""
        if status == _FAILED:
            reason = re.search(r"[^/\s]+:\d+: .+", output)
            return Verdict.CAUGHT, reason[0] if reason else output
        return Verdict.INVALID, f"pytest ended with {status}: {' / '.join(output.strip().splitlines()[-2:])}"

    def failing(self, tests: Sequence[str]) -> frozenset[str]:
        """Return which tests fail, or are not there, as the code is."""
        status, _ = self.run(tests)
        if status == _PASSED:
            return frozenset()
        suspects = tests
        if status == _FAILED:
            failed: dict[str, bool] = json.loads((self.root / ".pytest_cache/v/cache/lastfailed").read_text())
            names = {*failed, *(name.partition("[")[0] for name in failed)}
            suspects = [test for test in tests if test in names]
        return frozenset(test for test in suspects if self.run([test])[0] != _PASSED)


def _write(path: Path, content: str) -> None:
    path.write_text(content)
    # Compiled code of the same second and size would be taken for up to date.
    for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
        compiled.unlink()


def _interrupted(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def main() -> int:
    parser = argparse.ArgumentParser(description="run the mutants of tests/mutants.toml")
    parser.add_argument(
        "--only", metavar="PATTERN", help="those whose 'area: behavior' or file matches (* and ? allowed)"
    )
    parser.add_argument("--list", action="store_true", help="list them and run nothing")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="so many at once (default: %(default)s)")
    args = parser.parse_args()
    mutants, survivors = listed()
    if args.only:
        wanted = f"*{args.only}*".lower()
        mutants = [one for one in mutants if fnmatch(str(one).lower(), wanted) or fnmatch(one.file, wanted)]
        survivors = 0
    if not mutants:
        parser.error("no mutant matches")
    if args.list:
        print(*(f"{one}\n    {one.file}: {' '.join(one.tests)}" for one in mutants), sep="\n")
        return 0
    signal.signal(signal.SIGTERM, _interrupted)
    with tempfile.TemporaryDirectory(prefix="wxmutants.", ignore_cleanup_errors=True) as where:
        benches = [Bench(Path(where) / str(number)) for number in range(max(1, min(args.jobs, len(mutants))))]
        with ThreadPoolExecutor(len(benches)) as pool:
            try:
                return _all(pool, benches, mutants, survivors)
            except KeyboardInterrupt:
                pool.shutdown(wait=False, cancel_futures=True)
                for bench in benches:
                    bench.stop()
                print("interrupted", flush=True)
                return 130


def _all(pool: ThreadPoolExecutor, benches: Sequence[Bench], mutants: Sequence[Mutant], survivors: int) -> int:
    """Judge the mutants, as many at once as there are benches; return the exit status."""
    free: queue.SimpleQueue[Bench] = queue.SimpleQueue()
    for bench in benches:
        _copied(ROOT, bench.root)
        free.put(bench)
    tests = sorted({test for one in mutants for test in one.tests})
    print(f"{len(tests)} tests without a mutation …", flush=True)
    parts = [part for number in range(len(benches)) if (part := tests[number :: len(benches)])]
    red = frozenset[str]().union(*pool.map(Bench.failing, benches, parts))

    def judged(mutant: Mutant) -> tuple[Verdict, str, float]:
        bench, began = free.get(), time.monotonic()
        try:
            return *bench.judge(mutant, red), time.monotonic() - began
        finally:
            free.put(bench)

    found: Counter[Verdict] = Counter()
    areas: dict[str, Counter[Verdict]] = {}
    notable: list[str] = []
    for number, (one, (verdict, why, seconds)) in enumerate(zip(mutants, pool.map(judged, mutants), strict=True), 1):
        found[verdict] += 1
        areas.setdefault(one.area, Counter())[verdict] += 1
        reason = f" ({why})" if why else ""
        print(f"[{number:3}/{len(mutants)}] {verdict:8} {seconds:5.1f} s  {one}{reason}", flush=True)
        if verdict is not Verdict.CAUGHT:
            notable.append(f"  {verdict:8} {one} [{one.file}]{reason}")
    print("", f"{'area':16}" + "".join(f"{verdict:>10}" for verdict in Verdict), sep="\n")
    for area, counts in areas.items():
        print(f"{area:16}" + "".join(f"{counts[verdict]:10}" for verdict in Verdict))
    print(f"{'all':16}" + "".join(f"{found[verdict]:10}" for verdict in Verdict), *notable, sep="\n")
    return int(found[Verdict.SURVIVED] > survivors or found[Verdict.INVALID] > 0)


if __name__ == "__main__":
    sys.exit(main())
