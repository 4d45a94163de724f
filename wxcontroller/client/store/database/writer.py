"""The account's SQLite file: one thread writes, and jobs that arrive together are committed together.

A commit costs a disk sync, two thread switches and about ten file locks, whatever it contains. So jobs that
arrive during one go into the next, and jobs that nobody awaits, such as records of deliveries, wait
up to a second for another one (``write`` with ``lazy``).

If the disk is full, read-only or missing, jobs stay in memory, in order, until they can be written. Damage is handled
in one place: a reader that finds some reports it to the writer, and the writer replaces the file (see ``recovery``)
and then commits the jobs that were waiting into the new one.

A job that fails for another reason is undone alone. If it is ``required``, such as an incoming message, it is
retried, and required jobs after it wait: the driver's position is one of them, so the message is not acknowledged.

The state of the process (a cursor, a job) may refer to rows by sequence: recovery keeps these.
"""

import asyncio
import contextlib
import logging
import math
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from wxcontroller.client.store.database.mounts import left_behind
from wxcontroller.client.store.database.recovery import KnownLog, finish_interrupted, readonly, recover
from wxcontroller.client.store.tables.generations import identity
from wxcontroller.client.store.tables.values import text_of
from wxcontroller.core.errors import WxError, reason_of
from wxcontroller.core.process import faultpoints
from wxcontroller.core.process.faultpoints import Point
from wxcontroller.core.process.journal import Event, fields
from wxcontroller.core.process.ownthread import in_own_thread
from wxcontroller.core.process.watchdog import Deadlines
from wxcontroller.core.text.templates import N_, NOTHING, Text

log = logging.getLogger(__name__)
# Time limit of a query: far above the duration on a working disk, and below the callers' timeouts.
LOG_READ_SECONDS = 30.0
T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
RETRY_SECONDS = 1.0
# Lazy jobs wait this long for the commit of others. A crash within it repeats the deliveries of that time, which
# receivers of an at-least-once delivery handle; it saves half of the commits of a busy account.
LAZY_SECONDS = 1.0
# A reader waits this long for a lazy change; beyond that it reads without it.
_NOTED_SECONDS = 1.0
# In WAL, reader and writer do not block each other: only another program, such
# as an administrator's sqlite3, holds a lock for this long.
_BUSY_SECONDS = 5.0
# A read or write attempt that takes longer hangs; even a slow disk is faster.
_STUCK_SECONDS = 120.0
# A log of the largest size that can be set, on a slow disk, row by row around the damage.
_RECOVERY_SECONDS = 900.0
# Errors that pass, or that an operator can fix; other errors are the statement's own. By name: SQLite's extended
# codes (IOERR_FSYNC, READONLY_DIRECTORY, …) begin with the name of the primary one.
_PASSING = ("FULL", "IOERR", "READONLY", "CANTOPEN", "BUSY", "LOCKED", "NOMEM", "PERM", "PROTOCOL")
_DAMAGED = ("CORRUPT", "NOTADB")


class _Unreadable(sqlite3.DatabaseError):
    """The file is damaged in a way that SQLite does not report."""

    sqlite_errorname = "SQLITE_CORRUPT"


class _Newer(sqlite3.DatabaseError):
    """The file is of a later version of this program, which alone knows how to write it."""

    sqlite_errorname = "SQLITE_SCHEMA"


class Unavailable(WxError):
    """The file cannot be read or written for now."""


@dataclass(slots=True)
class _Job(Generic[T]):
    number: int  # in the order of their coming
    work: Work[T]
    future: "asyncio.Future[T]"
    point: Point | None = None
    required: bool = False
    result: "T | None" = None
    problem: Exception | None = None


@dataclass(frozen=True, slots=True)
class _Damage:
    """A reader met damage in a file; ``generation`` is that of the file, as another reader may have met it before."""

    problem: Exception
    generation: int


class Database:
    """``path`` with the tables of ``schema``: statements by version, each applied once and never changed.

    ``after`` inspects the open transaction in the writer's thread; the function it returns is called in the loop
    after the commit, before any waiter resumes. ``known`` returns the content known to the process, should the file
    be damaged. ``recognize`` is called in a transaction of each file that is opened, with its ``identity``.
    ``failed`` is called in the loop when the file can no longer be written (``trouble``).
    """

    def __init__(
        self,
        path: Path,
        schema: Sequence[str],
        after: Callable[[sqlite3.Connection], Callable[[], None]],
        deadlines: Deadlines | None = None,
        known: Callable[[], KnownLog] = KnownLog,
        recognize: Callable[[sqlite3.Connection, str], None] = lambda db, file: None,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_failure = failed
        self._known = known
        self._recognize = recognize
        self._path = path
        self._schema = schema
        self._after = after
        self._deadlines = deadlines or Deadlines()
        # Jobs of any result type; None ends the thread. A SimpleQueue's ``put`` never blocks the event loop.
        self._queue: queue.SimpleQueue[_Job[object] | _Damage | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._reader: sqlite3.Connection | None = None
        # ``read`` runs in whichever pool thread is free, but a connection may serve one thread at a time. The writer
        # takes the lock, too, when it replaces the file under the reader.
        self._reading = threading.Lock()
        self._opened = threading.Event()
        self._lazy: list[_Job[object]] = []
        self._lazy_timer: asyncio.TimerHandle | None = None
        self._noted: asyncio.Future[object] | None = None  # the last lazy change
        self.handed_over = 0  # how often the writer got the collected jobs
        self._queued_jobs = 0
        # The numbers of those that are neither written nor dropped, in order. They do not end in order: one that
        # failed waits while later ones are written.
        self._open_jobs: dict[int, None] = {}
        self._progress = asyncio.Event()  # set, and replaced, when jobs have ended
        self._generation = 0  # of the file: damaged ones are replaced
        self.tries = 0  # to write
        self.trouble = NOTHING  # the reason why nothing can be written; empty if it can
        self.blocked = NOTHING  # the reason why required jobs wait although others are written

    def open(self) -> None:
        """Begin. The file itself is opened by the thread, again and again where it cannot be."""
        self._loop = asyncio.get_running_loop()
        # A daemon: a thread that hangs in a system call on a dead disk must not keep the process from ending.
        self._thread = threading.Thread(target=self._write_for_good, name="database", daemon=True)
        self._thread.start()

    def write(
        self,
        work: Work[T],
        point: Point | None = None,
        *,
        lazy: bool = False,
        required: bool = False,
    ) -> "asyncio.Future[T]":
        """Queue ``work``; the future has its result when that is on disk.

        Works are done in the order in which they were queued. ``work`` may be called again when a commit failed. An
        exception is set on the future and undoes only its own changes. ``point`` is the fault point of its commit.
        ``lazy``: it is not awaited, and may stay in memory for LAZY_SECONDS. ``required``: it is retried after an
        exception, and required works after it wait.
        """
        assert self._loop is not None, "open() comes first"
        self._queued_jobs += 1
        self._open_jobs[self._queued_jobs] = None
        job = _Job(self._queued_jobs, work, self._loop.create_future(), point, required)
        # A failure that is not awaited is in the journal already; the loop must not log it again.
        job.future.add_done_callback(lambda done: done.cancelled() or done.exception())
        # Urgent jobs go through the same list, so that they never overtake a lazy one that was queued before them.
        self._lazy.append(job)
        if not lazy:
            self.submit()
            return job.future
        self._noted = job.future
        if self._lazy_timer is None:
            self._lazy_timer = self._loop.call_later(LAZY_SECONDS, self.submit)
        return job.future

    @property
    def writing(self) -> bool:
        """Whether the writer has jobs that are not on disk yet. Lazy ones that it does not have yet do not count."""
        return len(self._open_jobs) > len(self._lazy)

    async def settled(self, seconds: float) -> bool:
        """Wait until all queued jobs are on disk or dropped; False on timeout."""
        # Wait only for jobs queued so far: under a constant load this would otherwise never end.
        wanted = self._queued_jobs
        self.submit()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while next(iter(self._open_jobs), math.inf) <= wanted:
                    await self._progress.wait()
        return next(iter(self._open_jobs), math.inf) > wanted

    def submit(self) -> None:
        """Hand the collected jobs to the writer."""
        if self._lazy_timer is not None:
            self._lazy_timer.cancel()
            self._lazy_timer = None
        for job in self._lazy:
            self._queue.put(job)
        self._lazy.clear()
        self.handed_over += 1

    async def read(self, work: Work[T], *, noted: bool = True) -> T:
        """Return the result of ``work`` on committed data. Raises Unavailable.

        ``noted``: lazy changes so far have to be visible.
        """
        if noted and self._noted is not None and not self._noted.done():
            # Others have already seen the change: publish the counts immediately.
            self.submit()
            await asyncio.wait({self._noted}, timeout=_NOTED_SECONDS)
        try:
            async with asyncio.timeout(LOG_READ_SECONDS):
                # The timeout ends the wait, not the thread: it still holds the lock, and ``within`` reports it if it
                # hangs.
                return await asyncio.to_thread(self._read, work)
        except TimeoutError:
            raise Unavailable(
                N_("the event log does not answer"), N_("check the disk of the state directory")
            ) from None

    async def close(self, seconds: float) -> None:
        """Write the queue and end, after ``seconds`` at the latest; the rest is lost, which is reported."""
        thread = self._thread
        if thread is None:
            return
        self.submit()
        self._queue.put(None)
        # Twice: first for a disk that works, where the queue is written in milliseconds. Then the flag ends the
        # retries on a disk that cannot be written, which the thread notices after at most one pause.
        if not await _ends(thread.join, seconds):
            self._closing.set()
            await _ends(thread.join, 2 * RETRY_SECONDS)
        # A reader on a slow disk may hold the lock: then the process ends without closing the connection.
        await _ends(self._close_reader, seconds)

    def _close_reader(self) -> None:
        with self._reading:
            if self._reader is not None:
                self._reader.close()
                self._reader = None

    # -- the reader, in whatever thread

    def _read(self, work: Work[T]) -> T:
        if not self._opened.wait(_BUSY_SECONDS):
            raise Unavailable(
                N_("the event log cannot be opened: {trouble}"),
                N_("check the disk of the state directory"),
                trouble=self.trouble,
            )
        with self._reading:
            try:
                if self._reader is None:
                    self._reader = sqlite3.connect(
                        self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
                    )
                    self._reader.text_factory = text_of
                    # A mistake in a query cannot write past the writer's transaction.
                    self._reader.execute("PRAGMA query_only=1")
                    self._reader.execute("PRAGMA cache_size=-256")
                with self._deadlines.within(_STUCK_SECONDS, "reading the event log"):
                    return work(self._reader)
            except (sqlite3.DatabaseError, UnicodeDecodeError) as problem:
                # The reader cannot repair: only the writer may replace the file, in order with its jobs.
                if isinstance(problem, UnicodeDecodeError) or _is(problem, *_DAMAGED):
                    self._queue.put(_Damage(problem, self._generation))
                raise Unavailable(
                    N_("the event log cannot be read: {problem}"),
                    N_("check the disk of the state directory"),
                    problem=reason_of(problem),
                ) from None

    # -- the writer, in its thread

    def _write_for_good(self) -> None:
        try:
            self._write_all()
        except BaseException:
            log.exception("the event log's writer has stopped")
            self._deadlines.failed("the event log's writer has stopped")

    def _write_all(self) -> None:
        connection: sqlite3.Connection | None = None
        waiting: list[_Job[object]] = []
        is_failed = ending = False
        while True:
            damage: _Damage | None = None
            if connection is not None and not is_failed:
                if ending:
                    break
                more, damage, ending = self._next(RETRY_SECONDS if waiting else None)
                waiting += more
            # Several readers may report the same damage: a file that has been replaced since is not replaced again.
            if damage is not None and damage.generation == self._generation:
                connection = self._failed(connection, _Unreadable(str(damage.problem)))
            try:
                with self._deadlines.within(_STUCK_SECONDS, "writing the event log"), as_damage():
                    if connection is None:
                        connection = self._connected()
                        self._opened.set()
                    waiting = self._commit(connection, waiting)
                    is_failed = False
            except sqlite3.DatabaseError as problem:
                connection = self._failed(connection, problem)
                is_failed = True
                # The same jobs again: their transaction was rolled back completely.
                if self._closing.wait(RETRY_SECONDS):
                    break
                continue
            finally:
                self.tries += 1
        if connection is not None:
            with contextlib.suppress(sqlite3.DatabaseError):
                connection.close()
        if waiting:
            trouble = self.trouble or self.blocked
            log.error("%d changes of the event log could not be written: %s", len(waiting), trouble)
            for job in waiting:
                job.problem = Unavailable(
                    N_("not written: {trouble}"), N_("check the disk of the state directory"), trouble=trouble
                )
            self._tell(waiting)

    def _next(self, seconds: float | None) -> tuple[list[_Job[object]], _Damage | None, bool]:
        """Wait for a job and take all queued ones, with damage found by readers, and whether to end.

        There may be none after ``seconds``.
        """
        found: list[_Job[object]] = []
        damage: _Damage | None = None
        try:
            job = self._queue.get(timeout=seconds)
        except queue.Empty:
            return found, damage, False
        while job is not None:
            if isinstance(job, _Damage):
                damage = job
            else:
                found.append(job)
                # One job per commit, so that the points of two jobs are apart.
                if faultpoints.ARMED:
                    return found, damage, False
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                return found, damage, False
        return found, damage, True

    def _connected(self) -> sqlite3.Connection:
        try:
            finish_interrupted(self._path)
            # Before the first connection that may write, which would
            # already overwrite the write-ahead log of a damaged file.
            self._check()
            file = identity(self._path)
        except OSError as problem:
            raise sqlite3.OperationalError(problem.strerror or str(problem)) from None
        connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            connection.text_factory = text_of
            self._path.chmod(0o600)
            # Small: this is multiplied by hundreds of accounts.
            connection.execute("PRAGMA cache_size=-512")
            # Pages of deleted events are returned to the file system with each sweep (``expiry``). Without it the
            # file would keep the size of its largest backlog; a full VACUUM needs as much free space again. It works
            # only before the first table.
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
            # Readers are not blocked by commits, and a commit is one sequential write and one fsync.
            connection.execute("PRAGMA journal_mode=WAL")
            # NORMAL, usual with WAL, syncs only at checkpoints: a power cut would lose commits that were acknowledged
            # to WeChat.
            connection.execute("PRAGMA synchronous=FULL")
            # The write-ahead log otherwise keeps the size of its largest transaction for good.
            connection.execute("PRAGMA journal_size_limit=4194304")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            for number, statements in enumerate(self._schema[version:], version + 1):
                # Schema and version in one transaction: a kill in between would apply the same statements twice.
                connection.executescript(f"BEGIN IMMEDIATE; {statements}; PRAGMA user_version={number}; COMMIT")
            # A lost page of sqlite_master takes tables with it, and SQLite reports nothing.
            if not tables(self._schema) <= made(connection):
                raise _Unreadable("its tables are not all there")
            connection.execute("BEGIN IMMEDIATE")
            self._recognize(connection, file)
            connection.execute("COMMIT")
        except OSError as problem:
            connection.close()
            raise sqlite3.OperationalError(problem.strerror or str(problem)) from None
        except BaseException:
            connection.close()
            raise
        return connection

    def _check(self) -> None:
        """Look at the file without changing it. Raises DatabaseError for one that is damaged or of a later version.

        A connection that may write would already overwrite the write-ahead log of a damaged file.
        """
        if not self._path.exists():
            return
        if self._path.stat().st_size <= 1:  # SQLite takes it for a new file
            raise _Unreadable("it is empty")
        with contextlib.closing(sqlite3.connect(readonly(self._path), uri=True, timeout=_BUSY_SECONDS)) as connection:
            connection.text_factory = text_of
            connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > len(self._schema):
            raise _Newer(
                Text(
                    "it was written by a later version of wxcontroller (format {version}, this version "
                    "knows {count}); install that version again, or move {path} away",
                    version=version,
                    count=len(self._schema),
                    path=self._path,
                )
            )

    def _commit(self, connection: sqlite3.Connection, jobs: list[_Job[object]]) -> list[_Job[object]]:
        """Do all jobs in one transaction; return the required ones that wait for one that failed, and that.

        Raises DatabaseError, having done nothing, if the disk fails.
        """
        ended: list[_Job[object]] = []
        blocked: list[_Job[object]] = []
        try:
            # Takes the write lock now: a deferred transaction can fail
            # with BUSY at its first write, after jobs have run.
            connection.execute("BEGIN IMMEDIATE")
            for job in jobs:
                is_done = not (job.required and blocked) and (self._do(connection, job) or not job.required)
                (ended if is_done else blocked).append(job)
            # Within the transaction: outside, each of its queries takes the file's locks and releases them.
            look = self._looked(connection)
            connection.execute("COMMIT")
        except sqlite3.DatabaseError:
            if connection.in_transaction:
                with contextlib.suppress(sqlite3.DatabaseError):
                    connection.execute("ROLLBACK")
            raise
        # After the commit, before it is reported: the moment at which to test a crash.
        for job in ended:
            if job.point is not None:
                faultpoints.reached(job.point)
        # Before the commit is reported.
        if self.trouble:
            self.trouble = NOTHING
            log.warning("the event log can be written again")
        self._note_blocked(blocked)
        self._tell(ended, look)
        return blocked

    def _note_blocked(self, blocked: Sequence[_Job[object]]) -> None:
        reason = reason_of(blocked[0].problem) if blocked and blocked[0].problem else NOTHING
        if reason and not self.blocked:
            log.error(
                "cannot store an incoming message or event: %s; it is retried, and WeChat gets no acknowledgment of "
                "it; restart the account, or report the problem with the journal of this account",
                reason,
            )
        elif self.blocked and not reason:
            log.warning("all incoming messages are stored again")
        self.blocked = reason

    def _looked(self, connection: sqlite3.Connection) -> Callable[[], None]:
        """Call ``after``: its tables exist in every undamaged file."""
        try:
            return self._after(connection)
        except sqlite3.OperationalError as problem:
            if _is(problem, "ERROR"):  # no such table, no such column
                raise _Unreadable(str(problem)) from None
            raise

    def _do(self, connection: sqlite3.Connection, job: _Job[object]) -> bool:
        """Do a job, or undo it; return whether it is done. Raises DatabaseError if the disk fails."""
        # From an earlier try.
        earlier, job.problem = job.problem, None
        # Independent jobs share the transaction: a failing one must not undo the others.
        connection.execute("SAVEPOINT job")
        try:
            job.result = job.work(connection)
        except Exception as problem:
            if isinstance(problem, sqlite3.DatabaseError) and _is(problem, *_PASSING, *_DAMAGED):
                raise
            if earlier is None:
                log.exception("a change of the event log failed")
            job.problem = problem
            connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")
        return job.problem is None

    def _tell(self, jobs: Sequence[_Job[object]], look: Callable[[], None] | None = None) -> None:
        def tell() -> None:
            # In the event loop, in one callback: all waiters see the counts, ``writing`` and all results of this
            # commit.
            for job in jobs:  # first: the callbacks below look at it
                del self._open_jobs[job.number]
            if look is not None:
                look()  # before waiting tasks: a message is posted before WeChat is asked for the next
            progress, self._progress = self._progress, asyncio.Event()
            progress.set()
            for job in jobs:
                # A caller that was cancelled has cancelled its future; its change is stored all the same.
                if not job.future.done():
                    if job.problem is not None:
                        job.future.set_exception(job.problem)
                    else:
                        job.future.set_result(job.result)

        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the event loop is closed, so nothing waits for the result
            self._loop.call_soon_threadsafe(tell)

    def _failed(self, connection: sqlite3.Connection | None, problem: Exception) -> sqlite3.Connection | None:
        if not self.trouble and isinstance(problem, _Newer):
            log.error("cannot open the event log: %s", problem)
        elif not self.trouble and not _is(problem, *_DAMAGED):  # damage is reported with its consequence
            log.error(
                "cannot write the event log: %s; incoming messages wait at WeChat; check the free disk space", problem
            )
        is_new, self.trouble = not self.trouble, reason_of(problem)
        if is_new and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the event loop is closed
                self._loop.call_soon_threadsafe(self._on_failure)
        # Retrying is useless then: the watchdog is no longer fed, and systemd starts a process with new mounts.
        if left_behind(self._path.parent):
            self._deadlines.failed("being shut out of a disk that was read-only when the process began")
        if not _is(problem, *_DAMAGED):
            return connection
        if connection is not None:
            with contextlib.suppress(sqlite3.DatabaseError):
                connection.close()
        self._replace()
        return None

    def _replace(self) -> None:
        """Move what can be read of a damaged file into a new one. Failing that, the next try does it."""
        # With the reader's lock: no connection may have the file open while it is renamed, see ``recover``.
        with self._reading, self._deadlines.within(_RECOVERY_SECONDS, "recovering a damaged event log"):
            if self._reader is not None:
                self._reader.close()
                self._reader = None
            try:
                rescued = recover(self._path, self._schema, self._known())
            except (OSError, sqlite3.DatabaseError) as problem:
                log.error(
                    "the event log is damaged and cannot be replaced yet: %s; check the free disk space", problem
                )
                return
            self._generation += 1
        log.error(
            "the event log was damaged: %s",
            rescued,
            extra=fields(Event.DELIVERY_DROPPED) if rescued.lost != 0 else None,
        )


async def _ends(work: Callable[[], None], seconds: float) -> bool:
    """Return whether ``work`` ends in time. Reads that hang have none of the executor's threads left for it."""
    with contextlib.suppress(OSError):  # a TimeoutError is one
        async with asyncio.timeout(seconds):
            await in_own_thread(work, "closing")
            return True
    return False


def tables(schema: Sequence[str]) -> set[tuple[str, str]]:
    """Return what a file of this schema consists of: names and definitions."""
    with contextlib.closing(sqlite3.connect(":memory:")) as model:
        for statements in schema:
            model.executescript(statements)
        return made(model)


def made(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    return set(connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))


@contextlib.contextmanager
def as_damage() -> Iterator[None]:
    """Decode a schema or message from SQLite that is not UTF-8."""
    try:
        yield
    except UnicodeDecodeError as problem:
        raise _Unreadable(str(problem)) from None


def _is(problem: Exception, *names: str) -> bool:
    """Whether SQLite's own name of an error begins with one of these."""
    name: str = getattr(problem, "sqlite_errorname", "") or ""
    if not name:  # raised by us, for the file itself
        return "CANTOPEN" in names and isinstance(problem, sqlite3.OperationalError)
    return any(name.startswith(f"SQLITE_{code}") for code in names)
