"""Programs that tests run: to their end, or for a while."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Programs that make test-deps puts there without their packages, and clients that it fetches.
TOOLS, FETCHED = ROOT / ".cache/venv/bin", ROOT / ".cache/thirdparty"
# Debian's packages of programs with other names.
_PACKAGES = {
    **{"etcd": "etcd-server", "etcdctl": "etcd-client", "ip": "iproute2", "mkfs.ext4": "e2fsprogs", "node": "nodejs"},
    **{"java": "default-jre-headless", "systemd-analyze": "systemd", "zbarimg": "zbar-tools"},
}


def program(name: str | Path) -> str:
    """Return the path of a program that tests start. Raises AssertionError with the package to install.

    A test that starts a shell must ask for the programs in its commands: the shell itself continues without them.
    """
    found = name if "/" in str(name) else shutil.which(name, path=f"{TOOLS}:{os.environ['PATH']}")
    assert found, f"{name} is not installed (package {_PACKAGES.get(str(name), name)}): run make test-deps"
    return str(found)


def fetched(name: str) -> Path:
    """Return the directory of a third-party client. Raises AssertionError if it was not fetched."""
    place = FETCHED / name
    assert place.exists(), f"{place} is missing: run make test-deps"
    return place


def run(
    *command: str | Path, cwd: Path = ROOT, given: str = "", env: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end, with ``given`` as its input and more variables; its output is text."""
    variables = {**os.environ, **(env or {})}
    return subprocess.run(
        (program(command[0]), *command[1:]),
        cwd=cwd,
        env=variables,
        input=given,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def output_of(*command: str | Path, cwd: Path = ROOT, given: str = "", env: Mapping[str, str] | None = None) -> str:
    """Run a program that must succeed; return what it printed on its standard output."""
    done = run(*command, cwd=cwd, given=given, env=env)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return done.stdout


@contextlib.contextmanager
def serving(command: Sequence[str], log: Path | None = None) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Run a program of the repository during a block; yield its first line. ``log``: for its standard error."""
    with subprocess.Popen(
        [program(command[0]), *command[1:]],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log.open("w") if log else None,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()


@contextlib.contextmanager
def mounted(place: Path, options: str = "defaults") -> Iterator[None]:
    """Mount an empty file system during a block."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True)
