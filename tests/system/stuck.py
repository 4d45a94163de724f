"""A client that can be made to hang; a drop-in runs it in place of wxclient.

A file ``hang-loop``, ``hang-send``, ``hang-delivery`` or ``hang-disk`` in the account's state directory makes that
part wait for ever. The file is removed then, so that it happens once.
"""

import asyncio
import os
import sqlite3
import sys
import threading
from pathlib import Path
from typing import Any

from wxcontroller.client import __main__ as program
from wxcontroller.client import process
from wxcontroller.client.deliveries import delivery
from wxcontroller.client.deliveries.lanes import Policy, Result
from wxcontroller.client.deliveries.receivers import WEBHOOK_ANSWER_SECONDS, Poster
from wxcontroller.client.sends import sender
from wxcontroller.client.store import writer as database
from wxcontroller.client.store.writer import Database
from wxcontroller.drivers import factory_of
from wxcontroller.drivers.base import Capabilities, Driver, DriverEvent, DriverFactory, Emit, Ended, Sent

STATE = Path(os.environ["STATE_DIRECTORY"])
post, commit = Poster.post, Database._commit


def hangs(part: str) -> bool:
    try:
        (STATE / f"hang-{part}").unlink()
    except FileNotFoundError:
        return False
    return True


async def maybe_hang(part: str) -> None:
    if hangs(part):
        await asyncio.Event().wait()


class Hanging:
    """A driver whose loop or send may hang."""

    def __init__(self, inner: Driver) -> None:
        self._inner = inner

    @property
    def capabilities(self) -> Capabilities:
        return self._inner.capabilities

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def run(self, emit: Emit) -> Ended:
        async def emit_or_hang(event: DriverEvent) -> None:
            await maybe_hang("loop")
            await emit(event)

        return await self._inner.run(emit_or_hang)

    async def send_text(self, to: str, content: str, client_id: str) -> Sent:
        await maybe_hang("send")
        return await self._inner.send_text(to, content, client_id)


async def post_or_hang(self: Poster, *given: Any) -> Result:
    await maybe_hang("delivery")
    return await post(self, *given)


def commit_or_hang(self: Database, connection: sqlite3.Connection, jobs: Any) -> None:
    if jobs and hangs("disk"):
        threading.Event().wait()
    commit(self, connection, jobs)


def hanging(route: str) -> DriverFactory:
    return lambda context: Hanging(factory_of(route)(context))


process.factory_of = hanging  # type: ignore[attr-defined]  # the name that it looks up
Poster.post = post_or_hang  # type: ignore[method-assign, assignment]
Database._commit = commit_or_hang  # type: ignore[method-assign]
# By default these are minutes.
_STUCK_SECONDS = 8.0
sender.STUCK_SECONDS = database._STUCK_SECONDS = _STUCK_SECONDS
delivery._OVERTIME = _STUCK_SECONDS - Policy().timeout - WEBHOOK_ANSWER_SECONDS
sys.exit(program.main())
