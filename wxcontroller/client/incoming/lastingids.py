"""People and groups by lasting ids, as used in /v1.

On routes with stable ids these are the route's own. On the web route WeChat changes all ids at each login;
there a lasting id is the number by which the account recognises them (``drivers.web.session.identity``), where there
is one. Ids of the present login are understood as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from wxcontroller.client.incoming.roster import Roster
from wxcontroller.core.model import Contact, Group, Member
from wxcontroller.openwx.contract.objects import friend_displayname, group_displayname, lasting_id, user_displayname


def id_of(entry: Contact | Group | Member) -> str:
    """Return the stable id of a person or group."""
    return lasting_id(entry.id, entry.uid)


@dataclass(slots=True)
class Directory:
    """Looks up the ``roster``; its numbers are read again after each change."""

    roster: Roster
    _state: int = -1
    _numbered: "dict[str, Contact | Group]" = field(default_factory=dict)

    def find(self, identifier: str) -> Contact | Group | None:
        """Return the person with a stable id, or with an id of the current login; None if unknown."""
        roster = self.roster
        return roster.contacts.get(identifier) or roster.groups.get(identifier) or self._by_number().get(identifier)

    def aliases(self, identifier: str) -> Sequence[str]:
        """Return the ids under which a chat may be in the log, the given one first."""
        found = self.find(identifier)
        return [*dict.fromkeys((identifier, id_of(found), found.id))] if found is not None else [identifier]

    def canonical(self, identifier: str) -> str:
        """Return the lasting id for an id under which a chat is in the log."""
        found = self.find(identifier)
        return id_of(found) if found is not None else identifier

    def name(self, identifier: str) -> str:
        """Return the current name of a chat, "" if it is unknown."""
        found = self.find(identifier)
        return "" if found is None else self.name_of(found)

    def name_of(self, entry: Contact | Group) -> str:
        """Return the name of a person or group."""
        return group_displayname(entry, self.roster.own) if isinstance(entry, Group) else friend_displayname(entry)

    @property
    def own_name(self) -> str:
        """The account's own name, "" before it is known."""
        return user_displayname(self.roster.me) if self.roster.me else ""

    @property
    def own_id(self) -> str:
        """The account's own lasting id, "" before it is known."""
        return id_of(self.roster.me) if self.roster.me else ""

    def _by_number(self) -> "dict[str, Contact | Group]":
        if self._state != self.roster.changes:
            everybody: list[Contact | Group] = [*self.roster.contacts.values(), *self.roster.groups.values()]
            self._numbered = {str(entry.uid): entry for entry in everybody if entry.uid}
            self._state = self.roster.changes
        return self._numbered
