"""A small ext4 file system in a file, which can be full, fail or hang. It needs root and a loop device."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.programs import output_of

_MEGABYTES = 16


@dataclass(frozen=True, slots=True)
class Volume:
    """A file system mounted at ``place``."""

    place: Path
    image: Path

    def fill(self) -> None:
        """Leave no free space."""
        with (self.place / "filler").open("wb", buffering=0) as stream, contextlib.suppress(OSError):
            while True:
                stream.write(bytes(4096))

    def free(self) -> None:
        (self.place / "filler").unlink()

    def fail(self) -> None:
        """Make it read-only as an error of the device does: files that are open for writing fail, too."""
        output_of("mount", "-o", "remount,abort", self.place)

    def repair(self) -> None:
        """Make it writable again after ``fail``; nothing may use it."""
        output_of("umount", self.place)
        output_of("mount", "-o", "loop", self.image, self.place)

    def freeze(self) -> None:
        """Let each write hang until ``thaw``."""
        output_of("fsfreeze", "--freeze", self.place)

    def thaw(self) -> None:
        output_of("fsfreeze", "--unfreeze", self.place)


@contextlib.contextmanager
def mounted(place: Path, image: Path) -> Iterator[Volume]:
    """Make a file system in ``image`` and mount it at ``place`` within the block."""
    with image.open("wb") as stream:
        os.truncate(stream.fileno(), _MEGABYTES << 20)
    output_of("mkfs.ext4", "-q", "-m", "0", image)
    output_of("mount", "-o", "loop", image, place)
    try:
        yield Volume(place, image)
    finally:
        output_of("umount", place)
