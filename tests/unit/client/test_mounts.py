"""Which mounts of a process stay read-only although their file system is not any more."""

from pathlib import Path

import pytest

from wxcontroller.client.store.mounts import left_behind

ROOT = "24 1 8:1 / / ro,relatime - ext4 /dev/sda1 rw"
STATE = "280 270 0:59 / /srv/alice {mount},nosuid,idmapped shared:166 master:88 - tmpfs tmpfs {system},size=20480k"


def table(*lines: str) -> str:
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("mount", "system", "expected"),
    [("ro", "rw", True), ("ro", "ro", False), ("rw", "rw", False), ("rw", "ro", False)],
)
def test_only_a_mount_that_differs_from_its_file_system(mount: str, system: str, expected: bool) -> None:
    lines = table(ROOT, STATE.format(mount=mount, system=system))
    assert left_behind(Path("/srv/alice"), lines) is expected
    assert left_behind(Path("/srv/alice/media"), lines) is expected
