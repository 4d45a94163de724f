"""An account as a tar archive.

The accounts' directories belong to their programs, which may have been taken over. A unit with the account's user
reads them (``exportunit``); root checks what it sends (``receivedfiles``) and adds it to the archive. Only root
writes a new account's directory, before the account exists.
"""

import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from wxcontroller import __version__
from wxcontroller.cli.transfer.copy.accountreader import DEEPEST
from wxcontroller.cli.transfer.copy.directory import stored_bytes
from wxcontroller.cli.transfer.copy.exportunit import OpenReader, read_by_unit
from wxcontroller.cli.transfer.copy.receivedfiles import ReceivedFiles
from wxcontroller.cli.transfer.copy.seal import Locked, Readable
from wxcontroller.cli.transfer.copy.unitfiles import NAME as DROP_IN
from wxcontroller.cli.transfer.copy.unitfiles import UnitFiles
from wxcontroller.core.access.systemdcredentials import PLACE
from wxcontroller.core.files.atomic import sync
from wxcontroller.core.jsontypes import JsonObject, integer, obj, one_line, read_json, text
from wxcontroller.core.names import AccountName, parse_name
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry.account import LARGEST_EPOCH, Account
from wxcontroller.core.states import Desired
from wxcontroller.core.text.templates import N_

CREDENTIALS = ("proxy", "webhook-secret")
_FORMAT = 1
_MANIFEST, _OVERRIDE, _STATE, _SECRETS, _DROP_INS = "account.json", "override.env", "state", "credentials", "drop-ins"
_SMALL = 1024 * 1024
_LATEST = float(1 << 33)  # no file is from after that
_PIECE = 1024 * 1024
_MOVE_ID = 64
# What a running account may add while it is read.
_GROWTH_BYTES = 1 << 30
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC  # O_EXCL follows no link


class Writable(Protocol):
    """The target of an archive."""

    def write(self, content: bytes, /) -> int: ...


@dataclass(frozen=True, slots=True)
class Manifest:
    """The head of a bundle: its account, and the options that were stored with the account.

    ``epoch`` is that of the exporting host; files of 2.3.0 and earlier have none and belong to the first. ``move`` is
    the id of the move, "" for an export. ``host`` is the host that made a standby bundle, "" for anything else.
    ``ran``: its desired state was started. ``adopted``: the epoch of its last adoption. ``takeover`` is its option of
    this name.
    """

    name: AccountName
    parameters: dict[str, str]
    version: str
    exported: int
    media: bool
    epoch: int = 1
    move: str = ""
    host: str = ""
    ran: bool = False
    adopted: int = 0
    takeover: str = ""

    def as_json(self) -> JsonObject:
        return {"format": _FORMAT, **asdict(self), "name": self.name.name}


@dataclass(slots=True)
class Packed:
    """The contents of a bundle, counted."""

    files: int = 0
    left_out: list[str] = field(default_factory=list)
    login_file: bool = False


def secret_file(paths: Paths, instance: str, name: str) -> Path:
    return paths.root / PLACE.relative_to("/") / f"{instance}.{name}"


def pack(
    out: Writable,
    account: Account,
    paths: Paths,
    now: int,
    media: bool,
    unit: UnitFiles | None = None,
    host: str = "",
    read: OpenReader = read_by_unit,
) -> Packed:
    """Write an account's bundle, with ``host`` as a standby bundle of that host; the account may run.

    ``read`` starts the reader of its files. Raises OSError, and WxError if they cannot be read.
    """
    instance, packed = account.name.instance, Packed()
    manifest = Manifest(
        account.name,
        dict(account.parameters),
        __version__,
        now,
        media,
        account.epoch,
        account.leaving.id if account.leaving else "",
        host,
        account.desired is Desired.STARTED,
        account.adopted,
        account.options.get("takeover", ""),
    )
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload]
        # First: ``unpack`` checks it before it writes anything, and a standby host reads only this part of a bundle.
        add(archive, _MANIFEST, json.dumps(manifest.as_json(), ensure_ascii=False).encode())
        if override := small(paths.override_file(instance)):
            add(archive, _OVERRIDE, override)
        for name in CREDENTIALS:
            if secret := small(secret_file(paths, instance, name)):
                add(archive, f"{_SECRETS}/{name}", secret)
        for name, content in unit.files.items() if unit else ():
            add(archive, f"{_DROP_INS}/{name}", content)
        place = paths.private_state(instance)
        if not os.path.lexists(place):
            return packed  # it never ran
        most = stored_bytes(account.name, place) + _GROWTH_BYTES
        with read(account.name) as connection:
            files = ReceivedFiles(account.name, connection, most)
            for file in files.requested(media):
                member = tarfile.TarInfo(f"{_STATE}/{file.name}")
                member.size, member.mtime, member.mode = file.size, file.modified, 0o600
                archive.addfile(member, file)
                packed.files += 1
                packed.login_file |= file.name == paths.cookie_file(instance).name
            packed.left_out = [f"{_STATE}/{each}" for each in files.left_out]
    return packed


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o600
    archive.addfile(member, io.BytesIO(content))


def small(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(_SMALL)
    except FileNotFoundError:
        return b""


@dataclass(slots=True)
class Unpacked:
    """A bundle, read into its own directory: ``state`` there, the rest in memory."""

    manifest: Manifest
    state: Path
    override: bytes = b""
    secrets: dict[str, bytes] = field(default_factory=dict)
    drop_ins: dict[str, bytes] = field(default_factory=dict)
    files: int = 0


def unpack(source: Readable, staging: Path, check: Callable[[AccountName], None] = lambda _: None) -> Unpacked:
    """Read a bundle into an empty directory. Raises Locked for one that is not ours, and OSError.

    ``check`` is called with the account's name before anything is written, and may raise.
    """
    state = staging / _STATE
    state.mkdir(mode=0o700)
    found: Unpacked | None = None
    try:
        with tarfile.open(fileobj=source, mode="r|") as archive:  # type: ignore[call-overload]
            for member in archive:
                content = archive.extractfile(member) if member.isreg() else None
                if content is None:
                    raise unexpected_data(member.name)
                if found is None:
                    found = Unpacked(_manifest(member, content), state)
                    check(found.manifest.name)
                else:
                    extract_member(found, member, content)
    except (tarfile.TarError, ValueError):  # also: names that cannot be one
        raise unexpected_data("the archive") from None
    if found is None:
        raise unexpected_data("nothing")
    for directory, _, _ in os.walk(staging, topdown=False):
        sync(Path(directory))
    return found


def manifest_in(source: Readable) -> Manifest:
    """Read the head of a bundle, and little more of it. Raises Locked for one that is not ours."""
    try:
        with tarfile.open(fileobj=source, mode="r|") as archive:  # type: ignore[call-overload]
            for member in archive:
                if (content := archive.extractfile(member)) is not None:
                    return _manifest(member, content)
    except (tarfile.TarError, ValueError):
        raise unexpected_data("the archive") from None
    raise unexpected_data("nothing")


def extract_member(found: Unpacked, member: tarfile.TarInfo, content: IO[bytes]) -> None:
    parts = PurePosixPath(member.name).parts
    if parts == (_OVERRIDE,):
        found.override = bounded(member, content)
    elif len(parts) == 2 and parts[0] == _SECRETS and parts[1] in CREDENTIALS:
        found.secrets[parts[1]] = bounded(member, content)
    elif len(parts) == 2 and parts[0] == _DROP_INS and DROP_IN.fullmatch(parts[1]):
        found.drop_ins[parts[1]] = bounded(member, content)
    # Names in a bundle cannot lead out of ``state``, even if it is malicious.
    elif parts[:1] == (_STATE,) and 1 < len(parts) <= DEEPEST + 1 and not {"..", ".", "/"} & set(parts):
        target = found.state.joinpath(*parts[1:])
        for depth in range(1, len(parts) - 1):
            found.state.joinpath(*parts[1 : depth + 1]).mkdir(mode=0o700, exist_ok=True)
        with os.fdopen(os.open(target, _NEW, 0o600), "wb") as stream:
            shutil.copyfileobj(content, stream, _PIECE)
            stream.flush()
            os.fsync(stream.fileno())
        # Preserved, because media are deleted by age and all would be new.
        moment = min(max(0.0, float(member.mtime)), _LATEST)
        os.utime(target, (moment, moment))
        found.files += 1
    else:
        raise unexpected_data(member.name)


def _manifest(member: tarfile.TarInfo, content: IO[bytes]) -> Manifest:
    if member.name != _MANIFEST:
        raise unexpected_data(member.name)
    try:
        head = obj(read_json(bounded(member, content)))
        name = parse_name(text(head.get("name")))
    except ValueError:  # BadName is one
        raise unexpected_data(member.name) from None
    if head.get("format") != _FORMAT:
        raise Locked(
            N_("the account was exported by version {version}, in a format that this version does not know"),
            N_("upgrade wxcontroller here"),
            version=text(head.get("version")),
        )
    parameters = {key: text(value) for key, value in obj(head.get("parameters")).items()}
    exported = head.get("exported")
    return Manifest(
        name,
        parameters,
        text(head.get("version")),
        exported if isinstance(exported, int) else 0,
        head.get("media") is True,
        # The import adds one.
        min(max(1, integer(head.get("epoch"))), LARGEST_EPOCH - 1),
        text(head.get("move"))[:_MOVE_ID],
        one_line(head.get("host"))[:_MOVE_ID],
        head.get("ran") is True,
        min(max(0, integer(head.get("adopted"))), LARGEST_EPOCH - 1),
        text(head.get("takeover"))[:_MOVE_ID],
    )


def bounded(member: tarfile.TarInfo, content: IO[bytes]) -> bytes:
    if member.size > _SMALL:
        raise unexpected_data(member.name)
    return content.read()


def unexpected_data(what: str) -> Locked:
    return Locked(
        N_("the exported account contains unexpected data: {what}"),
        N_("nothing was imported"),
        what=f"{what[:100]!r}",
    )
