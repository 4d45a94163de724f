"""The original's 77 defects (openwx-api 5): each is held by a test or told on the page of compatibility, or both."""

import re
import tomllib
from pathlib import Path

from tests.lint.test_mutants import exists

ROOT = Path(__file__).parents[2]
NUMBERS = list(range(1, 78))
# By number, node ids without parameters.
TESTS: dict[int, list[str]] = {
    int(number): tests
    for number, tests in tomllib.loads((Path(__file__).parent / "defects.toml").read_text(encoding="utf-8")).items()
}


def test_each_is_a_row_of_the_page_and_of_the_table_of_tests() -> None:
    page = (ROOT / "docs/compatibility.md").read_text(encoding="utf-8").splitlines()
    assert [int(found[1]) for line in page if (found := re.match(r"\| (\d+) \|", line))] == NUMBERS
    assert list(TESTS) == NUMBERS


def test_every_test_that_is_named_exists() -> None:
    assert [test for tests in TESTS.values() for test in tests if not exists(test)] == []
