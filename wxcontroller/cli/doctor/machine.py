"""The machine itself: disks."""

import os
from collections.abc import Iterator
from pathlib import Path

from wxcontroller.cli.doctor.result import CheckResult, CheckTarget, check, fail, ok, warn
from wxcontroller.cli.output.statustext import size
from wxcontroller.core.config.checklist import DoctorCheck
from wxcontroller.core.errors import reason_of
from wxcontroller.core.text.templates import Text

_FULL, _TIGHT = 50_000_000, 500_000_000  # bytes that are free
_FEW = 200  # files that may still be made


@check(DoctorCheck.DISK)
def disks(target: CheckTarget) -> Iterator[CheckResult]:
    """Space where accounts and controller write, each file system once."""
    root = target.paths.root
    places = (
        (root / "var/lib/private/wxclient", Text("the accounts' state")),
        (target.paths.accounts, Text("the registry of accounts")),
        (target.paths.client_runtime, Text("the public state of accounts")),
        (root / "var/log/journal", Text("the journal")),
    )
    seen: set[int] = set()
    for place, what in places:
        directory = existing(place)
        try:
            device, found = directory.stat().st_dev, os.statvfs(directory)
        except OSError as problem:
            yield warn(
                Text(
                    "{directory}, for {what}, cannot be checked: {reason}",
                    directory=directory,
                    what=what,
                    reason=reason_of(problem),
                ),
                Text("run it as root"),
            )
            continue
        if device in seen:
            continue
        seen.add(device)
        free, total = found.f_bavail * found.f_frsize, max(1, found.f_blocks * found.f_frsize)
        words = Text(
            "{directory}, for {what}: {free} of {total} free",
            directory=directory,
            what=what,
            free=size(free),
            total=size(total),
        )
        if found.f_flag & os.ST_RDONLY:
            yield fail(
                Text("{directory}, for {what}, is read-only", directory=directory, what=what),
                Text("see dmesg; mount -o remount,rw {directory}", directory=directory),
            )
        elif found.f_files and found.f_favail < _FEW:
            yield fail(
                Text("{words}, but no more files can be created", words=words),
                Text("remove files; df -i shows how many there are"),
            )
        # A small one, as /run, is not full because it is small.
        elif free < min(_FULL, total // 20):
            yield fail(
                Text("{words}: messages wait at WeChat, sends are refused", words=words),
                Text("free some space: du -xsh {directory}/*", directory=directory),
            )
        elif free < min(_TIGHT, total // 10):
            yield warn(words, Text("free some space: du -xsh {directory}/*", directory=directory))
        else:
            yield ok(words)


def existing(place: Path) -> Path:
    """Return the path, or its nearest existing parent."""
    while place != place.parent:
        try:
            if place.exists():
                return place
        except OSError:
            return place
        place = place.parent
    return place
