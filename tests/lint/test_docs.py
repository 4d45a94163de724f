"""Generated parts of the documentation are up to date, and no file names directories of a developer's machine."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.reference import PAGES, filled

ROOT = Path(__file__).parents[2]
# In parts, so that this file is not found.
MACHINE = re.compile("|".join(["/wo" + "rk/", "/tmp/te" + "am", r"/root/\.py" + "env"]))


@pytest.mark.parametrize("name", PAGES)
def test_generated_parts_are_up_to_date(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == filled(name), "out of date: make docs"


def test_no_file_names_directories_of_a_developers_machine() -> None:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    found = []
    for name in filter(None, listed.decode().split("\0")):
        path = ROOT / name
        lines = path.read_bytes().decode("utf-8", "ignore").splitlines() if path.is_file() else []
        found += [f"{name}:{number}" for number, line in enumerate(lines, 1) if MACHINE.search(line)]
    assert found == []
