"""The states of sends, the reasons why they are held or refused, how they end, and the HTTP contract's codes."""

from dataclasses import dataclass
from enum import StrEnum

from wxcontroller.core.errors import FailureHandling, MediaRefused, UploadFailed, WeChatError
from wxcontroller.core.messages import N_

# The original's codes (openwx-api 0): trouble with media and with a request's form; a send that never went out.
FAILED = -1
NOT_SENT = -5
# Ours.
STILL_QUEUED = -7
TOO_MANY_TODAY = -8  # the account has sent as much today as send_daily_max allows
OTHER_REQUEST = -9  # the Idempotency-Key was used with another request; HTTP status 422
# Unknown whether it was sent: the original's code and status for an unreadable answer of WeChat. The code has other
# meanings, too, so it always comes with this status.
UNKNOWN_CODE, UNKNOWN_WORD = -1, "unknown data"
_WITHOUT_ID = "accepted by WeChat without an id: nobody knows whether it is shown"
OTHER_ROUTE = "other-route: the account has another driver now, and everybody has another id there"
ADOPTED = "the host that the account was adopted from may have sent it"
MOVED = "another host has adopted the account"
_REFUSED_WORD = "unknown error"  # the original's for every code of WeChat


class SendState(StrEnum):
    """The state of a send; the same words everywhere."""

    WAITING = "waiting"
    SENDING = "sending"
    HELD = "held"  # held until the person writes
    DELIVERED = "delivered"  # WeChat returned an id
    ACCEPTED = "accepted"  # WeChat took it without an id
    REFUSED = "refused"  # it was not sent and will not be
    UNKNOWN = "unknown"  # the answer was lost: it may have arrived

    @property
    def is_final(self) -> bool:
        return self not in (SendState.WAITING, SendState.SENDING, SendState.HELD)


# A request with several sends reports the worst of their states.
WORST_FIRST = (
    SendState.REFUSED,
    SendState.UNKNOWN,
    SendState.HELD,
    SendState.WAITING,
    SendState.SENDING,
    SendState.ACCEPTED,
    SendState.DELIVERED,
)
# WeChat has them, or may have them.
TAKEN = (SendState.DELIVERED, SendState.ACCEPTED, SendState.UNKNOWN)


class Hold(StrEnum):
    """Why a send is held."""

    NO_CONTEXT = "no-context"
    WINDOW = "window"
    BUDGET = "budget"
    BUDGET_24H = "budget-24h"  # the limit of a day that is set
    LEARNED = "learned-limit"  # and one learned from refusals
    THROTTLED = "throttled"
    RESTRICTED = "restricted"
    CONFIRMING = "confirming"
    OFFLINE = "offline"
    UNREACHABLE = "unreachable"

    @property
    def words(self) -> str:
        """The reason as a template."""
        return _WORDS[self]

    @property
    def until(self) -> str:
        """Until when it holds a send, for the contract's status."""
        if self is Hold.OFFLINE:
            return "held until the account is logged in"
        if self is Hold.UNREACHABLE:
            return "held until WeChat can be reached"
        if self is Hold.BUDGET_24H:
            return "held until earlier messages are a day old"
        return "held for a moment" if self is Hold.CONFIRMING else "held until the person writes"


_WORDS = {
    Hold.NO_CONTEXT: N_("the person has not written since the login"),
    Hold.WINDOW: N_("the reply window is closed"),
    Hold.BUDGET: N_("the messages of this window are used up"),
    Hold.BUDGET_24H: N_("the messages of 24 hours are used up (budget_24h)"),
    Hold.LEARNED: N_(
        "a limit is reached that was learned from refusals of WeChat; one message is tried after each message of the "
        "person"
    ),
    Hold.THROTTLED: N_("WeChat throttles the bot for some time"),
    Hold.RESTRICTED: N_("WeChat restricts this person"),
    Hold.CONFIRMING: N_("it is being checked whether the session is over"),
    Hold.OFFLINE: N_("the account is not logged in"),
    Hold.UNREACHABLE: N_("WeChat cannot be reached"),
}


class Refusal(StrEnum):
    """Reasons why a send is refused on routes with a reply window, as codes for programs."""

    BAD_RECIPIENT = "bad-recipient"  # or content that WeChat does not accept
    NO_PEER = "no-peer"
    TOO_LARGE = "too-large"
    MEDIA_REFUSED = "media-refused"
    MEDIA_FAILED = "media-failed"
    EXPIRED = "expired"
    OVERTAKEN = "overtaken"
    CANCELLED = "cancelled"
    OTHER_USER = "other-user"
    OTHER_ROUTE = "other-route"
    MOVED = "moved"  # another host has the account
    NOT_WANTED = "not-wanted"  # it cannot go now, and is not to be held
    REFUSED_TWICE = "refused-twice"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a send.

    ``code`` and ``status`` are the contract's, ``info`` is the text for people. ``message_id`` is WeChat's or "".
    ``refusal`` is a Refusal, or "".
    """

    state: SendState
    code: int
    status: str
    info: str
    message_id: str = ""
    refusal: str = ""


def sent_as(message_id: str) -> Outcome:
    """Return the outcome of a send that WeChat accepted."""
    if message_id:
        return Outcome(SendState.DELIVERED, 0, "success", "success", message_id)
    return Outcome(SendState.ACCEPTED, 0, "success", _WITHOUT_ID)


def refused(code: int, info: str, status: str = "", refusal: str = "") -> Outcome:
    """Return the outcome of a send that did not go out; ``status``: the contract's word, where it has one."""
    return Outcome(SendState.REFUSED, code, status or info, info, refusal=refusal)


def unknown(info: str) -> Outcome:
    """Return the outcome of a send that may have arrived."""
    return Outcome(SendState.UNKNOWN, UNKNOWN_CODE, UNKNOWN_WORD, f"it may have arrived: {info}")


def failed_by(problem: WeChatError) -> Outcome:
    """Return the outcome of a send that WeChat did not take (openwx-api 2.4)."""
    if isinstance(problem, UploadFailed):
        why = Refusal.MEDIA_REFUSED if isinstance(problem, MediaRefused) else Refusal.MEDIA_FAILED
        return refused(FAILED, str(problem), upload_failure(problem), why)
    if problem.ret is None:
        return unknown(str(problem)) if problem.unsure else refused(NOT_SENT, str(problem))
    again = problem.handling is FailureHandling.WAIT
    why = Refusal.REFUSED_TWICE if again else Refusal.BAD_RECIPIENT
    return refused(problem.ret, str(problem), _REFUSED_WORD, why)


def upload_failure(problem: UploadFailed) -> str:
    """Return the original's words for a file that WeChat did not take."""
    return f"media upload failure {problem.piece}/{problem.pieces}"
