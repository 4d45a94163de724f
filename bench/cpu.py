"""CPU time of a program and of all that it starts, as the kernel counts it."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

# The mount points of cgroup v2, alone or next to version 1.
_MOUNTS = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
_NUMBERS = count()


@dataclass(frozen=True, slots=True)
class Counter:
    """Counts the CPU of a process: that of its control group, which has its children too, or else its own."""

    pid: int
    group: Path | None

    def seconds(self) -> float:
        if self.group is None:
            return own_seconds(self.pid)
        fields = dict(line.split() for line in (self.group / "cpu.stat").read_text().splitlines())
        return int(fields["usage_usec"]) / 1e6


@contextlib.contextmanager
def counted(process: "subprocess.Popen[bytes]") -> Iterator[Counter]:
    """Put a process that has just been started into a control group of its own; it must have ended afterwards."""
    group = None
    for mount in _MOUNTS:
        if (mount / "cgroup.procs").exists():
            group = mount / f"wxbench-{os.getpid()}-{next(_NUMBERS)}"
            break
    try:
        if group is not None:
            group.mkdir()
            (group / "cgroup.procs").write_text(str(process.pid))
    except OSError:  # not root, or a container's read-only groups
        group = None
    try:
        yield Counter(process.pid, group)
    finally:
        if group is not None:
            with contextlib.suppress(OSError):
                group.rmdir()


def own_seconds(pid: int) -> float:
    """Return the CPU seconds of a process's threads."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9
