"""The passphrase of an exported account: typed, or from a file; never from the command line or the environment."""

import sys
from pathlib import Path

import click

from wxcontroller.cli.clierrors import BadUsage, file_problems
from wxcontroller.cli.connection.credential import is_open_to_others
from wxcontroller.cli.language import say
from wxcontroller.core.text.templates import N_

_LEAST = 8


def passphrase(file: str | None, is_new: bool) -> bytes:
    """Return the passphrase. ``is_new``: it is chosen now, and typed twice. Raises BadUsage."""
    if file is not None:
        found = read(file)
    elif sys.stdin.isatty() or has_terminal():
        found = click.prompt(say("Passphrase"), hide_input=True, confirmation_prompt=is_new, err=True)
    else:
        raise BadUsage(
            N_("cannot ask for the passphrase: no terminal"),
            N_("use --passphrase-file FILE, - for standard input"),
        )
    if is_new and len(found) < _LEAST:
        raise BadUsage(
            N_("the passphrase has {count} characters, at least {least} are needed"),
            N_("the file contains a login"),
            count=len(found),
            least=_LEAST,
        )
    return found.encode()


def read(file: str) -> str:
    if file == "-":
        return sys.stdin.readline().rstrip("\r\n")
    path, unreadable = Path(file), N_("the passphrase cannot be read from {file}: {reason}")
    remedy = N_("its first line is the passphrase")
    with file_problems(unreadable, remedy, file=path), path.open(encoding="utf-8") as stream:
        if is_open_to_others(stream):
            raise BadUsage(N_("the passphrase in {file} can be read by others"), N_("chmod 600 {file}"), file=path)
        return stream.readline().rstrip("\r\n")


def has_terminal() -> bool:
    try:
        with Path("/dev/tty").open():
            return True
    except OSError:
        return False
