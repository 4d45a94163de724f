"""Answers of the iLink API: always HTTP 200, with the result in ``ret``."""

from aiohttp import web

from wxcontroller.controller.callers.refusals import Refused
from wxcontroller.controller.edge.failureanswers import FailureForm
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.text.templates import Text
from wxcontroller.openwx.contract.replies import CONTENT_TYPE, to_bytes

FAILED = -1
NOT_SENT = -2
NO_TICKET = -4
# Only for a token that is unknown, revoked or expired: agents answer it with an hour of silence, or forget the token.
_SESSION_OVER = -14


def answer(**content: JsonValue) -> web.Response:
    """Return the answer of a successful call."""
    return _json({"ret": 0, **content}, 200)


def failure(code: int, words: Text | str, status: int = 200) -> web.Response:
    """Return an answer to a call that did not."""
    return _json({"ret": code, "errcode": code, "errmsg": str(words)}, status)


def session_over() -> web.Response:
    """Return the answer to an invalid token with WeChat's text, which some agents check."""
    return failure(_SESSION_OVER, "session timeout")


class Results(FailureForm):
    """Failures as agents expect them: a number in ``ret``."""

    def answer(self, problem: WxError) -> web.Response:
        return failure(FAILED, problem.text, problem.status)

    def refused(self, problem: Refused) -> web.Response:
        return session_over() if problem.status == 401 else self.answer(problem)


FAILURE_FORM = Results()


def _json(content: JsonObject, status: int) -> web.Response:
    return web.Response(status=status, body=to_bytes(content), headers={"Content-Type": CONTENT_TYPE})
