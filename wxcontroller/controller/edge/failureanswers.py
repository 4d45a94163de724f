"""Turns exceptions into answers, without tracebacks, for every request: each API has its own form of failures.

An API registers its form with its routes (``Forms.add``), because a request may fail before it is routed.
"""

import hashlib
import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from wxcontroller.controller.account_port.portfailures import NotAnswering, NotRunning
from wxcontroller.controller.accounts.actions import UnknownMove
from wxcontroller.controller.accounts.unitstarts import TooManyAccounts
from wxcontroller.controller.callers.pairings import NoPairing, TooManyPairings
from wxcontroller.controller.callers.refusals import (
    AlreadyLoggedIn,
    ArrivalRefused,
    BadRequest,
    NoAlerts,
    NoConsumer,
    NoJournal,
    NoQrcode,
    NotReceiving,
    NotServed,
    Refused,
    TooManyReaders,
    TooManyTests,
)
from wxcontroller.core.access.rights import loggable
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
from wxcontroller.core.process.summaries import cause, raised_at
from wxcontroller.core.registry.notifytargets import TargetExists, UnknownTarget
from wxcontroller.core.text.templates import N_
from wxcontroller.openwx.contract.replies import CONTENT_TYPE, to_bytes
from wxcontroller.openwx.http.admission import Busy
from wxcontroller.openwx.http.parameters import BadParameter

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


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


class FailureForm(ABC):
    """How an API reports failures."""

    @abstractmethod
    def answer(self, problem: WxError) -> web.Response:
        """Return the answer to a request that failed."""

    def failed(self, problem: WxError) -> web.Response:
        """Return the answer to a request that its handler found to be impossible."""
        return self.answer(problem)

    def refused(self, problem: Refused) -> web.Response:
        """Return the answer to a caller that is not authenticated or lacks permission."""
        return with_login(self.answer(problem), problem)

    def foreign(self, problem: Refused) -> web.Response:
        """Return the answer to a page of another site."""
        return self.answer(problem)

    def no_such_path(self, request: web.Request) -> web.Response:
        path, remedy = request.path, N_("begin with GET /v1/accounts")
        return self.answer(Refused("no-such-path", N_("there is no {path}"), remedy, status=404, path=path))

    def wrong_method(self, request: web.Request, problem: web.HTTPMethodNotAllowed) -> web.Response:
        allowed = ", ".join(sorted(problem.allowed_methods))
        response = self.answer(
            Refused(
                "wrong-method",
                N_("{path} does not accept {method}"),
                N_("use {allowed}"),
                status=405,
                method=request.method,
                path=request.path,
                allowed=allowed,
            )
        )
        response.headers["Allow"] = allowed
        return response


def with_login(response: web.Response, problem: Refused) -> web.Response:
    """Return a refusal with the header that asks for a token, if one is missing or invalid."""
    if problem.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="wxcontroller"'
    return response


class Forms:
    """The forms of all APIs. ``other`` is that of paths that belong to none."""

    def __init__(self, other: FailureForm) -> None:
        self._other = other
        self._by_path: list[tuple[re.Pattern[str], FailureForm]] = []

    def add(self, paths: str, form: FailureForm) -> None:
        """Register the form of an API; ``paths`` is a pattern of the beginnings of its paths."""
        self._by_path.append((re.compile(paths), form))

    def of(self, path: str) -> FailureForm | None:
        """Return the form of the API that has a path, None if none has."""
        return next((form for paths, form in self._by_path if paths.match(path)), None)

    def of_request(self, request: web.Request) -> FailureForm:
        found: FailureForm = request.get(FORM) or self.of(request.path) or self._other
        return found


FORMS = web.AppKey("forms", Forms)
# Of a request whose path does not show its API: the form of its failures, or None.
FORM = "form"


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


@web.middleware
async def json_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn a handler's exception into an answer in the form of its API."""
    try:
        return await handler(request)
    except Exception as problem:
        return _reported(request, problem, request.app[FORMS].of_request(request))


def _reported(request: web.Request, problem: Exception, form: FailureForm) -> web.StreamResponse:
    match problem:
        case Refused():
            response = form.refused(problem)
            if problem.retry_after:
                response.headers["Retry-After"] = str(problem.retry_after)
            return response
        case WxError():
            return form.failed(problem)
        case web.HTTPNotFound():
            return form.no_such_path(request)
        case web.HTTPMethodNotAllowed():
            return form.wrong_method(request, problem)
        case Busy():
            response = form.answer(_busy(problem))
            response.headers["Retry-After"] = "1"
            return response
    if type(problem) in _HTTP_FAILURES:
        return form.answer(_HTTP_FAILURES[type(problem)])
    if isinstance(problem, web.HTTPException | ConnectionError):  # ConnectionError: the caller has disconnected
        raise problem
    if isinstance(problem, OSError):
        log.error("%s %s: %s", request.method, loggable(request.path), problem, extra=cause(f"errno {problem.errno}"))
        return form.answer(file_failed(problem))
    # Any other exception: the caller gets a number, the journal the traceback. The same mistake has the same number
    # each time, because the journal has its traceback only once.
    number = hashlib.sha256(raised_at(problem).encode()).hexdigest()[:8]
    log.exception("error %s in %s %s", number, request.method, loggable(request.path))
    return form.answer(
        Refused(
            "internal",
            N_("internal error {number}"),
            N_("see: journalctl -u wxcontroller --grep {number}"),
            status=500,
            number=number,
        )
    )


def _busy(problem: Busy) -> WxError:
    if problem.is_reader:
        return TooManyReaders(problem.words, N_("disconnect some"))
    return Refused("busy", problem.words, N_("try again in a moment"), status=503)
