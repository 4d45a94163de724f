"""Errors of WeChat's web servers, and the remedy for each code. No URL, cookie or response text in here."""

from wxcontroller.core.errors import FailureHandling, ReferenceRefused, WeChatError
from wxcontroller.core.text.templates import N_, Text
from wxcontroller.drivers.connection.failures import UnreadableResponse

# weixin-web-protocol 10.1: remedies for codes.
_REMEDIES = {
    -1: N_("temporary failure at WeChat; try again later"),
    -2: N_("check the target: ids change with every login"),
    1: N_("WeChat did not accept the format of the request"),
    1100: N_("the account is logged out; it logs in again with its stored session or with a scan"),
    1101: N_("the session was ended by the phone or another login"),
    1102: N_(
        "WeChat no longer accepts the session; the account logs in again with a tap on the phone or with a scan"
    ),
    1203: N_("WeChat does not accept this kind of login for this account"),
    1204: N_("the target is not a friend of the account, or has removed it"),
    1205: N_("too many messages: wait an hour, then send more slowly (option send_interval)"),
}
SESSION_OVER = frozenset({1100, 1101, 1102})
TOO_FREQUENT = 1205
# weixin-web-protocol 9.5: a send is tried again for network errors and -1 ("system error") only.
_HANDLING = {-1: FailureHandling.RETRY_SAME_ID, TOO_FREQUENT: FailureHandling.WAIT}
# Codes that may concern the content of a message, not the target, the session or the rate (10.1).
ABOUT_CONTENT = frozenset({-1, -2, 1, 1200})


class Overloaded(UnreadableResponse):
    """The server is reachable but failing: not a statement about the session (9.2)."""


class HostMoved(UnreadableResponse):
    """The server sends on to another of WeChat's hosts (1.2); ``domain`` is the base host there."""

    def __init__(self, call: str, domain: str) -> None:
        super().__init__(call, Text("WeChat moved the account to {domain}", domain=domain))
        self.domain = domain


def tried_again(what: Text) -> Text:
    """Return the text for an outage. It is not in the error itself, because a send may end with it."""
    return Text("{what}; retrying", what=what)


def refusal(call: str, ret: int) -> WeChatError:
    """Return the error for WeChat's code ``ret`` to ``call``."""
    remedy = _REMEDIES.get(ret, N_("WeChat gave no reason"))
    return WeChatError(
        N_("{call}: WeChat answered {number}"), remedy, ret=ret, handling=_HANDLING.get(ret), call=call, number=ret
    )


def reference_refusal(problem: WeChatError) -> WeChatError:
    """Return the error for content sent by reference: codes that may concern the reference are distinguished."""
    return ReferenceRefused(problem) if problem.ret in ABOUT_CONTENT else problem
