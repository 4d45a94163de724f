"""Answers of the account's /v1: values as JSON, failures as ``error`` with a remedy."""

from aiohttp import web

from wxcontroller.client.calls import json_answer
from wxcontroller.core.jsontypes import JsonObject


class Refused(Exception):
    """A request that is answered with a failure. ``status`` is HTTP's."""

    def __init__(self, status: int, code: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.status = status
        self.error: JsonObject = {"code": code, "message": message, "remedy": remedy}


def refusal(problem: Refused) -> web.StreamResponse:
    """Return the answer."""
    return json_answer({"error": problem.error}, problem.status)
