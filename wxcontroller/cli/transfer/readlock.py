"""Keeps the database of a running account from being checkpointed: a separate program, run by snapshot.py.

It opens the database as the account's user with the account's directory as its root, because the account may have put
anything there: SQLite follows what a database, its log and its journal name. It needs nothing but Python.
"""

import os
import sqlite3
import sys

_BUSY_SECONDS = 10.0


def main(directory: int) -> None:
    """Begin a read transaction, report it, and hold it until standard input ends."""
    os.fchdir(directory)
    facts = os.fstat(directory)
    place = ""
    if os.geteuid() == 0 and facts.st_uid != 0:
        os.chroot(".")
        os.chdir("/")
        # The user last: without root's rights, the groups can no longer be changed.
        os.setgroups([])
        os.setgid(facts.st_gid)
        os.setuid(facts.st_uid)
        place = "/"
    database = sqlite3.connect(
        f"file:{place}events.db?mode=ro", uri=True, timeout=_BUSY_SECONDS, isolation_level=None
    )
    database.execute("BEGIN")
    # BEGIN alone locks nothing: the transaction begins with its first read.
    database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    os.write(1, b"1")
    # It ends also if the parent is killed.
    os.read(0, 1)


if __name__ == "__main__":
    main(int(sys.argv[1]))
