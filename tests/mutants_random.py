"""Break the code at random, and measure how much the tests notice: ``python3 -m tests.mutants_random``.

A list of mutants (``mutants.toml``) measures what its authors thought of. Here general operators (``mutations.py``)
make the changes, at lines that a seed draws evenly from all packages except the sandbox.

1. All unit and contract tests run once without a mutation, which also records the lines that each executes. The
   result is kept in ``.cache/mutants`` until the product or these tests change.
2. Each mutant runs against half a minute of the tests that execute its lines, or else of those that import or start
   its module. It is *caught* if a test fails, and fails again: a single failure can be chance.
3. The others run against all tests, together, as most will survive: if a test fails, each half again.

Survivors are printed with their changes. Each gets a test, or, if users cannot notice it, an entry with the reason in
``mutants-equivalent.toml``. Those of the list are not counted.

mutmut and cosmic-ray were considered (3.8, 8.7). mutmut mutates only functions without decorators, so no property,
context manager or table of constants. cosmic-ray has one command with all tests for each mutant, and does not drop
statements, arguments or results. Neither draws places from a seed.
"""

import argparse
import asyncio
import difflib
import json
import os
import random
import re
import sys
import tempfile
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from tests.mutants import MUTATED_SECONDS, PASSED, ROOT, TEST_SECONDS, Bench, Verdict, benches, reason_in
from tests.mutations import Mutation, compiles, mutations_of

EQUIVALENT = ROOT / "tests" / "mutants-equivalent.toml"
_MAPS = ROOT / ".cache" / "mutants"
_TESTS = ("tests/unit", "tests/contract")
# The first tests of a mutant take no longer than this together, without a mutation.
_NEAR_SECONDS = 30
# A module in a source: imported, or named as a program.
_NAMED = re.compile(r"\b((?:wxcontroller|tests)(?:\.\w+)*)(?: import (?:\(([\w,\s]+)\)|([\w, ]+)))?")
# A mutant hangs, if pytest's own limit for a test does not end it, after this and ten times what the tests take.
_HANGS_SECONDS = 120
# pytest's exit status if it found no tests.
_NO_TESTS = 5


class Change(NamedTuple):
    """How the list of equivalent mutations knows one: line numbers change with every commit."""

    file: str
    scope: str
    before: str
    after: str


def equivalents() -> dict[Change, str]:
    """Return the reasons why users cannot notice mutations."""
    entries = tomllib.loads(EQUIVALENT.read_text()).get("equivalent", [])
    return {Change(one["file"], one["scope"], one["before"], one["after"]): one["reason"] for one in entries}


@dataclass(frozen=True)
class Sources:
    """The modules of the product, by file, except the sandbox."""

    contents: dict[str, bytes]

    @classmethod
    def read(cls) -> "Sources":
        paths = sorted((ROOT / "wxcontroller").rglob("*.py"))
        names = {path.relative_to(ROOT).as_posix(): path for path in paths}
        return cls({name: path.read_bytes() for name, path in names.items() if "/sandbox/" not in name})

    def change(self, mutation: Mutation) -> Change:
        return Change(mutation.file, mutation.scope, *mutation.change(self.contents[mutation.file]))

    def diff(self, mutation: Mutation) -> str:
        source, name = self.contents[mutation.file], f"{mutation.scope}: {mutation.operator}"
        before, after = (text.decode().splitlines() for text in (source, mutation.applied(source)))
        return "\n".join(difflib.unified_diff(before, after, mutation.file, name, n=2, lineterm=""))

    @cached_property
    def _places(self) -> dict[str, list[list[Mutation]]]:
        """The mutations of each line that has any, by package."""
        found = defaultdict[str, list[list[Mutation]]](list)
        for name, source in self.contents.items():
            by_line = defaultdict[int, list[Mutation]](list)
            for one in mutations_of(name, source):
                by_line[one.lines[0]].append(one)
            found[package_of(name)] += by_line.values()
        return dict(sorted(found.items()))

    def drawn(self, number: int, seed: int) -> list[Mutation]:
        """Draw mutations: every so many lines of all that have any, packages in order and lines of each at random."""
        chance = random.Random(seed)
        lines = [line for package in self._places.values() for line in chance.sample(package, len(package))]
        step = len(lines) / number
        first = chance.random() * step
        found = [self._one_of(lines[int(first + step * count)], chance) for count in range(number)]
        return [one for one in found if one is not None]

    def _one_of(self, line: list[Mutation], chance: random.Random) -> Mutation | None:
        """Draw an operator of those that the line allows, then one of its mutations."""
        by_operator = defaultdict[str, list[Mutation]](list)
        for one in line:
            by_operator[one.operator].append(one)
        for operator in chance.sample(sorted(by_operator), len(by_operator)):
            for one in chance.sample(by_operator[operator], len(by_operator[operator])):
                if compiles(one, self.contents[one.file]):
                    return one
        return None


def package_of(file: str) -> str:
    """Return the package and its part, such as client/store."""
    return "/".join(file.split("/")[1:-1][:2]) or "wxcontroller"


@dataclass(frozen=True)
class Executed:
    """The tests as they ran without a mutation: seconds, whether they passed, and their lines by file."""

    tests: dict[str, dict[str, object]]

    @cached_property
    def failing(self) -> list[str]:
        return [name for name, test in self.tests.items() if not test["passed"]]

    def seconds(self, test: str) -> float:
        seconds = self.tests[test]["seconds"]
        assert isinstance(seconds, float)
        return seconds

    def lines(self, test: str, file: str) -> int:
        """Return the lines of a file that a test executes, as bits."""
        lines = self.tests[test]["lines"]
        assert isinstance(lines, dict)
        return int(lines.get(file, "0"), 16)

    def near(self, mutation: Mutation, importing: Mapping[str, int]) -> list[str]:
        """Return tests that execute a mutation, file by file: those that execute the most of its module.

        If there are none: those of files that import it, first through the fewest other modules (``importing``).
        """
        first, last = mutation.lines
        wanted = -1 if mutation.imports else (1 << last + 1) - (1 << first)
        found = {test: self.lines(test, mutation.file) for test in self.tests}
        ranks = {test: -bits.bit_count() for test, bits in found.items() if bits & wanted}
        if not ranks:
            files = {test: test.partition("::")[0] for test in self.tests}
            ranks = {test: importing[file] for test, file in files.items() if file in importing}
        chosen, left = list[str](), float(_NEAR_SECONDS)
        for test in sorted(set(ranks).difference(self.failing), key=lambda test: (ranks[test], self.seconds(test))):
            if not chosen or self.seconds(test) <= left:
                chosen.append(test)
                left -= self.seconds(test)
        cost = Counter[str]()
        for test in chosen:
            cost[test.partition("::")[0]] += int(1000 * self.seconds(test))
        return sorted(chosen, key=lambda test: (cost[test.partition("::")[0]], test.partition("::")[0]))

    def limit(self, tests: Iterable[str]) -> float:
        """Return the seconds that each of some tests may take with a mutation."""
        return max(MUTATED_SECONDS, 3 * max(map(self.seconds, tests), default=0))


def _recorded(directory: str) -> dict[str, object]:
    """Return what all processes of a run recorded."""
    parts = [json.loads(path.read_bytes()) for path in Path(directory).iterdir()]
    return {test: facts for part in parts for test, facts in part.items()}


async def executed(bench: Bench, jobs: int) -> Executed:
    """Run the tests without a mutation, or read how they ran when everything was the same."""
    kept = _MAPS / f"{bench.digest('wxcontroller', *_TESTS)}.json"
    if not kept.exists():
        print("all tests without a mutation …", flush=True)
        with tempfile.TemporaryDirectory() as place:
            options = ("-p", "tests.executed", "--executed", place)
            side_by_side = ("-n", str(jobs), "--dist", "loadfile") if jobs > 1 else ()
            await bench.run(_TESTS, TEST_SECONDS, *options, *side_by_side)
            found = _recorded(place)
        if not found:
            raise SystemExit("the tests did not run")
        _MAPS.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(found))
    return Executed(json.loads(kept.read_bytes()))


class Imports:
    """Which files of tests import a module, or name the program that does, also through other modules."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._near: dict[str, set[str]] = {}
        files = [file for top in _TESTS for file in sorted((root / top).rglob("test_*.py"))]
        self._reached = {self._name(file): self._all(self._name(file)) for file in files}

    def importing(self, file: str) -> dict[str, int]:
        """Return the files of tests that reach a module, and in how many steps."""
        return {test: reached[file] for test, reached in self._reached.items() if file in reached}

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _all(self, name: str) -> dict[str, int]:
        found, step, left = dict[str, int](), 0, {name}
        while left:
            found |= dict.fromkeys(left, step)
            left, step = {other for one in left for other in self._direct(one)}.difference(found), step + 1
        return found

    def _direct(self, name: str) -> set[str]:
        if name not in self._near:
            modules = set[str]()
            for module, several, names in _NAMED.findall((self._root / name).read_text()):
                inside = (one.strip() for one in (several or names).split(","))
                modules |= {module, f"{module}.__main__", *(f"{module}.{one}" for one in inside if one)}
            paths = [self._root / module.replace(".", "/") for module in modules]
            both = [path for stem in paths for path in (stem.with_suffix(".py"), stem / "__init__.py")]
            self._near[name] = {self._name(path) for path in both if path.is_file()}
        return self._near[name]


@dataclass
class Run:
    """A run: the mutants drawn, and what became of them."""

    sources: Sources
    mutants: list[Mutation]
    known: dict[Change, str]
    verdicts: dict[int, Verdict]

    def equivalent(self, number: int) -> bool:
        return self.sources.change(self.mutants[number]) in self.known

    def contents(self, numbers: Iterable[int]) -> dict[str, bytes]:
        """Return the files with some of the mutations, the last in a file first."""
        found = dict[str, bytes]()
        for one in sorted((self.mutants[number] for number in numbers), key=lambda one: -one.start):
            found[one.file] = one.applied(found.get(one.file, self.sources.contents[one.file]))
        return found

    def together(self, numbers: Sequence[int]) -> list[list[int]]:
        """Return groups of mutants that touch different places."""
        groups = list[list[int]]()
        for number in numbers:
            one = self.mutants[number]
            for group in groups:
                others = [self.mutants[other] for other in group]
                if all(it.file != one.file or it.end < one.start or one.end < it.start for it in others):
                    group.append(number)
                    break
            else:
                groups.append([number])
        return groups

    def rule(self, number: int, verdict: Verdict, why: str) -> None:
        self.verdicts[number] = verdict
        one = self.mutants[number]
        place = f"{one.file}:{one.lines[0]} {one.operator}"
        print(f"[{len(self.verdicts):3}] {verdict:8} {place}" + (f" ({why})" if why else ""), flush=True)

    def report(self) -> None:
        """Print the survivors and their changes, and the rates by package."""
        for number, one in enumerate(self.mutants):
            if self.verdicts.get(number) is Verdict.SURVIVED:
                change = self.sources.change(one)
                print(f"\n{self.sources.diff(one)}\n\n[[equivalent]]")
                print(
                    "\n".join(
                        f"{name} = {json.dumps(value, ensure_ascii=False)}"
                        for name, value in change._asdict().items()
                    )
                )
        counts = defaultdict[str, Counter[str]](Counter)
        for number, one in enumerate(self.mutants):
            word = "equivalent" if self.equivalent(number) else str(self.verdicts.get(number, Verdict.INVALID))
            counts[package_of(one.file)][word] += 1
            counts["all"][word] += 1
        print(f"\n{'package':28}{'caught':>8}{'of':>6}{'rate':>7}{'equivalent':>12}{'invalid':>9}")
        for name in sorted(counts, key=lambda name: (name == "all", name)):
            found = counts[name]
            counted = found["caught"] + found["survived"]
            rate = f"{100 * found['caught'] / counted:.0f} %" if counted else "-"
            print(f"{name:28}{found['caught']:8}{counted:6}{rate:>7}{found['equivalent']:12}{found['invalid']:9}")


async def _judge(
    run: Run, numbers: Sequence[int], bench: Bench, tests: Sequence[str], before: Executed, *options: str
) -> tuple[Verdict, str]:
    """Run tests with some mutations. A test that failed must fail again: else the tests after it run as well."""
    known = [test for test in tests if test in before.tests] or [*before.tests]
    seconds, limit = before.limit(known), _HANGS_SECONDS + 10 * sum(map(before.seconds, known))
    with bench.mutated(run.contents(numbers)):
        while True:
            status, output = await bench.run(tests, seconds, "-x", *options, limit=limit)
            if status == PASSED:
                return Verdict.SURVIVED, ""
            if status is None or status < 0 or status == _NO_TESTS:
                return Verdict.INVALID, f"pytest ended with {status}: {' / '.join(output.strip().splitlines()[-2:])}"
            failed = bench.failed()
            reason = reason_in(output)
            if not failed or (await bench.run(failed, seconds))[0] != PASSED:
                return Verdict.CAUGHT, reason
            options = (*options, *(f"--deselect={test}" for test in failed))


async def measure(mutants: list[Mutation], sources: Sources, jobs: int) -> Run:
    """Judge mutants, ``jobs`` at a time, and print each verdict."""
    run = Run(sources, mutants, equivalents(), {})
    counted = [number for number in range(len(mutants)) if not run.equivalent(number)]
    async with benches(jobs) as free_bench:
        async with free_bench() as bench:
            before = await executed(bench, jobs)
            imports = Imports(bench.root)
        print(f"{len(counted)} mutants; {len(before.failing)} of {len(before.tests)} tests fail without", flush=True)
        survivors = list[int]()

        async def first(number: int) -> None:
            one = mutants[number]
            async with free_bench() as bench:
                if tests := before.near(one, imports.importing(one.file)):
                    verdict, why = await _judge(run, [number], bench, tests, before)
                    if verdict is not Verdict.SURVIVED:
                        run.rule(number, verdict, why)
                        return
            print(f"      {len(tests)} tests pass: {one.file}:{one.lines[0]} {one.operator}", flush=True)
            survivors.append(number)

        async def then(group: Sequence[int]) -> None:
            """Run all tests on a group; those of files that import one of it first."""
            files = {file for number in group for file in imports.importing(mutants[number].file)}
            tests = sorted({test.partition("::")[0] for test in before.tests}, key=lambda file: file not in files)
            deselected = [f"--deselect={test}" for test in before.failing]
            async with free_bench() as bench:
                verdict, why = await _judge(run, group, bench, tests, before, *deselected)
            if verdict is Verdict.SURVIVED or len(group) == 1:
                for number in group:
                    run.rule(number, verdict, why)
            else:
                middle = len(group) // 2
                await asyncio.gather(then(group[:middle]), then(group[middle:]))

        await asyncio.gather(*map(first, counted))
        parts = [sorted(survivors)[part::jobs] for part in range(jobs)]
        await asyncio.gather(*(then(group) for part in parts for group in run.together(part)))
    return run


def main() -> int:
    parser = argparse.ArgumentParser(description="run random mutants of the code, and report what the tests notice")
    parser.add_argument("--number", type=int, default=400, help="of mutants (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="repeat the mutants of a run, which printed it")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="mutants at a time (default: %(default)s)")
    args = parser.parse_args()
    seed = random.SystemRandom().randrange(1_000_000) if args.seed is None else args.seed
    print(f"seed {seed}", flush=True)
    sources = Sources.read()
    run = asyncio.run(measure(sources.drawn(args.number, seed), sources, max(1, args.jobs)))
    run.report()
    return int(any(verdict is not Verdict.CAUGHT for verdict in run.verdicts.values()))


if __name__ == "__main__":
    sys.exit(main())
