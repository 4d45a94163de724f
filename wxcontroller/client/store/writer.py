"""The account's SQLite file: one thread writes, and what came in together is committed together.

A disk that is full or gone is waited for: what was handed in stays in memory, in order, until it can be written.
"""

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from wxcontroller.client.store.mounts import left_behind
from wxcontroller.core.errors import WxError
from wxcontroller.core.limits import DEFAULTS
from wxcontroller.core.vitals import Vitals

log = logging.getLogger(__name__)
T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
RETRY_SECONDS = 1.0
_BUSY_SECONDS = 5.0
# Neither reading nor one try to write takes longer, even on a slow disk, unless it hangs.
_STUCK_SECONDS = 120.0
# What passes by itself or by an operator's hand; other errors are the statement's own.
_PASSING = ("FULL", "IOERR", "READONLY", "CANTOPEN", "BUSY", "LOCKED", "NOMEM", "PERM", "PROTOCOL")
_DAMAGED = ("CORRUPT", "NOTADB")


class _Unreadable(sqlite3.DatabaseError):
    """The file is damaged such that SQLite does not say so."""

    sqlite_errorname = "SQLITE_CORRUPT"


class Unavailable(WxError):
    """The file can't be read or written at present."""


@dataclass(slots=True)
class _Job(Generic[T]):
    work: Work[T]
    future: "asyncio.Future[T]"
    result: "T | None" = None
    problem: Exception | None = None


class Database:
    """``path`` with the tables of ``schema``: statements by version, each applied once and never changed.

    ``after`` looks at what was committed, in the writer's thread; what it returns is called in the loop, before
    anybody hears of the commit.
    """

    def __init__(
        self,
        path: Path,
        schema: Sequence[str],
        after: Callable[[sqlite3.Connection], Callable[[], None]],
        vitals: Vitals | None = None,
        read_seconds: float = DEFAULTS.calls.log_read_seconds,
    ) -> None:
        self._read_seconds = read_seconds
        self._path = path
        self._schema = schema
        self._after = after
        self._vitals = vitals or Vitals()
        # The queue is of jobs of any result type; None ends the thread.
        self._queue: queue.SimpleQueue[_Job[object] | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._reader: sqlite3.Connection | None = None
        self._reading = threading.Lock()
        self._opened = threading.Event()
        self.tries = 0  # to write
        self.trouble = ""  # why nothing can be written at present, "" while all is well

    def open(self) -> None:
        """Begin. The file itself is opened by the thread, again and again where it can't be."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._write_for_good, name="database", daemon=True)
        self._thread.start()

    def write(self, work: Work[T]) -> "asyncio.Future[T]":
        """Queue ``work``; the future has its result when that is on disk.

        Works are done in the order in which they were queued. ``work`` may be called again when a commit failed.
        What it raises comes out of the future, and undoes only its own changes.
        """
        assert self._loop is not None, "open() comes first"
        job = _Job(work, self._loop.create_future())
        # A failure that nobody waits for is in the journal; the loop need not tell it again.
        job.future.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._queue.put(job)
        return job.future

    async def read(self, work: Work[T]) -> T:
        """Return what ``work`` reads from what is committed. Raises Unavailable."""
        try:
            async with asyncio.timeout(self._read_seconds):
                return await asyncio.to_thread(self._read, work)
        except TimeoutError:
            raise Unavailable("the event log does not answer", "look at the disk of the state directory") from None

    async def close(self, seconds: float) -> None:
        """Write what is queued and end, after ``seconds`` at the latest; what is left then is lost and told."""
        thread = self._thread
        if thread is None:
            return
        self._queue.put(None)
        await asyncio.to_thread(thread.join, seconds)
        self._closing.set()
        await asyncio.to_thread(thread.join, 2 * RETRY_SECONDS)
        with self._reading:
            if self._reader is not None:
                self._reader.close()
                self._reader = None

    # -- the reader, in whatever thread

    def _read(self, work: Work[T]) -> T:
        if not self._opened.wait(_BUSY_SECONDS):
            raise Unavailable(f"the event log can't be opened: {self.trouble}", "see to the state directory's disk")
        with self._reading:
            try:
                if self._reader is None:
                    self._reader = sqlite3.connect(
                        self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
                    )
                    self._reader.text_factory = _text
                    self._reader.execute("PRAGMA query_only=1")
                    self._reader.execute("PRAGMA cache_size=-256")
                with self._vitals.within(_STUCK_SECONDS, "reading the event log"):
                    return work(self._reader)
            except (sqlite3.DatabaseError, UnicodeDecodeError) as problem:
                raise Unavailable(f"the event log can't be read: {problem}", "see to the disk") from None

    # -- the writer, in its thread

    def _write_for_good(self) -> None:
        try:
            self._write_all()
        except BaseException:
            log.exception("the event log's writer has ended")
            self._vitals.failed("the event log's writer has ended")

    def _write_all(self) -> None:
        connection: sqlite3.Connection | None = None
        waiting: list[_Job[object]] = []
        ending = False
        while True:
            if not waiting and connection is not None:
                if ending:
                    break
                waiting, ending = self._next()
            try:
                with self._vitals.within(_STUCK_SECONDS, "writing the event log"), _as_damage():
                    if connection is None:
                        connection = self._connected()
                        self._opened.set()
                    self._commit(connection, waiting)
            except sqlite3.DatabaseError as problem:
                connection = self._failed(connection, problem)
                if self._closing.wait(RETRY_SECONDS):
                    break
                continue
            finally:
                self.tries += 1
            if self.trouble:
                self.trouble = ""
                log.warning("the event log can be written again")
            waiting = []
        if connection is not None:
            with contextlib.suppress(sqlite3.DatabaseError):
                connection.close()
        if waiting:
            log.error("%d changes of the event log could not be written: %s", len(waiting), self.trouble)
            for job in waiting:
                job.problem = Unavailable(f"not written: {self.trouble}", "see to the disk")
            self._tell(waiting)

    def _next(self) -> tuple[list[_Job[object]], bool]:
        """Wait for a job and take all that came with it; True when the end was asked for."""
        found: list[_Job[object]] = []
        job = self._queue.get()
        while job is not None:
            found.append(job)
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                return found, False
        return found, True

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            connection.text_factory = _text
            self._path.chmod(0o600)
            # Small: this is multiplied by hundreds of accounts.
            connection.execute("PRAGMA cache_size=-512")
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA journal_size_limit=4194304")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            for number, statements in enumerate(self._schema[version:], version + 1):
                connection.executescript(f"BEGIN IMMEDIATE; {statements}; PRAGMA user_version={number}; COMMIT")
            if version <= len(self._schema) and not _tables(self._schema) <= _made(connection):
                raise _Unreadable("its tables are not all there")
        except OSError as problem:
            connection.close()
            raise sqlite3.OperationalError(str(problem)) from None
        except BaseException:
            connection.close()
            raise
        return connection

    def _commit(self, connection: sqlite3.Connection, jobs: list[_Job[object]]) -> None:
        """Do all jobs in one transaction. Raises DatabaseError, nothing done, when the disk is the trouble."""
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job in jobs:
                self._do(connection, job)
            connection.execute("COMMIT")
        except sqlite3.DatabaseError:
            if connection.in_transaction:
                with contextlib.suppress(sqlite3.DatabaseError):
                    connection.execute("ROLLBACK")
            raise
        self._tell(jobs, self._looked(connection))

    def _looked(self, connection: sqlite3.Connection) -> Callable[[], None]:
        """Call ``after``: what it reads is there in every file that is whole."""
        try:
            return self._after(connection)
        except sqlite3.OperationalError as problem:
            if _is(problem, "ERROR"):  # no such table, no such column
                raise _Unreadable(str(problem)) from None
            raise

    def _do(self, connection: sqlite3.Connection, job: _Job[object]) -> None:
        job.problem = None
        connection.execute("SAVEPOINT job")
        try:
            job.result = job.work(connection)
        except Exception as problem:
            if isinstance(problem, sqlite3.DatabaseError) and _is(problem, *_PASSING, *_DAMAGED):
                raise
            log.exception("a change of the event log failed")
            job.problem = problem
            connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")

    def _tell(self, jobs: Sequence[_Job[object]], look: Callable[[], None] | None = None) -> None:
        def tell() -> None:
            if look is not None:
                look()
            for job in jobs:
                if not job.future.done():
                    if job.problem is not None:
                        job.future.set_exception(job.problem)
                    else:
                        job.future.set_result(job.result)

        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody is there to be told
            self._loop.call_soon_threadsafe(tell)

    def _failed(self, connection: sqlite3.Connection | None, problem: Exception) -> sqlite3.Connection | None:
        if not self.trouble:
            log.error("the event log can't be written: %s; what arrives waits. Free space on the disk?", problem)
        self.trouble = str(problem)
        if left_behind(self._path.parent):
            self._vitals.failed("being shut out of a disk that was read-only when the process began")
        if not _is(problem, *_DAMAGED):
            return connection
        if connection is not None:
            connection.close()
        self._set_aside()
        return None

    def _set_aside(self) -> None:
        """Keep what is left of a damaged file for those who can read it, and begin anew."""
        with self._reading:
            if self._reader is not None:
                self._reader.close()
                self._reader = None
            aside = self._path.with_name(f"{self._path.name}.damaged-{int(time.time())}")
            try:
                for suffix in ("-wal", "-shm"):
                    self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
                self._path.rename(aside)
            except OSError as problem:
                log.error("the damaged event log can't be set aside: %s", problem)
                return
        log.error("the event log was damaged; it is kept as %s, and a new one begins", aside)


def _tables(schema: Sequence[str]) -> set[tuple[str, str]]:
    """Return what a file of this schema consists of: names and definitions."""
    with contextlib.closing(sqlite3.connect(":memory:")) as model:
        for statements in schema:
            model.executescript(statements)
        return _made(model)


def _made(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    return set(connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))


def _text(kept: bytes) -> str:
    return kept.decode("utf-8", "replace")


@contextlib.contextmanager
def _as_damage() -> Iterator[None]:
    """Take a schema or message of SQLite's that is no UTF-8 for what it is."""
    try:
        yield
    except UnicodeDecodeError as problem:
        raise _Unreadable(str(problem)) from None


def _is(problem: Exception, *names: str) -> bool:
    """Whether SQLite's own name of an error begins with one of these."""
    name: str = getattr(problem, "sqlite_errorname", "") or ""
    if not name:  # raised by us, for the file itself
        return "CANTOPEN" in names and isinstance(problem, sqlite3.OperationalError)
    return any(name.startswith(f"SQLITE_{one}") for one in names)
