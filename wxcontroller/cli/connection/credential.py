"""Finding the token that wxctl sends."""

import json
import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TextIO

from wxcontroller.cli.clierrors import BadUsage, file_problems
from wxcontroller.core.files.atomic import read_foreign
from wxcontroller.core.jsontypes import JsonValue, integer, items, text
from wxcontroller.core.jsontypes import field as member
from wxcontroller.core.paths import CONTROLLERS_FILE_BYTES, Paths
from wxcontroller.core.text.templates import N_, Text

VARIABLE = "WXCTL_TOKEN"
FILE_VARIABLE = "WXCTL_TOKEN_FILE"
_WHERE = "~/.config/wxctl/token"


@dataclass(frozen=True, slots=True)
class Finder:
    """Where to look for a token: a ``file`` named on the command line, then the environment, then other files.

    Never the command line itself: all local users can read it, and shells store it.
    """

    file: str | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    paths: Paths = Paths()

    def token(self, host: str, port: int) -> str:
        """Return the token for the controller at an address, or "". Raises BadUsage.

        Root's token is only for this machine's controller, and takes precedence over the file, which may be for
        another one.
        """
        if self.file is not None:
            return self._read(self.file)
        if found := self.environment.get(VARIABLE):
            return found.strip()
        if named := self.environment.get(FILE_VARIABLE):
            return self._read(named)
        return self.roots(host, port) or self._kept()

    def roots(self, host: str, port: int) -> str:
        """Return root's token, "" when we are not root or the address is not one of this machine's controller."""
        try:
            content: JsonValue = json.loads(read_foreign(self.paths.local_token, CONTROLLERS_FILE_BYTES))
        except (OSError, ValueError):
            return ""
        for address in items(member(content, "addresses")):
            pair = items(address)
            if len(pair) == 2 and integer(pair[1]) == port and is_same_host(text(pair[0]), host):
                return text(member(content, "token"))
        return ""

    def _kept(self) -> str:
        home = self.environment.get("HOME")
        base = self.environment.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else "")
        # Not Path.exists, which raises for a HOME that this user may not look into.
        path = os.path.join(base, "wxctl/token")  # noqa: PTH118
        return self._read(path) if base and os.path.exists(path) else ""  # noqa: PTH110

    def _read(self, place: str) -> str:
        if place == "-":
            return sys.stdin.readline().strip()
        path, unreadable = Path(place), N_("the token cannot be read from {file}: {reason}")
        remedy = Text(N_("name a file that contains it; default: {where}"), where=_WHERE)
        with file_problems(unreadable, remedy, file=path), path.open(encoding="utf-8") as stream:
            if is_open_to_others(stream):
                raise BadUsage(N_("the token in {file} can be read by others"), N_("chmod 600 {file}"), file=path)
            return stream.read().strip()


def is_open_to_others(stream: TextIO) -> bool:
    """Return whether a file, and not a pipe, can be read by other users."""
    mode = os.fstat(stream.fileno()).st_mode
    return stat.S_ISREG(mode) and bool(mode & 0o077)


def is_same_host(listening: str, host: str) -> bool:
    """Return whether a host in a URL is reached at an address that is listened on."""
    try:
        own = ip_address(listening.partition("%")[0])
        asked = ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        return False
    if host == "localhost" and own.is_loopback:
        return True
    return own == asked or (own.is_unspecified and asked.is_loopback)
