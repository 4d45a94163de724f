"""A send, from the request until its outcome is known.

``Send`` is one message to one receiver, and the only type for it: calls create it, the queue holds it, the store
saves it. ``Media`` is content that one request sends, to one receiver or to all. ``Outcome`` is the result of a send,
in the terms of the HTTP contract; ``Request`` is a request with an idempotency key.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from wxcontroller.client.sends.window import Hold
from wxcontroller.client.store.files import delete
from wxcontroller.core.errors import FailureHandling, MediaRefused, UploadFailed, WeChatError
from wxcontroller.core.jsontypes import JsonObject, kept_json, text
from wxcontroller.core.limits import DEFAULTS
from wxcontroller.core.model import MessageKind
from wxcontroller.drivers.base import Upload, Uploaded
from wxcontroller.openwx.media import MediaFacts
from wxcontroller.openwx.reports import SendResult

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
# Remaining attempts of such a send.
NEVER_AGAIN = -1
QUOTED_LENGTH = 100  # characters of a quoted message that are sent along
_REFUSED_WORD = "unknown error"  # the original's for every code of WeChat


class Part(StrEnum):
    """The position of a send among the messages of its request."""

    TEXT = "text"
    MEDIA = "media"


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


# WeChat has them, or may have them.
TAKEN = (SendState.DELIVERED, SendState.ACCEPTED, SendState.UNKNOWN)


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


def answer_of(result: SendResult, reason: str = "") -> JsonObject:
    """Return a send's part of an answer; ``reason`` explains media that cannot be sent."""
    answer: JsonObject = {"id": result.handle, "code": result.code, "status": result.status}
    if result.status != result.info:
        answer["reason"] = result.info
    answer |= result.verdict
    if result.media is not None:
        answer["media_id"] = result.media.id
    return {**answer, "reason": reason} if reason else answer


def held_answer(send: "Send", why: Hold, place: int) -> JsonObject:
    """Return the answer to the caller of a held send; ``place`` is its place among those of its person."""
    return {
        "id": send.client_id,
        "code": STILL_QUEUED,
        "status": f"{why.until}: {why.words}",
        "state": SendState.HELD.value,
        "reason": why.value,
        "held_until": int(send.hold_until),
        "position": place,
    }


@dataclass(slots=True, eq=False)
class Media:
    """Content to send, in three stages.

    - Described: ``params`` are the request's parameters. An uploaded file is in ``kept`` already.
    - Prepared: there is a ``file`` for WeChat, or WeChat holds the content (``uploaded``), or both: content that was
      received is sent by reference, and its file is for the case that WeChat does not accept the reference.
    - Uploaded: WeChat holds it, also for all further receivers.

    ``kept`` is a file of our own, which outlasts the process. It is deleted with the last send that needs it, unless
    its report contains the content (``reported``): then it is deleted after the delivery (EventLog.delivered).
    ``id`` is the number in the store, 0 for none. ``fault`` is why it cannot be prepared, if that is already known.
    """

    facts: MediaFacts
    params: Mapping[str, str] = field(default_factory=dict)
    file: Upload | None = None
    uploaded: Uploaded | None = None
    kept: Path | None = None
    reported: bool = False
    fault: Exception | None = None
    id: int = 0
    _users: int = 0

    @property
    def ready(self) -> bool:
        """Whether it is prepared."""
        return self.file is not None or self.uploaded is not None

    def hold(self) -> None:
        """Count another send that needs it."""
        self._users += 1

    def release(self) -> None:
        """Count a send that has ended; the last one deletes the file."""
        self._users -= 1
        if self._users <= 0:
            self.discard()

    def discard(self) -> None:
        """Delete our copy in a thread, unless a report needs it."""
        kept, self.kept = self.kept, None
        if kept is not None and not self.reported:
            _ = asyncio.get_running_loop().run_in_executor(None, delete, kept)


@dataclass(frozen=True, slots=True)
class Quoted:
    """The message that a send replies to: its id, author and text.

    No route can send native quotes, so people get the text form that WeChat used before it had quotes.
    """

    id: str
    sender_id: str = ""
    sender: str = ""
    content: str = ""

    @property
    def head(self) -> str:
        """The lines that come before an answer."""
        words = " ".join(self.content.split())
        words = f"{words[: QUOTED_LENGTH - 1]}…" if len(words) > QUOTED_LENGTH else words
        return f"「{self.sender}：{words}」\n- - - - - - - - - - - - - - -\n"

    def as_json(self) -> JsonObject:
        """Return the stored form, which ``quoted_from`` reads and reports contain."""
        return {
            "quote_id": self.id,
            "quote_content": self.content,
            "quote_sender_id": self.sender_id,
            "quote_sender": self.sender,
        }


def quoted_from(kept: object) -> Quoted | None:
    """Return a stored quote, None for none."""
    found = kept_json(kept)
    names = ("quote_id", "quote_sender_id", "quote_sender", "quote_content")
    return Quoted(*(text(found.get(name)) for name in names)) if found else None


@dataclass(slots=True, eq=False)
class Send:
    """One message to one receiver: a text, or media.

    ``login`` is one's own id in the login to which the id ``target`` belongs. ``request`` is its idempotency key,
    ``seq`` its number in the store. ``tried`` is the time of the first attempt while it is unknown whether it
    arrived, otherwise 0; times are seconds since 1970.
    """

    target: str
    is_group: bool
    content: str = ""
    media: Media | None = None
    origin: str = "api"  # "code": a webhook's reply; "reminder": ours
    login: str = ""
    client_id: str = ""
    request: str = ""
    seq: int = 0
    queued_at: float = field(default_factory=time.time)
    tried: float = 0.0
    attempts_left: int = DEFAULTS.send_tries
    state: SendState = SendState.WAITING
    marked: bool = False  # marked in the store as passed to WeChat, but not passed yet
    unsure: bool = False  # a try got no answer: it may have arrived
    never: str = ""  # why it can no longer go out, or ""
    interim: bool = False  # progress, not an answer: it may be dropped
    urgent: bool = False  # it precedes other waiting sends (order.py)
    reminder: bool = False  # it asks the person to write
    hold: float | None = None  # seconds requested by the caller, None for the account's
    hold_until: float = 0.0  # end of holding, seconds since 1970; 0: not held
    held: str = ""  # why it is held, as window.Hold
    strikes: int = 0  # refusals in windows that were fresh
    struck: float = 0.0  # when the last such window was opened
    quoted: Quoted | None = None  # the message that a text replies to
    outcome: Outcome | None = None  # how it ended
    # The result for the answer. It never fails; None: the send has not ended, and stays for the next start.
    answer: "asyncio.Future[JsonObject | None]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    @property
    def kind(self) -> MessageKind:
        return self.media.facts.kind if self.media is not None else MessageKind.TEXT

    @property
    def part(self) -> Part:
        return Part.MEDIA if self.media is not None else Part.TEXT

    @property
    def ready(self) -> bool:
        """Whether the content is on disk."""
        return self.media is None or self.media.ready

    @property
    def words(self) -> str:
        """The text as sent to WeChat."""
        return self.content if self.quoted is None else self.quoted.head + self.content

    @property
    def verdict(self) -> str:
        """Its outcome, as in the index of messages."""
        return "" if self.outcome is None else f"{self.outcome.state.value} {self.outcome.refusal}".strip()

    @property
    def handed_over(self) -> bool:
        """Whether WeChat may have it, or it has ended."""
        return self.state is not SendState.HELD and (self.state is not SendState.WAITING or self.answer.done())

    def at_present(self, answer: JsonObject) -> JsonObject:
        """Return the current answer for a send reported as held (``answer``), which may have been released since."""
        if answer.get("state") != SendState.HELD.value or self.state.is_final:
            return answer
        if self.state is SendState.HELD and self.held:
            why = Hold(self.held)
            return {**answer, "reason": why.value, "status": f"{why.until}: {why.words}"}
        gone = dict.fromkeys(("reason", "held_until", "position"))
        rest = {name: value for name, value in answer.items() if name not in gone}
        return {**rest, "status": "still queued; the send_message report will tell", "state": self.state.value}

    def tell(self, answer: JsonObject | None) -> None:
        """Notify the waiting caller, once."""
        if not self.answer.done():
            self.answer.set_result(answer)

    def result(self, outcome: Outcome, media: MediaFacts | None = None, verdict: bool = False) -> SendResult:
        """Return the result as in a report; with ``verdict`` also as values for programs."""
        words: JsonObject = {"state": outcome.state.value}
        if outcome.refusal:
            words["refusal"] = outcome.refusal
        return SendResult(
            message_id=outcome.message_id,
            local_id=self.client_id,
            target=self.target,
            is_group=self.is_group,
            content=self.content,
            time=int(time.time()),
            code=outcome.code,
            status=outcome.status,
            info=outcome.info,
            attempts_left=self.attempts_left,
            media=media,
            origin=self.origin,
            verdict=words if verdict else {},
            quote=self.quoted.as_json() if self.quoted else {},
        )


@dataclass(frozen=True, slots=True)
class Request:
    """A request with an idempotency key.

    ``parts`` has the outcome of each message that has ended. ``answer`` is what the caller gets, None until all have
    ended. ``event`` is the sequence of the report about its text.
    """

    key: str
    fingerprint: str
    call: str
    answer: JsonObject | None = None
    target: str = ""
    parts: Mapping[Part, JsonObject] = field(default_factory=dict)
    event: int = 0
