"""The files in /run by which keeper, controller and accounts of a host agree who may run, in a fleet with etcd.

The keeper writes whether this host has a lease, and until when its accounts may run (``fleet/keeper.py``). The
controller writes ``/run/wxclient-owners/INSTANCE`` after a claim. An account's process begins to talk to WeChat only
if that file names this host under the lease that the keeper holds (``client/login/permit.py``).
"""

import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wxcontroller.core.files.atomic import replace_file
from wxcontroller.core.jsontypes import JsonObject, integer, kept_json, text
from wxcontroller.core.names import is_instance
from wxcontroller.core.paths import Paths
from wxcontroller.core.text.templates import N_, Text, verbatim

_UNIT = "wxcontroller-keeper.service"


class KeeperFiles:
    """The files of the keeper. ``name`` is that of this host."""

    def __init__(self, paths: Paths, name: str) -> None:
        self._place = paths.fleet_runtime
        self._root = paths.root
        self._name = name

    def lease(self) -> int:
        """Return this host's lease, 0 if its keeper holds none."""
        content = self._read("lease")
        return integer(content.get("lease")) if content.get("host") == self._name else 0

    def permit_left(self) -> float | None:
        """Return for how many seconds accounts may run without another renewal, None without a lease."""
        try:
            until = float((self._place / "permit").read_text("ascii"))
        except (OSError, ValueError):
            return None
        return until - time.clock_gettime(time.CLOCK_BOOTTIME)

    def obstacle(self) -> tuple[Text, Text]:
        """Return why the keeper holds no lease, and what to do."""
        units = self._root / "usr/lib/systemd/system"
        for place in ("etc", "run"):
            with contextlib.suppress(OSError):
                if (self._root / place / "systemd/system" / _UNIT).readlink() == Path("/dev/null"):
                    remedy = Text("systemctl unmask {unit} && systemctl start {unit}", unit=_UNIT)
                    return Text(N_("{unit} is masked"), unit=_UNIT), remedy
        if units.exists() and not (units / _UNIT).exists():
            words = N_(
                "the package wxcontroller-fleet is not installed, and the settings have the table [fleet.etcd]"
            )
            return Text(words), Text(N_("apt install wxcontroller-fleet, or remove the table"))
        with contextlib.suppress(OSError, ValueError):
            trouble = (self._place / "trouble").read_text("utf-8").strip()[:400]
            return verbatim(trouble), Text(N_("see: wxctl fleet; journalctl -u {unit}"), unit=_UNIT)
        return Text(N_("{unit} does not run"), unit=_UNIT), Text("systemctl status {unit}", unit=_UNIT)

    def _read(self, name: str) -> JsonObject:
        try:
            return kept_json((self._place / name).read_bytes())
        except OSError:
            return {}


@dataclass(frozen=True, slots=True)
class OwnerFile:
    """The owner of an account, for its process. ``lease`` is 0 for another host. ``settles``: that host has adopted
    it, and the process is to settle the reports and sends left here.
    """

    host: str
    epoch: int
    lease: int
    settles: bool = False

    @classmethod
    def read(cls, path: Path) -> "OwnerFile | None":
        try:
            content = kept_json(path.read_bytes())
        except OSError:
            return None
        epoch, lease = integer(content.get("epoch")), integer(content.get("lease"))
        return cls(text(content.get("host")), epoch, lease, content.get("settle") is True)

    def write(self, path: Path) -> None:
        """Raises OSError."""
        content: JsonObject = {"host": self.host, "epoch": self.epoch, "lease": self.lease}
        replace_file(path, json.dumps(content | ({"settle": True} if self.settles else {})).encode(), 0o644)


def owner_files(paths: Paths) -> Mapping[str, OwnerFile]:
    """Return all owner files by instance. Raises OSError."""
    found = [path for path in paths.owners.iterdir() if is_instance(path.name)]
    return {path.name: file for path in found if (file := OwnerFile.read(path)) is not None}
