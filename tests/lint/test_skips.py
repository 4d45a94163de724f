"""A test is skipped only if tests/conftest.py permits it."""

import sys
from pathlib import Path

import pytest

from tests.programs import run

MODULE = "import pytest\npytest.importorskip('of_no_package')\n"
TEST = "import pytest\n@pytest.mark.skipif(True, reason='no such tool')\ndef test(): pass\n"


@pytest.mark.parametrize(("source", "reason"), [(MODULE, "of_no_package"), (TEST, "no such tool")])
def test_skipped_test_makes_a_run_fail(source: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(source)
    done = run(sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", tmp_path)
    assert done.returncode != 0
    assert reason in done.stdout
