"""The sends of an account on disk, in the file of the event log: what is queued, and how keyed requests ended."""

import sqlite3
import time
from asyncio import Future
from collections.abc import Callable, Sequence
from functools import partial

from wxcontroller.client.sends.job import Job
from wxcontroller.client.store import sends as tables
from wxcontroller.client.store.eventlog import EventLog, Within
from wxcontroller.client.store.events import Moved, note_message
from wxcontroller.client.store.sends import Added, Left, ParcelRow, Replied, RequestRow, SendRow
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.limits import DEFAULTS

# Requests whose keys are remembered; about 300 bytes each.


class SendStore:
    """What is written is on disk when the future is done; nobody has to wait for it. Reading raises Unavailable."""

    def __init__(self, log: EventLog, most_requests: int = DEFAULTS.calls.idempotency_keys) -> None:
        self._log = log
        self._most_requests = most_requests

    @property
    def trouble(self) -> str:
        """Why nothing can be stored at present, "" while all is well."""
        return self._log.trouble

    def left(self) -> "Future[Left]":
        """Return what an earlier process left. Ask before anything is added."""
        return self._log.write(tables.left)

    def add(
        self, sends: Sequence[SendRow], parcel: ParcelRow | None, request: RequestRow | None, reply_to: int
    ) -> "Future[Added | RequestRow | Replied]":
        """Store sends, all or none; see sendtables.add."""
        return self._log.write(lambda db: tables.add(db, sends, parcel, request, reply_to))

    def handed(self, job: Job) -> "Future[None]":
        """Note that a job is being handed to WeChat; to be waited for."""
        seq, left, tried = job.seq, job.attempts_left, job.tried
        return self._log.write(lambda db: tables.handed(db, seq, left, tried))

    def put_back(self, job: Job) -> None:
        """Note that a job that WeChat did not take is to be tried again, behind all others."""
        seq, left = job.seq, job.attempts_left
        _ = self._log.write(lambda db: tables.put_back(db, seq, left))

    def pack(self, parcel: ParcelRow) -> None:
        """Note what has become known of content."""
        _ = self._log.write(lambda db: tables.pack(db, parcel))

    def end(self, job: Job, outcome: JsonObject) -> Within:
        """Return what ends a job within the transaction that adds its report."""
        return partial(_end, seq=job.seq, part=job.part, outcome=outcome)

    async def sides(self, job: Job) -> str:
        """Return who a job's message is between, as it was when it was queued; "" when that is not known any more."""
        return await self._log.read(lambda db: tables.sides_of(db, job.seq))

    # -- requests with keys

    async def request(self, key: str) -> RequestRow | None:
        """Return what is known of the request that came with a key."""
        return await self._log.read(lambda db: tables.request_of(db, key))

    def keep(self, request: RequestRow) -> "Future[None]":
        """Remember a request, or the answer of one that is remembered."""
        return self._log.write(lambda db: tables.keep(db, request))

    async def sweep(self, seconds: float) -> int:
        """Forget requests that are older, and the oldest of too many; return how many."""
        most = self._most_requests
        return await self._log.write(lambda db: tables.forget(db, time.time() - seconds, most))


def _end(db: sqlite3.Connection, report: Callable[[], int], seq: int, part: tables.Part, outcome: JsonObject) -> None:
    tables.end(db, seq, part, outcome, report)
    if outcome.get("code") == 0:
        note_message(db, Moved.SENT)
