"""The verdicts on sends that WeChat took, or did not take (``core.verdict``)."""

from wxcontroller.core.errors import FailureHandling, MediaRefused, UploadFailed, WeChatError
from wxcontroller.core.messages import N_, Text
from wxcontroller.core.verdict import FAILED, Cause, SendState, Verdict

OTHER_REQUEST = -9  # the Idempotency-Key was used with another request; HTTP status 422
_WITHOUT_ID = N_("accepted by WeChat without an id: nobody knows whether it is shown")
_CAUSES = {
    FailureHandling.WAIT: Cause.TOO_FREQUENT,
    FailureHandling.RETRY_SAME_ID: Cause.WECHAT_FAILED,
}


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
