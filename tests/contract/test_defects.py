"""The original's 77 defects (openwx-api 5): each is held by a test or told on the page of compatibility, or both."""

import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NUMBERS = range(1, 78)


@dataclass(frozen=True)
class Defect:
    """One of the list: ``tests`` are node ids without parameters, ``lines`` beginnings of lines of the page."""

    number: int
    tests: tuple[str, ...]
    lines: tuple[str, ...]


def defects() -> list[Defect]:
    table = tomllib.loads((Path(__file__).parent / "defects.toml").read_text(encoding="utf-8"))
    return [Defect(each["number"], tuple(each["tests"]), tuple(each["lines"])) for each in table["defect"]]


DEFECTS = defects()
PAGE = (ROOT / "docs/compatibility.md").read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def collected() -> set[str]:
    """All tests of the files that are named, as pytest finds them."""
    files = sorted({test.partition("::")[0] for each in DEFECTS for test in each.tests})
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return {line.partition("[")[0] for line in found.stdout.splitlines() if "::" in line}


def test_all_77_are_there_once() -> None:
    assert [each.number for each in DEFECTS] == list(NUMBERS)
    for each in DEFECTS:
        assert each.tests or each.lines, each.number


def test_every_test_that_is_named_exists(collected: set[str]) -> None:
    named = {test: each.number for each in DEFECTS for test in each.tests}
    assert {test: number for test, number in named.items() if test not in collected} == {}


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda each: str(each.number))
def test_every_line_that_is_quoted_stands_on_the_page(defect: Defect) -> None:
    for line in defect.lines:
        found = [one for one in PAGE if one.startswith(line)]
        assert len(found) == 1, line
        assert found[0].removeprefix(line).strip(" |"), f"the page says nothing about {line}"


def test_the_page_has_a_row_for_each_number_in_order() -> None:
    rows = [int(found[1]) for line in PAGE if (found := re.match(r"\| (\d+) \|", line))]
    assert rows == list(NUMBERS)
