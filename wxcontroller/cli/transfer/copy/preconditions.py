"""The conditions for moving an account: root, on the account's machine."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wxcontroller.cli.clierrors import BadUsage
from wxcontroller.cli.connection.api import Api
from wxcontroller.cli.connection.systemd import is_this_machines
from wxcontroller.cli.context import WxctlRun
from wxcontroller.core.errors import UnknownAccount, WxError, reason_of
from wxcontroller.core.names import AccountName
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry.accountfiles import AccountFiles
from wxcontroller.core.registry.leaving import Leaving
from wxcontroller.core.text.templates import N_

PATHS = Paths()
HERE = N_("run it as root on the account's machine")


STORED_DATA = N_("only root can read and write an account's stored data")


def at_home(session: WxctlRun, reserved: str = STORED_DATA, remedy: str = HERE) -> Api:
    """Return the API of this machine's controller; raises WxError for another one, and for users other than root,
    for whom this is ``reserved``.
    """
    api = session.api()
    if not is_this_machines(api):  # also the beginning of a tunnel: accounts there would be stopped for those here
        raise BadUsage(N_("{url} is not this machine's controller"), remedy, url=api.shown)
    if os.geteuid() != 0:
        raise WxError(reserved, remedy)
    return api


def leaving_of(name: AccountName) -> Leaving | None:
    """Return the mark of the move of an account of this host, None for no such account."""
    try:
        return AccountFiles(PATHS).load(name.instance, overrides=False).leaving
    except UnknownAccount:
        return None


@contextmanager
def disk_errors(place: str | Path) -> Iterator[None]:
    """Raise an OSError of the block as the WxError that ``disk_problem`` returns."""
    try:
        yield
    except WxError:  # some are also OSErrors
        raise
    except OSError as problem:
        raise disk_problem(place, problem) from None


def disk_problem(place: str | Path, problem: OSError) -> WxError:
    """Return the error for a file that cannot be read or written."""
    return WxError(
        N_("{place}: {reason}"),
        N_("check the disk and the owner of the directory; nothing was left there"),
        place=place,
        reason=reason_of(problem),
    )
