"""/v1/accounts: list, start, stop, restart and remove accounts."""

import asyncio

from aiohttp import web

from wxcontroller.controller.account_port.portfailures import NotRunning
from wxcontroller.controller.accounts.view import account_json
from wxcontroller.controller.apis.v1.account.watching import watch
from wxcontroller.controller.apis.v1.form import freshstatus
from wxcontroller.controller.apis.v1.form.declaring import IGNORED, Calls
from wxcontroller.controller.callers.refusals import BadRequest
from wxcontroller.controller.context import context
from wxcontroller.controller.edge.authorization import caller, hold_to_accounts
from wxcontroller.controller.edge.failureanswers import json_response
from wxcontroller.controller.edge.requestbody import read_body
from wxcontroller.controller.edge.streams import wants_stream
from wxcontroller.controller.forwarding.proxy import pass_on_v1
from wxcontroller.controller.openwxcalls import check_line
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.config.options import check_options
from wxcontroller.core.errors import BadOption
from wxcontroller.core.jsontypes import JsonObject, JsonValue, read_json, text
from wxcontroller.core.names import parse_name
from wxcontroller.core.records.accountrecords import AccountAnswer
from wxcontroller.core.registry.account import LARGEST_EPOCH
from wxcontroller.core.text.templates import N_, NOTHING, Text, text_fields
from wxcontroller.openwx.contract.describing import STREAM, SWITCH, TEXT, OnRequest, both, listing, record, ref
from wxcontroller.openwx.contract.describing import texts as text_schemas
from wxcontroller.openwx.contract.replies import CONTENT_TYPE

# Limit of a JSON body: a request sets a few options, of which only addresses are long.
CONTROL_BODY_BYTES = 64 << 10
_DONE = both(
    ref("Account"),
    record(
        {"result": TEXT, **text_schemas("note"), "ignored": listing(TEXT)}, ("result", "note", "note_text", "ignored")
    ),
)
CALLS = Calls()


@CALLS.route(
    "GET accounts",
    Scope.READ,
    "all accounts; with Accept: text/event-stream all of them, and then those that change",
    OnRequest(record({"accounts": listing(ref("Account"))}), (STREAM,)),
)
async def all_accounts(request: web.Request) -> web.StreamResponse:
    """GET /v1/accounts: every account that has a file and is the caller's, by id; as a stream on request."""
    if wants_stream(request):
        return await watch(request)
    shared = context(request)
    body = shared.answers.accounts.answer(await shared.accounts.views(), caller(request))
    if shared.fleet is not None and not caller(request).hop:
        body = shared.fleet.listing(body, caller(request))
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})


@CALLS.route(
    "GET accounts/{name}", Scope.READ, "one account", both(ref("Account"), ref("Told")), decoded=AccountAnswer
)
async def one_account(request: web.Request) -> web.Response:
    """GET /v1/accounts/{name}: with the status of its process, if it responds."""
    shared = context(request)
    view = await shared.accounts.require(request.match_info["name"])
    answer = await freshstatus.ask(shared.ports, view.account)
    return json_response({**account_json(view), **answer.as_json()})


@CALLS.route(
    "POST accounts",
    Scope.CONTROL,
    "add one, without a start",
    both(ref("Account"), IGNORED),
    (409,),
    body=record(
        {
            "name": TEXT,
            "options": ref("Options"),
            "epoch": {"type": "integer", "minimum": 1, "maximum": LARGEST_EPOCH},
            "arrived": TEXT,
            "adopted": {"type": "integer", "minimum": 0, "maximum": LARGEST_EPOCH},
        },
        ("options", "epoch", "arrived", "adopted"),
    ),
    status=201,
    decoded=AccountAnswer,
)
async def add(request: web.Request) -> web.Response:
    """POST /v1/accounts ``{"name": …, "options": {…}}``: registers an account, which does not run yet; 201.

    ``epoch`` is that of an account that has run on another host, ``arrived`` the id of the move that brings it, and
    ``adopted`` the epoch of its last adoption; one whose epochs are the same is being adopted.
    """
    shared = context(request)
    body = await json_object(request, 'send {"name": "alice", "options": {"post_api": "http://…"}}')
    set_ = _options(body, N_("use only name, options and epoch"), "name", "epoch", "arrived", "adopted")
    name = parse_name(text(body.get("name")))
    hold_to_accounts(request, name.name)
    arrived = text(body.get("arrived"))
    check_line(arrived)
    epoch, adopted = _epoch(body, "epoch", 1), _epoch(body, "adopted", 0)
    is_adopted = epoch == adopted
    if shared.fleet is not None:
        if not (arrived or is_adopted) or not caller(request).scope.covers(Scope.ADMIN):
            epoch = max(epoch, shared.fleet.keep_name_unique(name))
        elif is_adopted:
            await shared.fleet.met()
            epoch = adopted = shared.fleet.adoption(name, epoch)
        # During a move, the account stays registered on the host that it leaves, where it can no longer be started.
    checked = check_options(set_.items())
    view = await shared.accounts.add(name, checked.options, set_, epoch, arrived[:64], adopted)
    ignored: JsonObject = {"ignored": list(checked.ignored)} if checked.ignored else {}
    return json_response({**account_json(view), **ignored}, 201)


def _epoch(body: JsonObject, key: str, missing: int) -> int:
    epoch = body.get(key, missing)
    if isinstance(epoch, bool) or not isinstance(epoch, int) or not missing <= epoch <= LARGEST_EPOCH:
        raise BadRequest(
            N_("{key} must be an integer of at least {least}"),
            N_("omit it for a new account"),
            key=key,
            least=missing,
        )
    return epoch


_NOT_TOLD = N_(
    "the account was not running, so WeChat was not notified: the login is deleted at the next start, and WeChat may "
    "consider it valid until then or until it is ended on the phone"
)


@CALLS.route(
    "POST accounts/{name}/logout",
    Scope.CONTROL,
    "end its session for good, and stop it",
    ref("Account"),
    decoded=AccountAnswer,
)
async def logout(request: web.Request) -> web.Response:
    """POST /v1/accounts/{name}/logout: ends its WeChat session, and stops it; it needs a scan then.

    Without a process, WeChat is not notified: the login is deleted at the next start, and a note reports it.
    """
    shared = context(request)
    account, note = shared.accounts.account(request.match_info["name"]), NOTHING
    try:
        await freshstatus.logout(shared.ports, account, shared.settings.ua_request_timeout, caller(request).scope)
    except NotRunning:
        note = Text(_NOT_TOLD)
    stopped = await shared.accounts.stop(account.name.name)
    if note:
        await shared.accounts.forget_login(account.name.name)
    else:
        await asyncio.to_thread(shared.accounts.logins.forget, account.name.instance)
    return json_response({**account_json(stopped.after), **(text_fields(note=note) if note else {})})


@CALLS.route(
    "POST accounts/{name}/start",
    Scope.CONTROL,
    "start it, registering it if it is new; options replace stored ones",
    _DONE,
    body=record({"options": ref("Options")}, ("options",)),
    decoded=AccountAnswer,
)
async def start(request: web.Request) -> web.Response:
    """POST /v1/accounts/{name}/start ``{"options": {…}}``: options, if any, are stored over those the account has."""
    accounts = context(request).accounts
    name = accounts.registry.name_of(request.match_info["name"])
    remedy = N_('send {"options": {"post_api": "http://…"}}, or nothing')
    options = _options(await json_object(request, remedy), remedy)
    checked = check_options(options.items())
    started = await accounts.start(name, checked.options, options, keep=True)
    answer: JsonObject = {
        **account_json(started.view),
        "result": "already running" if started.already else "started",
    }
    if checked.ignored:
        answer["ignored"] = list(checked.ignored)
    if started.already and checked.options:
        answer |= text_fields(note=Text("the options are stored and apply from the next start"))
    return json_response(answer)


@CALLS.route("POST accounts/{name}/stop", Scope.CONTROL, "stop it", _DONE, decoded=AccountAnswer)
async def stop(request: web.Request) -> web.Response:
    """POST /v1/accounts/{name}/stop: also for an account that does not run."""
    accounts = context(request).accounts
    stopped = await accounts.stop(request.match_info["name"])
    answer = account_json(stopped.after)
    return json_response({**answer, **text_fields(note=stopped.note)} if stopped.note else answer)


@CALLS.route("POST accounts/{name}/restart", Scope.CONTROL, "stop and start it", _DONE, decoded=AccountAnswer)
async def restart(request: web.Request) -> web.Response:
    """POST /v1/accounts/{name}/restart."""
    return json_response(account_json(await context(request).accounts.restart(request.match_info["name"])))


@CALLS.route(
    "DELETE accounts/{name}",
    Scope.ADMIN,
    "stop and delete it",
    record(
        {
            **{"name": TEXT, "instance": TEXT, "removed": SWITCH, "tokens": listing(TEXT)},
            "targets": (listing(TEXT), "notification targets that have ended with it"),
        }
    ),
)
async def remove(request: web.Request) -> web.Response:
    """DELETE /v1/accounts/{name}: stops it, deletes its session and media, and its record."""
    shared = context(request)
    removed = await shared.accounts.remove(request.match_info["name"])
    name = removed.account.name.name
    await shared.gate.consumers.end(removed.instance)
    # Their file is root's. This lists the tokens that would give access to the next account of that name.
    bound: list[JsonValue] = [token.name for token in shared.gate.tokens.bound_to(name)]
    ended = list[JsonValue](await asyncio.to_thread(shared.targets.account_removed, name))
    answer: JsonObject = {"name": name, "instance": removed.instance, "removed": True}
    return json_response({**answer, "tokens": bound, "targets": ended})


def _options(body: JsonObject, remedy: str, *others: str) -> dict[str, str]:
    """Return the ``options`` of a body: an object of texts, numbers and booleans. Raises BadOption, and BadRequest,
    with the remedy for keys that are not among the ``others``.
    """
    if unknown := sorted(body.keys() - {"options", *others}):
        raise BadRequest(N_("unknown key {unknown}"), remedy, unknown=unknown[0][:64])
    options = body.get("options", {})
    if not isinstance(options, dict):
        raise BadRequest(N_("options is not an object"), N_('send {"option": "value"}'))
    return texts(options)


async def json_object(request: web.Request, remedy: str) -> JsonObject:
    """Return the JSON object that a body is, an empty one for no body. Raises BadRequest with this remedy."""
    body = await read_body(request, CONTROL_BODY_BYTES)
    if not body.strip():
        return {}
    try:
        content = read_json(body)
    except ValueError:
        raise BadRequest(N_("the body is not JSON"), remedy) from None
    if not isinstance(content, dict):
        raise BadRequest(N_("the body is not a JSON object"), remedy)
    return content


def texts(content: JsonObject) -> dict[str, str]:
    """Return options as texts. Raises BadOption for one that is neither text, number nor truth value."""
    found: dict[str, str] = {}
    for name, value in content.items():
        if isinstance(value, bool):
            value = "1" if value else "0"
        if not isinstance(value, str | int | float):
            raise BadOption(
                N_("option {option} must be text, a number, true or false"), N_("see wxclient(8)"), option=name[:64]
            )
        found[name] = str(value)
        check_line(found[name])
    return found


CALLS.forwarded(
    "POST input",
    "answer what it waits for: yes to a consent, or the digits of a code",
    record({"account": TEXT, "id": TEXT, "answered": SWITCH}),
    body=record({"id": TEXT, "value": TEXT}),
)(pass_on_v1)
