"""wxctl on a terminal of its own."""

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time

from tests.patience import PATIENCE
from tests.unit.cli.conftest import Wxctl


class Terminal:
    """wxctl on a terminal of 50 lines."""

    def __init__(self, wxctl: Wxctl, *arguments: str, columns: int = 100) -> None:
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.cli.forked", *arguments],
            cwd=wxctl.directory,
            env={**wxctl.variables, "TERM": "xterm-256color"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.master = master
        self.raw = b""

    @property
    def seen(self) -> str:
        return self.raw.decode(errors="replace")

    def until(self, words: str) -> None:
        """Read until ``words`` have been seen."""
        end = time.monotonic() + PATIENCE
        while words not in self.seen:
            assert time.monotonic() < end, f"{words!r} not in {self.seen!r}"
            if not self.read():
                assert words in self.seen, self.seen
                return

    def read(self) -> bool:
        """Read the next output, if any comes at once. Returns False when the program has ended."""
        if select.select([self.master], [], [], 0.2)[0]:
            try:
                self.raw += os.read(self.master, 65536)
            except OSError:
                return False
        return True

    def rest(self) -> str:
        """Read until the program has ended; return its whole output, without colours."""
        with contextlib.suppress(OSError):  # the end of a terminal
            while shown := os.read(self.master, 65536):
                self.raw += shown
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.seen)

    def type(self, words: str) -> None:
        os.write(self.master, words.encode())

    def end(self) -> int:
        try:
            return self.process.wait(PATIENCE)
        finally:
            os.close(self.master)
