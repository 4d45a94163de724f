"""Files of this machine that may be sent: media_path, confined to the directories that media_paths names.

A path is first resolved without opening anything, so that nothing outside is touched and a response does not reveal
which files exist. Then the opened file is checked, not its name: the tree may have changed meanwhile.
"""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_ELSEWHERE = "there is no such file below media_paths"
# Regardless of media_paths: kernel, devices, secrets of services.
_NEVER = (Path("/proc"), Path("/sys"), Path("/dev"), Path("/run/credentials"))


@dataclass(frozen=True, slots=True)
class Confinement:
    """Directories below which files may be sent, except ``private`` ones, but including ``shared`` ones in these."""

    allowed: Sequence[Path]
    private: Sequence[Path] = ()
    shared: Sequence[Path] = ()

    def open(self, label: str) -> int:
        """Open exactly the file that was checked, for reading. Raises OSError with the reason for any other."""
        if "\0" in label:
            raise OSError("the path has a NUL")
        if not label.startswith("/"):
            raise OSError("the path is not absolute")
        # Symlinks are resolved first: one below media_paths may point anywhere.
        where = Path(os.path.realpath(label))
        if not self._holds(where):
            raise OSError(_ELSEWHERE)
        # Do not block on a pipe, acquire a terminal, or follow a link that was just created.
        descriptor = os.open(where, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY | os.O_NOFOLLOW)
        try:
            if not self._holds(Path(f"/proc/self/fd/{descriptor}").readlink()):
                raise OSError(_ELSEWHERE)
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError("it is not a file")
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _holds(self, where: Path) -> bool:
        if not is_below(where, self.allowed) or is_below(where, _NEVER):
            return False
        return not is_below(where, self.private) or is_below(where, self.shared)


def confinement(media_paths: str, state: Path, media: Path, credentials: Path) -> Confinement:
    """Return the paths that an account may send from; in its ``state`` directory, only received ``media``."""
    private = [state, credentials]
    if of_the_unit := os.environ.get("CREDENTIALS_DIRECTORY"):
        private.append(Path(of_the_unit))
    return Confinement([Path(part) for part in media_paths.split(":") if part], private, [media])


def is_below(where: Path, directories: Sequence[Path]) -> bool:
    return any(where.is_relative_to(directory.resolve()) for directory in directories)
