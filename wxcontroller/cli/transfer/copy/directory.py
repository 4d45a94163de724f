"""What an account's state directory has, without opening a file: names, sizes and times, for root.

The account's program can change the directory meanwhile, and put anything there. So directories are opened relative
to the one above, without following links, and depth and number are limited.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from wxcontroller.cli.transfer.copy.accountreader import DEEPEST
from wxcontroller.core.errors import WxError
from wxcontroller.core.names import AccountName
from wxcontroller.core.text.templates import N_

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
BLOCK = 512
# Files and other entries of one account. Far above what an account stores: media are deleted by age and size.
MOST_FILES = 1_000_000
# A sparse file takes long to send and fills the other disk. Files on compressing disks look similar.
_SPARSE, _SPARSE_BYTES = 4, 64 << 20


def entries_below(name: AccountName, place: Path, most: int) -> Iterator[tuple[str, os.stat_result]]:
    """Yield path and facts of all that can be in a bundle, in no order; nothing if there is no such directory.

    Raises OSError, and WxError for more than ``most``.
    """
    try:
        top = os.open(place, _OPEN)
    except FileNotFoundError:  # it never ran, or has deleted it
        return
    for number, entry in enumerate(_entries(top, "", 1)):
        if number >= most:
            raise too_many(name, most)
        yield entry


def _entries(opened: int, above: str, depth: int) -> Iterator[tuple[str, os.stat_result]]:
    try:
        with os.scandir(opened) as found:
            for entry in found:
                with suppress(FileNotFoundError, NotADirectoryError):  # deleted or replaced meanwhile
                    if not entry.is_dir(follow_symlinks=False):
                        yield above + entry.name, entry.stat(follow_symlinks=False)
                    elif depth < DEEPEST:
                        below = os.open(entry.name, _OPEN, dir_fd=opened)
                        yield from _entries(below, f"{above}{entry.name}/", depth + 1)
    finally:
        os.close(opened)


def too_many(name: AccountName, most: int) -> WxError:
    return WxError(
        N_("{account} has more than {limit} files"),
        N_("check its state directory"),
        account=name.name,
        limit=most,
    )


def stored_bytes(name: AccountName, place: Path) -> int:
    """Return how many bytes an account's files have. Raises OSError, and WxError for files without content."""
    size = on_disk = 0
    for _, facts in entries_below(name, place, MOST_FILES):
        size += facts.st_size
        on_disk += facts.st_blocks * BLOCK
    refuse_sparse(name, size, on_disk)
    return size


def refuse_sparse(name: AccountName, size: int, on_disk: int) -> None:
    """Raise WxError for files that are much longer than what the disk has of them."""
    if size > on_disk * _SPARSE + _SPARSE_BYTES:
        raise WxError(
            N_("files of {account} are mostly empty: {size} bytes, {on_disk} on disk"),
            N_("find the sparse files in its state directory and delete them"),
            account=name.name,
            size=size,
            on_disk=on_disk,
        )
