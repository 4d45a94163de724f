"""The lock that only one process of an account can hold.

Two processes would write one log: each assigns numbers, and acknowledges messages that the other one stores. SQLite's
own exclusive lock would also keep out exports of a running account, so it is a lock on a file that serves nothing
else. The kernel releases it when the process ends, however that happens.
"""

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from wxcontroller.core.errors import WxError, reason_of
from wxcontroller.core.text.templates import N_

log = logging.getLogger(__name__)
LOCK_FILE = "lock"


class StateInUse(WxError, exit_code=78):  # EX_CONFIG: systemd does not try again
    """Another process uses the account's state directory."""


@contextlib.contextmanager
def locked_state(directory: Path, account: str) -> Iterator[None]:
    """Hold the lock of an account's state directory. Raises StateInUse if another process does.

    What an earlier process may have left behind, such as a socket, is stale within the block and can be removed.
    """
    try:
        # Writable for NFS, which locks only such files.
        descriptor = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as problem:
        # A disk that is read-only or missing: the account waits for it, and its API gives the reason.
        log.warning("cannot lock the state directory %s: %s", directory, reason_of(problem))
        yield
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateInUse(
                N_("account {account} already runs: another process uses {directory}"),
                N_("stop the other process; systemctl status wxclient@{account} shows that of the unit"),
                account=account,
                directory=directory,
            ) from None
        except OSError as problem:  # a file system without locks
            log.warning("cannot lock the state directory %s: %s", directory, reason_of(problem))
        yield
    finally:
        os.close(descriptor)
