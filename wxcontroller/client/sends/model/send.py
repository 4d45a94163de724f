"""A send, from the request until its outcome is known.

``Send`` is one message to one receiver, and the only type for it: calls create it, the queue holds it, the store
saves it. ``Media`` is content that one request sends, to one receiver or to all. ``Request`` is a request with an
idempotency key.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from wxcontroller.client.sends.model.sendstates import IN_DOUBT, WITH_WECHAT, SendStep
from wxcontroller.client.store.database.privatefiles import delete
from wxcontroller.core.condition.verdict import SendState, Verdict
from wxcontroller.core.config.limits import DEFAULTS
from wxcontroller.core.jsontypes import JsonObject, kept_json, text
from wxcontroller.core.model import MessageKind
from wxcontroller.core.text.templates import NOTHING, Text
from wxcontroller.drivers.base import Upload, Uploaded
from wxcontroller.openwx.contract.media import MediaFacts
from wxcontroller.openwx.contract.reports import SendResult

# Remaining attempts of such a send.
NEVER_AGAIN = -1
REMINDER = "reminder"
QUOTED_LENGTH = 100  # characters of a quoted message that are sent along


class Part(StrEnum):
    """The position of a send among the messages of its request."""

    TEXT = "text"
    MEDIA = "media"


def answer_of(result: SendResult) -> JsonObject:
    """Return a send's part of an answer."""
    verdict = result.verdict
    answer: JsonObject = {"id": result.handle, "code": verdict.openwx_code, "status": verdict.openwx_status}
    if verdict.openwx_status != verdict.openwx_info:
        answer["reason"] = verdict.openwx_info
    answer |= result.state
    if result.media is not None:
        answer["media_id"] = result.media.id
    return answer


def held_answer(send: "Send", place: int) -> JsonObject:
    """Return the answer to the caller of a held send; ``place`` is its place among those of its person."""
    held = send.verdict
    return {
        "id": send.client_id,
        "code": held.openwx_code,
        "status": held.openwx_status,
        "state": held.state.value,
        "reason": held.cause,
        "held_until": int(held.when),
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

    def hold(self) -> bool:
        """Count another send that needs it; return whether it is the first."""
        self._users += 1
        return self._users == 1

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

    ``login`` is one's own id in the login to which the id ``target`` belongs, ``sides`` the people of its report as
    JSON, as of then. ``request`` is its idempotency key, ``seq`` its number in the store. ``tried`` is the time of
    the first attempt while it is unknown whether it arrived, otherwise 0; times are seconds since 1970.
    """

    target: str
    is_group: bool
    content: str = ""
    media: Media | None = None
    origin: str = "api"  # "code": a webhook's reply; REMINDER: ours
    login: str = ""
    sides: str = ""
    client_id: str = ""
    request: str = ""
    seq: int = 0
    queued_at: float = field(default_factory=time.time)
    tried: float = 0.0
    attempts_left: int = DEFAULTS.send_tries
    step: SendStep = SendStep.STORING  # changed by ``states.QueuedSends.move`` only, as ``verdict``
    bundle: str = ""  # the same for all parts of one message to one receiver
    begun: bool = False  # one of the earlier parts was sent
    interim: bool = False  # progress, not an answer: it may be dropped
    urgent: bool = False  # it precedes other waiting sends (order.py)
    hold: float | None = None  # seconds requested by the caller, None for the account's
    hold_until: float = 0.0  # end of holding, seconds since 1970; 0: not held
    strikes: int = 0  # refusals in windows that were fresh
    struck: float = 0.0  # when the last such window was opened
    quoted: Quoted | None = None  # the message that a text replies to
    verdict: Verdict = Verdict(SendState.WAITING)
    evidence: Text = NOTHING  # WeChat's last answer, if it refused the send for some time
    journaled: str = ""  # the last verdict that is in the journal
    # The result for the answer. It never fails; None: the send has not ended, and stays for the next start.
    answer: "asyncio.Future[JsonObject | None]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    @property
    def reminder(self) -> bool:
        """Whether it asks the person to write."""
        return self.origin == REMINDER

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
    def state(self) -> SendState:
        return self.verdict.state

    def is_at(self, *steps: SendStep) -> bool:
        return self.step in steps

    @property
    def handed_over(self) -> bool:
        """Whether WeChat may have it, or it has ended."""
        return self.step in WITH_WECHAT | IN_DOUBT or self.state.is_final

    def at_present(self, answer: JsonObject) -> JsonObject:
        """Return the current answer for a send reported as held (``answer``), which may have been released since."""
        if answer.get("state") != SendState.HELD.value or self.state.is_final:
            return answer
        if self.state is SendState.HELD:
            return {**answer, "reason": self.verdict.cause, "status": self.verdict.openwx_status}
        code, words = self.verdict.openwx_code, "still queued; the send_message report will tell"
        return {"id": self.client_id, "code": code, "status": words, "state": self.state.value}

    def tell(self, answer: JsonObject | None) -> None:
        """Notify the waiting caller, once."""
        if not self.answer.done():
            self.answer.set_result(answer)

    def result(self, media: MediaFacts | None, with_state: bool) -> SendResult:
        """Return the result as in a report, also ``with_state`` and cause for programs."""
        return SendResult(
            verdict=self.verdict,
            local_id=self.client_id,
            target=self.target,
            is_group=self.is_group,
            content=self.content,
            time=int(time.time()),
            attempts_left=self.attempts_left,
            media=media,
            origin=self.origin,
            with_state=with_state,
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
