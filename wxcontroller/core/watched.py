"""A small file that is read again whenever it has changed."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

from wxcontroller.core.errors import WxError

T = TypeVar("T")
Stamp: TypeAlias = tuple[int, int, int]
# Tens of thousands of tokens. The file is root's own; the limit keeps anything else in its place out of memory.
TOKENS_FILE_BYTES = 16 << 20
# For root's own tools, which are to put right what has become too large.
ANY_SIZE = 1 << 30


class Watched(Generic[T]):
    """What a file says at this moment.

    ``parse`` raises WxError for content that can't be used. That, and a file that can't be read, gives what
    ``broken`` makes of the reason, and so does one of more than TOKENS_FILE_BYTES; no file at all gives ``missing``.
    """

    def __init__(self, path: Path, parse: Callable[[bytes], T], missing: T, broken: Callable[[str], T]) -> None:
        self._path = path
        self._name = str(path)
        self._parse = parse
        self._missing = missing
        self._broken = broken
        self._stamp: Stamp | None = None
        self._known = missing

    def current(self) -> T:
        """Return it; costs one look at the file's stamp when nothing has changed."""
        try:
            found = os.stat(self._name)  # noqa: PTH116 - at every request
            stamp = (found.st_ctime_ns, found.st_ino, found.st_size)
            if stamp != self._stamp:
                self._known = self._read()
                self._stamp = stamp
        except FileNotFoundError:
            self._stamp, self._known = None, self._missing
        except OSError as problem:
            # May pass, as when no descriptor is left: not remembered.
            self._stamp = None
            return self._broken(f"{self._path}: {problem.strerror or problem}")
        return self._known

    def _read(self) -> T:
        try:
            return self._parse(read_small(self._path, TOKENS_FILE_BYTES))
        except WxError as problem:
            return self._broken(str(problem))


def read_small(path: Path, most: int = ANY_SIZE) -> bytes:
    """Read a file of at most ``most`` bytes. Raises OSError, also for a larger one."""
    with path.open("rb") as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise OSError(f"it is larger than {most} bytes")
    return content
