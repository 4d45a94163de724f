"""The passphrase of an exported account: typed, or from a file; never from the command line or the environment."""

import os
import stat
import sys
from pathlib import Path

import click

from wxcontroller.cli.errors import BadUsage, reason

_LEAST = 8


def passphrase(file: str | None, anew: bool) -> bytes:
    """Return the passphrase. ``anew``: it is chosen now, typed twice. Raises BadUsage."""
    if file is not None:
        found = _read(file)
    elif sys.stdin.isatty() or _has_terminal():
        found = click.prompt("Passphrase", hide_input=True, confirmation_prompt=anew, err=True)
    else:
        raise BadUsage(
            "nobody is there to be asked for the passphrase", "give --passphrase-file FILE, - for standard input"
        )
    if anew and len(found) < _LEAST:
        raise BadUsage(
            f"the passphrase has {len(found)} characters, at least {_LEAST} are needed", "the file holds a login"
        )
    return found.encode()


def _read(file: str) -> str:
    if file == "-":
        return sys.stdin.readline().rstrip("\r\n")
    path = Path(file)
    try:
        with path.open(encoding="utf-8") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            if stat.S_ISREG(mode) and mode & 0o077:
                raise BadUsage(f"the passphrase in {path} can be read by others", f"chmod 600 {path}")
            return stream.readline().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as problem:
        raise BadUsage(
            f"the passphrase can't be read from {path}: {reason(problem)}", "its first line is the passphrase"
        ) from None


def _has_terminal() -> bool:
    try:
        with Path("/dev/tty").open():
            return True
    except OSError:
        return False
