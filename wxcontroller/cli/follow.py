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
from wxcontroller.core.messages import N_, Text, verbatim
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

    def say(self, words: Text) -> None:
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
            display.say(Text("the controller does not answer, waiting for it"))
        else:
            display.show(account, _link(api, name, account))
            if account.condition is Condition.RUNNING:
                return account
            problem = verdict(account)
            if problem is not None and now - begun > _SETTLED:
                raise problem
            if now - begun > timeout:
                state = Text(
                    "{account}: still {Text} after {timeout} s",
                    account=name.name,
                    Text=Text(account.condition.value),
                    timeout=f"{timeout:g}",
                )
                raise WxError(
                    _because(state, account.words),
                    N_("it goes on by itself; see: {command}"),
                    command=command("status", name.name),
                )
        time.sleep(_PAUSE)


def verdict(account: AccountView) -> WxError | None:
    """Return the error that an account's state amounts to, None while there is hope or nothing is wrong."""
    name, words = account.name, account.words
    logs, start = command("logs", name), command("start", name)
    match account.condition:
        case Condition.PARKED if account.asks == ALLOW_DESKTOP:
            # The reason names the risk and the command, in one sentence.
            return NeedsHuman(
                _because(Text("{account} waits for your decision", account=name), words),
                verbatim(command(ALLOW_DESKTOP, name)),
            )
        case Condition.PARKED:
            return NeedsHuman(
                _because(Text("{account} has given up", account=name), words),
                N_("when that is put right: {start}"),
                start=start,
            )
        case Condition.FAILED:
            return UnitFailed(
                _because(Text("{account}: its unit {unit} has failed", account=name, unit=account.unit), words),
                N_("see why: {logs}"),
                logs=logs,
            )
        case Condition.DOWN:
            return UnitFailed(
                _because(Text("{account} should be up, but is not", account=name), words),
                N_("see why: {logs}   start it again: {start}"),
                logs=logs,
                start=start,
            )
        case Condition.STOPPED:
            return WxError(
                _because(Text("{account} was stopped", account=name), words),
                N_("start it again: {start}"),
                start=start,
            )
    return None


def _because(what: Text, why: Text) -> Text:
    return Text("{what}: {why}", what=what, why=why) if why else what


def _link(api: Api, name: AccountName, account: AccountView) -> str:
    if account.condition is not Condition.SCANNING or not account.qrcode:
        return ""
    try:
        return api.qr_link(name)
    except WxError:
        return ""  # scanned or replaced since
