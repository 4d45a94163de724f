"""Ids of people and groups in the iLink API.

On the iLink route they are WeChat's, byte for byte. On the others, WeChat's ids are valid for one login, while
agents store ids permanently: each person gets one of ours when first seen, ``w`` and 20 hex digits, and each group
one with ``g``. They are recognized by their number, which outlasts logins (``drivers.web.session.identity``), and
within one login by WeChat's id, too. A person who has no number and cannot be recognized after a login is new.
"""

import asyncio
import secrets

from wxcontroller.client.incoming.roster import Roster
from wxcontroller.client.store.eventlog import EventLog
from wxcontroller.client.store.tables import consumertables as tables

_PERSON_END = "@im.wechat"
HELPER_ID = f"filehelper{_PERSON_END}"  # the chat with oneself


class Ids:
    """The ids that were issued. ``known`` are those in the database, by mark; ``oneself`` as in Capabilities."""

    def __init__(self, log: EventLog, roster: Roster, peer_ids: dict[str, str], oneself: str = "") -> None:
        self._log = log
        self._roster = roster
        self._known = peer_ids
        self._oneself = oneself
        self._marks: dict[str, list[str]] = {}
        for mark, peer in peer_ids.items():
            self._marks.setdefault(peer, []).append(mark)
        self._unstored: dict[str, str] = {}

    def of(self, own: str, number: object, is_group: bool = False) -> str:
        """Return the id of a person or group: ``own`` is the route's, ``number`` the lasting one if there is one.

        Await ``stored`` before the id leaves the process.
        """
        if own == self._oneself:
            return HELPER_ID
        if own.endswith(_PERSON_END):
            return own
        by_name, by_number = f"n {own}", f"u {number}" if isinstance(number, int) and number else ""
        found = self._known.get(by_number) or self._known.get(by_name)
        if found is None:
            found = f"g{secrets.token_hex(10)}@chatroom" if is_group else f"w{secrets.token_hex(10)}{_PERSON_END}"
        for mark in (by_name, by_number):
            if mark and self._known.get(mark) != found:
                self._known[mark] = self._unstored[mark] = found
                self._marks.setdefault(found, []).append(mark)
        return found

    async def stored(self) -> None:
        """Wait until all issued ids are on disk. Raises Unavailable."""
        if self._unstored:
            learned, self._unstored = self._unstored, {}
            try:
                await asyncio.shield(self._log.write(lambda db: tables.keep_peer_ids(db, learned)))
            except BaseException:
                # It is unknown whether they are stored: write them again, with the newer ones.
                self._unstored = {**learned, **self._unstored}
                raise

    def is_given(self, peer: str) -> bool:
        """Whether an id may have been issued to a consumer."""
        is_known = peer in self._marks or peer == HELPER_ID
        return is_known or (peer.endswith(_PERSON_END) and peer in self._roster.contacts)

    def target(self, peer: str) -> str:
        """Return the route's present id of a person or group, "" for one that is not in the account's lists now."""
        roster = self._roster
        if peer in roster.contacts:
            return peer
        if peer == HELPER_ID:
            return self._oneself if self._oneself in roster.contacts else ""
        for mark in reversed(self._marks.get(peer, [])):
            kind, _, value = mark.partition(" ")
            # The mark belongs to another person by now.
            if self._known.get(mark) != peer:
                continue
            if kind == "n" and (value in roster.contacts or value in roster.groups):
                return value
            if kind == "u":
                numbers = [(group.id, group.uid) for group in roster.groups.values()]
                numbers += [(contact.id, contact.uid) for contact in roster.contacts.values()]
                if named := next((name for name, number in numbers if str(number) == value), ""):
                    return named
        return ""

    def is_member(self, group: str, peer: str) -> bool:
        """Whether a person is known to be in a group; ``group`` is the route's id."""
        found = self._roster.groups.get(group)
        marks = set(self._marks.get(peer, []))
        return found is not None and any(
            f"n {member.id}" in marks or (member.uid and f"u {member.uid}" in marks) for member in found.members
        )

    def from_account(self, peer: str) -> str:
        """Return the iLink id of the person or group that an administrator names, "" if there is none.

        They may name either id.
        """
        roster = self._roster
        if self.is_given(peer):
            return peer
        if (person := roster.contacts.get(peer)) is not None:
            return self.of(person.id, person.uid)
        if (group := roster.groups.get(peer)) is not None:
            return self.of(group.id, group.uid, is_group=True)
        return ""
