"""How /v1 reports failures: as ``error``, with a code and a remedy. MCP does the same before its own protocol."""

from aiohttp import web

from wxcontroller.controller.edge.failureanswers import FailureForm, json_response
from wxcontroller.core.errors import WxError


class ErrorObjects(FailureForm):
    """Failures as ``{"error": …}``."""

    def answer(self, problem: WxError) -> web.Response:
        return json_response({"error": problem.as_json()}, problem.status)


FAILURE_FORM = ErrorObjects()
