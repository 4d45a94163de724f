"""The directory of an import until it is complete, next to the accounts' own and on their file system.

It is removed with the import. A killed import leaves it behind with its lock free: the next import removes it
and reverts the changes already made.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from wxcontroller.core.errors import WxError
from wxcontroller.core.files.atomic import replace_file, sync
from wxcontroller.core.jsontypes import JsonObject, obj, read_json, text
from wxcontroller.core.names import AccountName, parse_name
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry.accountfiles import AccountFiles
from wxcontroller.core.states import Desired

PREFIX = ".import-"
_BEGUN = "begun.json"


@dataclass(frozen=True, slots=True)
class Begun:
    """The plan of an import: ``files`` with their digests, and an account with ``parameters``."""

    name: AccountName
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    parameters: str = ""  # their digest

    def note(self, staging: Path) -> None:
        """Write the plan to disk, before any of it is carried out. Raises OSError."""
        content: JsonObject = {"name": self.name.name, "files": dict(self.files), "parameters": self.parameters}
        replace_file(staging / _BEGUN, json.dumps(content).encode(), 0o600, durable=True)

    def left_files(self) -> list[Path]:
        """Return the unchanged ones: a file changed since belongs to another owner."""
        return [Path(path) for path, wanted in self.files.items() if digest_of(Path(path)) == wanted]

    def left_account(self, paths: Paths) -> bool:
        """Whether the account was registered without data, and not started or changed since."""
        instance = self.name.instance
        if paths.private_state(instance).exists():
            return False
        try:
            account = AccountFiles(paths).load(instance, overrides=False)
        except (WxError, OSError):
            return False
        return account.desired is Desired.STOPPED and digest(dict(account.parameters)) == self.parameters


def digest(content: bytes | Mapping[str, str]) -> str:
    """Return a digest of a file's content or an account's parameters."""
    plain = content if isinstance(content, bytes) else json.dumps(dict(sorted(content.items()))).encode()
    return hashlib.sha256(plain).hexdigest()


@contextmanager
def staging(paths: Paths) -> Iterator[Path]:
    """Yield a directory that is deleted after the block. Raises OSError."""
    parent = _parent(paths)
    parent.parent.mkdir(mode=0o700, exist_ok=True)  # as systemd makes it
    parent.mkdir(mode=0o755, exist_ok=True)
    place, lock = locked(parent)
    try:
        yield place
    finally:
        # Before it is unlocked: another import would take it for one that was killed.
        shutil.rmtree(place, ignore_errors=True)
        os.close(lock)


def finished(staging: Path) -> None:
    """Commit: nothing is reverted from now on. Raises OSError."""
    (staging / _BEGUN).unlink(missing_ok=True)


@contextmanager
def abandoned(paths: Paths) -> Iterator[list[Begun]]:
    """Yield the unfinished work of killed imports; their directories are deleted after the block.

    Raises OSError.
    """
    dead, begun = list[tuple[Path, int]](), list[Begun]()
    try:
        for place in sorted(_parent(paths).glob(f"{PREFIX}*")):
            if (lock := _lock(place)) is not None:
                dead.append((place, lock))
                if (found := _begun(place)) and not paths.private_state(found.name.instance).exists():
                    begun.append(found)
        yield begun
        # Only after the block has undone them: if that fails, the next import tries again.
        for place, _ in dead:
            shutil.rmtree(place)
        if dead:
            sync(_parent(paths))
    finally:
        for _, lock in dead:
            os.close(lock)


def _parent(paths: Paths) -> Path:
    return paths.private_state("x").parent


def locked(parent: Path) -> tuple[Path, int]:
    while True:
        place = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        lock = _lock(place)
        if lock is not None and os.fstat(lock).st_nlink:
            return place, lock
        if lock is not None:  # another import took it for a dead one's, before it was locked
            os.close(lock)


def _lock(place: Path) -> int | None:
    """Lock a directory; None if it is locked or does not exist."""
    try:
        opened = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(opened)
        return None
    return opened


def _begun(place: Path) -> Begun | None:
    try:
        plan = obj(read_json((place / _BEGUN).read_bytes()))
        files = {path: text(value) for path, value in obj(plan.get("files")).items()}
        return Begun(parse_name(text(plan.get("name"))), files, text(plan.get("parameters")))
    except (OSError, ValueError):  # includes BadName; killed before it had placed any file
        return None


def digest_of(path: Path) -> str:
    with suppress(OSError):
        if path.is_file() and not path.is_symlink():
            return digest(path.read_bytes())
    return ""
