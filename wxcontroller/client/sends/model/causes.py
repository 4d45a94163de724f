"""The verdicts on sends that WeChat took, or did not take, and that the account cannot queue (``verdict``)."""

import logging
from typing import TYPE_CHECKING

from wxcontroller.core.condition.verdict import FAILED, Cause, SendState, Verdict
from wxcontroller.core.errors import FailureHandling, MediaRefused, UploadFailed, WeChatError
from wxcontroller.core.process import summaries
from wxcontroller.core.process.journal import Event, fields
from wxcontroller.core.text.templates import N_, Text, verbatim

if TYPE_CHECKING:
    from wxcontroller.client.calls.call import Parts

log = logging.getLogger(__name__)
OTHER_REQUEST = -9  # the Idempotency-Key was used with another request; HTTP status 422
_WITHOUT_ID = N_("WeChat accepted it without an id: it may not be shown")
_CAUSES = {FailureHandling.WAIT: Cause.TOO_FREQUENT, FailureHandling.RETRY_SAME_ID: Cause.WECHAT_FAILED}


def refusal_of(parts: "Parts", number: int = 1, knows_peer: bool = True) -> Verdict | None:
    """Return the verdict on ``number`` more sends if they cannot be queued now, and write it to the journal."""
    refusal = _refusal_of(parts, number) or (None if knows_peer else Verdict(SendState.REFUSED, Cause.NO_PEER))
    if refusal is not None and number:
        # A caller can repeat such a call at will.
        marks = {**fields(Event.SEND, state=refusal.state), **summaries.cause(refusal.mark)}
        log.warning("send refused (cause=%s): %s", refusal.cause, refusal.words, extra=marks)
    return refusal


def _refusal_of(parts: "Parts", number: int) -> Verdict | None:
    if parts.sends.closing:
        stopping = Text(N_("the account is stopping, nothing more is sent"))
        return Verdict(SendState.REFUSED, Cause.STOPPING, stopping)
    if words := parts.sends.no_room(number):
        return Verdict(SendState.REFUSED, Cause.QUEUE_FULL, verbatim(words))
    if trouble := parts.log.trouble:
        why = Text(N_("not sent: it cannot be stored: {why}"), why=trouble)
        return Verdict(SendState.REFUSED, Cause.UNAVAILABLE, why)
    if parts.at_work or parts.holds_for_login:
        return None
    return Verdict(SendState.REFUSED, Cause.NOT_LOGGED_IN, parts.session.status)


def sent_as(message_id: str) -> Verdict:
    """Return the verdict on a send that WeChat accepted."""
    if message_id:
        return Verdict(SendState.DELIVERED, message_id=message_id)
    return Verdict(SendState.ACCEPTED, evidence=Text(_WITHOUT_ID))


def failed_by(problem: WeChatError, repeatedly: bool = False) -> Verdict:
    """Return the verdict on a send that WeChat did not take (openwx-api 2.4), ``repeatedly`` in fresh windows."""
    why = problem.full_text
    if isinstance(problem, UploadFailed):
        cause = Cause.MEDIA_REFUSED if isinstance(problem, MediaRefused) else Cause.MEDIA_FAILED
        return Verdict(SendState.REFUSED, cause, why, code=FAILED, status=upload_failure(problem))
    if problem.ret is None and problem.unsure:
        return Verdict(SendState.UNKNOWN, Cause.NO_ANSWER, why)
    cause = Cause.REFUSED_TWICE if repeatedly else _CAUSES.get(problem.handling, Cause.BAD_RECIPIENT)
    return Verdict(SendState.REFUSED, cause, why, code=problem.ret)


def upload_failure(problem: UploadFailed) -> str:
    """Return the original's words for a file that WeChat did not take."""
    return f"media upload failure {problem.piece}/{problem.pieces}"
