"""Failures as programs that publish notifications expect them: in ntfy's form, or in Gotify's."""

from aiohttp import web

from wxcontroller.controller.edge.failureanswers import FORM, FailureForm, json_response
from wxcontroller.core.condition.verdict import SendState
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.text.templates import text_fields


class NtfyFailures(FailureForm):
    """Failures as ntfy reports them."""

    def answer(self, problem: WxError) -> web.Response:
        return ntfy_failure(problem.status, str(problem), _refused(problem))


class GotifyFailures(FailureForm):
    """Failures as Gotify reports them."""

    def answer(self, problem: WxError) -> web.Response:
        return gotify_failure(problem.status, str(problem), _refused(problem))


_NTFY, _GOTIFY = NtfyFailures(), GotifyFailures()


def failure_form(path: str) -> FailureForm:
    """Return how failures of a request to a path are reported."""
    return _GOTIFY if path.startswith("/notify/") and path.endswith("/message") else _NTFY


def is_notifying(request: web.Request) -> bool:
    """Return whether a request is a notification, which is known once it is admitted."""
    return isinstance(request.get(FORM), NtfyFailures | GotifyFailures)


def ntfy_failure(status: int, words: str, more: JsonObject) -> web.Response:
    answer: JsonObject = {"code": status * 100, "http": status, "error": words}
    return json_response({**answer, **more}, status)


def gotify_failure(status: int, words: str, more: JsonObject) -> web.Response:
    answer: JsonObject = {"error": "refused", "errorCode": status, "errorDescription": words}
    return json_response({**answer, **more}, status)


def _refused(problem: WxError) -> JsonObject:
    return {"state": SendState.REFUSED, **text_fields(reason=problem.full_text)}
