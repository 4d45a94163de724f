"""Waiting for a person's answer to a message (openwx-api 2.4, consult)."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from wxcontroller.client.sends.model.send import Send
from wxcontroller.client.store.eventlog import EventLog
from wxcontroller.client.store.tables.eventtables import Selection
from wxcontroller.core.jsontypes import JsonObject, kept_json
from wxcontroller.core.model import Direction, Message

_AT_ONCE = 100  # events looked at in one go


@dataclass(frozen=True, slots=True, eq=False)
class _Question:
    target: str
    send: Send | None
    answer: asyncio.Future[Message]


@dataclass(slots=True)
class Consults:
    """Callers that wait for a person's next message. Several may wait for the same person; each gets the answer."""

    _open: list[_Question] = field(default_factory=list)

    @contextmanager
    def asked(self, target: str, send: Send | None) -> Iterator[asyncio.Future[Message]]:
        """Wait for the first message of ``target`` after ``send`` was sent; None: it was sent already."""
        question = _Question(target, send, asyncio.get_running_loop().create_future())
        self._open.append(question)
        try:
            yield question.answer
        finally:
            self._open.remove(question)
            question.answer.cancel()

    def heard(self, message: Message) -> None:
        """Take note of a message that arrived."""
        if message.is_group or message.direction is not Direction.RECEIVED:
            return
        for question in self._open:
            # A message from before the question was sent is not an answer to it.
            out = question.send is None or question.send.handed_over
            if question.target == message.sender and not question.answer.done() and out:
                question.answer.set_result(message)


async def reply_after(log: EventLog, target: str, event: int) -> JsonObject | None:
    """Return a friend's first message after an event as an answer to a question, or None.

    Raises Unavailable.
    """
    while found := await log.shown(Selection(types=("friend_message",), after=event), _AT_ONCE):
        for entry in found:
            report = kept_json(entry.body)
            if report.get("post_type") == "receive_message" and report.get("sender_id") == target:
                return {"id": report.get("id"), "reply": report.get("content"), "code": 0, "status": "success"}
        event = found[-1].seq
    return None
