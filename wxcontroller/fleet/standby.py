"""The controller's data about standby bundles: those stored on this host, and those it has sent to others.

A bundle is an account as ``wxctl export`` writes it, sealed. Root keeps and sends them (cli/transfer) and writes down
what the controller may know of them in two files that only the controller can read.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from wxcontroller.core.files.atomic import read_foreign, replace_file
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.names import is_instance
from wxcontroller.core.paths import CONTROLLERS_FILE_BYTES, Paths
from wxcontroller.core.records.decoding import Free, Undecodable, WireRecord, decode, encode
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import N_, NOTHING, Text, text_fields, text_from

_File = TypeVar("_File", bound=WireRecord)
# A bundle is late if the account has been newer for this long: more than hundreds of accounts need.
STALE_SECONDS = 1800
_NEVER = Text(N_("no bundle was sent yet; on this host: systemctl enable --now wxcontroller-standby.timer"))
_THIS_HOST = N_("the standby host is this host; name another one: {command}")
_NOT_LOOKED = Text(N_("no bundle was sent for a long time; see: systemctl status wxcontroller-standby.timer"))


@dataclass(frozen=True, slots=True)
class KeptBundle:
    """A bundle on this host. ``at`` is when ``host`` made it, ``ran`` whether the account was to run then."""

    name: str
    host: str
    epoch: int
    at: int
    size: int
    ran: bool


@dataclass(frozen=True, slots=True)
class SentBundle:
    """The last bundle of an account of this host that ``to`` has, with ``at`` 0 for none.

    ``digest`` is that of the account's files then. ``tried`` is when the last one was begun, and ``took`` the seconds
    it took; ``changed`` since when the account is newer than its bundle, 0 while it is not; ``why`` is the text that
    says why none has arrived since, as JSON. ``files`` is how many files of the account's the bundle has.
    """

    to: str
    epoch: int
    at: int = 0
    size: int = 0
    digest: str = ""
    tried: int = 0
    took: int = 0
    changed: int = 0
    why: Free = field(default_factory=dict)
    files: int = 0


class _KeptFile(WireRecord):
    bundles: dict[str, KeptBundle] = {}  # noqa: RUF012 - a new one for each file


class _SentFile(WireRecord):
    bundles: dict[str, SentBundle] = {}  # noqa: RUF012 - a new one for each file


def kept_bundles(paths: Paths) -> dict[str, KeptBundle]:
    """Return the bundles on this host by their accounts' instances, without deleted ones. Raises OSError."""
    return {
        instance: each
        for instance, each in _read(paths.standby_kept, _KeptFile).bundles.items()
        if is_instance(instance) and each.name and paths.standby_bundle(instance).exists()
    }


def sent_bundles(paths: Paths) -> dict[str, SentBundle]:
    """Return the bundles that this host has sent by their accounts' instances. Raises OSError."""
    return _read(paths.standby_sent, _SentFile).bundles


def write_kept(paths: Paths, bundles: Mapping[str, KeptBundle]) -> None:
    """Store them. Raises OSError."""
    _write(paths, paths.standby_kept, _KeptFile({**bundles}))


def write_sent(paths: Paths, bundles: Mapping[str, SentBundle]) -> None:
    """Store them. Raises OSError."""
    _write(paths, paths.standby_sent, _SentFile({**bundles}))


@dataclass(frozen=True, slots=True)
class StandbyState:
    """A standby bundle as people and programs are shown it. ``at`` is 0 for none; ``reason`` why it is not newer."""

    account: str
    owner: str
    to: str
    epoch: int
    at: int
    size: int
    is_stale: bool = False
    reason: Text = NOTHING

    def as_json(self) -> JsonObject:
        """Return it as /v1/fleet shows it."""
        return {
            **{"account": self.account, "from": self.owner, "to": self.to, "epoch": self.epoch},
            **{"at": self.at or None, "bytes": self.size, "stale": self.is_stale},
            **text_fields(reason=self.reason),
        }


def standby_states(paths: Paths, host: str, wanted: Mapping[str, tuple[str, str]]) -> list[StandbyState]:
    """Return the bundles of this ``host``'s accounts and those that it keeps. Raises OSError.

    ``wanted`` are the names and the standby hosts of its accounts that have one, by instance.
    """
    sent = sent_bundles(paths)
    looked = int(time.time()) - _written(paths.standby_sent) < STALE_SECONDS
    states = [
        _own_state(name, host, to, sent.get(instance), looked) for instance, (name, to) in sorted(wanted.items())
    ]
    kept = kept_bundles(paths).values()
    states += [StandbyState(each.name, each.host, host, each.epoch, each.at, each.size) for each in kept]
    return states


def _own_state(name: str, host: str, to: str, sent: SentBundle | None, looked: bool) -> StandbyState:
    """Return the state of the bundle of an account on this ``host``; ``looked``: changes were noticed lately."""
    if to == host:
        reason = Text(_THIS_HOST, command=command("set", name, "standby=HOST"))
        return StandbyState(name, host, to, 0, 0, 0, True, reason)
    if sent is None or sent.to != to:  # its turn comes, if there are rounds
        sent = SentBundle(to, 0)
    if not looked:
        return StandbyState(name, host, to, sent.epoch, sent.at, sent.size, True, _NOT_LOOKED if sent.at else _NEVER)
    is_stale = bool(sent.changed) and int(time.time()) - sent.changed > STALE_SECONDS
    return StandbyState(name, host, to, sent.epoch, sent.at, sent.size, is_stale, text_from(sent.why))


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _read(path: Path, kind: type[_File]) -> _File:
    try:
        return decode(read_foreign(path, CONTROLLERS_FILE_BYTES), kind)
    except (FileNotFoundError, Undecodable):
        return kind()


def _write(paths: Paths, path: Path, content: WireRecord) -> None:
    # For the controller, not for its group, which the accounts' processes share.
    owner = paths.accounts.parent.stat().st_uid
    paths.standby.mkdir(mode=0o711, exist_ok=True)
    replace_file(path, encode(content), 0o400, durable=True, owner=owner)
