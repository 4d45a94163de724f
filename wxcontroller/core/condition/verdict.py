"""The verdict on a send: its state, why it did not go out, what ends that, and what people and programs can do.

The account makes a verdict where the state of a send moves (``client.sends.model.sendstates``). All APIs, wxctl, the
dashboard and the journal render it from the one table below; none of them decides.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from wxcontroller.core.jsontypes import JsonObject, integer
from wxcontroller.core.text.templates import N_, NOTHING, Text, text_in

# Codes of /openwx (openwx-api 0): a failure with media or with a request's form; a send that never went out.
FAILED = -1
NOT_RUNNING = -3
NOT_SENT = -5
# Ours.
STILL_QUEUED = -7
TOO_MANY_TODAY = -8  # the account has sent as much today as send_daily_max allows
# Unknown whether it was sent: the original's code and status for an unreadable answer of WeChat. The code has other
# meanings, too, so it always comes with this status.
UNKNOWN_CODE, UNKNOWN_WORD = -1, "unknown data"
_REFUSED_WORD = "unknown error"  # the original's for every code of WeChat


class SendState(StrEnum):
    """The state of a send, the worst first; the same words everywhere."""

    REFUSED = "refused"  # it was not sent and will not be
    UNKNOWN = "unknown"  # the answer was lost: it may have arrived
    HELD = "held"  # it cannot be sent now, but will be when the cause ends
    WAITING = "waiting"
    SENDING = "sending"
    ACCEPTED = "accepted"  # WeChat took it without an id
    DELIVERED = "delivered"  # WeChat returned an id

    @property
    def is_final(self) -> bool:
        return self not in (SendState.WAITING, SendState.SENDING, SendState.HELD)


# A request with several sends has the worst of their states.
WORST_FIRST = (*SendState,)
# WeChat has them, or may have them.
TAKEN = (SendState.DELIVERED, SendState.ACCEPTED, SendState.UNKNOWN)


class Cause(StrEnum):
    """Why a send is held, was refused, or may have arrived. The values are codes for programs."""

    # Of held sends.
    NO_CONTEXT = "no-context"  # the person has not written since the login
    WINDOW = "window"  # the last message is more than 24 hours old, or WeChat reports the window closed
    BUDGET = "budget"  # the sends of this window are used up
    ANSWER = "answer"  # the last send of this window is kept for the answer to what the person just wrote
    BUDGET_24H = "budget-24h"  # the option budget_24h is reached
    LEARNED = "learned-limit"  # a limit learned from refusals; each message of the person allows one attempt
    THROTTLED = "throttled"  # WeChat throttles the bot
    RESTRICTED = "restricted"  # WeChat accepts messages for this person but does not show them (only progress waits)
    CONFIRMING = "confirming"  # the account is checking whether its session is still valid, for 15 seconds at most
    OFFLINE = "offline"  # the account is not logged in
    UNREACHABLE = "unreachable"  # WeChat cannot be reached
    # Of refused ones.
    BAD_RECIPIENT = "bad-recipient"  # WeChat does not accept the recipient or the content
    NO_PEER = "no-peer"  # the person or group is unknown
    TOO_LARGE = "too-large"  # the file is larger than media_size_max
    MEDIA_REFUSED = "media-refused"  # WeChat does not let this account send media; it is tried again once a day
    MEDIA_FAILED = "media-failed"  # the file cannot be read or fetched, or WeChat's media server did not accept it
    EXPIRED = "expired"  # it waited or was held for too long
    OVERTAKEN = "overtaken"  # progress that is older than an answer
    CANCELLED = "cancelled"  # cancelled by DELETE
    OTHER_USER = "other-user"  # the account has logged in again, or another person has, and all ids have changed
    OTHER_ROUTE = "other-route"  # the account uses another route now
    MOVED = "moved"  # another host has taken the account over
    NOT_WANTED = "not-wanted"  # it cannot be sent now, and holding was disabled for it
    REFUSED_TWICE = "refused-twice"  # WeChat refused it in two new windows
    TOO_FREQUENT = "too-frequent"  # WeChat refuses it because too many messages were sent
    WECHAT_FAILED = "wechat-failed"  # WeChat reported an error of its own at every attempt
    SESSION_OVER = "session-over"  # the session has ended, and ids change with the next one
    DAILY_LIMIT = "daily-limit"  # send_daily_max is reached
    QUEUE_FULL = "queue-full"  # too many messages wait, or 500 messages for this person or 50 MB of media are held
    STOPPING = "stopping"  # the account is stopping, or was stopped while send_keep_seconds is 0
    DAMAGED = "damaged"  # the record of the message was damaged
    UNSUPPORTED = "unsupported"  # this route cannot send it
    # Of calls that are refused before there is a send.
    NOT_RUNNING = "not-running"  # the account is not running
    NOT_LOGGED_IN = "not-logged-in"  # the account is not logged in, and this route holds no messages until it is
    UNAVAILABLE = "unavailable"  # the message cannot be stored
    # Of those that may have arrived.
    NO_ANSWER = "no-answer"  # WeChat's response was lost


@dataclass(frozen=True, slots=True)
class Rule:
    """What a cause means: ``text`` is the reason, ``{why}`` if that is the evidence; ``ends`` is until when it holds.

    ``remedy`` is for people and callers of /v1, ``agent`` for AI agents, if they need other words. ``code`` is that
    of /openwx for a refusal without a code of WeChat, ``ret`` that of iLink, ``status`` that of HTTP. ``passes``: the
    same message can be sent again later. ``condition`` is the code of the condition that the account has meanwhile,
    for causes that last and need somebody.
    """

    text: str
    remedy: str
    ends: str = ""
    agent: str = ""
    code: int = NOT_SENT
    ret: int = -2
    status: int = 409
    passes: bool = False
    condition: str = ""


_WRITES = N_("until the person writes")
_ASK = N_("ask the person to write to the account: it is sent then; do not send it again")
_LOOK_UP = N_("look up the recipient's current id, and send it again")
# For agents: they see tools instead of paths and commands, and read English.
_FIND = "find_people and read_messages return ids of people and groups; send it again with the current one"
_START = N_("start the account, and send it again")
_ASK_TO_START = "ask your user to start the account; list_accounts shows its state"
RULES: Mapping[Cause, Rule] = {
    Cause.NO_CONTEXT: Rule(N_("the person has not written since the login"), _ASK, _WRITES),
    Cause.WINDOW: Rule(N_("the reply window is closed"), _ASK, _WRITES),
    Cause.BUDGET: Rule(N_("the messages of this window are used up"), _ASK, _WRITES),
    Cause.ANSWER: Rule(
        N_("the last message of this window is kept for the answer to what the person just wrote"),
        N_("wait a minute; do not send it again"),
        N_("until that is answered, for a minute at most"),
    ),
    Cause.BUDGET_24H: Rule(
        N_("the messages allowed in 24 hours are used up (budget_24h)"),
        N_("wait, or raise the option budget_24h; do not send it again"),
        N_("until earlier messages are a day old"),
    ),
    Cause.LEARNED: Rule(
        N_(
            "the limit learned from WeChat's refusals is reached; one message is tried after each message of the "
            "person"
        ),
        _ASK,
        _WRITES,
        condition="sends-limited",
    ),
    Cause.THROTTLED: Rule(
        N_("WeChat is throttling the bot"), _ASK, N_("until the person writes, or WeChat accepts messages again")
    ),
    Cause.RESTRICTED: Rule(
        N_("WeChat restricts this person"),
        N_("send it without interim, or to another WeChat user"),
        N_("until WeChat shows messages to the person again"),
        condition="person-restricted",
    ),
    Cause.CONFIRMING: Rule(
        N_("the account is checking whether its session is still valid"),
        N_("wait a minute; do not send it again"),
        N_("for a moment"),
    ),
    Cause.OFFLINE: Rule(
        N_("the account is not logged in"),
        N_("log the account in; do not send it again"),
        N_("until the account is logged in"),
        "the account's owner has to log it in; get_login_code returns the code to scan",
        condition="needs-scan",
    ),
    Cause.UNREACHABLE: Rule(
        N_("WeChat cannot be reached"),
        N_("check the network of this machine with wxctl doctor; do not send it again"),
        N_("until WeChat can be reached"),
        "tell your user that the server cannot reach WeChat; do not send it again",
        condition="offline",
    ),
    Cause.BAD_RECIPIENT: Rule("{why}", N_("correct recipient or content, and send it again"), ret=-3),
    Cause.NO_PEER: Rule(N_("the person or group is unknown"), _LOOK_UP, agent=_FIND, ret=-3),
    Cause.TOO_LARGE: Rule(
        "{why}",
        N_("send a smaller file, or raise the option media_size_max and send it again"),
        code=FAILED,
        status=413,
    ),
    Cause.MEDIA_REFUSED: Rule(
        "{why}",
        N_("send a text, or the file when WeChat accepts media again"),
        code=FAILED,
        condition="media-refused",
    ),
    Cause.MEDIA_FAILED: Rule("{why}", N_("make the content available, and send it again"), code=FAILED),
    Cause.EXPIRED: Rule("{why}", N_("send it again: it waits again, or is sent at once if the cause has ended")),
    Cause.OVERTAKEN: Rule(N_("an answer was sent before it"), N_("nothing needs to be done: the answer was sent")),
    Cause.CANCELLED: Rule(N_("cancelled"), N_("send it again if it is still wanted")),
    Cause.OTHER_USER: Rule(
        N_("the account has logged in again, and all ids have changed since"), _LOOK_UP, agent=_FIND
    ),
    Cause.OTHER_ROUTE: Rule(
        N_("other-route: the account uses another driver now, where ids differ"),
        _LOOK_UP,
        agent=_FIND,
    ),
    Cause.MOVED: Rule(
        N_("another host has taken the account over"), N_("send it again: the host that has the account now sends it")
    ),
    Cause.NOT_WANTED: Rule("{why}", N_("send it again without hold=0, so that it waits")),
    Cause.REFUSED_TWICE: Rule(
        "{why}", N_("change the message, and send it again: WeChat refused it in two reply windows")
    ),
    Cause.TOO_FREQUENT: Rule(
        "{why}", N_("wait an hour and send it again; then send more slowly (option send_interval)")
    ),
    Cause.WECHAT_FAILED: Rule("{why}", N_("send it again later")),
    Cause.SESSION_OVER: Rule(
        N_("the session has ended, and ids change with the next one"),
        N_("log the account in, look up the recipient's current id, and send it again"),
        agent="the account's owner has to log it in; then find_people returns the current ids",
        condition="needs-scan",
    ),
    Cause.DAILY_LIMIT: Rule(
        "{why}", N_("send it again tomorrow, or raise the option send_daily_max"), code=TOO_MANY_TODAY
    ),
    Cause.QUEUE_FULL: Rule("{why}", N_("send it again when fewer messages wait"), status=429, passes=True),
    Cause.STOPPING: Rule("{why}", _START, agent=_ASK_TO_START, status=503, passes=True),
    Cause.NOT_RUNNING: Rule(
        "{why}", _START, agent=_ASK_TO_START, code=NOT_RUNNING, passes=True, condition="unit-down"
    ),
    Cause.NOT_LOGGED_IN: Rule(
        "{why}",
        N_("log the account in, and send it again"),
        agent="the account's owner has to log it in; get_login_code returns the code to scan; then send it again",
        code=NOT_RUNNING,
        passes=True,
        condition="needs-scan",
    ),
    Cause.UNAVAILABLE: Rule(
        "{why}",
        N_("free space on the account's disk, and send it again"),
        code=FAILED,
        status=503,
        passes=True,
        condition="cannot-store",
    ),
    Cause.DAMAGED: Rule(N_("its record in the event log was damaged"), N_("send it again")),
    Cause.UNSUPPORTED: Rule(
        "{why}",
        N_("send it in another form, or use an account on a route that supports it: docs/routes.md"),
        agent="send it in another form, or with another account: this account cannot send it",
        code=FAILED,
    ),
    Cause.NO_ANSWER: Rule("{why}", N_("check on the phone before you send it again")),
}
_LATEST = 1 << 40  # seconds since 1970 that can be shown
_NO_RULE = Rule("{why}", "")  # without a cause
# Calls that are refused before there is a send had this code first.
_OF_CALLS = {"no-such-peer": Cause.NO_PEER}


def rule_of(code: str) -> Rule:
    """Return the rule for the reason of a send, or for the code of a refused call."""
    return RULES[_OF_CALLS.get(code) or Cause(code)] if code in _OF_CALLS or code in set(Cause) else _NO_RULE


# What agents can do about other failures of calls.
_FAILED_CALLS = {
    "unknown-account": "list_accounts returns the accounts",
    "no-such-message": "read_messages returns ids of messages; older ones may be deleted",
}


def for_agents(code: str) -> str:
    """Return what an AI agent can do about the reason of a send, or about the code of a refused call; "": unknown."""
    return rule_of(code).agent or rule_of(code).remedy or _FAILED_CALLS.get(code, "")


def words_of(answer: JsonObject) -> Text:
    """Return what /v1 says about a send, in one text: why it did not go out, until when, and what to do."""
    detail, ends, remedy = (text_in(answer, name) for name in ("detail", "ends", "remedy"))
    return _in_words(answer.get("state") == SendState.HELD, detail, ends, remedy, integer(answer.get("held_until")))


def words_of_error(error: JsonObject) -> Text:
    """Return what an ``error`` of /v1 says, in one text."""
    return _in_words(False, text_in(error, "message"), NOTHING, text_in(error, "remedy"))


def _in_words(is_held: bool, what: Text, ends: Text, remedy: Text, when: float = 0.0) -> Text:
    if ends:
        if 0 < when < _LATEST:
            moment = time.strftime("%Y-%m-%d %H:%M %Z", time.localtime(when))
            ends = Text(N_("{ends}, but not after {time}"), ends=ends, time=moment)
        what = Text(N_("held {ends}: {why}") if is_held else N_("waiting {ends}: {why}"), ends=ends, why=what)
    return Text(N_("{what}; {remedy}"), what=what, remedy=remedy) if remedy else what


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on a send.

    ``evidence`` is WeChat's answer, or our rule with its values, for causes that need it. ``when``: until when it is
    held or waits at most, in seconds since 1970, 0 for no such time. ``code`` is WeChat's or that of /openwx if it is
    not the cause's, ``status`` the word of /openwx if it is not the reason. ``message_id`` is WeChat's, or "".
    """

    state: SendState
    cause: Cause | None = None
    evidence: Text = NOTHING
    when: float = 0.0
    code: int | None = None
    status: str = ""
    message_id: str = ""

    @property
    def rule(self) -> Rule:
        return RULES[self.cause] if self.cause else _NO_RULE

    @property
    def reason(self) -> Text:
        """Why it did not go out."""
        if self.rule.text == "{why}":
            return self.evidence
        what = Text(self.rule.text)
        return Text(N_("{what}: {why}"), what=what, why=self.evidence) if self.evidence else what

    @property
    def detail(self) -> Text:
        """The reason, with what it means for the message."""
        if self.state is SendState.UNKNOWN and self.reason:
            return Text(N_("it may have arrived: {why}"), why=self.reason)
        if self.state is SendState.REFUSED and self.openwx_code == NOT_SENT and self.cause is not Cause.CANCELLED:
            return Text(N_("not sent: {why}"), why=self.reason) if self.reason else NOTHING
        return self.reason

    @property
    def ends(self) -> Text:
        """Until when it is held."""
        return NOTHING if self.state is SendState.REFUSED else Text(self.rule.ends)

    @property
    def remedy(self) -> Text:
        """What people and callers can do."""
        return Text(self.rule.remedy)

    @property
    def words(self) -> Text:
        """All of it in one text, as ``words_of``."""
        return _in_words(self.state is SendState.HELD, self.detail, self.ends, self.remedy, self.when)

    @property
    def mark(self) -> str:
        """State and cause, for an index."""
        return f"{self.state} {self.cause or ''}".strip()

    @property
    def openwx_code(self) -> int:
        """The code of /openwx."""
        if self.code is not None:
            return self.code
        if self.state in (SendState.DELIVERED, SendState.ACCEPTED):
            return 0
        if self.state is SendState.REFUSED:
            return self.rule.code
        return UNKNOWN_CODE if self.state is SendState.UNKNOWN else STILL_QUEUED

    @property
    def openwx_info(self) -> str:
        """The text of /openwx for people."""
        return str(self.detail) or self.openwx_status

    @property
    def openwx_status(self) -> str:
        """The status of /openwx."""
        if self.openwx_code == 0:
            return "success"
        if self.state is SendState.UNKNOWN:
            return UNKNOWN_WORD
        if self.state is SendState.HELD:
            return f"held {self.ends}: {self.reason}"
        return self.status or (_REFUSED_WORD if self.code is not None else str(self.detail))
