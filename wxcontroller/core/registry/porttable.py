"""The ports of the accounts: which are taken, and which is free."""

import errno
import socket
from pathlib import Path

from wxcontroller.core.errors import NoPort, WxError
from wxcontroller.core.registry import account as fields_of
from wxcontroller.core.registry.accountfiles import AccountFiles, variables_in
from wxcontroller.core.text.templates import N_


class PortTable:
    """The ports that accounts' files name. A file is read again only when it has changed.

    Registering an account needs all of them while it holds the lock: reading every file each time made registering
    300 accounts take 29 s.
    """

    def __init__(self, registry: AccountFiles) -> None:
        self._registry = registry
        self._ports: dict[Path, tuple[tuple[int, int, int], int]] = {}

    def taken(self, without: str) -> set[int]:
        """Return all ports of accounts except one, including those whose file is otherwise unusable."""
        paths = self._registry.paths
        others = [instance for instance in self._registry.instances() if instance != without]
        files = [file for each in others for file in (paths.account_file(each), paths.override_file(each))]
        self._ports = {file: entry for file in files if (entry := self._entry(file)) is not None}
        return {port for _, port in self._ports.values()}

    def free(self, instance: str, first: int, last: int) -> int:
        """Return a port from ``first`` to ``last`` for an account: one that no program uses, if there is one.

        Raises NoPort when other accounts have all of them.
        """
        taken = self.taken(without=instance)
        left = [port for port in range(first, last + 1) if port not in taken]
        if not left:
            raise NoPort(
                N_("account {instance}: no port is free between {first} and {last}"),
                N_("remove accounts that are not needed, or widen backend_end_port and wxclient.slice together"),
                instance=instance,
                first=first,
                last=last,
            )
        # An account works without its port, and takes it once it is free.
        return next(filter(bindable, left), left[0])

    def _entry(self, file: Path) -> tuple[tuple[int, int, int], int] | None:
        try:
            found = file.stat()
            stamp = (found.st_ctime_ns, found.st_ino, found.st_size)
            entry = self._ports.get(file)
            if entry is not None and entry[0] == stamp:
                return entry
            return stamp, int((variables_in(file) or {}).get(fields_of.PORT, "0"), 10)
        except (WxError, OSError, ValueError):
            return None


def bindable(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Like the account's own bind: a port in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as problem:
            # The sandbox may not let us bind at all; the registry alone then keeps ports apart.
            return problem.errno in (errno.EACCES, errno.EPERM)
        return True
