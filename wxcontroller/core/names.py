"""Account names and the instance ids made from them.

An instance id is what systemd sees (``wxclient@ID.service``, user ``wxc-ID``, directory names). A plain name is
its own id; every other allowed name gets an id by hashing. Nobody else builds a unit, user or path from a name.
"""

import base64
import hashlib
import re
import unicodedata
from dataclasses import dataclass

from wxcontroller.core.errors import BadName

MAX_NAME_LENGTH = 64
# 27 characters: systemd user names are limited to 31, and ours begin with "wxc-".
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,26}")
_DERIVED = re.compile(r"x-[a-z2-7]{15}")
_REMEDY = "use 1 to 64 letters or digits of any script, '_', '.', '-', '@' or inner spaces, not beginning with a dot"


@dataclass(frozen=True, slots=True)
class AccountName:
    """A valid account name with the instance id that stands for it."""

    name: str
    instance: str

    @property
    def unit(self) -> str:
        """The systemd unit of this account."""
        return unit_of(self.instance)

    def __str__(self) -> str:
        return self.name if self.name == self.instance else f"{self.name} ({self.instance})"


def parse_name(raw: str) -> AccountName:
    """Check ``raw`` and return the name (NFC) with its instance id.

    Raises BadName, saying why, for everything that can't be an account.
    """
    name = unicodedata.normalize("NFC", raw)
    if not name:
        raise BadName("the account name is empty", _REMEDY)
    if len(name) > MAX_NAME_LENGTH:
        raise BadName(f"the account name has {len(name)} characters, at most 64 are allowed", _REMEDY)
    if name == "0":
        raise BadName("the account name '0' means 'no name' in the HTTP API", "choose another name")
    if name != name.strip(" "):
        raise BadName(f"the account name {name!r} begins or ends with a space", _REMEDY)
    if name.startswith("."):
        raise BadName(f"the account name {name!r} begins with a dot", _REMEDY)
    for character in name:
        if not _allowed(character):
            raise BadName(f"the account name {name!r} contains {character!r}", _REMEDY)
    if _DERIVED.fullmatch(name):
        raise BadName(
            f"the account name {name!r} has the form of a generated id",
            "such ids are made by the controller for names that are not plain; choose another name",
        )
    if _PLAIN.fullmatch(name):
        return AccountName(name, name)
    return AccountName(name, _derive(name))


def is_instance(text: str) -> bool:
    """Say whether ``text`` may stand between ``wxclient@`` and ``.service``."""
    return _PLAIN.fullmatch(text) is not None


def is_derived(instance: str) -> bool:
    """Say whether this id was made from a name that is not plain (the name is in the account's file)."""
    return _DERIVED.fullmatch(instance) is not None


def unit_of(instance: str) -> str:
    """Return the unit name of an instance; raises BadName for what is no instance id."""
    if not is_instance(instance):
        raise BadName(
            f"{instance!r} is not an instance id",
            "an id has 1 to 27 of A-Z a-z 0-9 _ -, no dash first; start other names by wxctl start NAME",
        )
    return f"wxclient@{instance}.service"


def instance_of(unit: str) -> str | None:
    """Return the instance of a ``wxclient@…service`` unit name, None for any other unit."""
    match = re.fullmatch(r"wxclient@(.+)\.service", unit)
    return match[1] if match and is_instance(match[1]) else None


def _allowed(character: str) -> bool:
    # Marks belong to the letters before them in Indic and Arabic scripts; without them names break.
    return character in "_.-@ " or unicodedata.category(character)[0] in "LNM"


def _derive(name: str) -> str:
    digest = base64.b32encode(hashlib.sha256(name.encode()).digest()).decode().lower()
    return f"x-{digest[:15]}"
