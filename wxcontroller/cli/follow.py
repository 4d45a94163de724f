"""Following an account after a start until it runs, or until it is clear that it won't."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from wxcontroller.cli.account import AccountView, Condition
from wxcontroller.cli.api import Api
from wxcontroller.cli.errors import NeedsHuman
from wxcontroller.cli.hints import command
from wxcontroller.core.errors import ControllerUnreachable, UnitFailed, WxError
from wxcontroller.core.names import AccountName

# The id of the question, and the verb that answers it.
ALLOW_DESKTOP = "allow-desktop"
_PAUSE = 0.4
_PARDON = 15.0  # a controller that is being restarted is back before that
# A state from before the start may be seen for a moment.
_SETTLED = 3.0


class Display(AbstractContextManager["Display"], Protocol):
    """Where the states are shown as they come."""

    def show(self, account: AccountView, link: str) -> None:
        """Show the account; ``link`` is what its QR code says, "" when there is nothing to scan."""
        ...

    def say(self, words: str) -> None:
        """Show a passing remark."""
        ...


def follow(
    api: Api,
    name: AccountName,
    display: Display,
    timeout: float,
    clock: Callable[[], float] = time.monotonic,
) -> AccountView:
    """Show the account's states until it is running, and return it.

    Raises NeedsHuman, UnitFailed or WxError with the reason when it ends otherwise or ``timeout`` seconds pass,
    and ControllerUnreachable when the controller stays away. The account itself is left alone in every case.
    """
    begun = clock()
    unreachable_since: float | None = None
    while True:
        now = clock()
        try:
            account = api.account(name)
            unreachable_since = None
        except ControllerUnreachable:
            unreachable_since = unreachable_since if unreachable_since is not None else now
            if now - unreachable_since > _PARDON:
                raise
            display.say("the controller does not answer, waiting for it")
        else:
            display.show(account, _link(api, name, account))
            if account.condition is Condition.RUNNING:
                return account
            problem = verdict(account)
            if problem is not None and now - begun > _SETTLED:
                raise problem
            if now - begun > timeout:
                raise WxError(
                    f"{name.name}: still {account.condition.value} after {timeout:g} s"
                    + (f": {account.words}" if account.words else ""),
                    f"it goes on by itself; see: {command('status', name.name)}",
                )
        time.sleep(_PAUSE)


def verdict(account: AccountView) -> WxError | None:
    """Return the error that an account's state amounts to, None while there is hope or nothing is wrong."""
    name, why = account.name, f": {account.words}" if account.words else ""
    logs, start = command("logs", name), command("start", name)
    match account.condition:
        case Condition.PARKED if account.asks == ALLOW_DESKTOP:
            # The reason names the risk and the command, in one sentence.
            return NeedsHuman(f"{name} waits for your decision{why}", command(ALLOW_DESKTOP, name))
        case Condition.PARKED:
            return NeedsHuman(f"{name} has given up{why}", f"when that is put right: {start}")
        case Condition.FAILED:
            return UnitFailed(f"{name}: its unit {account.unit} has failed{why}", f"see why: {logs}")
        case Condition.DOWN:
            return UnitFailed(f"{name} should be up, but is not{why}", f"see why: {logs}   start it again: {start}")
        case Condition.STOPPED:
            return WxError(f"{name} was stopped{why}", f"start it again: {start}")
    return None


def _link(api: Api, name: AccountName, account: AccountView) -> str:
    if account.condition is not Condition.SCANNING or not account.qrcode:
        return ""
    try:
        return api.qr_link(name)
    except WxError:
        return ""  # scanned or replaced since
