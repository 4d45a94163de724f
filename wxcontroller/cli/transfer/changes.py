"""Which files a standby bundle of an account would have, without reading them: their names, sizes and times.

The account's program writes them and may have been taken over. So the files read and the bytes sent are
bounded, and problems with an account's files affect only that account.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wxcontroller.cli.transfer.pack import CREDENTIALS, DEEPEST, secret_file
from wxcontroller.cli.transfer.snapshot import INDEX
from wxcontroller.core.account import Account
from wxcontroller.core.errors import WxError
from wxcontroller.core.messages import N_
from wxcontroller.core.paths import Paths

BUNDLE_FILES = 100_000
BUNDLE_BYTES = 16 << 30
# A sparse file takes long to send and fills the other disk. Files on compressing disks look similar.
_SPARSE, _SPARSE_BYTES = 4, 64 << 20
_BLOCK = 512


@dataclass(frozen=True, slots=True)
class BundleFacts:
    """``digest`` changes with any part of the bundle; ``size`` is the size of its files in bytes."""

    digest: str
    size: int


def bundle_facts(account: Account, paths: Paths) -> BundleFacts:
    """Return the facts of an account's files. Raises OSError, and WxError for more than a bundle may have."""
    instance = account.name.instance
    found = hashlib.sha256(paths.account_file(instance).read_bytes())
    size = on_disk = 0
    for file, facts in _facts_of(account, paths):
        found.update(f"{file} {facts.st_size} {facts.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
        size += facts.st_size
        on_disk += facts.st_blocks * _BLOCK
    if size > on_disk * _SPARSE + _SPARSE_BYTES:
        raise WxError(
            N_("files of {account} are mostly empty: {size} bytes, {on_disk} on disk"),
            N_("find the sparse files in its state directory and delete them"),
            account=account.name.name,
            size=size,
            on_disk=on_disk,
        )
    if size > BUNDLE_BYTES:
        raise WxError(
            N_("{account} has more than {limit} bytes of files, too many for a standby bundle"),
            N_("delete media, or lower media_keep_bytes"),
            account=account.name.name,
            limit=BUNDLE_BYTES,
        )
    return BundleFacts(found.hexdigest(), size)


def _facts_of(account: Account, paths: Paths) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield a bundle's files in an order that stays the same."""
    instance = account.name.instance
    files = [paths.override_file(instance), *(secret_file(paths, instance, each) for each in CREDENTIALS)]
    for number, file in enumerate(_below(paths.private_state(instance))):
        if number >= BUNDLE_FILES:
            raise WxError(
                N_("{account} has more than {limit} files, too many for a standby bundle"),
                N_("check its state directory"),
                account=account.name.name,
                limit=BUNDLE_FILES,
            )
        files.append(file)
    for file in sorted(files):
        try:
            yield file, file.lstat()
        except FileNotFoundError:
            continue


def _below(directory: Path, depth: int = 1) -> Iterator[Path]:
    """Yield the files below a directory, to the depth of a bundle."""
    try:
        entries = os.scandir(directory)
    except FileNotFoundError:  # it never ran, or has deleted it
        return
    with entries:
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                # Not part of a bundle: SQLite creates it again (snapshot.py).
                if entry.name != INDEX:
                    yield Path(entry.path)
            elif depth < DEEPEST:
                yield from _below(Path(entry.path), depth + 1)
