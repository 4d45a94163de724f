"""A consistent copy of a running account's database, without stopping the account or a second copy on its disk.

While a reader has a database with a write-ahead log open, nothing that it sees is overwritten: pages change
only by what the log holds too, and the log is not begun again. So the database and then its log, copied as the files
that they are, are a database as a crash would leave it: opened again, it ends with the last whole transaction. The
index of the log (-shm) is made again then.

There is one exception: a log that is in the database as a whole when the reader begins is begun again by the next
transaction. That is harmless before the log is copied, and is noticed while it is (``copied_log``).
"""

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wxcontroller.core.errors import WxError
from wxcontroller.core.messages import N_

DATABASE, INDEX = ("events.db", "events.db-wal"), "events.db-shm"
_HOLDER = str(Path(__file__).with_name("readlock.py"))
_SECONDS = 60.0


@contextmanager
def held_database(directory: int) -> Iterator[None]:
    """Prevent checkpoints of an account's database during a block, if the account has it open. Raises WxError.

    ``directory`` is a descriptor of the account's.
    """
    if not _is_open(directory):
        # No process has it open, so no checkpoint has to be prevented. A process that opens it meanwhile creates the
        # index.
        yield
        if _is_open(directory):
            raise WxError(N_("the account was started meanwhile"), N_("run this again"))
        return
    arguments = [sys.executable, "-I", _HOLDER, str(directory)]
    with subprocess.Popen(  # noqa: S603 - fixed program and words
        arguments,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=(directory,),
        bufsize=0,
        env={},  # it becomes the account's user
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stderr is not None
        try:
            ready, _, _ = select.select([holder.stdout], [], [], _SECONDS)
            if not ready or not holder.stdout.read(1):
                holder.kill()
                lines = holder.stderr.read(4096).decode(errors="replace").splitlines()
                raise WxError(
                    N_("the database of the account cannot be read: {reason}"),
                    N_("check the account: wxctl doctor"),
                    reason=lines[-1] if lines else "no response in time",
                )
            yield
        finally:
            # A read transaction needs no cleanup.
            holder.kill()


@contextmanager
def copied_log(directory: int) -> Iterator[None]:
    """Copy a held database's log during a block. Raises WxError if it was begun again meanwhile."""
    before = _log_head(directory)
    yield
    if _log_head(directory) != before:
        raise WxError(N_("{inner} was restarted while it was read"), N_("run this again"), inner=DATABASE[1])


def _log_head(directory: int) -> bytes:
    """Return the salt in a log's header, which changes each time the log restarts."""
    try:
        with os.fdopen(
            os.open(DATABASE[1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory), "rb"
        ) as log:
            return log.read(32)
    except OSError:  # missing, or not copied
        return b""


def _is_open(directory: int) -> bool:
    try:
        os.stat(INDEX, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
