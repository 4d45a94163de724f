"""Following an account after a start until it runs, or until it is clear that it will not."""

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from wxcontroller.cli.clierrors import NeedsHuman, ScanNeeded
from wxcontroller.cli.connection.account import AccountView
from wxcontroller.cli.connection.api import Api
from wxcontroller.core.condition.facts import Code, Condition, Issue
from wxcontroller.core.errors import ControllerUnreachable, UnitFailed, WxError
from wxcontroller.core.names import AccountName
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import N_, Text

_PAUSE = 0.4
_PARDON = 15.0  # a restarted controller is back by then
# The state from before the start may be reported for a moment.
_SETTLED = 3.0


class Display(Protocol):
    """Shows the states as they change."""

    def show(self, account: AccountView, link: str) -> None:
        """Show the account; ``link`` is the content of its QR code, "" without one."""
        ...

    def say(self, words: Text) -> None:
        """Show a message once."""
        ...


def follow(
    api: Api,
    name: AccountName,
    display: Display,
    timeout: float,
    scans: bool = True,
    clock: Callable[[], float] = time.monotonic,
) -> AccountView:
    """Show the account's states until it is running, and return it.

    Raises NeedsHuman, UnitFailed or WxError with the reason when it ends otherwise or ``timeout`` seconds pass,
    ScanNeeded as soon as there is a code unless ``scans``, and ControllerUnreachable if the controller stays
    unreachable. The account itself is not changed.
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
            link = _link(api, name, account)
            if link and not scans:
                raise ScanNeeded(
                    N_("{account} waits for the scan of a QR code"),
                    N_("show the code: {command}; it is also on the dashboard"),
                    account=name.name,
                    command=command("qr", name.name),
                )
            display.show(account, link)
            if account.condition is Condition.RUNNING:
                return account
            problem = start_failure(account)
            if problem is not None and now - begun > _SETTLED:
                raise problem
            if now - begun > timeout:
                if failed := failure(account):  # it did not pass
                    raise failed
                state = Text(
                    "{account}: still {state} after {timeout} s",
                    account=name.name,
                    state=Text(account.condition.value),
                    timeout=f"{timeout:g}",
                )
                raise WxError(
                    with_reason(state, account.words),
                    N_("it continues in the background; see: {command}"),
                    command=command("status", name.name),
                )
        time.sleep(_PAUSE)


# Issues with their own exit code; with all others the account still starts.
_ERRORS: Mapping[str, type[WxError]] = {
    Code.DOWN: UnitFailed,
    Code.FAILED: UnitFailed,
    Code.OBSTACLE: UnitFailed,
    Code.CRASH_LOOP: UnitFailed,
    Code.RESTARTING: UnitFailed,
    Code.LOGIN_STUCK: UnitFailed,
    Code.PARKED: NeedsHuman,
    Code.INPUT: NeedsHuman,
}
# These may disappear during a start.
_PASSING = (Code.RESTARTING, Code.LOGIN_STUCK)


def failure(account: AccountView) -> WxError | None:
    """Return the error for an account's condition, with its exit code; None if there is no error."""
    for issue in account.assessment.issues:
        if kind := _ERRORS.get(issue.code):
            return kind(titled(account.name, issue), issue.remedy)
    return None


def exit_code(account: AccountView) -> int:
    """Return the exit code for an account's condition: 0 without a problem, else that of the most urgent one."""
    if problem := failure(account):
        return problem.exit_code
    trouble = {issue.code for issue in account.assessment.issues if issue.severity.is_trouble}
    if trouble & {Code.SCAN, Code.CONFIRM}:
        return NeedsHuman.exit_code
    return 1 if trouble else 0


def with_reason(what: Text, why: Text) -> Text:
    return Text("{what}: {why}", what=what, why=why) if why else what


def titled(account: str, issue: Issue) -> Text:
    """Return the problem with the account's name."""
    return Text(N_("{account}: {headline}"), account=account, headline=issue.headline)


def start_failure(account: AccountView) -> WxError | None:
    """Return why a start has failed, None while it may still succeed."""
    if account.condition is Condition.STOPPED:
        start = command("start", account.name)
        return WxError(N_("{account} was stopped"), N_("start it again: {start}"), account=account.name, start=start)
    for issue in account.assessment.issues:
        if issue.code in _PASSING:
            return None
        if issue.code == Code.CONFIRM and account.asks:  # not on the phone: the digits that it shows are entered here
            return NeedsHuman(titled(account.name, issue), issue.remedy)
    return failure(account)


def _link(api: Api, name: AccountName, account: AccountView) -> str:
    if account.condition is not Condition.SCANNING or not account.qrcode:
        return ""
    try:
        return api.qr_link(name)
    except WxError:
        return ""  # scanned or replaced since
