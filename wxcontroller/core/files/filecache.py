"""Values derived from small files, recomputed when a file changes.

A check costs a ``stat`` per file. A change of ctime, inode or size counts: our files are replaced as a whole, so
half-written content is never visible.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

from wxcontroller.core.errors import WxError, reason_of
from wxcontroller.core.files.atomic import read_foreign
from wxcontroller.core.text.templates import Text, in_file

T = TypeVar("T")
Stamp: TypeAlias = tuple[int, int, int]
# Tens of thousands of tokens. The file belongs to root; the limit keeps a wrong file out of memory.
TOKENS_FILE_BYTES = 16 << 20
# For root's tools, which have to repair files that have become too large.
ANY_SIZE = 1 << 30


def stamp_of(path: str, follow: bool = True) -> Stamp | None:
    """Return a file's stamp, None if it is missing. Raises OSError."""
    try:
        found = os.stat(path, follow_symlinks=follow)  # noqa: PTH116 - hundreds of times a second
    except FileNotFoundError:
        return None
    return (found.st_ctime_ns, found.st_ino, found.st_size)


class Cached(Generic[T]):
    """The result of ``make`` for a file, None while it is missing.

    Args:
        make: called with the file's stamp when the file, or one of the ``others``, is another than before.
        path: the file. A link in its place is not followed unless ``follow``.
        others: files that may be missing.
    """

    __slots__ = ("_follow", "_make", "_others", "_path", "_stamps", "_value")

    def __init__(self, make: Callable[[Stamp], T], path: Path, *others: Path, follow: bool = True) -> None:
        self._make = make
        self._path, self._others = str(path), tuple(map(str, others))
        self._follow = follow
        self._stamps: tuple[Stamp | None, ...] = ()
        self._value: T | None = None

    def current(self) -> T | None:
        """Return the value. Exceptions of ``make``, and an OSError of ``stat``, are not cached: the next call tries
        again.
        """
        # Looked at before the content is read: a change in between is then noticed at the next call.
        stamps = (stamp_of(self._path, self._follow), *map(stamp_of, self._others))
        if stamps != self._stamps:
            # Reset first: if ``make`` raises, the next call tries again, even if the file has not changed.
            self._stamps = ()
            self._value = self._make(stamps[0]) if stamps[0] is not None else None
            self._stamps = stamps
        return self._value


class Watched(Generic[T]):
    """The content of a file of root. ``parse`` raises WxError for unusable content. In this case, or if the file is
    unreadable or larger than TOKENS_FILE_BYTES, the value is ``broken(reason)``; without a file it is ``missing``.
    """

    def __init__(self, path: Path, parse: Callable[[bytes], T], missing: T, broken: Callable[[Text], T]) -> None:
        self._path = path
        self._parse = parse
        self._missing = missing
        self._broken = broken
        self._cached = Cached(self._read, path)

    def current(self) -> T:
        """Return it; costs one look at the file's stamp when nothing has changed."""
        try:
            found = self._cached.current()
        except OSError as problem:
            # May be temporary, as without a free descriptor.
            return self._broken(in_file(self._path, reason_of(problem)))
        return self._missing if found is None else found

    def _read(self, _: Stamp) -> T:
        try:
            return self._parse(read_small(self._path, TOKENS_FILE_BYTES))
        except WxError as problem:
            return self._broken(problem.full_text)


def read_small(path: Path, limit: int = ANY_SIZE) -> bytes:
    """Read a plain file, or what a link leads to, of at most ``limit`` bytes. Raises OSError."""
    return read_foreign(path, limit, follow=True)
