"""The four endpoints of the HTTP contract that are the controller's own (openwx-api 1.3, 1.4)."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from wxcontroller.controller.accounts.accountlists import found_and_unreadable, states
from wxcontroller.controller.accounts.unitstarts import TooManyAccounts
from wxcontroller.controller.accounts.view import View
from wxcontroller.controller.callers.refusals import Refused
from wxcontroller.controller.context import context
from wxcontroller.controller.edge.authorization import caller, hold_to_accounts
from wxcontroller.controller.edge.failureanswers import FORMS, FailureForm, json_response, with_login
from wxcontroller.controller.edge.requestbody import has_body, read_body
from wxcontroller.core.access.rights import call_path
from wxcontroller.core.config.options import OPTIONS, Checked, check_options
from wxcontroller.core.errors import (
    BadName,
    BadOption,
    HostFailure,
    NoPort,
    UnitFailed,
    UnknownAccount,
    WrongHost,
    WxError,
    file_failed,
)
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.net import egress
from wxcontroller.core.process.summaries import cause
from wxcontroller.core.registry.account import Account
from wxcontroller.core.text.templates import N_
from wxcontroller.openwx.contract import replies
from wxcontroller.openwx.contract.replies import CLIENT, OK, START_FAILED, record_reply, reply
from wxcontroller.openwx.http import parameters

log = logging.getLogger(__name__)
# Of a form to start_client, stop_client, check_client or get_qrcode: all options at their longest fit.
CONTROL_FORM_BYTES = 1 << 20
# Sent along by scripts and browsers to every endpoint; they were never options.
_PASSED_OVER = frozenset({"client", "datatype", "callback"})
# Calls that no account has. stop_client by POST is the account's own.
_BY_GET = frozenset({"start_client", "check_client", "get_qrcode"})
_OWN = _BY_GET | {"stop_client"}
NO_QRCODE_TYPE = "text/html;charset=UTF-8"


class OriginalFailures(FailureForm):
    """Failures as the original reports them: most with status 200, and never 401, 404 or 405."""

    def answer(self, problem: WxError) -> web.Response:
        return json_response(reply(-1, str(problem)), problem.status)

    def failed(self, problem: WxError) -> web.Response:
        if isinstance(problem, HostFailure | WrongHost):
            return json_response(reply(replies.PROXY_FAILED, str(problem)), problem.status)
        return json_response(reply(CLIENT if isinstance(problem, BadName | UnknownAccount) else -1, str(problem)))

    def refused(self, problem: Refused) -> web.Response:
        status = 403 if problem.status == 401 else problem.status
        return with_login(json_response({**replies.AUTH_FAILURE, "reason": str(problem)}, status), problem)

    def foreign(self, problem: Refused) -> web.Response:
        return json_response(reply(replies.REFUSED, str(problem)), 403)

    def no_such_path(self, request: web.Request) -> web.Response:
        return json_response(replies.API_NOT_FOUND, 403)

    def wrong_method(self, request: web.Request, problem: web.HTTPMethodNotAllowed) -> web.Response:
        return self.no_such_path(request)


FAILURE_FORM = OriginalFailures()


def add_routes(app: web.Application) -> None:
    """Route the four endpoints; each takes GET and HEAD."""
    app[FORMS].add("/openwx", FAILURE_FORM)
    for handler in (start_client, stop_client, check_client, get_qrcode):
        for end in ("", "/", ".{format:[^/]+}"):  # as the original's framework does
            app.router.add_get(f"/openwx/{handler.__name__}{end}", handler)


async def start_client(request: web.Request) -> web.Response:
    """GET /openwx/start_client (openwx-api 1.3): bring an account up and answer with its stored record."""
    params = await request_parameters(request)
    client = params.get("client", "")
    if is_missing(client):
        return json_response(replies.CLIENT_MISSING)
    accounts, settings = context(request).accounts, context(request).settings
    try:
        name = accounts.registry.name_of(client)
        wanted = start_options(params, settings.unknown_options == "ignore")
        started = await accounts.start(name, wanted.checked.options, wanted.echo)
    except BadName as problem:
        return json_response(reply(CLIENT, f"client name invalid: {problem}"))
    except UnknownAccount:
        return json_response(replies.CLIENT_UNKNOWN)
    except BadOption as problem:
        return json_response(reply(replies.BAD_OPTION, str(problem), client=client))
    except TooManyAccounts:
        return json_response(replies.MAX_CLIENTS)
    except NoPort:
        return json_response(replies.no_port(client))
    except WxError as problem:
        return json_response(reply(START_FAILED, str(problem), client=client))
    except OSError as problem:
        log.error("account %s cannot be registered: %s", client, problem, extra=cause(f"errno {problem.errno}"))
        return json_response(reply(START_FAILED, str(file_failed(problem)), client=client))
    status = "client already exists" if started.already else "success"
    ignored: list[JsonValue] = list(wanted.checked.ignored)
    extra: dict[str, JsonValue] = {"ignored": ignored} if ignored else {}
    return json_response({**stored_record(OK, status, started.view), **extra})


async def stop_client(request: web.Request) -> web.Response:
    """GET /openwx/stop_client (openwx-api 1.3): also for a running account whose file is missing or damaged."""
    params = await request_parameters(request)
    client = params.get("client", "")
    if is_missing(client):
        return json_response(replies.CLIENT_MISSING)
    accounts = context(request).accounts
    view = await accounts.view(client, max_age=0)
    if view is not None and not view.registered:
        return json_response(replies.CLIENT_UNKNOWN)
    try:
        stopped = await accounts.stop(client)  # also if its file is missing or damaged
    except (BadName, UnknownAccount):
        return json_response(replies.CLIENT_UNKNOWN)
    except UnitFailed as problem:
        return json_response({**replies.STOP_FAILED, "client": client, "reason": str(problem)})
    answer = stored_record(OK, "success", stopped.before)
    return json_response({**answer, "note": str(stopped.note)} if stopped.note else answer)


async def check_client(request: web.Request) -> web.Response:
    """GET /openwx/check_client (openwx-api 1.4): the STATE of one account or of all that are wanted or run."""
    params = await request_parameters(request)
    accounts, answers = context(request).accounts, context(request).answers
    if "client" in params:
        view = await accounts.view(params["client"])
        if view is None or not view.registered:
            return json_response(replies.CLIENT_UNKNOWN)
        state = answers.state(view)
        if state is None:
            reason = str(view.unreadable or view.status)
            return json_response({**replies.STATE_UNREADABLE, "reason": reason})
        return bytes_response(states([state], []))
    views, who, fleet = await accounts.views(), caller(request), context(request).fleet
    if fleet is None or who.hop:
        return bytes_response(answers.check_client.answer(views, who))
    found, unreadable = found_and_unreadable(answers.check_client.parts(views, who))
    found_there, unreadable_there = await fleet.check_client(request)
    return bytes_response(states([*found, *found_there], [*unreadable, *unreadable_there]))


async def get_qrcode(request: web.Request) -> web.Response:
    """GET /openwx/get_qrcode (openwx-api 1.4): the JPEG of the code to scan, or 404."""
    params = await request_parameters(request)
    client = params.get("client", "")
    if is_missing(client):
        return json_response(replies.CLIENT_MISSING)
    accounts = context(request).accounts
    view = await accounts.view(client)
    if view is None or not view.registered:
        return json_response(replies.CLIENT_UNKNOWN)
    # A code that a dead process left behind cannot be scanned.
    image = accounts.state_files.qrcode(view.instance) if view.unit.has_process else None
    if image is None:
        return web.Response(status=404, headers={"Content-Type": NO_QRCODE_TYPE, "Cache-Control": "no-cache"})
    return web.Response(
        body=image, headers={"Content-Type": replies.QRCODE_CONTENT_TYPE, "Cache-Control": "no-cache"}
    )


async def request_parameters(request: web.Request) -> dict[str, str]:
    """Return a request's parameters, query first, then body, without its token.

    Raises BadParameter, and Refused when it is about an account that is not the caller's.
    """
    pairs = parameters.query_pairs(parameters.query_of(request.raw_path))
    kind = request.headers.get("Content-Type", "")
    if has_body(request) and parameters.holds_parameters(request.path, kind):
        body = await read_body(request, CONTROL_FORM_BYTES)
        pairs += parameters.form_pairs(kind, body)
    found = parameters.merged(pairs)
    found.pop("token", None)
    if "client" in found:
        hold_to_accounts(request, found["client"])
    return found


def is_own_call(method: bytes, path: str) -> bool:
    """Return whether a request for a path under /openwx is for the controller itself."""
    return method in (b"GET", b"HEAD") and call_path(path).removeprefix("/openwx/") in _OWN


def client_unknown(request: web.Request, answer: JsonObject = replies.CLIENT_UNKNOWN) -> web.Response:
    """Return that no account has this name; with the reason to expect that, if a call of ours was not made by GET.

    There may be no name at all. Other methods of these paths belong to the account (openwx-api 1.2), which a new one
    does not have.
    """
    name = request.path.removeprefix("/openwx/").rstrip("/").partition(".")[0]
    if request.method == "GET" or name not in _BY_GET:
        return json_response(answer)
    why = f"the controller carries out GET /openwx/{name}; {request.method} is forwarded to the account"
    return json_response({**answer, "reason": why})


def is_missing(client: str) -> bool:
    """Return whether the original treats this as a missing name."""
    return client in ("", "0")


@dataclass(frozen=True, slots=True)
class StartOptions:
    """The request of start_client: the account's options, and the parameters that the answer echoes."""

    checked: Checked
    echo: Mapping[str, str]


def start_options(params: Mapping[str, str], ignore_unknown: bool) -> StartOptions:
    """Sort the parameters of start_client. Raises BadOption."""
    options = {name: value for name, value in params.items() if name not in _PASSED_OVER and not name.startswith("_")}
    unknown = [name for name in options if name not in OPTIONS] if ignore_unknown else []
    accepted = [(name, value) for name, value in options.items() if name not in unknown]
    checked = check_options(accepted)
    passed_over = [name for name in params if name in ("datatype", "callback")]
    ignored = (*checked.ignored, *unknown, *passed_over)
    echo = {name: value for name, value in params.items() if not name.startswith("_")}
    for value in echo.values():
        check_line(value)
    return StartOptions(Checked(checked.options, ignored), echo)


def check_line(value: str) -> None:
    """Refuse values that the account's file cannot contain, even if they would only be echoed."""
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise BadOption(N_("a parameter contains a line break or control character"), N_("remove it"))


def stored_record(code: int, status: str, view: View) -> dict[str, JsonValue]:
    """Return an answer with an account's stored record (openwx-api 1.3)."""
    account: Account = view.account
    name = account.name.name
    return record_reply(
        code, status, shown(account.parameters), account=name, client=name, pid=view.pid, port=account.port
    )


def shown(parameters: Mapping[str, str]) -> Mapping[str, str]:
    """Return a start request's parameters as an answer may echo them: of a proxy without user and password."""
    if not parameters.get("proxy"):
        return parameters
    return {**parameters, "proxy": egress.shown(parameters["proxy"])}


def bytes_response(body: bytes) -> web.Response:
    return web.Response(body=body, headers={"Content-Type": replies.CONTENT_TYPE})
