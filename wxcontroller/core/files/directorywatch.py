"""Watches directories for changes with inotify, without checking each file. The kernel queues a change before the
call that made it returns. A reader of the queue before each answer is therefore never behind, and pays one system
call when nothing has changed. The modules of Debian (python3-inotify, python3-pyinotify) leave the descriptor open to
child processes and tell no errno, so libc is called here.
"""

import ctypes
import os
import struct

_EVENT = struct.Struct("iIII")
# Watched changes: a file is written, gets other permissions, is created, deleted or replaced, or the directory itself
# is deleted or moved.
_MASK = 0x2 | 0x4 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800
_ONLYDIR, _DONT_FOLLOW = 0x01000000, 0x02000000
_OVERFLOW, _IGNORED, _MOVED = 0x4000, 0x8000, 0x800
# Accounts' programs can write endlessly: beyond this many bytes of events, a full scan is cheaper.
_MAX_BYTES = 64 << 10


class Directories:
    """A set of watched directories. Raises OSError when the kernel's limit is reached."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise self._error()
        self._paths: dict[int, str] = {}
        self._watched: set[str] = set()

    def __contains__(self, path: str) -> bool:
        return path in self._watched

    def watch(self, path: str) -> bool:
        """Watch a directory from now on; return whether it was not: another file system may cover the one of before.

        Raises OSError, as FileNotFoundError and for a link in its place.
        """
        number = self._libc.inotify_add_watch(self._fd, os.fsencode(path), _MASK | _ONLYDIR | _DONT_FOLLOW)
        if number < 0:
            raise self._error()
        is_new = number not in self._paths
        self._paths[number] = path
        self._watched.add(path)
        return is_new

    def changes(self) -> list[tuple[str, str]] | None:
        """Return the changes since the last call: directory and name, "" for the directory itself.

        None: too many, and the object can no longer be used. Raises OSError.
        """
        try:
            events = os.read(self._fd, _MAX_BYTES)
        except BlockingIOError:
            return []
        # Full but for less than an event may need: more may be waiting.
        if len(events) > _MAX_BYTES - (4 << 10):
            return None
        found, at = [], 0
        while at < len(events):
            number, mask, _, length = _EVENT.unpack_from(events, at)
            at += _EVENT.size
            name = events[at : at + length].rstrip(b"\0")
            at += length
            if mask & _OVERFLOW:
                return None
            path = self._paths.get(number)
            if path is None:
                continue
            if mask & (_IGNORED | _MOVED):  # it no longer exists
                del self._paths[number]
                self._watched.discard(path)
                name = b""
            found.append((path, os.fsdecode(name)))
        return found

    def close(self) -> None:
        os.close(self._fd)

    @staticmethod
    def _error() -> OSError:
        number = ctypes.get_errno()
        return OSError(number, os.strerror(number))
