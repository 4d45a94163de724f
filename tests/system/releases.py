"""Packages of released versions, built once from the project's history."""

import fcntl
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMMITS = {
    "2.3.0": "92b80445fe612c61b0e21745121779de7d8b9af5",
}


def packages_of(version: str) -> list[Path]:
    """Return a version's packages, the sandbox last."""
    place = ROOT / ".cache" / version
    place.parent.mkdir(exist_ok=True)
    # Of several test processes that need them, one builds.
    with place.with_name(f"{version}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not list(place.glob("*.deb")):
            _build(COMMITS[version], place)
    found = (path for path in place.glob("*.deb") if not path.name.startswith("wxcontroller-fleet"))
    return sorted(found, key=lambda path: path.name.startswith("wxcontroller-sandbox"))


def _build(commit: str, place: Path) -> None:
    with tempfile.TemporaryDirectory(dir=place.parent) as tree:
        subprocess.run(["git", "clone", "-q", "--no-checkout", ROOT, tree], check=True)
        subprocess.run(["git", "-C", tree, "checkout", "-q", commit], check=True)
        subprocess.run(["tests/system/build-debs", place], cwd=tree, check=True, stdin=subprocess.DEVNULL)
