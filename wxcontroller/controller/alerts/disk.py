"""Checks the free space of the disks of accounts and controller, and whether they are writable."""

import os
from collections.abc import Iterator
from pathlib import Path

from wxcontroller.controller.alerts.findings import Healthy, Problem, Verdict
from wxcontroller.core.alerts import Kind
from wxcontroller.core.errors import reason_of
from wxcontroller.core.files.atomic import replace_file
from wxcontroller.core.paths import Paths
from wxcontroller.core.text.templates import N_, Text

# On a small file system, such as /run, this fraction is enough.
_PART = 0.1
# Recovered means a fifth more than that, so that the state does not flap.
_MARGIN = 1.2
_LEAST_FILES = 1000
_REMEDY = Text(
    N_("free some space; media_keep_days and media_keep_bytes limit what accounts keep: see wxclient(8)"),
)
_MB = 1024 * 1024


def disk_of(paths: Paths, least: int) -> Verdict:
    """Judge the disks. ``least``: bytes that must be free, 0 to check nothing. Waits for the disk."""
    if (problem := write_error(paths)) is not None:
        message = Text(N_("Cannot write to {place}: {reason}."), place=paths.alerts_state.parent, reason=problem)
        remedy = Text(N_("logins and settings of accounts are not stored; see: df /var; dmesg"))
        return Problem(Kind.DISK, "", message, remedy, code="disk-unwritable")
    between = False
    for path, status in places(paths):
        wanted = min(least, int(status.f_blocks * status.f_frsize * _PART))
        free = status.f_bavail * status.f_frsize
        files = status.f_favail if status.f_files else _LEAST_FILES * 2
        if free < wanted or files < _LEAST_FILES:
            left = Text(N_("{megabytes} MB"), megabytes=free // _MB)
            if free >= wanted:
                left = Text("room for {n} file", "room for {n} files", n=files)
            message = Text(N_("The disk with {place} has only {left} left."), place=path, left=left)
            return Problem(Kind.DISK, "", message, _REMEDY, code="disk-low")
        between = between or free < wanted * _MARGIN
    return None if between else Healthy("", Text(N_("The disks have free space again.")))


def places(paths: Paths) -> Iterator[tuple[Path, os.statvfs_result]]:
    seen: set[int] = set()
    # The controller cannot enter the accounts' directory, but can query its file system.
    for path in (paths.accounts, paths.root / "var/lib/private", paths.client_runtime, paths.root / "var/log"):
        try:
            device, status = path.stat().st_dev, os.statvfs(path)
        except OSError:
            continue
        if device not in seen:
            seen.add(device)
            yield path, status


def write_error(paths: Paths) -> Text | None:
    probe = paths.alerts_state.with_name(".written")
    try:
        replace_file(probe, b"The disk takes files.\n")
    except OSError as problem:
        return reason_of(problem)
    return None
