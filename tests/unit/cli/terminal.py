"""wxctl on a terminal of its own."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time

from tests.unit.cli.conftest import Wxctl


class Terminal:
    """wxctl on a terminal, of 100 columns and 50 lines if nothing is said."""

    def __init__(self, wxctl: Wxctl, *arguments: str, size: tuple[int, int] = (50, 100), **variables: str) -> None:
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        self.process = subprocess.Popen(
            [*wxctl.command, *arguments],
            cwd=wxctl.directory,
            env={**wxctl.variables, "TERM": "xterm-256color", **variables},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.master = master
        self.seen = ""

    def until(self, words: str, seconds: float = 15) -> None:
        """Read until ``words`` have been seen."""
        end = time.monotonic() + seconds
        while words not in self.seen:
            assert time.monotonic() < end, f"{words!r} not in {self.seen!r}"
            if select.select([self.master], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self.master, 65536).decode(errors="replace")
                except OSError:
                    assert words in self.seen, self.seen
                    return

    def type(self, words: str) -> None:
        os.write(self.master, words.encode())

    def end(self) -> int:
        try:
            return self.process.wait(15)
        finally:
            os.close(self.master)
