"""The states of a send, and the only place that changes them (ilink-bot-protocol, 19.2).

A send stands at one step, and the step gives its state:

| step        | state   | the send                                             | steps after it                   |
| ----------- | ------- | ---------------------------------------------------- | -------------------------------- |
| STORING     | waiting | is being written to disk                             | QUEUED NOTED, or not accepted    |
| QUEUED      | waiting | waits for its turn                                   | HELD UPLOADING ENDED             |
| HELD        | held    | cannot go now, for the cause of its verdict          | HELD QUEUED UPLOADING ENDED      |
| UPLOADING   | sending | has its content passed to WeChat, if there is any    | QUEUED NOTED ENDED               |
| NOTED       | sending | is noted on disk as handed over, or about to be      | QUEUED HANDED_OVER ENDED         |
| HANDED_OVER | sending | is with WeChat, whose answer is awaited              | QUEUED LOST ENDED                |
| LOST        | sending | may have arrived: it is repeated under the same id   | REPEATING ENDED                  |
| REPEATING   | sending | is with WeChat again                                 | LOST ENDED                       |
| ENDED       | final   | has a verdict, which is being written as its report  | SETTLED                          |
| SETTLED     | final   | has its report on disk, and is not in the queue      |                                  |

The final states are delivered, accepted, refused and unknown; none can be left. A send that may have arrived ends as
unknown rather than refused, whatever ended it: its sender would send it again. Until NOTED it can be cancelled.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from enum import Enum, auto
from typing import TYPE_CHECKING

from wxcontroller.core.condition.verdict import Cause, SendState, Verdict
from wxcontroller.core.process import summaries
from wxcontroller.core.process.journal import Event, fields

if TYPE_CHECKING:
    from wxcontroller.client.sends.model.send import Send

log = logging.getLogger(__name__)
# Refusals that the sender asked for, or that an answer makes superfluous.
_EXPECTED = (Cause.CANCELLED, Cause.OVERTAKEN)


class SendStep(Enum):
    """See the table above."""

    STORING = auto()
    QUEUED = auto()
    HELD = auto()
    UPLOADING = auto()
    NOTED = auto()
    HANDED_OVER = auto()
    LOST = auto()
    REPEATING = auto()
    ENDED = auto()
    SETTLED = auto()
    NOT_ACCEPTED = auto()

    @property
    def state(self) -> SendState:
        """The state of a send at this step that has not ended."""
        if self in (SendStep.STORING, SendStep.QUEUED):
            return SendState.WAITING
        return SendState.HELD if self is SendStep.HELD else SendState.SENDING


_AFTER = {
    SendStep.STORING: {SendStep.QUEUED, SendStep.NOTED, SendStep.NOT_ACCEPTED},
    SendStep.QUEUED: {SendStep.HELD, SendStep.UPLOADING, SendStep.ENDED},
    SendStep.HELD: {SendStep.HELD, SendStep.QUEUED, SendStep.UPLOADING, SendStep.ENDED},
    SendStep.UPLOADING: {SendStep.QUEUED, SendStep.NOTED, SendStep.ENDED},
    SendStep.NOTED: {SendStep.QUEUED, SendStep.HANDED_OVER, SendStep.ENDED},
    SendStep.HANDED_OVER: {SendStep.QUEUED, SendStep.LOST, SendStep.ENDED},
    SendStep.LOST: {SendStep.REPEATING, SendStep.ENDED},
    SendStep.REPEATING: {SendStep.LOST, SendStep.ENDED},
    SendStep.ENDED: {SendStep.SETTLED},
}
# The message itself has not been passed to WeChat: a caller can still cancel it.
CANCELLABLE = frozenset({SendStep.QUEUED, SendStep.HELD, SendStep.UPLOADING})
WITH_WECHAT = frozenset({SendStep.HANDED_OVER, SendStep.REPEATING})
# It may have arrived: if it is refused now, it ends as unknown.
IN_DOUBT = frozenset({SendStep.LOST, SendStep.REPEATING})
# Not in the queue: on the way into it or out of it.
_OUTSIDE = frozenset({SendStep.STORING, SendStep.ENDED})


class IllegalStep(Exception):
    """A step that the table does not allow: a defect of this program."""


class QueuedSends:
    """The sends of an account that are not settled, in the order in which they go out."""

    def __init__(self) -> None:
        self._sends: dict[Send, None] = {}
        self._at: Counter[SendStep] = Counter()

    def add(self, send: "Send") -> None:
        """Add a send, at whatever step it is."""
        self._sends[send] = None
        self._at[send.step] += 1

    def add_first(self, sends: Iterable["Send"]) -> None:
        """Add sends before all others."""
        others, self._sends = self._sends, {}
        for send in sends:
            self.add(send)
        self._sends.update(others)

    def move(self, send: "Send", step: SendStep, verdict: Verdict | None = None) -> None:
        """Move a send to a step; HELD and ENDED need a verdict. Raises IllegalStep."""
        if verdict is not None and verdict.state is SendState.REFUSED and send.step in IN_DOUBT:
            verdict = Verdict(SendState.UNKNOWN, Cause.NO_ANSWER, verdict.reason)
        if step not in _AFTER.get(send.step, ()) or (verdict is None) is (step in (SendStep.HELD, SendStep.ENDED)):
            raise IllegalStep(f"{send.step.name} -> {step.name}")
        self._at[send.step] -= 1
        if step in (SendStep.SETTLED, SendStep.NOT_ACCEPTED):
            del self._sends[send]
        else:
            self._at[step] += 1
        if verdict is None and not send.state.is_final:
            verdict = Verdict(step.state, when=send.hold_until)
        send.step, send.verdict = step, verdict or send.verdict
        if verdict is not None:
            _note(send, verdict)

    def bundle(self, send: "Send") -> list["Send"]:
        """Return the parts of a send's message that are in the queue, in order."""
        return [other for other in self if other.bundle == send.bundle]

    def put_last(self, send: "Send") -> None:
        """Put a send behind all others, with the other parts of its message."""
        for part in self.bundle(send):
            del self._sends[part]
            self._sends[part] = None

    def at(self, *steps: SendStep) -> int:
        """Return how many sends are at one of these steps."""
        return sum(self._at[step] for step in steps)

    def __len__(self) -> int:
        """Return how many are in the queue."""
        return len(self._sends) - self.at(*_OUTSIDE)

    def __iter__(self) -> Iterator["Send"]:
        """Iterate over those in the queue, in order."""
        return (send for send in self._sends if send.step not in _OUTSIDE)

    @property
    def all(self) -> Iterable["Send"]:
        """Those in the queue, on the way into it, and out of it."""
        return self._sends


def _note(send: "Send", verdict: Verdict) -> None:
    """Write a verdict to the journal, without the message: once while it stays the same.

    A send that is tried again and again while WeChat is unreachable is held for that each time. A caller can have
    sends refused as fast as the disk stores them, so many of one cause become one line.
    """
    if verdict.state not in (SendState.HELD, SendState.REFUSED, SendState.UNKNOWN) or verdict.mark == send.journaled:
        return
    send.journaled = verdict.mark
    expected = verdict.state is SendState.HELD or verdict.cause in _EXPECTED
    log.log(
        logging.INFO if expected else logging.WARNING,
        "send %s (id=%s, cause=%s): %s",
        verdict.state,
        send.client_id,
        verdict.cause,
        verdict.words,
        extra={**fields(Event.SEND, state=verdict.state), **summaries.cause(verdict.mark)},
    )
