"""Answers of the account's /v1: values as JSON, failures as ``error`` with a remedy."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from wxcontroller.client.calls.call import json_answer
from wxcontroller.client.store.database.writer import Unavailable
from wxcontroller.client.store.eventlog import EventLog
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import JsonObject, kept_json
from wxcontroller.core.text.templates import N_, Text, Value

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
# Until a disk that is slow is reported. Longer than any write of a disk that works.
STORE_SECONDS = 10.0
# A token that may read messages must not allow a login, too: the picture is at get_qrcode.
_SECRET_PARAMS = {"input_qrcode": 1}


class RequestRefused(WxError):
    """A request fails with an HTTP ``status``."""

    def __init__(self, status: int, code: str, message: str | Text, remedy: str | Text, /, **values: Value) -> None:
        super().__init__(message, remedy, **values)
        self.status = status
        self.code = code


def refusal(problem: RequestRefused) -> web.Response:
    """Return the answer."""
    return json_answer({"error": problem.as_json()}, problem.status)


def with_refusals(handler: Handler) -> Handler:
    """Return a handler whose failures are answered in the form of /v1."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except RequestRefused as problem:
            return refusal(problem)
        except Unavailable as problem:
            return refusal(RequestRefused(503, "unavailable", problem.text, problem.remedy_text))
        except web.RequestPayloadError:
            return refusal(
                RequestRefused(
                    400,
                    "bad-request",
                    N_("the request's body cannot be read"),
                    N_("send the complete body, as its headers describe it"),
                )
            )
        except TimeoutError:
            return refusal(
                RequestRefused(408, "too-slow", N_("the request's body did not arrive"), N_("send it without pauses"))
            )

    return answer


@contextlib.asynccontextmanager
async def stored_soon(log: EventLog) -> AsyncIterator[None]:
    """Limit how long a block waits for the disk. Raises Unavailable; the block's changes may be stored yet."""
    try:
        async with asyncio.timeout(STORE_SECONDS):
            yield
    except TimeoutError:
        why = log.trouble or Text("the disk is slow")
        raise Unavailable(
            N_("the event log cannot be written: {why}"), N_("check the account's disk"), why=why
        ) from None


def report_of(kind: str, body: bytes) -> JsonObject:
    """Return a stored report as it is shown to readers."""
    report = kept_json(body)
    params = report.get("params")
    if kind in _SECRET_PARAMS and isinstance(params, list):
        report["params"] = params[: _SECRET_PARAMS[kind]]
    return report
