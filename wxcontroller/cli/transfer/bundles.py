"""The standby bundles on this host: the newest one of each account, still sealed, in a directory of root.

A bundle replaces another one only when all of it is here and opens with the passphrase of the fleet, and when it is
newer and comes from the host that has the account: in a later epoch, or in the same epoch from the same host. The
bundle itself is authoritative: notes about it belong to the controller, which may show them and is not trusted.
"""

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from wxcontroller.cli.connection.api import Api
from wxcontroller.cli.transfer.copy.pack import Manifest, manifest_in
from wxcontroller.cli.transfer.copy.preconditions import disk_errors
from wxcontroller.cli.transfer.copy.seal import Locked, Opener
from wxcontroller.core.errors import AccountExists, StaleEpoch, WxError
from wxcontroller.core.files.atomic import sync
from wxcontroller.core.jsontypes import JsonObject, integer, obj
from wxcontroller.core.names import AccountName
from wxcontroller.core.paths import Paths
from wxcontroller.core.text.templates import N_
from wxcontroller.fleet.standby import KeptBundle, kept_bundles, write_kept

# Space that a bundle leaves free on the disk, for this host's own accounts.
SPARE_BYTES = 256 << 20
_LOOK_BYTES = 4 << 20
_NEW = ".new-"


def keep(api: Api, paths: Paths, source: IO[bytes], secret: Callable[[], bytes], instance: str) -> JsonObject:
    """Store a bundle from another host atomically; return its header. Raises WxError."""
    # The instance comes from the controller and is not verified yet: no other string becomes part of a path.
    bundle = paths.standby_bundle(instance)
    with disk_errors(paths.standby):
        paths.standby.mkdir(mode=0o711, exist_ok=True)
        with _new_file(paths) as (new, out):
            copied = _Copied(source, out)
            opener = Opener(copied, secret)
            manifest = manifest_in(opener)
            refuse_bundle(api, manifest, bundle, kept_bundles(paths).get(instance))  # before the rest is read
            opener.finish()
            out.flush()
            os.fsync(out.fileno())
            found = _described(manifest, copied.size)
            with bundles_locked(paths):
                # Checked again, with the bundle itself: another one may have arrived meanwhile, and the notes are the
                # controller's.
                refuse_bundle(api, manifest, bundle, _bundle_in(bundle, secret))
                new.replace(bundle)
                # On disk before the answer, because the sending host then considers the account protected.
                sync(paths.standby)
                write_kept(paths, {**known_bundles(paths, secret), instance: found})
    return {"name": found.name, "host": found.host, "epoch": found.epoch, "at": found.at, "bytes": found.size}


def refuse_bundle(api: Api, manifest: Manifest, file: Path, kept: KeptBundle | None) -> None:
    """Raise WxError for a bundle that is not its account's newest one; ``kept`` is the one in ``file`` now."""
    if manifest.name.instance != file.stem or not manifest.host:
        raise Locked(
            N_("this is not a standby bundle of account {account}"),
            N_("the bundle was not stored"),
            account=file.stem,
        )
    here = api.arrival(manifest.name)
    if here.get("account") is not None:
        raise AccountExists(
            N_("account {account} is on this host"),
            N_("a standby bundle has to be on another host than the account"),
            account=manifest.name.name,
        )
    gone = integer(obj(here.get("gone")).get("epoch"))
    is_older = kept is not None and (
        manifest.epoch < kept.epoch
        or (manifest.epoch == kept.epoch and (manifest.host != kept.host or manifest.exported < kept.at))
    )
    if is_older or manifest.epoch < gone:
        raise StaleEpoch(
            N_("the bundle of {account} (host {host}, epoch {epoch}) is older than the copy here"),
            N_(
                "if the account was removed and added again, delete {file} on the standby host; if another host has "
                "it, remove it on host {host}"
            ),
            account=manifest.name.name,
            host=manifest.host,
            epoch=manifest.epoch,
            file=file,
        )


def known_bundles(paths: Paths, secret: Callable[[], bytes]) -> dict[str, KeptBundle]:
    """Return the bundles on this host; those without a note are opened. Raises OSError."""
    kept = kept_bundles(paths)
    for file in paths.standby.glob("*.wxaccount"):
        if file.stem not in kept and (found := _bundle_in(file, secret)):
            kept[file.stem] = found
    return kept


def _bundle_in(file: Path, secret: Callable[[], bytes]) -> KeptBundle | None:
    """Return a bundle's own header; None if it is missing or cannot be opened. Raises OSError."""
    try:
        with file.open("rb") as source:
            return _described(manifest_in(Opener(source, secret)), os.fstat(source.fileno()).st_size)
    except (FileNotFoundError, Locked):
        return None


def _described(manifest: Manifest, size: int) -> KeptBundle:
    return KeptBundle(manifest.name.name, manifest.host, manifest.epoch, manifest.exported, size, manifest.ran)


def drop_bundle(paths: Paths, name: AccountName) -> None:
    """Delete the bundle of an account that is on this host now. Raises OSError."""
    if not paths.standby.exists():
        return
    # A receiver may wait here until it has checked that the account is not on this host: no bundle is stored after
    # this.
    with bundles_locked(paths):
        if (file := paths.standby_bundle(name.instance)).exists():
            kept = kept_bundles(paths)
            file.unlink()
            write_kept(paths, {instance: each for instance, each in kept.items() if instance != name.instance})


@contextmanager
def bundles_locked(paths: Paths) -> Iterator[None]:
    """Hold the lock for replacing bundles and their notes. Raises OSError."""
    with (paths.standby / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _new_file(paths: Paths) -> Iterator[tuple[Path, IO[bytes]]]:
    """Yield a temporary file for an arriving bundle; it is deleted after the block if still there. Raises OSError."""
    with bundles_locked(paths):
        for left in paths.standby.glob(f"{_NEW}*"):
            with suppress(OSError), left.open("rb") as stream:  # it is still being received, or was just deleted
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                left.unlink()
        # Under the lock: without a lock of its own, another receiver could take the file for that of a killed one.
        descriptor, name = tempfile.mkstemp(prefix=_NEW, dir=paths.standby)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    with os.fdopen(descriptor, "wb") as out:
        try:
            yield Path(name), out
        finally:
            Path(name).unlink(missing_ok=True)


class _Copied:
    """A source whose bytes are also written to ``out``, as long as the disk has space. Raises WxError and OSError."""

    def __init__(self, source: IO[bytes], out: IO[bytes]) -> None:
        self._source = source
        self._out = out
        self._looked = -_LOOK_BYTES
        self.size = 0

    def read(self, size: int, /) -> bytes:
        found = self._source.read(size)
        if self.size - self._looked >= _LOOK_BYTES:
            self._looked = self.size
            facts = os.fstatvfs(self._out.fileno())
            if (free := facts.f_bavail * facts.f_frsize) < SPARE_BYTES:
                raise WxError(
                    N_("only {free} MB are free on the disk of the standby bundles; {spare} MB have to stay free"),
                    N_("free some space there"),
                    free=free >> 20,
                    spare=SPARE_BYTES >> 20,
                )
        self._out.write(found)
        self.size += len(found)
        return found
