"""The reader of an account's files, as wxclient-export@.service runs it, without systemd."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from wxcontroller.cli.transfer.copy import accountreader
from wxcontroller.cli.transfer.copy.exportunit import OpenReader
from wxcontroller.core.names import AccountName
from wxcontroller.core.paths import Paths


def reader_of(paths: Paths) -> OpenReader:
    """Return a function that runs the reader for an account below ``paths``."""

    @contextmanager
    def run(name: AccountName) -> Iterator[socket.socket]:
        ours, theirs = socket.socketpair()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # it reads little ahead
        command = [sys.executable, "-I", "-S", accountreader.__file__, str(paths.private_state(name.instance))]
        with ours, theirs, subprocess.Popen(command, stdin=theirs.fileno(), stdout=theirs.fileno()) as process:
            theirs.close()
            try:
                yield ours
            finally:
                process.kill()

    return run
