"""How sends end: with their outcome at once, then with a report and the answer to the caller.

Reports are written in the order in which the sends ended. The end of a send, its report and the state of the route
are one transaction; until it is on disk, the next process would take the send up again.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from functools import partial

from wxcontroller.client.callertasks import Tasks
from wxcontroller.client.sends.model.send import Send, answer_of
from wxcontroller.client.sends.model.sendstates import QueuedSends, SendStep
from wxcontroller.client.sends.rules.policy import RoutePolicy
from wxcontroller.client.sends.sender import Sender
from wxcontroller.client.store.sendstore import SendStore
from wxcontroller.core.condition.verdict import TAKEN, Verdict
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.model import MessageKind

# A send's result is on disk before its caller gets it, unless the disk takes longer than this.
TELL_SECONDS = 5.0
_Recording = asyncio.Task["asyncio.Future[object]"]


@dataclass(slots=True)
class Ending:
    """Ends sends of the queue. ``recording`` is the task that writes the latest end; its result is the report."""

    sends: QueuedSends
    sender: Sender
    store: SendStore
    tasks: Tasks
    policy: RoutePolicy
    sent: Counter[MessageKind] = field(default_factory=Counter)  # accepted by WeChat since the process started
    not_sent: int = 0  # not accepted, or unknown
    ended: asyncio.Event = field(default_factory=asyncio.Event)  # set with each end
    recording: _Recording | None = None

    def end(self, send: Send, verdict: Verdict) -> None:
        """End a send, now; its report and the answer to its caller follow."""
        self.sends.move(send, SendStep.ENDED, verdict)
        self.policy.ended(send)
        if send.state in TAKEN:
            for other in self.sends.bundle(send):
                other.begun = True
        if verdict.openwx_code == 0:
            self.sent[send.kind] += 1
        else:
            self.not_sent += 1
        self.ended.set()
        self.recording = self.tasks.begin(self._record(send, self.recording))

    async def _record(self, send: Send, previous: _Recording | None) -> "asyncio.Future[object]":
        """Have the end of a send written with its report, after that of the ``previous`` one."""
        facts = await self.sender.facts(send)
        if previous is not None and not previous.done():
            await asyncio.wait({previous})
        result = send.result(facts, self.policy.verdicts)
        answer = answer_of(result)
        stored = self.sender.report(send, result, self.store.end(send, answer, self.policy.as_bytes))
        # If the disk does not accept writes, answer the caller after a timeout anyway: the message has been sent.
        timer = asyncio.get_running_loop().call_later(TELL_SECONDS, send.tell, answer)
        stored.add_done_callback(partial(self._settled, send, answer, timer))
        return stored

    def _settled(
        self, send: Send, answer: JsonObject, timer: asyncio.TimerHandle, _: "asyncio.Future[object]"
    ) -> None:
        """The report is on disk, and the send is deleted."""
        timer.cancel()
        self.sends.move(send, SendStep.SETTLED)
        send.tell(answer)
        if send.media is not None:
            send.media.release()
