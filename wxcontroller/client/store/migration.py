"""Import of the files in which 2.0.0 kept data that is now in the database.

2.0.0 wrote people's marks, media ids and the day's number of sends into separate files, and the position in
WeChat's messages into the session file. Each file is imported in one transaction and renamed to ``NAME.2.0.0`` only
after that is durable, so that a kill at any point imports it again or not at all. The renamed files stay for a week:
stop the account, remove the suffix, and 2.0.0 continues where it was (docs/operations.md).

The session file is the driver's, which takes its position over itself; here a second name keeps its content.
"""

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from wxcontroller.client.store import state
from wxcontroller.client.store.eventlog import EventLog
from wxcontroller.client.store.media import import_book
from wxcontroller.client.store.sends import import_days
from wxcontroller.core.jsontypes import JsonObject, integer, items, obj, read_json
from wxcontroller.drivers.base import IDENTITY_MARKS

log = logging.getLogger(__name__)
SUFFIX = ".2.0.0"
_KEEP_SECONDS = 7 * 86400.0


def import_identities(db: sqlite3.Connection, content: JsonObject) -> None:
    """Import ``{"people": {NUMBER: [MARK, ...]}}``; damaged entries are left out."""
    marks: dict[int, int] = {}
    for number, stored in obj(content.get("people")).items():
        marks.update(
            {
                integer(mark): integer(number)
                for mark in items(stored)
                if 0 < integer(mark) < 1 << 64 and 0 < integer(number) < 1 << 63
            }
        )
    state.learn(db, marks, IDENTITY_MARKS)


_IMPORTS: dict[str, Callable[[sqlite3.Connection, JsonObject], object]] = {
    "identities.json": import_identities,
    "media.json": import_book,
    "sent_today.json": import_days,
}


@dataclass(slots=True)
class Migration:
    """Imports the old files next to ``session``, the driver's file, once; ``done`` is set when none is left."""

    session: Path
    log: EventLog
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Import the files that exist. An unreadable one is left in place and logged."""
        try:
            for name, work in _IMPORTS.items():
                await self._import(self.session.with_name(name), work)
            await asyncio.to_thread(second_name, self.session)
            await asyncio.to_thread(forget_old, self.session.parent, time.time())
        finally:
            self.done.set()

    async def _import(self, path: Path, work: Callable[[sqlite3.Connection, JsonObject], object]) -> None:
        try:
            content = obj(read_json(await asyncio.to_thread(path.read_bytes)))
        except FileNotFoundError:
            return
        except (OSError, ValueError) as problem:
            log.error("cannot import %s: %s; it is left as it is", path, problem)
            return
        await self.log.write(lambda db: work(db, content))
        await asyncio.to_thread(set_aside, path)
        log.info("imported %s into the database", path.name)


def forget_old(directory: Path, now: float) -> None:
    """Delete renamed files after a week."""
    for path in directory.glob(f"*{SUFFIX}"):
        with suppress(OSError):
            if now - path.stat().st_mtime > _KEEP_SECONDS:
                path.unlink()


def set_aside(path: Path) -> None:
    with suppress(OSError):
        aside = path.with_name(path.name + SUFFIX)
        path.rename(aside)
        os.utime(aside)  # the week begins now


def second_name(path: Path) -> None:
    """Keep the content of a session file of 2.0.0, which names the ids of reported messages."""
    aside = path.with_name(path.name + SUFFIX)
    with suppress(OSError):
        if b'"seen":' in path.read_bytes() and not aside.exists():
            aside.write_bytes(path.read_bytes())
            aside.chmod(0o600)
