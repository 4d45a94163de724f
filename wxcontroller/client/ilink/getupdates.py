"""getupdates: each consumer reads the event log with its own cursor (ilink-bot-protocol 20.3).

A cursor is opaque text that names consumer, log and position. Returning one acknowledges nothing; receiving it
back does. So unacknowledged messages are delivered again, also after a crash of the account, of the
controller or of the agent. A cursor before the acknowledged position, as from an agent that was restored from a
backup, means the acknowledged position: last week's messages must not be answered again. So does one past the
log's end, as after the account was restored: new messages reuse these sequences.
"""

import asyncio
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from wxcontroller.client.callertasks import either
from wxcontroller.client.ilink.agentmessages import TYPES, MessageMapping, voice_of
from wxcontroller.client.ilink.consumerbook import Consumer, ConsumerBook
from wxcontroller.client.ilink.sealing import Seals
from wxcontroller.client.store.eventlog import EventLog
from wxcontroller.client.store.mediaids import play_times
from wxcontroller.client.store.tables.eventtables import Entry, Selection, last_shown, name_of
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.openwx.contract.replies import to_bytes

# WeChat holds polls for the same time (ilink-bot-protocol 6).
HOLD_SECONDS = 35.0
# Agents process a poll's messages before they poll again, so a backlog is split into portions that can be
# acknowledged.
MAX_MESSAGES = 50
_MAX_BYTES = 1 << 20  # of an answer; the largest single message may be above
_READ_AT_ONCE = 100
_FORM = struct.Struct(">6sQ")
SESSION_OVER: JsonObject = {"ret": -14, "errcode": -14, "errmsg": "session timeout"}


@dataclass(slots=True)
class Polling:
    """Answers polls, one at a time for each consumer."""

    log: EventLog
    consumers: ConsumerBook
    mapping: MessageMapping
    seals: Seals
    _polls: dict[str, asyncio.Event] = field(default_factory=dict)  # set: another poll of this consumer has come

    def is_polling(self, consumer: Consumer) -> bool:
        return consumer.name in self._polls

    def end(self, consumer: Consumer) -> None:
        """End the poll of a consumer, if it has one."""
        if (running := self._polls.get(consumer.name)) is not None:
            running.set()

    async def poll(self, consumer: Consumer, cursor: str, origin: str) -> JsonObject:
        """Return the messages after ``cursor``; wait if there are none. Raises Unavailable."""
        over = asyncio.Event()
        # The newest poll wins, as with WeChat: the agent has abandoned the connection of the older one.
        self.end(consumer)
        self._polls[consumer.name] = over
        consumer.last_poll = int(time.time())  # stored with what changes next
        try:
            await self._acknowledge(consumer, cursor)
            return await self._answer(consumer, origin, over)
        finally:
            if self._polls.get(consumer.name) is over:
                del self._polls[consumer.name]

    async def _acknowledge(self, consumer: Consumer, cursor: str) -> None:
        if consumer.position < 0:  # its first poll ever: from now on
            consumer.log, consumer.position = await self.log.read(lambda db: (name_of(db), last_shown(db)))
            await self.consumers.stored(consumer)
            return
        log, position = self._read(consumer, cursor)
        counts = self.log.counts
        if log != counts.name or position > counts.last:
            return  # not of this log, or from after the backup that it was restored from
        if log and (log != consumer.log or position > consumer.position):
            consumer.log, consumer.position = log, position
            _ = self.consumers.keep(consumer)

    async def _answer(self, consumer: Consumer, origin: str, over: asyncio.Event) -> JsonObject:
        log, after = consumer.log, consumer.position
        loop = asyncio.get_running_loop()
        until = loop.time() + HOLD_SECONDS
        seen: tuple[int, int] | None = None
        while True:
            # Get the event before reading: an entry logged in between then wakes the wait below.
            news, messages = self.log.news, list[JsonValue]()
            now = self.log.counts.last, self.log.counts.held
            if now != seen:  # else the new entry is not a message, for example a finished delivery
                found = await self.log.shown(Selection(after=after, log=log, types=TYPES, spoken=True), _READ_AT_ONCE)
                voices = list(filter(None, map(voice_of, found)))
                times = await self.log.read(partial(play_times, keys=voices)) if voices else {}
                messages, last = self._messages(found, consumer, origin, times)
                if last is not None:
                    log, after = last.log, last.seq
                seen = now if len(found) < _READ_AT_ONCE else None
            if consumer.is_deleted:
                return SESSION_OVER
            if over.is_set():
                return self._answered([], consumer, consumer.log, consumer.position)
            if messages:
                # Before they leave the process: after a crash the same person would get another id.
                await self.mapping.ids.stored()
                return self._answered(messages, consumer, log, after)
            left = until - loop.time()
            ended = self.log.ended or left <= 0
            if seen is not None and (ended or not await either(news, over, left)):
                return self._answered([], consumer, log, after)

    def _messages(
        self, found: list[Entry], consumer: Consumer, origin: str, times: Mapping[str, int]
    ) -> tuple[list[JsonValue], Entry | None]:
        """Return the entries for a consumer, and the last entry that was examined."""
        messages, size, last = list[JsonValue](), 0, None
        oldest = time.time() - consumer.options.backlog * 60
        for entry in found:
            message = self.mapping.message(entry, consumer, origin, times)
            if message is not None and entry.time < oldest:
                message = None
                if entry.seq > consumer.skipped_to:  # it may be looked at again
                    consumer.skipped, consumer.skipped_to = consumer.skipped + 1, entry.seq
            if message is not None:
                size += len(to_bytes(message))
                if messages and size > _MAX_BYTES:
                    break
                messages.append(message)
            last = entry
            if len(messages) == MAX_MESSAGES:
                break
        return messages, last

    def _answered(self, messages: list[JsonValue], consumer: Consumer, log: str, position: int) -> JsonObject:
        return {
            "ret": 0,
            "msgs": messages,
            "get_updates_buf": self.cursor(consumer, log, position),
            "longpolling_timeout_ms": int(HOLD_SECONDS * 1000),
        }

    def cursor(self, consumer: Consumer, log: str, position: int) -> str:
        """Return the text for a position."""
        return self.seals.seal("cursor", _FORM.pack(consumer.bot, position) + log.encode(), 72)

    def _read(self, consumer: Consumer, cursor: str) -> tuple[str, int]:
        """Return log and position of a cursor, "" and 0 for one that is not this consumer's."""
        content = self.seals.open("cursor", cursor)
        if content is None or len(content) < _FORM.size:
            return "", 0
        bot, position = _FORM.unpack(content[: _FORM.size])
        return (content[_FORM.size :].decode("ascii", "replace"), position) if bot == consumer.bot else ("", 0)
