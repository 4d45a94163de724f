"""Why an account gave no usable response."""

from wxcontroller.core.budget import TooMuch
from wxcontroller.core.errors import WxError
from wxcontroller.core.registry.account import Account
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import N_, Text

_NOT_PASSED_ON = frozenset({401, 407})


class PortFailure(WxError):
    """An account's program gave no usable response. ``what`` gives the reason without naming the account."""

    message_template = N_("account {account}: {what}")

    def __init__(self, account: Account, what: Text, remedy: str | Text, timed_out: bool = False) -> None:
        name = account.name
        super().__init__(self.message_template, remedy, account=name.name, unit=name.unit, what=what)
        self.what = what
        self.timed_out = timed_out


class BadResponse(ConnectionError):
    """An answer that is invalid, or not passed on for the reason ``why``."""

    def __init__(self, why: Text | None = None) -> None:
        super().__init__()
        self.why = why


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
    why = problem.why if isinstance(problem, BadResponse) else None
    return NotAnswering(account, why or Text(N_("connection reset by its process")))


def unusable_because(status: int, encoding: str) -> Text | None:
    """Return why a response with this status and Content-Encoding ("": none) is not forwarded; None if it is.

    A redirect would send the caller, and with it the caller's token, to a call of the account's choosing; 401 and
    407 would make browsers and scripts ask for credentials repeatedly.
    """
    # 304 answers the caller's If-None-Match. Redirects, and 1xx other than interim ones, could lead elsewhere.
    good = 200 <= status < 300 or status == 304 or 400 <= status < 600
    if not good or status in _NOT_PASSED_ON:
        return Text(N_("its process answered {status}, which is not forwarded"), status=status)
    # None was requested, and the header that names the encoding is not forwarded.
    if encoding.strip().lower() not in ("", "identity"):
        return Text(N_("its process sent an encoded body that was not requested"))
    return None
