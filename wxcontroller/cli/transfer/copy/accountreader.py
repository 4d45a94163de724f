"""The program of wxclient-export@.service: write an account's files to root, which does not open them itself.

It runs as the account's user, in the account's sandbox, and may be taken over by what it reads: root checks all that
it writes (``receivedfiles``). It is installed as a file of its own and needs nothing but Python's standard library.
From here, root imports only the format.

Standard input and output are one stream. Root writes one byte, ``WITH_MEDIA`` or another. The answer is a sequence of
records: ``HEADER`` (kind, bytes of the name, number, time), the name, and for ``FILE`` the ``number`` bytes of its
content. ``LEFT_OUT`` is anything else in the directory. The last record is ``END``, or ``FAILED`` with the number of
the reason.

The database of a running account is copied consistently, without stopping the account or a second copy on the disk.
While a reader has a database with a write-ahead log open, nothing that it sees is overwritten: pages change only by
what the log holds too, and the log is not begun again. So the database and then its log, copied as the files that
they are, are a database as a crash would leave it: opened again, it ends with the last whole transaction. The index
of the log (-shm) is made again then.

There is one exception: a log that is in the database as a whole when the reader begins is begun again by the next
transaction. That is harmless before the log is copied, and is noticed while it is (``_log_head``).
"""

import errno
import os
import signal
import stat
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO
from urllib.parse import quote

HEADER = struct.Struct("!cHQQ")
FILE, LEFT_OUT, FAILED, END = b"f", b"o", b"!", b"."
WITH_MEDIA, WITHOUT_MEDIA = b"m", b"-"
# Reasons of FAILED.
BUSY, STARTED, RESTARTED, CHANGED = range(4)
DATABASE, INDEX = ("events.db", "events.db-wal"), "events.db-shm"
DEEPEST = 8
NAME_BYTES = 4096

_MEDIA = "media"
_BUSY_SECONDS = 10.0
_PIECE = 64 * 1024
# The directory is the account's: a link could lead anywhere, a pipe without a writer would block ``open`` forever.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
# A link, a socket, a directory, or unreadable for its owner.
_NO_FILE = (errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.EACCES)


class NotCopied(Exception):
    """The files cannot be copied now; ``args`` has the number of the reason."""


def main(place: str) -> None:
    """Write all files of the directory ``place``."""
    # Root may stop reading at any time.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    without = () if os.read(0, 1) == WITH_MEDIA else (_MEDIA,)
    top = os.open(place, _READ | os.O_DIRECTORY)
    with os.fdopen(1, "wb", buffering=_PIECE) as out:
        copy = Copy(out)
        try:
            copy.account(place, top, without)
            copy.record(END)
        except NotCopied as problem:
            copy.record(FAILED, number=problem.args[0])


class Copy:
    """Writes records to ``out``."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._user = os.getuid()
        # Closing a file drops the process's locks on it, SQLite's among them.
        self._open: list[IO[bytes]] = []

    def record(self, kind: bytes, name: bytes = b"", number: int = 0, time: int = 0) -> None:
        self._out.write(HEADER.pack(kind, len(name), number, time) + name)

    def account(self, place: str, top: int, without: tuple[str, ...]) -> None:
        # First: the files that it names are copied later, so that only those the account has deleted are missing.
        with held_database(place, top):
            self._file(top, DATABASE[0], DATABASE[0])
            before = _log_head(top)
            self._file(top, DATABASE[1], DATABASE[1])
            if _log_head(top) != before:
                raise NotCopied(RESTARTED)
        self._directory(top, "", (*DATABASE, INDEX, *without))

    def _directory(self, opened: int, above: str, without: tuple[str, ...]) -> None:
        with os.scandir(opened) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        for entry in entries:
            if entry.name in without:
                continue
            name = above + entry.name
            with suppress(FileNotFoundError):  # a running account has deleted it
                mode = entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISREG(mode) and is_sendable(name):
                    self._file(opened, entry.name, name)
                elif stat.S_ISDIR(mode) and name.count("/") < DEEPEST - 1 and is_sendable(name):
                    self._below(opened, entry.name, name)
                else:
                    self._leave_out(name)

    def _below(self, opened: int, entry: str, name: str) -> None:
        try:
            below = os.open(entry, _READ | os.O_DIRECTORY, dir_fd=opened)
        except (PermissionError, NotADirectoryError):
            self._leave_out(name)
            return
        try:
            self._directory(below, f"{name}/", ())
        finally:
            os.close(below)

    def _file(self, directory: int, entry: str, name: str) -> None:
        """Write a plain file of the account's own, if there is one of the name."""
        try:
            stream = os.fdopen(os.open(entry, _READ, dir_fd=directory), "rb", buffering=0)
        except FileNotFoundError:
            return
        except OSError as problem:
            if problem.errno not in _NO_FILE:
                raise  # such as the disk's: without the file the copy is not complete
            self._leave_out(name)
            return
        facts = os.fstat(stream.fileno())
        # More than one link: perhaps a file of another user.
        if facts.st_uid != self._user or facts.st_nlink != 1 or not stat.S_ISREG(facts.st_mode):
            stream.close()
            self._leave_out(name)
            return
        # Its current length: data that a running account appends later is left out.
        self.record(FILE, name.encode(), facts.st_size, max(0, int(facts.st_mtime)))
        left = facts.st_size
        while left:
            piece = stream.read(min(left, _PIECE))
            if not piece:
                break
            self._out.write(piece)
            left -= len(piece)
        if name in DATABASE:
            self._open.append(stream)
        else:
            stream.close()
        if left:
            # Root expects the announced length before the next record.
            while left:
                left -= self._out.write(bytes(min(left, _PIECE)))
            raise NotCopied(CHANGED)

    def _leave_out(self, name: str) -> None:
        shown = "".join(each if is_sendable(each) else ascii(each)[1:-1] for each in name)
        self.record(LEFT_OUT, shown[: NAME_BYTES // 4].encode())  # at most four bytes each


def is_sendable(name: str) -> bool:
    """Return whether a file of this name can be in a bundle: no control characters, and in UTF-8."""
    return not any(each < " " or "\x7f" <= each <= "\x9f" or "\ud800" <= each <= "\udfff" for each in name)


@contextmanager
def held_database(place: str, directory: int) -> Iterator[None]:
    """Prevent checkpoints of an account's database during a block, if the account has it open. Raises NotCopied."""
    if not _is_there(directory, INDEX):
        # No process has it open, so no checkpoint has to be prevented. A process that opens it meanwhile creates the
        # index.
        yield
        if _is_there(directory, INDEX):
            raise NotCopied(STARTED)
        return
    # Others are left out; SQLite would wait for the writer of a pipe.
    if not all(_is_there(directory, each, stat.S_ISREG) for each in (DATABASE[0], INDEX)):
        yield
        return
    import sqlite3

    database = sqlite3.connect(
        f"file:{quote(place)}/{DATABASE[0]}?mode=ro", uri=True, timeout=_BUSY_SECONDS, isolation_level=None
    )
    try:
        database.execute("BEGIN")
        # BEGIN alone locks nothing: the transaction begins with its first read.
        database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError as problem:
        if problem.sqlite_errorname in ("SQLITE_BUSY", "SQLITE_PROTOCOL"):
            raise NotCopied(BUSY) from None
        if problem.sqlite_errorname not in ("SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_ERROR"):
            raise
        # Damaged, or no database: its files are copied as they are.
    yield
    database.close()


def _log_head(directory: int) -> bytes:
    """Return the salt in a log's header, which changes each time the log restarts."""
    try:
        opened = os.open(DATABASE[1], _READ, dir_fd=directory)
    except OSError:  # missing, or not copied
        return b""
    try:
        return os.read(opened, 32) if stat.S_ISREG(os.fstat(opened).st_mode) else b""
    finally:
        os.close(opened)


def _is_there(directory: int, name: str, kind: Callable[[int], bool] = bool) -> bool:
    try:
        return kind(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


if __name__ == "__main__":
    main(sys.argv[1])
