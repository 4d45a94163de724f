"""The original's 77 defects (openwx-api 5): each is held by a test or told on the page of compatibility, or both."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

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
    """As pytest finds them."""
    named = {test for tests in TESTS.values() for test in tests}
    files = sorted({test.partition("::")[0] for test in named})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    assert named - {line.partition("[")[0] for line in found.stdout.splitlines() if "::" in line} == set()
