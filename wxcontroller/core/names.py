"""Account names and the instance ids made from them.

An instance id is what systemd sees (``wxclient@ID.service``, user ``wxc-ID``, directory names). A plain name is
its own id; every other allowed name gets an id by hashing. No other module builds a unit, user or path from a name.
"""

import base64
import hashlib
import re
import unicodedata
from dataclasses import dataclass

from wxcontroller.core.errors import BadName
from wxcontroller.core.text.templates import N_

MAX_NAME_LENGTH = 64
# 27 characters: systemd user names are limited to 31, and ours begin with "wxc-".
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,26}")
_DERIVED = re.compile(r"x-[a-z2-7]{15}")
_REMEDY = N_(
    "use 1 to 64 letters or digits of any script, '_', '.', '-', '@' or inner spaces, not beginning with a dot"
)


@dataclass(frozen=True, slots=True)
class AccountName:
    """A valid account name with its instance id."""

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

    Raises BadName, saying why, for everything that cannot be an account.
    """
    name = unicodedata.normalize("NFC", raw)
    if not name:
        raise BadName(N_("the account name is empty"), _REMEDY)
    if len(name) > MAX_NAME_LENGTH:
        raise BadName(N_("the account name has {count} characters, at most 64 are allowed"), _REMEDY, count=len(name))
    if name == "0":
        raise BadName(
            N_("the account name 0 is not allowed, because the HTTP API treats it as no name"),
            N_("choose another name"),
        )
    if name != name.strip(" "):
        raise BadName(N_("the account name {account} begins or ends with a space"), _REMEDY, account=f"{name!r}")
    if name.startswith("."):
        raise BadName(N_("the account name {account} begins with a dot"), _REMEDY, account=f"{name!r}")
    for character in name:
        if not allowed(character):
            raise BadName(
                N_("the account name {account} contains {character}"),
                _REMEDY,
                account=f"{name!r}",
                character=f"{character!r}",
            )
    if _DERIVED.fullmatch(name):
        raise BadName(
            N_("the account name {account} has the form of a generated id"),
            N_("such ids are generated for other names; choose another name"),
            account=f"{name!r}",
        )
    if _PLAIN.fullmatch(name):
        return AccountName(name, name)
    return AccountName(name, derive(name))


def name_or_none(raw: str) -> AccountName | None:
    """Return the name that ``raw`` is, None for what cannot be one."""
    try:
        return parse_name(raw)
    except BadName:
        return None


def is_instance(text: str) -> bool:
    """Return whether ``text`` may stand between ``wxclient@`` and ``.service``."""
    return _PLAIN.fullmatch(text) is not None


def is_derived(instance: str) -> bool:
    """Return whether this id was made from a name that is not plain (the name is in the account's file)."""
    return _DERIVED.fullmatch(instance) is not None


def unit_of(instance: str) -> str:
    """Return the unit name of an instance; raises BadName for anything else."""
    if not is_instance(instance):
        raise BadName(
            N_("{instance} is not an instance id"),
            N_(
                "an instance id has 1 to 27 characters A-Z a-z 0-9 _ - and does not begin with a dash; for other "
                "names use: wxctl start NAME"
            ),
            instance=f"{instance!r}",
        )
    return f"wxclient@{instance}.service"


def export_unit_of(instance: str) -> str:
    """Return the name of the unit that reads an instance's files for root; raises BadName for anything else."""
    return unit_of(instance).replace("@", "-export@")


def instance_of(unit: str) -> str | None:
    """Return the instance of a ``wxclient@…service`` unit name, None for any other unit."""
    match = re.fullmatch(r"wxclient@(.+)\.service", unit)
    return match[1] if match and is_instance(match[1]) else None


def allowed(character: str) -> bool:
    # Marks belong to the letters before them in Indic and Arabic scripts; without them names break.
    return character in "_.-@ " or unicodedata.category(character)[0] in "LNM"


def derive(name: str) -> str:
    digest = base64.b32encode(hashlib.sha256(name.encode()).digest()).decode().lower()
    return f"x-{digest[:15]}"
