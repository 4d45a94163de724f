"""One attempt to send a message: its content is passed to WeChat, it is noted as handed over, and handed over.

``states`` has the steps. A message is noted on disk before WeChat gets it, so that a retry, also that of the next
process, has the same client id: WeChat drops it if the first attempt had arrived.

- A message that WeChat did not accept goes behind all others, with its other parts, unless some of these were sent.
  One whose response was lost is repeated first, while WeChat still remembers its client id.
- Only attempts that had a connection count.
"""

import asyncio
import logging
from dataclasses import dataclass

from wxcontroller.client.sends.ending import TELL_SECONDS, Ending
from wxcontroller.client.sends.model.causes import failed_by, sent_as
from wxcontroller.client.sends.model.send import Media, Send
from wxcontroller.client.sends.model.sendstates import IN_DOUBT, WITH_WECHAT, IllegalStep, QueuedSends, SendStep
from wxcontroller.client.sends.rules.availability import UNREACHED, Availability
from wxcontroller.client.sends.rules.pacer import Pacer
from wxcontroller.client.sends.rules.policy import RoutePolicy
from wxcontroller.client.sends.rules.sendbackoff import SendBackoff
from wxcontroller.client.sends.sender import Sender
from wxcontroller.client.store.database.writer import Unavailable
from wxcontroller.client.store.sendstore import SendStore
from wxcontroller.core.condition.verdict import Cause, SendState, Verdict
from wxcontroller.core.errors import FailureHandling, Unsupported, WeChatError, reason_of
from wxcontroller.core.text.templates import N_, NOTHING, Text

log = logging.getLogger(__name__)
_TOO_LATE = N_("WeChat did not answer, and it is too late to try again")
_NO_WINDOW = N_("WeChat did not answer, and the reply window allows no further attempt")


@dataclass(slots=True)
class Attempts:
    """Makes the attempts, one at a time."""

    sends: QueuedSends
    sender: Sender
    store: SendStore
    pacer: Pacer
    backoff: SendBackoff
    policy: RoutePolicy
    availability: Availability
    ending: Ending
    last_sent: int = 0  # time of the last message that WeChat accepted, in seconds since 1970
    _upload: "asyncio.Future[None] | None" = None

    async def attempt(self, send: Send) -> None:
        """Try to send a message, and handle the outcome."""
        if send.step is SendStep.LOST and (why := self._not_again(send)):
            self.ending.end(send, Verdict(SendState.UNKNOWN, Cause.NO_ANSWER, Text(why)))
            return
        if send.step is not SendStep.NOTED and (refusal := self.pacer.refusal):
            self.availability.last_error = refusal
            self.ending.end(send, Verdict(SendState.REFUSED, Cause.DAILY_LIMIT, refusal))
            return
        rest = 0.0
        try:
            if not await self._hand_over(send):
                return  # it has ended meanwhile
            message_id = await self.sender.send(send)
        except asyncio.CancelledError:
            if send.step in WITH_WECHAT:
                self.sends.move(send, SendStep.LOST)
            elif send.step is SendStep.UPLOADING:
                self.sends.move(send, SendStep.QUEUED)
            raise
        except Exception as problem:
            if send.state.is_final and not isinstance(problem, IllegalStep):
                log.debug("a send that had ended failed: %s", problem)
            elif isinstance(problem, WeChatError):
                rest = self._failed(send, problem)
            elif isinstance(problem, Unavailable):  # the note was not written: the account is stopping
                self.sends.move(send, SendStep.QUEUED)
                rest = TELL_SECONDS
            elif isinstance(problem, Unsupported | OSError):
                self.availability.last_error = reason_of(problem)
                cause = Cause.UNSUPPORTED if isinstance(problem, Unsupported) else Cause.MEDIA_FAILED
                self.ending.end(send, Verdict(SendState.REFUSED, cause, self.availability.last_error))
            else:
                raise
        else:
            self.last_sent, self.availability.last_error, self.availability.failures = (
                int(self.policy.now()),
                NOTHING,
                0,
            )
            self.backoff.reset()
            self.ending.end(send, sent_as(message_id))
            for other, verdict in self.policy.overtaken(send, self.sends):
                self.ending.end(other, verdict)
        finally:
            self.pacer.sent(rest)

    def interrupt(self, send: Send) -> None:
        """Stop the upload for a send that is about to end."""
        if send.step is SendStep.UPLOADING and self._upload is not None:
            self._upload.cancel()

    def note(self, send: Send) -> str:
        """Note that a send is handed to WeChat: one of its tries is used up. Return the day as which it counts."""
        send.tried = send.tried or self.policy.now()
        send.attempts_left -= 1
        self.policy.attempted(send, send.step is SendStep.REPEATING)
        return self.pacer.count()

    def _not_again(self, send: Send) -> str:
        """Return why a send whose answer was lost is not repeated, "" if it can be."""
        seconds = self.sender.driver.capabilities.repeat_seconds
        # ``abs``: a clock that was set back must not prolong the time in which WeChat knows the id.
        if send.attempts_left <= 0 or abs(self.policy.now() - send.tried) > seconds:
            return _TOO_LATE
        return "" if self.policy.may_repeat(send) else _NO_WINDOW

    async def _hand_over(self, send: Send) -> bool:
        """Give WeChat the content, and note on disk that the message follows; return whether it does.

        Raises as Sender.upload.
        """
        if send.step is not SendStep.NOTED:
            again = send.step is SendStep.LOST
            if not again:
                self.sends.move(send, SendStep.UPLOADING)
            if send.media is not None and send.media.uploaded is None:
                await self._upload_content(send, send.media)
            if send.state.is_final:
                return False
            self.sends.move(send, SendStep.REPEATING if again else SendStep.NOTED)
            day = self.note(send)
            # Awaited, unlike other notes: without it, the next process would consider the message untried, and send
            # it however old it is.
            await self.store.handed(send, day, self.policy.as_bytes)
        if send.is_at(SendStep.NOTED):
            self.sends.move(send, SendStep.HANDED_OVER)
        return send.is_at(*WITH_WECHAT)

    async def _upload_content(self, send: Send, media: Media) -> None:
        self._upload = asyncio.ensure_future(self.sender.upload(media))
        try:
            await self._upload
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not send.state.is_final or (task is not None and task.cancelling()):
                raise
        except WeChatError as problem:
            if not problem.unreachable:
                send.attempts_left -= 1
            raise
        else:
            self.store.note_media(media)

    def _failed(self, send: Send, problem: WeChatError) -> float:
        """Plan another attempt, or end the send; return the seconds for which the queue pauses."""
        self.availability.last_error = problem.full_text
        if problem.unreachable:
            return self._no_connection(send, problem)
        self.availability.failures = 0
        handling, doubtful = problem.handling, send.step in IN_DOUBT
        kept = self.policy.keeps(send, problem)
        if kept is False or (kept and doubtful):
            self.ending.end(send, failed_by(problem, kept is False))
            return 0.0
        if kept:
            # WeChat has answered that it did not accept the send: it counts as untried, and has all its attempts in
            # the next window.
            send.tried, send.attempts_left = 0.0, self.policy.tries
            send.evidence = problem.text
            self.sends.move(send, SendStep.QUEUED)
            self.store.hold(send, self.policy.as_bytes)
            return 0.0
        pause = self.backoff.next_pause(handling, max(1, self.policy.tries - send.attempts_left))
        if handling is FailureHandling.WAIT:
            log.warning("WeChat reports too many sends; the queue pauses for %.0f s", pause)
        if handling is not FailureHandling.RETRY_SAME_ID or send.attempts_left <= 0:
            self.ending.end(send, failed_by(problem))
            return pause if handling is FailureHandling.WAIT else 0.0
        log.warning("a send failed (%s), %d attempts left", problem, send.attempts_left)
        if doubtful or (problem.unsure and send.step is SendStep.HANDED_OVER):
            if send.step is not SendStep.LOST:
                self.sends.move(send, SendStep.LOST)
            return max(pause, self.policy.repeat_pause)
        send.tried = 0.0
        self.sends.move(send, SendStep.QUEUED)
        # Behind all others: a message that WeChat rejects must not delay the rest. The parts of one that has begun
        # stay together, where they are.
        if last := not send.begun:
            self.sends.put_last(send)
        self.store.put_back(send, last)
        return pause

    def _no_connection(self, send: Send, problem: WeChatError) -> float:
        """Let a send wait that could not be passed to WeChat; return the seconds for which the queue pauses."""
        self.availability.note_failure()
        if (failures := self.availability.failures) == UNREACHED:
            log.warning("WeChat cannot be reached (%s); %d sends wait", problem, len(self.sends))
        if send.step in WITH_WECHAT:  # it was counted as handed over
            send.attempts_left += 1
            day = self.pacer.uncount()
            if send.step is SendStep.REPEATING:
                self.policy.not_attempted(send)
                self.sends.move(send, SendStep.LOST)
            else:
                send.tried = 0.0
                self.sends.move(send, SendStep.QUEUED)
            self.store.put_back(send, False, day)
        elif send.step is SendStep.UPLOADING:
            self.sends.move(send, SendStep.QUEUED)
        return self.backoff.next_pause(FailureHandling.RETRY_SAME_ID, failures)
