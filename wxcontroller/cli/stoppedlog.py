"""The event log of a stopped account, read from its file by root.

A running account is queried through the controller. While it is stopped, its dead letters are kept, and only its log
has them. The file is opened read-only: opening it the usual way would leave files owned by root next to it, which the
account could not use afterwards. So SQLite opens it as immutable; after a crash the log is copied first, because
SQLite has to write to it.

Accounts are not trusted: symbolic links and functions in views are refused, and reading has a time limit. Only
columns that all versions of the log have are read.
"""

import os
import shutil
import sqlite3
import stat
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from wxcontroller.core.errors import WxError, reason_of
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.messages import N_, Text
from wxcontroller.core.names import AccountName
from wxcontroller.core.paths import Paths

PATHS = Paths()
_COLUMNS = "seq, time, type, state, attempts, next_at, error, status, settled_at, size"
# A page of the largest log takes a tenth of a second; a file that takes longer has been tampered with.
_SECONDS = 10.0
_INSTRUCTIONS = 10_000  # between two looks at the clock
_VALUE_BYTES = 1 << 20  # of one value; bodies of reports are not read


def deliveries_of(name: AccountName, states: Sequence[str], after: int, limit: int) -> JsonObject:
    """Return what ``GET /v1/accounts/NAME/deliveries`` answers, as far as the file has it.

    Raises WxError if the file cannot be read, as by a user who is not root, or does not exist.
    """
    try:
        with opened(PATHS.state(name.instance) / "events.db") as db:
            (log,) = db.execute("SELECT value FROM meta WHERE name = 'name'").fetchone()
            counted = dict(db.execute("SELECT state, number FROM tally").fetchall())
            dropped = db.execute("SELECT value FROM meta WHERE name = 'dropped'").fetchone()
            places = ", ".join("?" * len(states))
            rows = db.execute(
                f"SELECT {_COLUMNS} FROM events WHERE seq > ? AND state IN ({places}) "  # noqa: S608 - placeholders
                "ORDER BY seq LIMIT ?",
                (after, *states, limit + 1),
            ).fetchall()
    except PermissionError:
        raise WxError(
            N_("account {account} is not running, and only root can read its deliveries then"),
            N_("run it as root, or start the account"),
            account=name.name,
        ) from None
    except (OSError, sqlite3.Error, TypeError, ValueError) as problem:
        reason = reason_of(problem) if isinstance(problem, OSError) else Text(N_("it is not an event log"))
        raise WxError(
            N_("account {account} is not running, and its event log cannot be read: {reason}"),
            N_("start the account"),
            account=name.name,
            reason=reason,
        ) from None
    shown: list[JsonValue] = [_shown(str(log), row) for row in rows[:limit]]
    return {
        "account": name.name,
        **{state: int(counted.get(state, 0)) for state in ("held", "pending", "dead")},
        "dropped": int(dropped[0]) if dropped else 0,
        "deliveries": shown,
        "next": int(rows[limit - 1][0]) if len(rows) > limit else None,
    }


def _shown(log: str, row: Sequence[object]) -> JsonObject:
    seq, moment, kind, state, attempts, next_at, error, status, settled_at, size = row
    pending = state == "pending"
    return {
        "id": f"{log}-{number(seq):.0f}",
        "seq": int(number(seq)),
        "time": round(number(moment), 3),
        "type": str(kind),
        "state": str(state),
        "attempts": int(number(attempts)),
        "next_at": round(number(next_at), 3) or None if pending else None,
        "last_error": str(error),
        "last_status": int(number(status)) or None,
        "settled_at": round(number(settled_at), 3) or None,
        "bytes": int(number(size)),
    }


def number(value: object) -> float:
    if isinstance(value, int | float):
        return value
    raise ValueError


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    wal = path.with_name(f"{path.name}-wal")
    if not stat.S_ISREG(path.lstat().st_mode):
        raise OSError(Text("is not a plain file"))
    if not (is_file(wal) and wal.stat().st_size):
        with connected(f"file:{quote(str(path))}?mode=ro&immutable=1") as db:
            yield db
        return
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:  # on disk, unlike /tmp
        for file in (path, wal):
            _copy(file, Path(directory, file.name))
        with connected(f"file:{quote(str(Path(directory, path.name)))}") as db:
            yield db


@contextmanager
def connected(uri: str) -> Iterator[sqlite3.Connection]:
    end = time.monotonic() + _SECONDS
    with closing(sqlite3.connect(uri, uri=True)) as db:
        db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _VALUE_BYTES)
        db.set_progress_handler(lambda: time.monotonic() > end, _INSTRUCTIONS)
        db.execute("PRAGMA trusted_schema=OFF")
        db.execute("PRAGMA query_only=ON")
        yield db


def is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def _copy(source: Path, target: Path) -> None:
    descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(descriptor, "rb") as content, target.open("wb") as copy:  # noqa: PTH123 - a descriptor, not a path
        shutil.copyfileobj(content, copy)
