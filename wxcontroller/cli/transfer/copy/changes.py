"""Which files a standby bundle of an account would have, without reading them: their names, sizes and times.

The account's program writes them and may have been taken over. So the files read and the bytes sent are
bounded, and problems with an account's files affect only that account.
"""

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass

from wxcontroller.cli.transfer.copy.accountreader import INDEX
from wxcontroller.cli.transfer.copy.directory import BLOCK, entries_below, refuse_sparse
from wxcontroller.cli.transfer.copy.pack import CREDENTIALS, secret_file
from wxcontroller.core.errors import WxError
from wxcontroller.core.files.atomic import read_foreign
from wxcontroller.core.paths import CONTROLLERS_FILE_BYTES, Paths
from wxcontroller.core.registry.account import Account
from wxcontroller.core.text.templates import N_

BUNDLE_FILES = 100_000
BUNDLE_BYTES = 16 << 30


@dataclass(frozen=True, slots=True)
class BundleFacts:
    """``digest`` changes with any part of the bundle; ``size`` is the size of its files in bytes."""

    digest: str
    size: int


def bundle_facts(account: Account, paths: Paths) -> BundleFacts:
    """Return the facts of an account's files. Raises OSError, and WxError for more than a bundle may have."""
    instance = account.name.instance
    found = hashlib.sha256(read_foreign(paths.account_file(instance), CONTROLLERS_FILE_BYTES))
    size = on_disk = 0
    for file, facts in sorted(_facts_of(account, paths).items()):
        found.update(f"{file} {facts.st_size} {facts.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
        size += facts.st_size
        on_disk += facts.st_blocks * BLOCK
    refuse_sparse(account.name, size, on_disk)
    if size > BUNDLE_BYTES:
        raise WxError(
            N_("{account} has more than {limit} bytes of files, too many for a standby bundle"),
            N_("delete media, or lower media_keep_bytes"),
            account=account.name.name,
            limit=BUNDLE_BYTES,
        )
    return BundleFacts(found.hexdigest(), size)


def _facts_of(account: Account, paths: Paths) -> dict[str, os.stat_result]:
    """Return the facts of a bundle's files, by their paths."""
    instance = account.name.instance
    found = dict[str, os.stat_result]()
    for file in (paths.override_file(instance), *(secret_file(paths, instance, each) for each in CREDENTIALS)):
        with suppress(FileNotFoundError):
            found[str(file)] = file.lstat()
    for name, facts in entries_below(account.name, paths.private_state(instance), BUNDLE_FILES):
        # Not part of a bundle: SQLite creates it again.
        if name != INDEX:
            found[name] = facts
    return found
