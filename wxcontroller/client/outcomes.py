"""How sends end, as answers tell it: the codes of the contract and ours, and who hears of what."""

from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.openwx.reports import SendResult

# The original's: nothing was sent (openwx-api 0).
FAILED = -1
USED_UP = -5
# Ours.
STILL_QUEUED = -7
TOO_MANY_TODAY = -8  # the account has sent as much today as send_daily_max allows
UNKNOWN = -9  # it may have been sent: no answer of WeChat came that could be read
OTHER_REQUEST = -10  # the Idempotency-Key came before with another request; HTTP status 422
# What is not WeChat's own code.
_OUR_CODES = frozenset({0, FAILED, USED_UP, TOO_MANY_TODAY, UNKNOWN})


def told(result: SendResult, reason: str = "") -> JsonObject:
    """Return what an answer says of a send; ``reason`` is what more is known of a failure.

    For a refusal by WeChat, which gives a code and no words, it is the original's word and our reason.
    """
    answer: JsonObject = {"id": result.handle, "code": result.code, "status": result.info}
    if result.code not in _OUR_CODES:
        answer.update(status="unknown error", reason=result.info)
    if result.media is not None:
        answer["media_id"] = result.media.id
    if reason:
        answer["reason"] = reason
    return answer
