"""Turns exceptions into answers, in JSON and without tracebacks, for every request."""

import hashlib
import logging
import re
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from wxcontroller.controller.account_port.failures import NotAnswering, NotRunning
from wxcontroller.controller.accounts import UnknownMove
from wxcontroller.controller.ilink import answers
from wxcontroller.controller.ilink.pairings import NoPairing, TooManyPairings
from wxcontroller.controller.unitstarts import TooManyAccounts
from wxcontroller.core.access import loggable
from wxcontroller.core.errors import (
    AccountExists,
    AccountMoved,
    AccountMoving,
    BadEnvironmentFile,
    BadName,
    BadOption,
    FileFailed,
    HostFailure,
    NoPort,
    OtherRoute,
    StaleEpoch,
    TemplateError,
    UnitFailed,
    UnknownAccount,
    WrongHost,
    WxError,
    file_failed,
)
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.messages import N_, Text, Value
from wxcontroller.core.notifytargets import TargetExists, UnknownTarget
from wxcontroller.core.summaries import cause, raised_at
from wxcontroller.openwx.admission import Busy
from wxcontroller.openwx.parameters import BadParameter
from wxcontroller.openwx.replies import API_NOT_FOUND, AUTH_FAILURE, CONTENT_TYPE, PROXY_FAILED, reply, to_bytes

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class BadRequest(WxError, ValueError, code="bad-request", status=400, exit_code=2):
    """The request is invalid."""


class Refused(WxError):
    """A caller is not authenticated or lacks permission: ``code`` and HTTP ``status`` under /v1."""

    def __init__(
        self,
        code: str,
        message: str | Text,
        remedy: str | Text,
        /,
        *,
        status: int = 403,
        retry_after: int = 0,
        **values: Value,
    ) -> None:
        super().__init__(message, remedy, **values)
        self.code = code
        self.status = status
        self.retry_after = retry_after


def too_many_failures(message: str, remedy: str, seconds: int) -> Refused:
    """Return the refusal of a caller that has failed too often; ``remedy`` names the seconds to wait."""
    return Refused("too-many-failures", message, remedy, status=429, retry_after=seconds, seconds=seconds)


class TooManyReaders(WxError, code="too-many-readers", status=503):
    """The limit for readers of events is reached."""


class NotServed(WxError, code="not-served", status=409):
    """The API is disabled in the settings."""


class NoConsumer(WxError, code="no-such-consumer", status=404):
    """The account has no consumer of this name."""


class NoQrcode(WxError, code="no-qrcode", status=404):
    """No QR code can be scanned now."""


class AlreadyLoggedIn(WxError, code="logged-in", status=409):
    """The account is logged in and shows no QR code."""


class NoJournal(WxError, code="no-journal", status=503):
    """The journal cannot be read."""


class NotReceiving(WxError, code="not-receiving", status=409):
    """No account can be moved to this host."""


class ArrivalRefused(WxError, code="arrival-refused", status=409):
    """An account sent by another host was refused. The message gives the importer's reason."""


class NoAlerts(WxError, code="no-alerts", status=409):
    """No alert channel is configured."""


class TooManyTests(WxError, code="too-many-tests", status=429):
    """The limit of test alerts per hour is reached."""


# Errors of /v1's handlers, each with its own ``code``.
FAILURES: tuple[type[WxError], ...] = (
    *(BadName, BadOption, BadParameter, BadRequest, AccountExists, UnknownAccount, NoQrcode, NotRunning),
    *(AlreadyLoggedIn, OtherRoute, TooManyReaders, NotAnswering, NoJournal, NoAlerts, TooManyTests),
    *(NotServed, NoConsumer, NoPairing, TooManyPairings),
    *(UnknownTarget, TargetExists),
    *(HostFailure, WrongHost),
    *(AccountMoving, AccountMoved, StaleEpoch, UnknownMove, NotReceiving, ArrivalRefused),
    *(TooManyAccounts, NoPort, TemplateError, BadEnvironmentFile, UnitFailed, FileFailed),
)


def json_response(value: JsonValue | JsonObject, status: int = 200) -> web.Response:
    """Return an answer with a JSON body."""
    return web.Response(status=status, body=to_bytes(value), headers={"Content-Type": CONTENT_TYPE})


def error_response(problem: WxError) -> web.Response:
    """Return /v1's answer for an expected failure."""
    return json_response({"error": problem.as_json()}, problem.status)


def refusal(request: web.Request, problem: Refused) -> web.Response:
    """Return the answer to a caller that is refused. Under /openwx 401 is 403, as in the original."""
    if is_ilink(request):
        session_over = problem.status == 401
        response = answers.session_over() if session_over else answer(request, problem)
    elif is_v1(request):
        response = answer(request, problem)
    else:
        status = 403 if problem.status == 401 else problem.status
        response = json_response({**AUTH_FAILURE, "reason": str(problem)}, status)
    if problem.status == 401 and not is_ilink(request):
        response.headers["WWW-Authenticate"] = 'Bearer realm="wxcontroller"'
    if problem.retry_after:
        response.headers["Retry-After"] = str(problem.retry_after)
    return response


# Errors of aiohttp, and how they are reported.
_HTTP_FAILURES: Mapping[type[Exception], WxError] = {
    web.HTTPRequestEntityTooLarge: Refused(
        "too-large", N_("the request body is too large"), N_("see max_body in the settings"), status=413
    ),
    web.HTTPRequestTimeout: Refused(
        "too-slow", N_("the request body did not arrive"), N_("send it without long pauses"), status=408
    ),
    web.RequestPayloadError: Refused(
        "bad-request", N_("the request body does not match its headers"), N_("send it completely"), status=400
    ),
}


# Of a request, while there are notification targets: how failures of a notification are reported. None for others.
NOTIFIES = "notifies"
# Protocols with their own error format have answered in that format already.
_LIKE_V1 = ("/v1/", "/notify/", "/mcp")
# Calls of the iLink API and media, also with an account in front.
_ILINK = re.compile(r"(?:/for/[^/]*)?/ilink/")


@web.middleware
async def json_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn a handler's exception into an answer in the format of its path."""
    try:
        return await handler(request)
    except Refused as problem:
        return refusal(request, problem)
    except WxError as problem:
        if is_ilink(request) or is_v1(request):
            return answer(request, problem)
        if isinstance(problem, HostFailure | WrongHost):
            return json_response(reply(PROXY_FAILED, str(problem)), problem.status)
        return json_response(reply(1 if isinstance(problem, BadName | UnknownAccount) else -1, str(problem)))
    except web.HTTPNotFound:
        return no_such_path(request)
    except web.HTTPMethodNotAllowed as problem:
        return wrong_method(request, problem)
    except tuple(_HTTP_FAILURES) as problem:
        return answer(request, _HTTP_FAILURES[type(problem)])
    except Busy as problem:
        failure = (
            TooManyReaders(problem.words, N_("disconnect some"))
            if problem.is_reader
            else Refused("busy", problem.words, N_("try again in a moment"), status=503)
        )
        response = answer(request, failure)
        response.headers["Retry-After"] = "1"
        return response
    except web.HTTPException:
        raise
    except OSError as problem:
        if isinstance(problem, ConnectionError):
            raise  # the caller has disconnected
        log.error("%s %s: %s", request.method, loggable(request.path), problem, extra=cause(f"errno {problem.errno}"))
        return answer(request, file_failed(problem))
    except Exception as problem:
        # Any other exception: the caller gets a number, the journal the traceback. The same mistake has the same
        # number each time, because the journal has its traceback only once.
        number = hashlib.sha256(raised_at(problem).encode()).hexdigest()[:8]
        log.exception("error %s in %s %s", number, request.method, loggable(request.path))
        failure = Refused(
            "internal",
            N_("internal error {number}"),
            N_("see: journalctl -u wxcontroller --grep {number}"),
            status=500,
            number=number,
        )
        return answer(request, failure)


def is_v1(request: web.Request) -> bool:
    """Return whether failures of a request are reported as in /v1 or an integration, and not as in the original."""
    return request.path == "/v1" or request.path.startswith(_LIKE_V1) or bool(request.get(NOTIFIES))


def is_ilink(request: web.Request) -> bool:
    """Return whether failures of a request are reported as the iLink API does."""
    return _ILINK.match(request.path) is not None


def answer(request: web.Request, problem: WxError) -> web.Response:
    if is_ilink(request):
        return answers.failure(answers.FAILED, problem.text, problem.status)
    if is_v1(request):
        form: Callable[[WxError], web.Response] = request.get(NOTIFIES) or error_response
        return form(problem)
    return json_response(reply(-1, str(problem)), problem.status)


def no_such_path(request: web.Request) -> web.Response:
    if is_v1(request):
        return answer(
            request,
            Refused(
                "no-such-path",
                N_("there is no {path}"),
                N_("begin with GET /v1/accounts"),
                status=404,
                path=request.path,
            ),
        )
    return json_response(API_NOT_FOUND, 403)


def wrong_method(request: web.Request, problem: web.HTTPMethodNotAllowed) -> web.Response:
    if not is_v1(request):
        return json_response(API_NOT_FOUND, 403)
    allowed = ", ".join(sorted(problem.allowed_methods))
    response = answer(
        request,
        Refused(
            "wrong-method",
            N_("{path} does not accept {method}"),
            N_("use {allowed}"),
            status=405,
            method=request.method,
            path=request.path,
            allowed=allowed,
        ),
    )
    response.headers["Allow"] = allowed
    return response
