"""Whether this process is shut out from a disk that others can write."""

from pathlib import Path

_TABLE = Path("/proc/self/mountinfo")


def left_behind(directory: Path, table: str | None = None) -> bool:
    """Return whether ``directory`` is read-only for this process alone, although its file system is writable.

    systemd makes a unit's mounts when the unit starts. If the file system was read-only then, they stay read-only
    until the unit is restarted. ``table`` is the content of /proc/PID/mountinfo; see proc_pid_mountinfo(5).
    """
    try:
        lines = (table if table is not None else _TABLE.read_text("utf-8", "replace")).splitlines()
        resolved = directory.resolve()
    except OSError:
        return False
    longest, found = -1, False
    for line in lines:
        mount, _, rest = line.partition(" - ")
        fields, behind = mount.split(" "), rest.split(" ")
        if len(fields) < 6 or len(behind) < 3 or not resolved.is_relative_to(fields[4]):
            continue
        if len(fields[4]) >= longest:  # of two at one place the later one covers the other
            longest = len(fields[4])
            found = "ro" in fields[5].split(",") and "rw" in behind[2].split(",")
    return found
