"""Why an account gave no usable response."""

from wxcontroller.core.account import Account
from wxcontroller.core.budget import TooMuch
from wxcontroller.core.commands import command
from wxcontroller.core.errors import WxError
from wxcontroller.core.messages import N_, Text


class PortFailure(WxError):
    """An account's program gave no usable response. ``what`` gives the reason without naming the account."""

    message_template = N_("account {account}: {what}")

    def __init__(self, account: Account, what: Text, remedy: str | Text, timed_out: bool = False) -> None:
        name = account.name
        super().__init__(self.message_template, remedy, account=name.name, unit=name.unit, what=what)
        self.what = what
        self.timed_out = timed_out


NOT_RUNNING = Text(N_("it is not running"))


class NotRunning(PortFailure, code="not-running", status=409):
    """An account without a process. Nothing was sent."""

    message_template = N_("account {account} is not running")

    def __init__(self, account: Account) -> None:
        super().__init__(account, NOT_RUNNING, N_("start it: wxctl start {account}"))


class NotAnswering(PortFailure, code="not-answering", status=502):
    """An account's program that gave no usable response. The request may have been carried out."""

    def __init__(self, account: Account, what: Text, timed_out: bool = False) -> None:
        super().__init__(account, what, Text(N_("see: {logs}"), logs=command("logs", account.name.name)), timed_out)


def failure_of(account: Account, problem: Exception, seconds: float | None = None) -> NotAnswering:
    """Return the failure that an error of the connection is."""
    if isinstance(problem, TimeoutError):
        if seconds is None:
            return NotAnswering(account, Text(N_("no response in time")), timed_out=True)
        return NotAnswering(
            account, Text(N_("no response within {seconds} s"), seconds=f"{seconds:g}"), timed_out=True
        )
    if isinstance(problem, TooMuch):
        return NotAnswering(account, Text(N_("its responses take too much memory")))
    return NotAnswering(account, Text(N_("connection reset by its process")))
