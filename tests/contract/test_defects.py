"""The original's 77 defects (openwx-api 5) and their tests."""

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


def test_each_has_tests_unless_none_can_hold_it() -> None:
    assert list(TESTS) == NUMBERS
    assert [number for number, tests in TESTS.items() if not tests] == [57]


def test_every_test_that_is_named_exists() -> None:
    assert [test for tests in TESTS.values() for test in tests if not exists(test)] == []
