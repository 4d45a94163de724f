"""Messages that WeChat has handed over and the event log has not taken when the process has to end.

The iLink route gets each message once. A log that is locked, full or damaged delays the next poll, but a stop has a
limit. So the driver's state with these messages is then written to a file next to the log, which the next process
reads as if it came from the log. For a full disk, some space is reserved. If the file cannot be written either, the
messages are lost: they are named in the journal, and the process ends with a status that makes its unit fail.
"""

import asyncio
import base64
import contextlib
import hashlib
import json
import logging
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from wxcontroller.client.store.database.privatefiles import delete
from wxcontroller.core.errors import reason_of
from wxcontroller.core.files.atomic import replace_file
from wxcontroller.core.jsontypes import items, kept_json, text
from wxcontroller.core.process.journal import Event, fields
from wxcontroller.core.process.ownthread import in_own_thread

log = logging.getLogger(__name__)
FILE = "unsaved.json"
_RESERVE = "unsaved.reserve"
# A poll returns a few dozen messages at most.
_RESERVE_BYTES = 256 << 10
# What remains of TimeoutStopSec=10 after the other steps of a stop.
_SECONDS = 1.0


class Unsaved:
    """The messages in states of a driver that are not on disk yet, and the file in ``directory`` for them."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / FILE
        self._reserve = directory / _RESERVE
        self._durable = b""  # the state that the log has
        self._state = b""
        self._ids: Sequence[str] = ()
        self._kept: frozenset[str] = frozenset()  # the messages that the file has already
        self._is_stored = False  # there is a file

    def restored(self, durable: bytes) -> bytes:
        """Return the state to continue from: the log's, or a later one in the file."""
        self._durable = durable
        with contextlib.suppress(OSError):
            self._reserve.touch(0o600)
            # An earlier start on a full disk may have left it incomplete.
            with self._reserve.open("r+b") as stream:
                os.posix_fallocate(stream.fileno(), 0, _RESERVE_BYTES)
        try:
            found = kept_json(self._file.read_bytes())
            self._is_stored = True
        except OSError:
            return durable
        # If the log has a later state, its messages have been stored since.
        if found.get("after") != digest(durable):
            return durable
        self._kept = frozenset(text(one) for one in items(found.get("ids")))
        log.warning("messages that the event log could not take at the last stop are read from %s", self._file)
        return base64.b64decode(text(found.get("state")))

    def begin(self, state: bytes | None, ids: Sequence[str], written: "asyncio.Future[None]") -> None:
        """Note a state that is being ``written`` to the log, and the messages that only this state has."""
        if ids and state is not None:
            self._state, self._ids = state, ids
        written.add_done_callback(lambda done: self._written(state, done))

    def _written(self, state: bytes | None, done: "asyncio.Future[None]") -> None:
        if done.cancelled() or done.exception() is not None or state is None:
            return
        if state == self._state:
            self._state, self._ids = b"", ()
        self._durable, self._kept = state, frozenset()
        if self._is_stored:
            self._is_stored = False
            _ = asyncio.get_running_loop().run_in_executor(None, delete, self._file)

    async def keep(self) -> bool:
        """Write the messages that the log could not take; return whether none are lost."""
        if not self._ids:
            return True
        content = {
            "after": digest(self._durable),
            "state": base64.b64encode(self._state).decode(),
            "ids": list(self._ids),
        }
        try:
            async with asyncio.timeout(_SECONDS):
                # Calls that hang on the same disk may have all threads of the executor.
                await in_own_thread(partial(self._write, json.dumps(content).encode()), "unsaved")
        except OSError as problem:  # a TimeoutError is one
            # The earlier file is still there, and the next start continues from it.
            if lost := [one for one in self._ids if one not in self._kept]:
                log.error(
                    "%d messages from WeChat are lost: neither the event log nor %s can be written (%s); "
                    "their ids: %s",
                    len(lost),
                    self._file,
                    reason_of(problem) or "the disk does not respond",
                    ", ".join(lost),
                    extra=fields(Event.DELIVERY_DROPPED),
                )
                return False
        log.warning("%d messages that the event log could not take are kept in %s", len(self._ids), self._file)
        return True

    def _write(self, content: bytes) -> None:
        delete(self._reserve)
        replace_file(self._file, content, 0o600, durable=True)


def digest(state: bytes) -> str:
    return hashlib.sha256(state).hexdigest()
