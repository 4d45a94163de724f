"""No file names directories of the machine it was written on."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
# In parts, so that this file is not found.
MACHINE = re.compile("|".join(["/wo" + "rk/", "/tmp/te" + "am", r"/root/\.py" + "env"]))


def tracked_files() -> list[Path]:
    """Return the files that git tracks or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    return sorted(ROOT / name.decode() for name in listed.split(b"\0") if name and (ROOT / name.decode()).is_file())


def test_no_file_names_directories_of_a_developers_machine() -> None:
    found = []
    for path in tracked_files():
        for number, line in enumerate(path.read_bytes().decode("utf-8", "ignore").splitlines(), 1):
            if MACHINE.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert found == []
