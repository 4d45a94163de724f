"""Failures of a request to WeChat before its answer is decoded. They contain no URL, cookie or response text."""

from wxcontroller.core.errors import WeChatError
from wxcontroller.core.text.templates import N_, Text, Value

_WAIT = N_("WeChat may be down or the network interrupted")


class NoAnswer(WeChatError):
    """No usable answer: no connection, connection reset, timeout, not HTTP.

    ``timed_out``: the server sent nothing; normal for long polls behind proxies. ``malformed``: it answered with
    something that is not HTTP, as the push server does now and then (9.2). ``unsure`` false: there was no connection,
    so no request was sent.
    """

    def __init__(
        self,
        call: str,
        what: Text,
        timed_out: bool = False,
        malformed: bool = False,
        remedy: str | Text = "",
        unsure: bool = True,
    ) -> None:
        super().__init__(Text("{call}: {what}", call=call, what=what), remedy or _WAIT, unsure=unsure)
        self.what = what
        self.timed_out = timed_out
        self.malformed = malformed


class Fenced(Exception):
    """This host may no longer run the account (``fence.py``)."""


class TunnelFailed(Exception):
    """The account's proxy cannot be used; the transport turns this into a NoAnswer.

    ``what`` names the proxy without user and password, ``remedy`` the solution.
    """

    def __init__(self, what: str, remedy: str, /, **values: Value) -> None:
        super().__init__(what)
        self.what = Text(what, **values)
        self.remedy = Text(remedy)


class UnreadableResponse(WeChatError):
    """An answer with an error status or unexpected content."""

    def __init__(self, call: str, what: Text, remedy: str | Text = _WAIT) -> None:
        super().__init__(Text("{call}: {what}", call=call, what=what), remedy)
        self.what = what


class TooLong(UnreadableResponse):
    """The answer is too large."""

    def __init__(self, call: str, limit: int) -> None:
        remedy = N_("it is not stored; the limit for media can be raised")
        super().__init__(call, Text("the content is longer than {most} bytes", most=limit), remedy)
