"""Notification targets, and the file that stores them.

A target is the destination of a program's notifications: an account, a peer of it, and a token for only this target's
endpoint. The file is the controller's own, in its state directory, because targets are added through the API. Like
the file of tokens it holds hashes; an unusable file admits no caller.

The peer is stored as entered, an id or a name: on some routes ids change with every login. The driver is stored
because an id of one route is invalid on another, or means another person. A target whose account was removed stays,
so that its callers get a reason; another account of that name does not revive it.

``core/config/reporttargets.py`` is about webhook addresses, a different subject.
"""

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from wxcontroller.core.access.rights import FIRST_PARTS
from wxcontroller.core.access.tokenfile import digest, fresh_token, holder_of, moment, seconds_of
from wxcontroller.core.errors import BadName, BadSettings, WxError, reason_of
from wxcontroller.core.files.atomic import read_foreign, replace_file
from wxcontroller.core.files.filecache import ANY_SIZE, Watched
from wxcontroller.core.jsontypes import JsonObject, JsonValue, items, obj, read_json, text
from wxcontroller.core.jsontypes import field as member
from wxcontroller.core.names import parse_name
from wxcontroller.core.text.templates import N_, NOTHING, Text, in_file

# As ntfy's topics, so that every client can name one in its URL.
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
# Targets cannot be named like the first parts of our own paths, or like calls of ntfy and Gotify.
RESERVED = frozenset({*FIRST_PARTS, "message", "publish"})
# Every change reads the whole file, and is made by a person.
TARGETS = 1000
PEER_CHARACTERS = 256
_MODE = 0o600


class UnknownTarget(WxError, LookupError, code="unknown-target", status=404, exit_code=4):
    """No notification target has this name."""


class TargetExists(WxError, code="target-exists", status=409, exit_code=8):
    """A notification target of this name already exists."""


@dataclass(frozen=True, slots=True)
class NotifyTarget:
    """One target. ``id`` and ``sha256`` are its token's; ``removed``: its account was. ``created``: since 1970."""

    name: str
    id: str
    sha256: str
    account: str
    peer: str
    is_group: bool
    driver: str
    created: int
    removed: bool = False

    @property
    def instance(self) -> str:
        return parse_name(self.account).instance

    def as_json(self) -> JsonObject:
        """Return it as people see it, without the hash."""
        return {
            "name": self.name,
            "id": self.id,
            "account": self.account,
            "peer": self.peer,
            "group": self.is_group,
            "driver": self.driver,
            "created": moment(self.created),
            "removed": self.removed,
        }


@dataclass(frozen=True, slots=True)
class NotifyTargets:
    """All targets at one moment. ``broken`` says why the file cannot be used; then no caller is admitted."""

    by_name: Mapping[str, NotifyTarget] = field(default_factory=dict[str, NotifyTarget])
    broken: Text = NOTHING
    by_id: Mapping[str, NotifyTarget] = field(init=False, default_factory=dict[str, NotifyTarget])

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_id", {each.id: each for each in self.by_name.values()})

    def find(self, presented: str) -> NotifyTarget | None:
        """Return the target of a token."""
        return holder_of(presented, self.by_id)

    def named(self, name: str) -> NotifyTarget:
        """Return a target by name. Raises UnknownTarget."""
        found = self.by_name.get(name)
        if found is None:
            raise UnknownTarget(
                N_("notification target {target} does not exist"),
                N_("wxctl target list shows them"),
                target=name[:64],
            )
        return found


def new_target(name: str, account: str, peer: str, is_group: bool, driver: str) -> tuple[str, NotifyTarget]:
    """Create a target; return its token's text, which is not stored, and its record. Raises BadName."""
    if not _NAME.fullmatch(name) or name in RESERVED:
        raise BadName(
            N_("invalid target name: {target}"),
            N_("use 1 to 64 letters, digits, '_' and '-'; not {reserved}"),
            target=f"{name[:64]!r}",
            reserved=", ".join(sorted(RESERVED)),
        )
    if not peer.strip() or not peer.isprintable() or len(peer) > PEER_CHARACTERS:
        raise BadName(
            N_("invalid peer: {peer}"),
            N_("give the id or name of a person or group, of up to {most} characters"),
            peer=f"{peer[:64]!r}",
            most=PEER_CHARACTERS,
        )
    identity, shown = fresh_token()
    bound = parse_name(account).name
    return shown, NotifyTarget(name, identity, digest(shown), bound, peer, is_group, driver, int(time.time()))


def parse(content: bytes, origin: str) -> NotifyTargets:
    """Read the file's content. Raises BadSettings with the problem; an empty file is damaged."""
    try:
        listed = member(read_json(content), "targets")
        if not isinstance(listed, list):
            raise ValueError(Text("has no list of targets"))
        found = [_target(obj(entry)) for entry in items(listed)]
        if len({each.name for each in found}) != len(found) or len({each.id for each in found}) != len(found):
            raise ValueError(Text("contains two targets with the same name or id"))
    except (ValueError, BadName) as problem:
        raise BadSettings(
            in_file(origin, reason_of(problem)),
            N_("restore the file, or remove it and add the targets again"),
        ) from None
    return NotifyTargets({each.name: each for each in found})


def rendered(targets: NotifyTargets) -> bytes:
    """Return the content of the file."""
    listed: list[JsonValue] = [{**each.as_json(), "sha256": each.sha256} for each in targets.by_name.values()]
    content: JsonObject = {"targets": listed}
    return (json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode()


def target_book(path: Path) -> Watched[NotifyTargets]:
    """Return a view of the file that is always up to date."""
    return Watched(
        path, lambda content: parse(content, str(path)), NotifyTargets(), lambda why: NotifyTargets(broken=why)
    )


@dataclass(frozen=True, slots=True)
class NotifyTargetFile:
    """The file, for the controller, which alone writes it. Its methods block, and raise BadSettings and OSError."""

    path: Path
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self) -> NotifyTargets:
        try:
            return parse(read_foreign(self.path, ANY_SIZE), str(self.path))
        except FileNotFoundError:
            return NotifyTargets()

    def add(self, target: NotifyTarget) -> None:
        """Raises also TargetExists, and BadName for one too many."""

        def added(targets: NotifyTargets) -> dict[str, NotifyTarget]:
            if target.name in targets.by_name:
                raise TargetExists(
                    N_("notification target {target} already exists"),
                    N_("remove it first, or choose another name"),
                    target=target.name,
                )
            if len(targets.by_name) >= TARGETS:
                raise BadName(
                    N_("the limit of {most} notification targets is reached"), N_("remove some"), most=TARGETS
                )
            return {**targets.by_name, target.name: target}

        self._change(added)

    def remove(self, name: str) -> NotifyTarget:
        """Take a target out and return it. Raises also UnknownTarget."""
        gone: list[NotifyTarget] = []

        def without(targets: NotifyTargets) -> dict[str, NotifyTarget]:
            gone.append(targets.named(name))
            return {each.name: each for each in targets.by_name.values() if each.name != name}

        self._change(without)
        return gone[0]

    def account_removed(self, account: str) -> list[str]:
        """End the targets of an account that was removed; return their names."""
        names = [each.name for each in self.read().by_name.values() if each.account == account and not each.removed]
        if names:
            self._change(
                lambda targets: {
                    each.name: replace(each, removed=True) if each.name in names else each
                    for each in targets.by_name.values()
                }
            )
        return names

    def _change(self, change: Callable[[NotifyTargets], dict[str, NotifyTarget]]) -> None:
        with self._lock:
            replace_file(self.path, rendered(NotifyTargets(change(self.read()))), _MODE, durable=True)


def _target(entry: JsonObject) -> NotifyTarget:
    name, identity, sha256, account, peer, driver = (
        text(entry.get(key)) for key in ("name", "id", "sha256", "account", "peer", "driver")
    )
    if not _NAME.fullmatch(name) or not re.fullmatch(r"[0-9a-f]{8}", identity):
        raise ValueError(Text("contains a target without name or id"))
    if not re.fullmatch(r"[0-9a-f]{64}", sha256) or not peer or not driver:
        raise ValueError(Text("target {target} is incomplete", target=name))
    is_group, removed = entry.get("group"), entry.get("removed")
    if not isinstance(is_group, bool) or not isinstance(removed, bool):
        raise ValueError(Text("target {target} is incomplete", target=name))
    created = seconds_of(entry.get("created"))
    return NotifyTarget(name, identity, sha256, parse_name(account).name, peer, is_group, driver, created, removed)
