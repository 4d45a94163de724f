"""The unit that reads an account's files for root, and its socket: wxclient-export@.service.

Root listens in a directory of its own, and systemd connects the unit's program before it gives up root's rights. So
nobody else can connect, and the unit's end is the connection's.
"""

import fcntl
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from wxcontroller.cli.connection.systemd import act
from wxcontroller.cli.transfer.copy.preconditions import PATHS, disk_errors
from wxcontroller.core.errors import WxError
from wxcontroller.core.names import AccountName, export_unit_of
from wxcontroller.core.text.templates import N_

# Opens a connection to a reader of an account's files (``accountreader``).
OpenReader = Callable[[AccountName], AbstractContextManager[socket.socket]]


@contextmanager
def read_by_unit(name: AccountName) -> Iterator[socket.socket]:
    """Run the unit of an account during a block; yield the connection to it. Raises WxError and OSError."""
    place, unit = PATHS.export_socket(name.instance), export_unit_of(name.instance)
    with _locked(place.with_suffix(".lock"), name), socket.socket(socket.AF_UNIX) as listener:
        with disk_errors(place):
            place.unlink(missing_ok=True)  # of a killed export
            listener.bind(str(place))
            listener.listen(1)
        listener.setblocking(False)
        try:
            # Not while another job of it, or a removal of the account, is under way.
            act("start", unit, "--job-mode=fail")
            with _accepted(listener, name, unit) as connection:
                yield connection
        finally:
            place.unlink(missing_ok=True)
            # It has ended, or would at its next write. A failure must not hide the one that led here.
            with suppress(WxError):
                act("stop", unit)


def _accepted(listener: socket.socket, name: AccountName, unit: str) -> socket.socket:
    try:
        # systemd connects before the start is complete.
        return listener.accept()[0]
    except BlockingIOError:
        raise WxError(
            N_("{unit} has not read the files of {account}"),
            N_("see: systemctl status {unit}"),
            unit=unit,
            account=name.name,
        ) from None


@contextmanager
def _locked(file: Path, name: AccountName) -> Iterator[None]:
    """Be the only reader of an account: it has one unit. Raises WxError."""
    with disk_errors(file):
        lock = file.open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise WxError(
                N_("the files of {account} are being read already, for a bundle or an export"),
                N_("run this again later"),
                account=name.name,
            ) from None
        yield
