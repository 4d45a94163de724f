"""A disk for one account, which can be full or lose its power."""

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.programs import output_of
from tests.system.host import WORK, Host

MEGABYTES = 64


@dataclass
class Disk:
    """A file system in an image file, mounted over the state directory of ``account`` in ``host``."""

    host: Host
    account: str
    _loop: str = field(default="", repr=False)

    @property
    def mountpoint(self) -> str:
        return f"/var/lib/private/wxclient/{self.account}"

    @property
    def image(self) -> Path:
        return WORK / f"{self.host.name}-{self.account}.img"

    def make(self) -> None:
        """Make the file system and mount it. The account must not run."""
        with self.image.open("wb") as stream:
            stream.truncate(MEGABYTES << 20)
        # No delayed allocation tricks: what is not synced is not there after a cut.
        output_of("mkfs.ext4", "-q", "-m", "0", self.image)
        self.host.run("mkdir", "-p", "-m", "0700", self.mountpoint)
        self.mount()

    def mount(self) -> None:
        self._loop = subprocess.run(
            ["losetup", "--find", "--show", self.image], check=True, capture_output=True, text=True
        ).stdout.strip()
        number = os.minor(Path(self._loop).stat().st_rdev)
        self.host.run("sh", "-c", f"test -b {self._loop} || mknod {self._loop} b 7 {number}")
        self.host.run("mount", "-t", "ext4", "-o", "commit=60", self._loop, self.mountpoint)

    def unmount(self) -> None:
        if self._loop:
            self.host.run("umount", self.mountpoint)
            subprocess.run(["losetup", "--detach", self._loop], check=True)
            self._loop = ""

    def destroy(self) -> None:
        self.unmount()
        self.image.unlink(missing_ok=True)

    def fill(self) -> None:
        """Leave no free space."""
        self.host.run("sh", "-c", f"dd if=/dev/zero of={self.mountpoint}/filler bs=4k 2>/dev/null; true")

    def free(self) -> None:
        self.host.run("rm", "-f", f"{self.mountpoint}/filler")

    def cut(self) -> Path:
        """Return a copy of what the disk would hold after a power cut now: only what was written through."""
        copy = self.image.with_suffix(".cut")
        shutil.copyfile(self.image, copy)
        return copy

    def restore(self, copy: Path) -> None:
        """Put a copy of ``cut`` in the place of the disk and mount it, as a boot does after a power cut."""
        self.unmount()
        copy.replace(self.image)
        self.mount()
