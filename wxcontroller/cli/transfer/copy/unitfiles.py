"""An admin's additions to one account's unit: its drop-ins, which move, and the files they name, which may not.

A drop-in can run programs as root: those of an imported account are installed only on request.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from wxcontroller.core.access.systemdcredentials import PLACE
from wxcontroller.core.names import AccountName
from wxcontroller.core.paths import Paths

NAME = re.compile(r"[\w:.\\@-]{1,200}\.conf", re.ASCII)
MAX_BYTES = 1024 * 1024
_PATH = re.compile(r"(?:^|[\s:=+!@|\"'-])(/[^\s:\"';]+)")
# Those of the system are the same on every machine with the package, or vanish at the next boot.
_EVERYWHERE = ("/usr/", "/bin/", "/sbin/", "/lib", "/proc", "/sys/", "/dev", "/run/", "/tmp/", "/var/tmp/")  # noqa: S108
_OURS = ("/var/lib/wxcontroller", "/var/lib/wxclient", "/var/lib/private/wxclient", "/etc/wxcontroller/clients")


@dataclass(frozen=True, slots=True)
class UnitFiles:
    """The drop-ins of one account's unit, by the name of the file, and those that are not plain files."""

    name: AccountName
    files: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    odd: tuple[str, ...] = ()

    def encrypted(self, paths: Paths) -> list[str]:
        """Return the encrypted credentials, which another machine cannot open, as people know them."""
        instance = self.name.instance
        found = [str(file) for file in sorted((paths.root / PLACE.relative_to("/")).glob(f"{instance}.*.cred"))]
        for key, value in self._settings():
            if key == "LoadCredentialEncrypted":
                name, _, path = value.partition(":")
                found.append(path if path.startswith("/") else f"/etc/credstore.encrypted/{path or name}")
            elif key == "SetCredentialEncrypted":
                found.append(f"{value.partition(':')[0]} (SetCredentialEncrypted= of a drop-in)")
        return list(dict.fromkeys(found))

    def named(self, carried: Iterable[str] = ()) -> list[str]:
        """Return files that the drop-ins name, except the ``carried`` ones, which move with the account."""
        taken, encrypted = set(carried), {"LoadCredentialEncrypted", "SetCredentialEncrypted"}
        found = [path for key, value in self._settings() if key not in encrypted for path in _PATH.findall(value)]
        return [path for path in dict.fromkeys(found) if path not in taken and not path.startswith(_NOT_TOLD)]

    def shown(self) -> list[str]:
        """Return the drop-ins' settings, one per line."""
        return [f"{key}={value}" for key, value in self._settings()]

    def _settings(self) -> Iterator[tuple[str, str]]:
        for content in self.files.values():
            for line in re.sub(r"\\\n", " ", content.decode("utf-8", "replace")).splitlines():
                key, equals, value = line.strip().partition("=")
                if equals and key[:1] not in "#;[":
                    written = value.strip().replace("%i", self.name.instance).replace("%I", self.name.instance)
                    yield key.strip(), "".join(c if c.isprintable() else " " for c in written)


_NOT_TOLD = (*_EVERYWHERE, *_OURS)


def place_of(paths: Paths, name: AccountName) -> Path:
    """Return the directory of an account's persistent drop-ins."""
    return paths.root / "etc/systemd/system" / f"{name.unit}.d"


def unit_files(paths: Paths, name: AccountName) -> UnitFiles:
    """Read them. Raises OSError."""
    files, odd = dict[str, bytes](), list[str]()
    try:
        found = sorted(place_of(paths, name).iterdir())
    except FileNotFoundError:
        found = []
    for file in found:
        if (
            file.is_symlink()
            or not file.is_file()
            or not NAME.fullmatch(file.name)
            or file.stat().st_size > MAX_BYTES
        ):
            odd.append(str(file))
        else:
            files[file.name] = file.read_bytes()
    return UnitFiles(name, files, tuple(odd))
