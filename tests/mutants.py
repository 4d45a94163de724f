"""Break the code on purpose, one behavior at a time, and check that tests fail: ``python3 -m tests.mutants``.

``mutants.toml`` lists the behaviors that matter. Each entry replaces a text of a file, which must occur there exactly
once, and names the tests that must fail then. Everything happens in copies of the tree, one for each processor.

The named tests are first run without a mutation: a test that fails anyway catches nothing. A mutant is

- *caught* when a named test fails; the line shows where and why, as a test may also have timed out;
- *survived* when all pass: the behavior can be lost unnoticed;
- *invalid* when its text does not occur once, or when its tests do not exist or fail without it.

The exit status is 1 when more survive than ``mutants.toml`` allows, or when an entry is invalid. With ``--only`` none
may survive.
"""

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIST = ROOT / "tests" / "mutants.toml"
# For one test. A mutation often makes a test wait for what never comes; the slowest takes a few seconds without one.
TEST_SECONDS, MUTATED_SECONDS = 120, 30
# For all tests of a run together, if pytest's own limit does not end one.
_RUN_SECONDS = 3600
# Exit statuses of pytest: after any other, nothing was tested.
PASSED, FAILED = 0, 1


class Verdict(StrEnum):
    CAUGHT = "caught"
    SURVIVED = "survived"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A behavior, the mutation that breaks it, and the tests (node ids) that must fail then."""

    area: str
    behavior: str
    file: str
    text: str
    replacement: str
    tests: Sequence[str]

    def __str__(self) -> str:
        return f"{self.area}: {self.behavior}"

    def occurrences(self, root: Path) -> int:
        """Return how often the text occurs in its file below ``root``; 0 also if the file does not exist."""
        path = root / self.file
        return path.read_text().count(self.text) if path.exists() else 0


def listed() -> tuple[list[Mutant], int]:
    """Return the mutants, and how many of them may survive."""
    content = tomllib.loads(LIST.read_text())
    survivors = int(content.pop("survivors"))
    return [Mutant(area, **entry) for area, entries in content.items() for entry in entries], survivors


@dataclass(frozen=True, slots=True)
class Bench:
    """A copy of the tree in which tests run."""

    root: Path

    def copy(self) -> None:
        """Copy the files that git tracks or would add, and link the tools that it ignores, such as etcd."""
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60).stdout
        for name in filter(None, os.fsdecode(names).split("\0")):
            source, copy = ROOT / name, self.root / name
            if source.is_file() or source.is_symlink():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, copy, follow_symlinks=False)
        (self.root / ".cache").mkdir()
        (self.root / ".cache/venv").symlink_to(ROOT / ".cache/venv")

    def digest(self, *places: str) -> str:
        """Return a hash of the modules in some directories of the tree."""
        paths = sorted(path for place in places for path in (self.root / place).rglob("*.py"))
        return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:16]

    async def run(
        self, tests: Sequence[str], seconds: float, *options: str, limit: float = _RUN_SECONDS
    ) -> tuple[int | None, str]:
        """Run tests, each for so many seconds at most, ``limit`` together; return pytest's exit status and output."""
        self._failed.unlink(missing_ok=True)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pytest", "-q", "--tb=line", "-o", f"timeout={seconds}"),
            # A short path: those of sockets are limited.
            *(f"--basetemp={self.root.parent / 't'}", *options, *tests),
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # the tests' own processes are killed with them
        )
        try:
            async with asyncio.timeout(limit):
                output, _ = await process.communicate()
        except TimeoutError:
            return FAILED, "hangs"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        return process.returncode, output.decode(errors="replace")

    @property
    def _failed(self) -> Path:
        return self.root / ".pytest_cache/v/cache/lastfailed"

    def failed(self) -> list[str]:
        """Return the tests that failed in the last run."""
        return [*json.loads(self._failed.read_text())] if self._failed.exists() else []

    async def failing(self, tests: Sequence[str]) -> set[str]:
        """Return the tests that fail, or do not exist, without a mutation."""
        status, _ = await self.run(tests, TEST_SECONDS)
        suspects: Sequence[str] = [] if status == PASSED else tests
        if status == FAILED:
            failed = self.failed()
            names = {*failed, *(name.partition("[")[0] for name in failed)}
            suspects = [test for test in tests if test in names]
        return {test for test in suspects if (await self.run([test], TEST_SECONDS))[0] != PASSED}

    @contextlib.contextmanager
    def mutated(self, contents: Mapping[str, bytes]) -> Iterator[None]:
        """Give files other contents during a block."""
        originals = {name: (self.root / name).read_bytes() for name in contents}
        try:
            for name, content in contents.items():
                _write(self.root / name, content)
            yield
        finally:
            for name, content in originals.items():
                _write(self.root / name, content)

    async def judge(self, mutant: Mutant, failing: set[str]) -> tuple[Verdict, str]:
        """Return the verdict on a mutant, and its reason. ``failing`` are tests that fail without a mutation."""
        if (count := mutant.occurrences(self.root)) != 1:
            return Verdict.INVALID, f"its text occurs {count} times in {mutant.file}"
        if both := sorted(failing.intersection(mutant.tests)):
            return Verdict.INVALID, f"without the mutation, too: {', '.join(both)}"
        content = (self.root / mutant.file).read_text().replace(mutant.text, mutant.replacement)
        with self.mutated({mutant.file: content.encode()}):
            status, output = await self.run(mutant.tests, MUTATED_SECONDS, "-x")
        if status == PASSED:
            return Verdict.SURVIVED, ""
        if status == FAILED:
            return Verdict.CAUGHT, reason_in(output)
        return Verdict.INVALID, f"pytest ended with {status}: {' / '.join(output.strip().splitlines()[-2:])}"


def reason_in(output: str) -> str:
    """Return where and why a test failed, from pytest's output."""
    if reason := re.search(r"[^/\s]+:\d+: .+", output):
        return reason[0][:300]
    errors = re.findall(r"^(?:E  |ERROR|FAILED) .+", output, re.MULTILINE)
    return " / ".join(errors or output.strip().splitlines()[-1:])[:300]


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    # Compiled code of the same second and size would be taken for up to date.
    for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
        compiled.unlink()


@contextlib.asynccontextmanager
async def benches(number: int) -> AsyncIterator[Callable[[], contextlib.AbstractAsyncContextManager[Bench]]]:
    """Yield a function that gives a free bench for a block, of so many. All end with a SIGTERM to this process."""
    free: asyncio.Queue[Bench] = asyncio.Queue()

    @contextlib.asynccontextmanager
    async def free_bench() -> AsyncIterator[Bench]:
        bench = await free.get()
        try:
            yield bench
        finally:
            free.put_nowait(bench)

    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with tempfile.TemporaryDirectory(prefix="wxmutants.", ignore_cleanup_errors=True) as place:
        for count in range(number):
            bench = Bench(Path(place, str(count), "tree"))
            bench.copy()
            free.put_nowait(bench)
        yield free_bench


async def judge_all(mutants: Sequence[Mutant], jobs: int) -> Counter[Verdict]:
    """Judge the mutants, ``jobs`` at a time, and print each verdict."""
    found: Counter[Verdict] = Counter()
    notable: list[str] = []

    async with benches(jobs) as free_bench:

        async def failing_of(tests: Sequence[str]) -> set[str]:
            async with free_bench() as bench:
                return await bench.failing(tests)

        async def judge(mutant: Mutant, failing: set[str]) -> None:
            async with free_bench() as bench:
                verdict, why = await bench.judge(mutant, failing)
            found[verdict] += 1
            line = f"{verdict:8} {mutant}" + (f" ({why})" if why else "")
            print(f"[{found.total():3}/{len(mutants)}] {line}", flush=True)
            if verdict is not Verdict.CAUGHT:
                notable.append(f"  {line} [{mutant.file}]")

        tests = sorted({test for mutant in mutants for test in mutant.tests})
        print(f"{len(tests)} tests without a mutation …", flush=True)
        parts = [tests[number::jobs] for number in range(min(jobs, len(tests)))]
        failing = set[str]().union(*await asyncio.gather(*map(failing_of, parts)))
        await asyncio.gather(*(judge(mutant, failing) for mutant in mutants))
    print("", *(f"{found[verdict]:4} {verdict}" for verdict in Verdict), *notable, sep="\n")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="run the mutants of tests/mutants.toml")
    parser.add_argument(
        "--only", metavar="PATTERN", help="those whose 'area: behavior' or file matches (* and ? allowed)"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="mutants at a time (default: %(default)s)")
    args = parser.parse_args()
    mutants, survivors = listed()
    if args.only:
        pattern = f"*{args.only}*".lower()
        mutants = [
            mutant for mutant in mutants if fnmatch(str(mutant).lower(), pattern) or fnmatch(mutant.file, pattern)
        ]
        survivors = 0
    if not mutants:
        parser.error("no mutant matches")
    found = asyncio.run(judge_all(mutants, max(1, min(args.jobs, len(mutants)))))
    return int(found[Verdict.SURVIVED] > survivors or found[Verdict.INVALID] > 0)


if __name__ == "__main__":
    sys.exit(main())
