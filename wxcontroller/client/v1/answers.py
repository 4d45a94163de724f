"""Answers of the account's /v1: values as JSON, failures as ``error`` with a remedy."""

from aiohttp import web

from wxcontroller.client.calls import json_answer
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import JsonObject, kept_json
from wxcontroller.core.messages import Text, Value

# Whoever reads messages shall not be able to log in by the way: the picture is at get_qrcode.
_SECRET_PARAMS = {"input_qrcode": 1}


class RequestRefused(WxError):
    """A request that is answered with a failure. ``status`` is HTTP's."""

    def __init__(self, status: int, code: str, message: str | Text, remedy: str | Text, /, **values: Value) -> None:
        super().__init__(message, remedy, **values)
        self.status = status
        self.code = code


def refusal(problem: RequestRefused) -> web.Response:
    """Return the answer."""
    return json_answer({"error": problem.as_json()}, problem.status)


def report_of(kind: str, body: bytes) -> JsonObject:
    """Return a stored report as it is shown to who may read."""
    report = kept_json(body)
    params = report.get("params")
    if kind in _SECRET_PARAMS and isinstance(params, list):
        report["params"] = params[: _SECRET_PARAMS[kind]]
    return report
