"""Comparing what is wanted with what is, and saying so in sentences."""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence

from wxcontroller.controller.accounts import Accounts, TooManyAccounts
from wxcontroller.controller.units import IN_FLIGHT
from wxcontroller.controller.view import View
from wxcontroller.core.errors import WxError
from wxcontroller.core.files import replace_file
from wxcontroller.core.journal import Event, fields
from wxcontroller.core.paths import Paths
from wxcontroller.core.states import Desired, LoginState, UnitState

log = logging.getLogger(__name__)


class BootMark:
    """Remembers, until the next boot, that the wanted accounts were brought up.

    A restarted controller must not start what an admin stopped by hand meanwhile.
    """

    def __init__(self, paths: Paths) -> None:
        self._path = paths.controller_runtime / "accounts-started"

    def is_set(self) -> bool:
        return self._path.exists()

    def set(self) -> None:
        """Raises OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self._path, b"The accounts that were wanted have been started after this boot.\n", 0o644)


async def after_boot(accounts: Accounts, mark: BootMark) -> str:
    """Start every wanted account that does not run, once per boot. Return the sentence of the pass."""
    if mark.is_set():
        return "accounts are left as they are: this is no boot"
    wanted = [view for view in await accounts.views() if view.account.desired is Desired.STARTED]
    missing = [view for view in wanted if not view.unit.state.has_process]
    outcomes = await _start_all(accounts, missing)
    try:
        mark.set()
    except OSError as problem:
        log.error("that this boot's starts are done can't be remembered: %s", problem)
    failed = len(missing) - outcomes
    sentence = f"after boot: {len(wanted)} accounts wanted, {len(wanted) - len(missing)} up, {outcomes} started"
    return sentence + (f", {failed} failed" if failed else "")


async def _start_all(accounts: Accounts, missing: Sequence[View]) -> int:
    slots = asyncio.Semaphore(IN_FLIGHT)
    started = 0

    async def start(view: View) -> None:
        nonlocal started
        async with slots:
            try:
                await accounts.start_again(view.instance)
                started += 1
            except TooManyAccounts as problem:
                log.warning("account %s stays down: %s", view.account.name, problem)
            except (WxError, OSError) as problem:
                log.error("account %s could not be started: %s", view.account.name, problem)

    async with asyncio.TaskGroup() as group:
        for view in missing:
            _ = group.create_task(start(view))
    return started


def summary(views: Sequence[View]) -> str:
    """One line for ``systemctl status``: how the accounts are."""
    if not views:
        return "no accounts"
    wanted = [view for view in views if view.registered]
    logins = Counter(view.login for view in wanted)
    parts = [f"{logins[LoginState.RUNNING]} of {len(wanted)} accounts running"]
    waiting = logins[LoginState.SCANNING] + logins[LoginState.CONFIRMING]
    down = sum(not view.unit.has_process for view in wanted)
    for count, words in (
        (waiting, "waiting for a scan"),
        (logins[LoginState.OFFLINE], "offline"),
        (logins[LoginState.PARKED], "parked"),
        (down, "down"),
    ):
        if count:
            parts.append(f"{count} {words}")
    stopped = len(views) - len(wanted)
    return ", ".join(parts) + (f" ({stopped} stopped)" if stopped else "")


class Watch:
    """Notices between two looks what an operator should read in the journal."""

    def __init__(self) -> None:
        self._before: dict[str, UnitState] = {}

    def look(self, views: Sequence[View]) -> None:
        now = {view.instance: view.unit.state for view in views}
        for view in views:
            before = self._before.get(view.instance)
            if before is None or before is view.unit.state or view.unit.state.has_process:
                continue
            if view.account.desired is Desired.STARTED:
                name = view.account.name
                log.warning(
                    "account %s went down: %s", name, view.reason, extra=fields(Event.ACCOUNT_FAILED, name.name)
                )
        self._before = now
