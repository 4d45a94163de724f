"""README's two commands on a bare machine: ``make bare-check``.

The machine is a tree of Debian 13 with only make, git and Python, and a clean clone of this repository. It has its
own processes, mounts and cgroups, and uses the network of this machine, with its settings for apt, pip and npm. The
tree is a file system of its own, so that the kernel reports every program that is executed from it (fanotify), also
in namespaces that tests make. With strace, tests that use strace would fail.

The check prints the packages whose programs were executed: those of the bare tree, those that the Makefile lists, and
their dependencies. It fails if a program belongs to no package, a test fails, or a test is skipped without permission
(tests/conftest.py).

    /usr/bin/python3 -m tests.bare [TEST...]    with tests: only these, in a tree that is kept for the next time
"""

import argparse
import contextlib
import ctypes
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.programs import ROOT, output_of, run
from tests.system.host import ENVIRONMENT, WORK

BARE = ("make", "git", "python3")
README = (["make", "run", "RUN_ARGS=--exit"], ["make", "test"])
IMAGE, PLACE = WORK / "bare.img", WORK / "bare"
GIGABYTES = 40
CLONE = PLACE / "root/wxcontroller"
# How this machine reaches the registries: not the sources of apt, which mmdebstrap writes.
_SETTINGS = "etc/resolv.conf etc/hosts etc/apt/apt.conf.d etc/pip.conf etc/npmrc usr/local/share/ca-certificates"
_VARIABLES = re.compile(r"(https?|no|all)_proxy|(pip|npm_config)_\w+", re.IGNORECASE)
# Programs elsewhere are files of the clone, of tests and of packages that are being configured.
_PROGRAMS = ("/usr/", "/etc/", "/opt/")
# While packages are installed (tests/system/deps).
_OF_MAKE = {"/usr/sbin/policy-rc.d"}
_FAN_UNLIMITED_QUEUE, _FAN_MARK_FILESYSTEM, _FAN_OPEN_EXEC = 0x10, 0x101, 0x1000
_EVENT = struct.Struct("=IBBHQii")
_ENTER = 'cd "$0" && pivot_root . mnt && umount -l mnt && cd /root/wxcontroller && exec "$@"'


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bare-check", description=__doc__)
    parser.add_argument("--inside", metavar="CGROUP", help=argparse.SUPPRESS)
    parser.add_argument("tests", nargs=argparse.REMAINDER, help="only these, in a tree that is kept")
    chosen = parser.parse_args()
    if chosen.inside:
        return _inside(chosen.inside, chosen.tests)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    name = f"bare-{os.getpid()}"
    WORK.mkdir(parents=True, exist_ok=True)
    with (WORK / ".bare.lock").open("w") as lock, _cgroups(name) as own:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # The shell is the first process, so that it waits for orphans.
        joining = "; ".join(f"echo $$ >{each}/cgroup.procs" for each in own)
        spaces = "unshare --mount --pid --fork --kill-child --cgroup"
        itself = f'{sys.executable} -m tests.bare --inside {name} "$@"; exit $?'
        command = ["sh", "-euc", f"{joining}; exec {spaces} bash -c '{itself}' bash \"$@\"", "sh", *chosen.tests]
        return subprocess.run(command, cwd=ROOT, check=False).returncode


@contextlib.contextmanager
def _cgroups(name: str) -> Iterator[list[Path]]:
    """Make a cgroup in each hierarchy."""
    own = [each / name for each in _hierarchies()]
    try:
        for each in own:
            each.mkdir()
        yield own
    finally:
        for each in own:
            for below, _, _ in os.walk(each, topdown=False):
                with contextlib.suppress(OSError):
                    Path(below).rmdir()


def _hierarchies() -> list[Path]:
    """Return where cgroups are mounted, except where a new one has no processors or no real time."""
    lines = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    places = [Path(place) for _, place, kind, *_ in lines if kind in ("cgroup", "cgroup2")]
    return [place for place in places if not {"cpuset", "cpu"} & set(place.name.split(","))]


def _inside(cgroup: str, tests: Sequence[str]) -> int:
    """In namespaces that end with this check: make the tree, run the commands in it, judge."""
    PLACE.mkdir(exist_ok=True)
    if not (tests and IMAGE.exists()):
        with IMAGE.open("wb") as stream:
            stream.truncate(GIGABYTES << 30)
        output_of("mkfs.ext4", "-q", "-m", "0", IMAGE)
    # No write waits for the disk, as in test hosts: thousands of packages' files are synced.
    output_of("mount", "-o", "loop,noatime,barrier=0", IMAGE, PLACE)
    if not CLONE.exists():
        _make_tree()
    output_of("git", "-C", CLONE, "fetch", "-q", ROOT, "HEAD")
    output_of("git", "-C", CLONE, "reset", "-q", "--hard", "FETCH_HEAD")
    _mount_the_rest(cgroup)
    commands = [["make", "host-tree"], [sys.executable, "-m", "pytest", *tests]] if tests else README
    with _executed() as programs:
        results = [_result(command) for command in commands]
    unowned = _report(programs)
    print(*(f"{' '.join(command)}: {text}" for command, (_, text) in zip(commands, results, strict=True)), sep="\n")
    if unowned:
        print("programs of no package:", *unowned)
    if not tests:
        IMAGE.unlink()
    return 1 if unowned or any(code for code, _ in results) else 0


def _make_tree() -> None:
    print("making a tree with only", *BARE, flush=True)
    output_of("mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(BARE)}", "trixie", PLACE)
    for each in _SETTINGS.split():
        if (Path("/") / each).exists():
            output_of("cp", "-rL", "--parents", each, PLACE, cwd=Path("/"))
    (PLACE / "packages").write_text(_installed())
    output_of("git", "clone", "-q", ROOT, CLONE)


def _mount_the_rest(cgroup: str) -> None:
    hierarchies = _hierarchies()
    output_of("mount", "-t", "proc", "proc", PLACE / "proc")
    for name in ("dev", "sys"):
        output_of("mount", "--rbind", f"/{name}", PLACE / name)
    for name in ("dev/shm", "run"):
        output_of("mount", "-t", "tmpfs", "tmpfs", PLACE / name)
    # The namespace shows the own cgroups as the roots of their hierarchies; so must the mounts.
    for each in hierarchies:
        output_of("mount", "--bind", each / cgroup, f"{PLACE}{each}")


def _in_tree(*command: str) -> str:
    return output_of("chroot", PLACE, *command)


def _result(command: Sequence[str]) -> tuple[int, str]:
    """Run a command in the tree; return its exit code, and how long it took and how it ended."""
    print("$", *command, flush=True)
    variables = {name: value for name, value in os.environ.items() if _VARIABLES.fullmatch(name)}
    begun, last = time.monotonic(), ""
    entering = ["unshare", "--mount", "sh", "-c", _ENTER, str(PLACE), *command]
    with subprocess.Popen(
        entering, env=ENVIRONMENT | variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            last = line.strip(" =\n") or last
    return process.returncode, f"exit code {process.returncode} after {time.monotonic() - begun:.0f} s; {last}"


@contextlib.contextmanager
def _executed() -> Iterator[set[str]]:
    """Collect the programs that are executed from the tree's file system during a block."""
    libc = ctypes.CDLL(None, use_errno=True)
    notices = libc.fanotify_init(_FAN_UNLIMITED_QUEUE, os.O_RDONLY | os.O_CLOEXEC)
    mask = ctypes.c_uint64(_FAN_OPEN_EXEC)
    if notices < 0 or libc.fanotify_mark(notices, _FAN_MARK_FILESYSTEM, mask, -1, os.fsencode(PLACE)) < 0:
        raise OSError(ctypes.get_errno(), "this kernel does not report executed programs (fanotify)")
    programs: set[str] = set()
    ended = threading.Event()

    def read() -> None:
        while select.select([notices], [], [], 0.5)[0] or not ended.is_set():
            if select.select([notices], [], [], 0)[0]:
                for *_, descriptor, _ in _EVENT.iter_unpack(os.read(notices, _EVENT.size * 256)):
                    name = str(Path(f"/proc/self/fd/{descriptor}").readlink()).removeprefix(str(PLACE))
                    # Not a file of a test host, whose layers are in this file system, too.
                    with contextlib.suppress(OSError):
                        if os.path.samestat(os.fstat(descriptor), Path(f"{PLACE}{name}").stat()):
                            programs.add(name)
                    os.close(descriptor)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield programs
    finally:
        ended.set()
        reader.join()
        os.close(notices)


def _installed() -> str:
    return _in_tree("dpkg-query", "-W", "-f", "${Package}\n")


def _report(programs: set[str]) -> list[str]:
    """Print the packages whose programs were executed; return the programs of no package."""
    bare = (PLACE / "packages").read_text().split()
    lists = "--eval=lists: ; @echo $(BUILD_TOOLS) $(HOST_TOOLS) $(TEST_TOOLS)"
    listed = set(output_of("make", "-s", lists, "lists").split())
    found = sorted(program for program in programs - _OF_MAKE if program.startswith(_PROGRAMS))
    owned: dict[str, list[str]] = {}
    for line in run("chroot", PLACE, "dpkg-query", "-S", *found).stdout.splitlines():
        packages, _, program = line.partition(": ")
        if program in found and not line.startswith("diversion "):
            owned.setdefault(packages.partition(":")[0], []).append(program)
    for package in sorted(owned):
        why = "bare" if package in bare else "listed" if package in listed else "dependency"
        print(f"{package:30} {why:10} {' '.join(Path(each).name for each in owned[package])}")
    print(f"{len(bare)} packages, then {len(_installed().split())}: {len(listed)} of them listed")
    return sorted({*found}.difference(*owned.values()))


if __name__ == "__main__":
    sys.exit(main())
