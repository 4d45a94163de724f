"""Replaces files atomically: readers see the old content or the new one, never a part."""

import os
import re
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from wxcontroller.core.text.templates import Text

# As tempfile.mkstemp names them after a prefix.
_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}")


def replace_file(
    path: Path,
    content: bytes,
    mode: int = 0o600,
    durable: bool = False,
    group: int | None = None,
    owner: int | None = None,
) -> None:
    """Write ``content`` to ``path`` by a temporary file in the same directory and a rename.

    The file has ``mode`` from its creation on, regardless of the umask. ``durable`` also waits until it is on disk,
    for data that must survive a power cut. ``group`` and ``owner`` are numeric ids. Raises OSError (disk full
    included), which names ``path``, and then leaves the old file and no temporary behind.
    """
    try:
        _replace_file(path, content, mode, durable, group, owner)
    except OSError as problem:
        # The original error names the temporary file, or no file when a write fails.
        raise OSError(problem.errno, problem.strerror, str(path)) from problem


def _replace_file(path: Path, content: bytes, mode: int, durable: bool, group: int | None, owner: int | None) -> None:
    # In the same directory: a rename replaces atomically only within a file system.
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(descriptor, "wb") as stream:  # noqa: PTH123 - a descriptor, not a path
            # Before a change of owner: files of other users need another capability.
            os.fchmod(stream.fileno(), mode)
            if group is not None or owner is not None:
                os.fchown(stream.fileno(), -1 if owner is None else owner, -1 if group is None else group)
            stream.write(content)
            stream.flush()
            if durable:
                # Before the rename: afterwards a power cut could leave the new name with an empty file.
                os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise
    if durable:
        # The rename itself is an entry of the directory, and durable only with that.
        sync(path.parent)


def read_foreign(path: Path, limit: int, follow: bool = False) -> bytes:
    """Read a file that another user put there: a plain file of at most ``limit`` bytes, or OSError.

    ``follow``: the directory is root's, so that a link there is root's, too.
    """
    flags = os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    # By its path, which errors then name.
    with open(path, "rb", opener=lambda name, how: os.open(name, how | flags)) as stream:
        # O_NONBLOCK lets the open of a pipe return; only now is it known not to be a file.
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise OSError(Text("is not a plain file"))
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise OSError(Text("is larger than {most} bytes", most=limit))
    return content


def remove_unfinished(directory: Path) -> None:
    """Delete the temporary files of replacements that a kill has interrupted. No replacement may be in progress."""
    for path in directory.glob(".*"):
        if _TEMPORARY.fullmatch(path.name):
            with suppress(OSError):
                path.unlink()


def sync(path: Path) -> None:
    """Wait until a file's content, or a directory's entries, are on disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
