"""From exceptions to answers. The last resort for every request: JSON, no traces."""

import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from wxcontroller.controller.account_port.client import NotAnswering, NotRunning
from wxcontroller.controller.accounts import TooManyAccounts
from wxcontroller.core.errors import (
    AccountExists,
    BadEnvironmentFile,
    BadName,
    BadOption,
    FileFailed,
    NoPort,
    TemplateError,
    UnitFailed,
    UnknownAccount,
    WxError,
    file_failed,
)
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.summaries import cause
from wxcontroller.openwx.admission import Busy
from wxcontroller.openwx.parameters import BadParameter
from wxcontroller.openwx.replies import API_NOT_FOUND, AUTH_FAILURE, CONTENT_TYPE, reply, to_bytes

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class BadRequest(WxError, ValueError):
    """A request that can't be understood."""

    exit_code = 2


class Refused(WxError):
    """A caller that is not let in, or not to this. ``code`` is /v1's word for it, and ``status`` its HTTP status."""

    def __init__(self, code: str, message: str, remedy: str, status: int = 403, retry_after: int = 0) -> None:
        super().__init__(message, remedy)
        self.code = code
        self.status = status
        self.retry_after = retry_after


class TooManyReaders(WxError):
    """More readers of events than are served at a time."""


class OlderVersion(WxError):
    """An account's program that is older than the controller and does not know a call."""


class NoQrcode(WxError):
    """There is no QR code to scan at the moment."""


class NoJournal(WxError):
    """The accounts' journals can't be read."""


class NoAlerts(WxError):
    """Nobody is to be told of anything."""


class TooManyTests(WxError):
    """As many test alerts as may be sent in an hour."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How a kind of failure is told by /v1: HTTP status and the word in ``error.code``."""

    status: int
    code: str


KINDS: tuple[tuple[type[WxError], Kind], ...] = (
    (BadName, Kind(400, "bad-name")),
    (BadOption, Kind(400, "bad-option")),
    (BadParameter, Kind(400, "bad-request")),
    (BadRequest, Kind(400, "bad-request")),
    (AccountExists, Kind(409, "account-exists")),
    (UnknownAccount, Kind(404, "unknown-account")),
    (NoQrcode, Kind(404, "no-qrcode")),
    (NotRunning, Kind(409, "not-running")),
    (OlderVersion, Kind(409, "older-version")),
    (TooManyReaders, Kind(503, "too-many-readers")),
    (NotAnswering, Kind(502, "not-answering")),
    (NoJournal, Kind(503, "no-journal")),
    (NoAlerts, Kind(409, "no-alerts")),
    (TooManyTests, Kind(429, "too-many-tests")),
    (TooManyAccounts, Kind(409, "max-clients")),
    (NoPort, Kind(503, "no-port")),
    (TemplateError, Kind(500, "template")),
    (BadEnvironmentFile, Kind(500, "bad-account-file")),
    (UnitFailed, Kind(502, "unit-failed")),
    (FileFailed, Kind(500, "disk")),
)


def kind_of(problem: WxError) -> Kind:
    """Return how /v1 tells a failure."""
    for error, kind in KINDS:
        if isinstance(problem, error):
            return kind
    return Kind(500, "failed")


def json_response(value: JsonValue | JsonObject, status: int = 200) -> web.Response:
    """Return an answer with a JSON body."""
    return web.Response(status=status, body=to_bytes(value), headers={"Content-Type": CONTENT_TYPE})


def error_object(code: str, message: str, remedy: str) -> JsonObject:
    """Return the body of an answer of /v1 that tells a failure."""
    return {"error": {"code": code, "message": message, "remedy": remedy}}


def error_response(problem: WxError) -> web.Response:
    """Return /v1's answer for an expected failure."""
    kind = kind_of(problem)
    return json_response(error_object(kind.code, problem.message, problem.remedy), kind.status)


def error_of(problem: WxError | OSError) -> JsonObject:
    """Return the ``error`` object that tells a failure."""
    failed = problem if isinstance(problem, WxError) else file_failed(problem)
    return {"code": kind_of(failed).code, "message": failed.message, "remedy": failed.remedy}


def refusal(request: web.Request, problem: Refused) -> web.Response:
    """Return the answer for who is not let in. Under /openwx 401 is 403, as in the original."""
    if is_v1(request):
        response = json_response(error_object(problem.code, problem.message, problem.remedy), problem.status)
    else:
        status = 403 if problem.status == 401 else problem.status
        response = json_response({**AUTH_FAILURE, "reason": str(problem)}, status)
    if problem.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="wxcontroller"'
    if problem.retry_after:
        response.headers["Retry-After"] = str(problem.retry_after)
    return response


@web.middleware
async def json_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever a handler raises into an answer of the right shape for its path."""
    try:
        return await handler(request)
    except Refused as problem:
        return refusal(request, problem)
    except WxError as problem:
        if is_v1(request):
            return error_response(problem)
        return json_response(reply(_old_code(problem), str(problem)))
    except web.HTTPNotFound:
        return _no_such_path(request)
    except web.HTTPMethodNotAllowed as problem:
        return _wrong_method(request, problem)
    except web.HTTPRequestEntityTooLarge:
        return _answer(request, 413, "too-large", "the request body is too large", "see max_body in the settings")
    except web.HTTPRequestTimeout:
        return _answer(request, 408, "too-slow", "the request body did not arrive", "send it without long pauses")
    except web.HTTPRequestHeaderFieldsTooLarge:
        return _answer(request, 431, "too-many-headers", "the request has too many headers", "send fewer")
    except web.HTTPVersionNotSupported:
        return _answer(request, 505, "bad-version", "this version of HTTP is not spoken here", "use HTTP/1.1")
    except Busy as problem:
        response = _answer(request, 503, "busy", problem.words, "try again in a moment")
        response.headers["Retry-After"] = "1"
        return response
    except web.HTTPException:
        raise
    except OSError as problem:
        if isinstance(problem, ConnectionError):
            raise  # the caller is gone
        log.error("%s %s: %s", request.method, request.path, problem, extra=cause(f"errno {problem.errno}"))
        failed = file_failed(problem)
        return _answer(request, 500, kind_of(failed).code, failed.message, failed.remedy)
    except Exception:
        # The outermost edge of a request: the caller gets a number, the journal the rest.
        number = secrets.token_hex(4)
        log.exception("error %s in %s %s", number, request.method, request.path)
        return _answer(
            request, 500, "internal", f"internal error {number}", f"see: journalctl -u wxcontroller --grep {number}"
        )


def is_v1(request: web.Request) -> bool:
    """Say whether a request is for /v1, which tells failures in its own form."""
    return request.path.startswith("/v1/") or request.path == "/v1"


def _answer(request: web.Request, status: int, code: str, message: str, remedy: str) -> web.Response:
    if is_v1(request):
        return json_response(error_object(code, message, remedy), status)
    return json_response(reply(-1, f"{message}; {remedy}"), status)


def _old_code(problem: WxError) -> int:
    return 1 if isinstance(problem, BadName | UnknownAccount) else -1


def _no_such_path(request: web.Request) -> web.Response:
    if is_v1(request):
        return json_response(
            error_object("no-such-path", f"there is no {request.path}", "GET /v1/accounts is a beginning"), 404
        )
    return json_response(API_NOT_FOUND, 403)


def _wrong_method(request: web.Request, problem: web.HTTPMethodNotAllowed) -> web.Response:
    if not is_v1(request):
        return json_response(API_NOT_FOUND, 403)
    allowed = ", ".join(sorted(problem.allowed_methods))
    response = json_response(
        error_object("wrong-method", f"{request.method} is not for {request.path}", f"use {allowed}"), 405
    )
    response.headers["Allow"] = allowed
    return response
