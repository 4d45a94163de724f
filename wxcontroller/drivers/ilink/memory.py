"""The route's state between processes: credentials, the poll cursor, each peer's context token.

Credentials are the account's session file, replaced whole at a login. Everything that a poll moves is the
checkpoint's state, and so are the messages of a poll until they are reported: a crash neither loses nor repeats one.
They are in two stores, of which one may be written and the other not: the state names its bot and login, and what
belongs to another one is not used.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, items, kept_json, obj, text
from wxcontroller.drivers.base import Checkpoint, Restored, SessionStore
from wxcontroller.drivers.ilink.wire import Credentials

# Number of peers whose tokens are stored. The service has one, the person who scanned (12).
_MAX_PEERS = 1000
# Number of ids that detect repeated messages; the same number is restored from the database.
_MAX_SEEN = 5000


@dataclass(slots=True)
class KnownPeer:
    """A person who wrote. ``context`` is the newest token, ``heard`` the time when it arrived (seconds since 1970),
    ``alias`` a local name.
    """

    context: str = field(default="", repr=False)
    heard: int = 0
    alias: str = ""


@dataclass(slots=True)
class ILinkMemory:
    """Everything that outlasts the process. ``media_refused``: since when uploads are refused, 0 if they are not."""

    store: SessionStore
    credentials: Credentials | None = None
    cursor: str = field(default="", repr=False)
    batch: Sequence[JsonValue] = field(default=(), repr=False)  # the last poll's messages, until they are reported
    peers: OrderedDict[str, KnownPeer] = field(default_factory=OrderedDict)
    media_refused: int = 0
    owner: str = ""  # the WeChat user of the last login, also after its session was lost; "" after a logout
    _bot: str = ""  # whose cursor it is
    _login: str = ""  # whose context tokens they are
    _seen: OrderedDict[str, None] = field(default_factory=OrderedDict)
    _fresh: list[str] = field(default_factory=list)  # seen ids that no checkpoint has taken

    def load(self) -> None:
        """Read the stored credentials, if there are any that can be used."""
        kept = kept_json(self.store.load())
        token, bot, user, base = (text(kept.get(name)) for name in ("token", "bot_id", "user_id", "base"))
        self.credentials = Credentials(token, bot, user, base) if token and bot else None
        self.owner = user

    def resume(self, restored: Restored) -> None:
        """Restore the last checkpoint, after ``load``: what is not of the stored login is dropped."""
        kept = kept_json(restored.state)
        self._login = text(kept.get("login"))
        self._bot, self.cursor = text(kept.get("bot")), text(kept.get("cursor"))
        self.batch = items(kept.get("batch"))
        self.media_refused = integer(kept.get("media_refused"))
        self.peers.clear()
        for entry in items(kept.get("peers")):
            found = obj(entry)
            alias = text(found.get("alias"))
            self.peers[text(found.get("id"))] = KnownPeer(
                text(found.get("context")), integer(found.get("heard")), alias
            )
        self._note(restored.seen)
        self._fresh.clear()
        if self.credentials is not None:
            # States of 2.3.0 name only the bot.
            known = self._login or self._bot
            if known and known not in (login_of(self.credentials), self.credentials.bot_id):
                self._begin(self.credentials)
            self._login = login_of(self.credentials)

    def enter(self, credentials: Credentials) -> None:
        """Keep the credentials of a new login. Raises OSError; the old ones are then still stored.

        Another bot has another cursor. Context tokens are dropped with every login (9).
        """
        facts: JsonObject = {"token": credentials.token, "bot_id": credentials.bot_id}
        facts |= {"user_id": credentials.user_id, "base": credentials.base}
        # First on disk, then in use: a login whose credentials are lost needs another scan.
        self.store.save(json.dumps(facts).encode())
        self.credentials, self.owner = credentials, credentials.user_id
        self._begin(credentials)

    def _begin(self, credentials: Credentials) -> None:
        """Drop what belongs to another login. Unreported messages stay: WeChat does not send them again."""
        self._login = login_of(credentials)
        # A cursor belongs to a bot (5.3).
        if credentials.bot_id != self._bot:
            self._bot, self.cursor = credentials.bot_id, ""
        # Context tokens are invalid after a login: a message with one would be accepted but never shown.
        for peer in self.peers.values():
            peer.context = ""
        self.batch = [{**obj(message), "context_token": ""} for message in self.batch]

    def forget(self) -> None:
        """Drop the session. Raises OSError."""
        self.credentials, self.cursor, self.owner = None, "", ""
        self.store.clear()

    def hear(self, peer: str, context: str, now: int) -> bool:
        """Record that a person wrote; return whether it is the first time."""
        first = peer not in self.peers
        entry = self.peers.setdefault(peer, KnownPeer())
        entry.context, entry.heard = context or entry.context, now
        self.peers.move_to_end(peer)
        while len(self.peers) > _MAX_PEERS:
            self.peers.popitem(last=False)
        return first

    def context_of(self, peer: str) -> str:
        found = self.peers.get(peer)
        return found.context if found else ""

    def is_new(self, ids: Iterable[str]) -> bool:
        """Whether none of a message's ids was seen before; they are seen from now on."""
        listed = list(ids)
        new = not any(id_ in self._seen for id_ in listed)
        if new:
            self._note(listed)
            self._fresh += listed
        return new

    def _note(self, ids: Iterable[str]) -> None:
        self._seen.update(dict.fromkeys(ids))
        while len(self._seen) > _MAX_SEEN:
            self._seen.popitem(last=False)

    def checkpoint(self) -> Checkpoint:
        """Return the state to commit with the messages reported so far.

        Ids of a batch are not noted as seen before all of it is reported: a process that ends meanwhile leaves the
        batch to the next one, which must not take it for a repetition.
        """
        fresh: tuple[str, ...] = ()
        if not self.batch:
            fresh, self._fresh = tuple(self._fresh), []
        state: JsonObject = {
            "bot": self._bot,
            "login": self._login,
            "cursor": self.cursor,
            "batch": [*self.batch],
            "media_refused": self.media_refused,
            "peers": [
                {"id": name, "context": peer.context, "heard": peer.heard, "alias": peer.alias}
                for name, peer in self.peers.items()
            ],
        }
        carries = tuple(str(obj(message).get("message_id")) for message in self.batch)
        return Checkpoint(json.dumps(state).encode(), fresh, carries)


def login_of(credentials: Credentials) -> str:
    """Return what identifies a login: not its token, which is a secret."""
    return hashlib.sha256(f"{credentials.bot_id} {credentials.token}".encode()).hexdigest()[:16]
