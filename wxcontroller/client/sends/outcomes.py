"""How sends end, as answers and reports tell it: the codes and words of the contract, and ours."""

from dataclasses import dataclass

from wxcontroller.core.errors import UploadFailed, WeChatError
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.openwx.reports import SendResult

# The original's (openwx-api 0): media trouble and what is wrong with a request; a send that never went out.
FAILED = -1
NOT_SENT = -5
# Ours.
STILL_QUEUED = -7
TOO_MANY_TODAY = -8  # the account has sent as much today as send_daily_max allows
OTHER_REQUEST = -9  # the Idempotency-Key came before with another request; HTTP status 422
# Nobody knows whether it was sent: the original's code and word for an answer of WeChat that can't be read. As the
# code has other meanings too, it always comes with the word.
UNKNOWN = None
_UNKNOWN_CODE, UNKNOWN_WORD = -1, "unknown data"
_REFUSED_WORD = "unknown error"  # the original's for every code of WeChat


@dataclass(frozen=True, slots=True)
class End:
    """How a send ended. ``code`` UNKNOWN: it may have arrived. ``word`` is the contract's, where it has one."""

    given: int | None
    words: str
    word: str = ""

    @property
    def code(self) -> int:
        return _UNKNOWN_CODE if self.given is None else self.given

    @property
    def status(self) -> str:
        """What an answer calls it."""
        return UNKNOWN_WORD if self.given is None else self.word or self.words

    @property
    def info(self) -> str:
        """What is known of it."""
        return f"it may have arrived: {self.words}" if self.given is None else self.words


def end_of(problem: WeChatError) -> End:
    """Return how a send ended that WeChat did not take (openwx-api 2.4)."""
    if isinstance(problem, UploadFailed):
        return End(FAILED, str(problem), upload_failure(problem))
    if problem.ret is None:
        return End(UNKNOWN if problem.unsure else NOT_SENT, str(problem))
    return End(problem.ret, str(problem), _REFUSED_WORD)


def upload_failure(problem: UploadFailed) -> str:
    """The original's words for a file that WeChat did not take."""
    return f"media upload failure {problem.piece}/{problem.pieces}"


def told(result: SendResult, reason: str = "") -> JsonObject:
    """Return what an answer says of a send; ``reason`` is what more is known of media that can't be sent."""
    answer: JsonObject = {"id": result.handle, "code": result.code, "status": result.status}
    if result.status != result.info:
        answer["reason"] = result.info
    if result.media is not None:
        answer["media_id"] = result.media.id
    return {**answer, "reason": reason} if reason else answer
