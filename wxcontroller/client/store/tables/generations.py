"""Recognition of a log that was restored from a backup.

After a restore, the log has forgotten events that readers and receivers know, and would number others like these.
Nobody tells the program about it: an administrator unpacks an archive. So a log contains the identity of its file,
which a copy does not have. A log that is not in its own file begins a new *generation*, with another name and later
numbers: no position or number means two events. An entry of the type ``reset`` tells readers. Positions in earlier
generations stay usable: up to the restore, they had the same entries.

An import raises the account's epoch, by which readers know. It changes the file as well, but not the generation.
"""

import contextlib
import fcntl
import os
import sqlite3
import struct
import time
from pathlib import Path

from wxcontroller.client.store.tables import eventtables
from wxcontroller.core.jsontypes import integer
from wxcontroller.openwx.contract import reports
from wxcontroller.openwx.contract.eventtypes import RESET
from wxcontroller.openwx.contract.replies import to_bytes

# Inode numbers are used again when a directory is deleted and unpacked. This number of ext4, XFS and Btrfs differs
# then.
_FS_IOC_GETVERSION = 0x80087601
_BLOCK = 1 << 32


def identity(path: Path) -> str:
    """Return what distinguishes a file from a copy of it, on the same file system; create it. Raises OSError.

    Without the device's number, which may change at each boot. No connection of this process may have it open:
    closing a file releases the locks of the process on it (sqlite.org/howtocorrupt.html, 2.2).
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with open(descriptor, "rb") as stream:  # noqa: PTH123 - a descriptor, not a path
        version = bytes(struct.calcsize("l"))
        with contextlib.suppress(OSError):  # a file system without it
            version = fcntl.ioctl(stream, _FS_IOC_GETVERSION, version)
        return f"{os.fstat(stream.fileno()).st_ino}.{struct.unpack_from('I', version)[0]}"


def recognize(db: sqlite3.Connection, here: str, epoch: int) -> bool:
    """Note the identity of a log that is opened. Return whether it was restored; it has a new generation then."""
    found = db.execute("SELECT value FROM meta WHERE name = 'file'").fetchone()
    file, _, stored = str(found[0] if found else "").partition(" ")
    is_restored = bool(file) and file != here and epoch <= integer(stored)
    if is_restored:
        _begin(db, epoch)
    note(db, here, epoch)
    return is_restored


def note(db: sqlite3.Connection, file: str, epoch: int) -> None:
    """Note the identity of the log's file."""
    db.execute(
        "INSERT INTO meta VALUES ('file', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value "
        "WHERE value != excluded.value",
        (f"{file} {epoch}",),
    )


def renew(db: sqlite3.Connection, old: str, new: str) -> None:
    """Note that a log was moved from one file into another. One that was restored into the first stays restored."""
    found = db.execute("SELECT value FROM meta WHERE name = 'file'").fetchone()
    file, _, epoch = str(found[0] if found else "").partition(" ")
    if file and file == old:
        note(db, new, integer(epoch))


def _begin(db: sqlite3.Connection, epoch: int) -> None:
    name, newest = eventtables.name_of(db), eventtables.last(db)
    # Receivers know these entries by their ids.
    db.execute("UPDATE events SET delivery = ? || '-' || seq WHERE delivery = ''", (name,))
    db.execute("INSERT OR IGNORE INTO meta VALUES ('origin', ?)", (name,))
    db.execute("INSERT OR REPLACE INTO meta VALUES ('generation ' || ?, ?)", (name, str(newest)))
    db.execute("UPDATE meta SET value = lower(hex(randomblob(4))) WHERE name = 'name'")
    db.execute("UPDATE consumers SET log = (SELECT value FROM meta WHERE name = 'name') WHERE log = ?", (name,))
    # Behind everything that the lost time may have numbered. With the time, a second restore of the same backup
    # begins at another number. JSON keeps numbers exact up to 1 << 53.
    first = (newest // _BLOCK + 1) * _BLOCK + int(time.time()) % _BLOCK
    db.execute("DELETE FROM sqlite_sequence WHERE name = 'events'")
    db.execute("INSERT INTO sqlite_sequence VALUES ('events', ?)", (first,))
    body = to_bytes(reports.event(RESET, f"{name}-{newest}"))
    eventtables.insert(db, RESET, "", body, eventtables.EntryState.KEPT, epoch=epoch)
