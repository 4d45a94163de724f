"""Consumers: the agents that read an account's messages through the iLink API, with their options and positions.

They are few and are kept in memory as a whole; every change is stored in the account's database. A change of position
or counters is written without waiting: if it is lost, messages are delivered again, as the protocol allows.
"""

import asyncio
import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from wxcontroller.client.store.eventlog import EventLog
from wxcontroller.client.store.tables import consumertables as tables
from wxcontroller.client.store.tables.consumertables import ConsumerRow
from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, items, text

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
MAX_BACKLOG = 525_600  # minutes: a year
# Most agents wait 15 s for an answer to a send (17), weilink 0.6.2 waits 10 s. An agent that gives up
# reports a failure although the message is sent later: it repeats the message, or ends.
DEFAULT_WAIT = 8
ANSWER_SECONDS = 14
# Agents name themselves; WeChat accepts no longer descriptions (ilink-bot-protocol 3).
_DESCRIPTION = 256
_FACTS = ("bot_agent", "channel_version", "user_id", "online", "last_poll", "sent", "skipped", "skipped_to")


class GroupMessages(StrEnum):
    """The group messages that a consumer receives."""

    OFF = "off"
    ON = "on"
    AT = "at"  # those that mention the account


class WhenHeld(StrEnum):
    """The answer to a consumer whose message has to wait until the person writes (20.6)."""

    REFUSE = "refuse"  # with an error; the message stays in the queue
    ACCEPT = "accept"
    DROP = "drop"  # with an error, and nothing stays


@dataclass(frozen=True, slots=True)
class ConsumerOptions:
    """A consumer's settings: the messages that it gets, and the answers to its sends.

    ``peers`` are the iLink ids of the people it may talk to, None for all. ``owner`` is the id of the agent's user,
    "" for the default. ``backlog`` is in minutes: older messages are skipped. ``wait``: seconds until a send is
    answered that is only queued.
    """

    owner: str = ""
    peers: tuple[str, ...] | None = None
    groups: GroupMessages = GroupMessages.OFF
    own: bool = False
    backlog: int = 1440
    when_held: WhenHeld = WhenHeld.REFUSE
    wait: int = DEFAULT_WAIT
    interim: bool = False
    public: bool = False

    def as_json(self) -> JsonObject:
        return {**asdict(self), "peers": "all" if self.peers is None else list[JsonValue](self.peers)}

    def changed(self, changes: JsonObject) -> "ConsumerOptions":
        """Return the options with those that ``changes`` names changed.

        Raises ValueError with the name of the option that is unknown or has a wrong value.
        """
        found: dict[str, Any] = {}
        for name, value in changes.items():
            match name, value:
                case ("owner", str()) | ("own" | "interim" | "public", bool()):
                    found[name] = value
                case "peers", "all":
                    found[name] = None
                case "peers", list() if all(isinstance(peer, str) and peer for peer in value):
                    found[name] = tuple(value)
                case "groups", str() if value in set(GroupMessages):
                    found[name] = GroupMessages(value)
                case "when_held", str() if value in set(WhenHeld):
                    found[name] = WhenHeld(value)
                case "backlog", int() if not isinstance(value, bool) and 1 <= value <= MAX_BACKLOG:
                    found[name] = value
                case "wait", int() if not isinstance(value, bool) and 0 <= value <= ANSWER_SECONDS:
                    found[name] = value
                case _:
                    raise ValueError(name)
        return replace(self, **found)

    def allows(self, peer: str) -> bool:
        """Whether the consumer may talk to a person."""
        return self.peers is None or peer in self.peers

    def allows_group(self, group: str) -> bool:
        """Whether the consumer may talk to a group. A list of people alone does not restrict groups."""
        listed = [peer for peer in self.peers or () if peer.endswith("@chatroom")]
        return self.groups is not GroupMessages.OFF and (not listed or group in listed)


@dataclass(slots=True, eq=False)
class Consumer:
    """One consumer. ``position`` is the last acknowledged sequence in ``log``, -1 before the first poll.

    ``skipped_to`` is the last sequence that was counted as skipped.
    """

    name: str
    bot_id: str
    options: ConsumerOptions = ConsumerOptions()
    log: str = ""
    position: int = -1
    bot_agent: str = ""
    channel_version: str = ""
    user_id: str = ""
    online: bool = False
    last_poll: int = 0
    sent: int = 0
    skipped: int = 0
    skipped_to: int = 0
    is_deleted: bool = False

    @property
    def bot(self) -> bytes:
        """Its id as bytes, as sealed texts name it."""
        return bytes.fromhex(self.bot_id.partition("@")[0])

    def row(self) -> ConsumerRow:
        """Return its stored form."""
        facts: JsonObject = {name: getattr(self, name) for name in _FACTS}
        return ConsumerRow(self.name, self.bot_id, self.options.as_json(), self.log, self.position, facts)

    def describe(self, base_info: JsonObject) -> bool:
        """Store an agent's description of itself; return whether it changed."""
        agent, version = (text(base_info.get(name))[:_DESCRIPTION] for name in ("bot_agent", "channel_version"))
        new = (agent or self.bot_agent, version or self.channel_version)
        if new == (self.bot_agent, self.channel_version):
            return False
        self.bot_agent, self.channel_version = new
        return True


class ConsumerBook:
    """The account's consumers."""

    def __init__(self, log: EventLog, rows: Sequence[ConsumerRow]) -> None:
        self._log = log
        self._found = {row.name: consumer_of(row) for row in rows}

    def all(self) -> list[Consumer]:
        return [self._found[name] for name in sorted(self._found)]

    def get(self, name: str) -> Consumer | None:
        return self._found.get(name)

    def by_bot(self, bot: bytes) -> Consumer | None:
        """Return the consumer with an id."""
        return next((consumer for consumer in self._found.values() if consumer.bot == bot), None)

    async def take(self, name: str) -> Consumer:
        """Return a consumer; one that is new is created with the default options. Raises Unavailable."""
        found = self._found.get(name)
        if found is None:
            found = self._found[name] = Consumer(name, f"{secrets.token_hex(6)}@im.bot")
            await self.stored(found)
        return found

    def keep(self, consumer: Consumer) -> "asyncio.Future[None]":
        """Store a consumer's current state in the background. Await ``stored`` where durability matters."""
        row = consumer.row()
        if consumer.is_deleted:
            return self._log.write(lambda _: None)
        return self._log.write(lambda db: tables.keep_consumer(db, row))

    async def stored(self, consumer: Consumer) -> None:
        """Store a consumer even if the caller disconnects. Raises Unavailable."""
        await asyncio.shield(self.keep(consumer))

    async def delete(self, consumer: Consumer) -> None:
        """Delete a consumer, and with it the validity of all that was sealed for it."""
        # Marked before the commit, so that a poll that is under way neither answers nor stores it again.
        self._found.pop(consumer.name, None)
        consumer.is_deleted = True
        await asyncio.shield(self._log.write(lambda db: tables.delete_consumer(db, consumer.name)))


def consumer_of(row: ConsumerRow) -> Consumer:
    try:
        options = ConsumerOptions().changed(row.options)
    except ValueError:  # damaged, or written by a later version
        # Grant only rights that can be read: an unreadable list of people allows no one.
        options = ConsumerOptions(peers=tuple(text(peer) for peer in items(row.options.get("peers"))))
    return Consumer(
        row.name,
        row.bot_id,
        options,
        row.log,
        row.position,
        bot_agent=text(row.facts.get("bot_agent")),
        channel_version=text(row.facts.get("channel_version")),
        user_id=text(row.facts.get("user_id")),
        online=row.facts.get("online") is True,
        last_poll=integer(row.facts.get("last_poll")),
        sent=integer(row.facts.get("sent")),
        skipped=integer(row.facts.get("skipped")),
        skipped_to=integer(row.facts.get("skipped_to")),
    )
