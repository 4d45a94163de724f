"""Quiescing an account while it is copied, and afterwards."""

import os
from dataclasses import dataclass
from pathlib import Path

from wxcontroller.cli.clierrors import file_problems
from wxcontroller.cli.connection.api import Api
from wxcontroller.cli.connection.systemd import act, disable, show
from wxcontroller.core.config.settings import load_settings
from wxcontroller.core.errors import ControllerUnreachable, WxError
from wxcontroller.core.names import AccountName
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry.materialise import Materialiser
from wxcontroller.core.states import Desired
from wxcontroller.core.text.templates import N_, Text

_QUIET = ("inactive", "failed")


@dataclass(frozen=True, slots=True)
class UnitSnapshot:
    """An account's unit at one moment."""

    active: str
    invocation: str

    @property
    def quiet(self) -> bool:
        return self.active in _QUIET


def look(name: AccountName) -> UnitSnapshot:
    """Raises WxError without systemd."""
    facts = show(("ActiveState", "InvocationID"), name.unit)[name.unit]
    return UnitSnapshot(facts.get("ActiveState", ""), facts.get("InvocationID", ""))


def other_drop_ins(name: AccountName, carried: Path) -> list[str]:
    """Return the drop-ins of an account's unit that do not go with it: those of this boot, and of all accounts."""
    paths = show(("DropInPaths",), name.unit)[name.unit].get("DropInPaths", "")
    return [path for path in paths.split() if Path(path).parent != carried and not path.startswith("/usr/lib/")]


def stop_and_disable(api: Api, name: AccountName, paths: Paths) -> None:
    """Stop an account and keep it stopped, also after a reboot. Raises WxError."""
    disable(api, name)
    try:
        api.probe()
        api.stop(name)
        return
    except ControllerUnreachable:
        pass  # systemd and the registry do not need it
    act("stop", name.unit)
    file = paths.account_file(name.instance)
    before = file.lstat()
    unwritable = N_("{account}: cannot record that it stays stopped: {reason}")
    with file_problems(unwritable, Text(N_("check {file}"), file=file), kind=WxError, account=str(name)):
        Materialiser(paths, load_settings(paths).settings).desire(name.instance, Desired.STOPPED)
        # The controller must be able to read it.
        os.chown(file, before.st_uid, before.st_gid, follow_symlinks=False)
