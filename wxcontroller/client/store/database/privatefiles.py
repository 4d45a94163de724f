"""Private files of an account: its session, always replaced as a whole, and the content of its sends."""

import contextlib
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from wxcontroller.core.files.atomic import replace_file

# How the names of files with content of sends begin, in the directory of media. A row of the database names each: of
# the send, then of the report that is to bring the content.
SEND_PREFIX = ".send."


def bytes_of_sends(directory: Path, without: frozenset[str] = frozenset()) -> Counter[str]:
    """Return how much of the disk the content of sends takes, by how the names of a holder's files begin
    (client/sends/content/holders.py), ``without`` these paths. Raises OSError.
    """
    found = Counter[str]()
    with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.startswith(SEND_PREFIX) and entry.path not in without:
                with contextlib.suppress(FileNotFoundError):
                    found[f"{entry.name.rpartition('.')[0]}."] += entry.stat(follow_symlinks=False).st_size
    return found


def delete(path: Path) -> None:
    """Delete a file if possible; the next scan of the directory finds leftovers."""
    with contextlib.suppress(OSError):
        path.unlink()


@dataclass(frozen=True, slots=True)
class FileStore:
    """A SessionStore in ``path``; with ``keep`` false nothing is written (option keep_cookie=0)."""

    path: Path
    keep: bool = True

    def load(self) -> bytes | None:
        """Return the last saved content, None if nothing is readable."""
        if not self.keep:
            return None
        try:
            return self.path.read_bytes()
        except OSError:
            return None

    def save(self, session: bytes) -> None:
        """Replace the session. Raises OSError and keeps the old one."""
        if self.keep:
            # Durable: a login that is lost in a power cut costs a scan.
            replace_file(self.path, session, 0o600, durable=True)

    def forget_once(self, logout: str, done: "FileStore") -> None:
        """Delete the session for a ``logout`` ("" for none), unless ``done`` shows that it was. Raises OSError."""
        if logout and done.load() != logout.encode():
            self.clear()
            done.save(logout.encode())

    def clear(self) -> None:
        self.path.unlink(missing_ok=True)
