"""/v1/accounts/{name}/options: reads and changes an account's options."""

from collections.abc import Mapping

from aiohttp import web

from wxcontroller.controller.accounts.view import View, account_json
from wxcontroller.controller.apis.v1.account.accountcalls import json_object, texts
from wxcontroller.controller.apis.v1.form.declaring import IGNORED, Calls
from wxcontroller.controller.apis.v1.form.freshstatus import Answer, ask
from wxcontroller.controller.context import context
from wxcontroller.controller.edge.failureanswers import json_response
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.config.limits import OF_ACCOUNTS
from wxcontroller.core.config.options import OPTIONS, SAME, Origin, check_options
from wxcontroller.core.config.tables import TableRow
from wxcontroller.core.config.tables import shown as written
from wxcontroller.core.errors import BadOption
from wxcontroller.core.jsontypes import JsonObject, JsonValue, items, obj
from wxcontroller.core.records.accountrecords import AccountAnswer
from wxcontroller.core.registry.account import presentable
from wxcontroller.core.text.templates import N_, Text, text_fields
from wxcontroller.openwx.contract.describing import AS_DATA, TEXT, both, listing, maybe, record, ref
from wxcontroller.openwx.contract.describing import texts as text_schemas

_OBJECT: JsonObject = {"type": "object"}
CALLS = Calls()
# The names of options that have two; the first that is given counts (client.config).
_NAMES = {name: pair for pair in SAME.items() for name in pair}


@CALLS.route(
    "GET accounts/{name}/options",
    Scope.READ,
    "its options, without secrets: those of its next start, and those that it runs by",
    record(
        {
            "account": TEXT,
            "options": _OBJECT,
            "limits": _OBJECT,
            "waiting": listing(TEXT),
            "program": maybe(TEXT),
            "program_text": AS_DATA,
        }
    ),
)
async def shown(request: web.Request) -> web.Response:
    """GET: every option and limit with value, default and source, without passwords and queries of URLs.

    ``from`` is ``request`` (stored with the account), ``settings`` ([client] of the settings, the template or the
    admin's file for this account) or ``default``. ``value`` applies from the next start, ``in_force`` to the running
    program, null if unknown; ``waiting`` are the options that a restart changes, except those of which only a secret
    differs.
    """
    view = await context(request).accounts.require(request.match_info["name"])
    return json_response(_options(view, await _running(request, view)))


@CALLS.route(
    "PATCH accounts/{name}/options",
    Scope.CONTROL,
    "store other options, null gives one its default again; they count from the next start",
    both(ref("Account"), record({"options": _OBJECT, **text_schemas("note")}, ("note", "note_text")), IGNORED),
    body={**_OBJECT, "examples": [{"send_interval": 5, "lang": None}]},
    decoded=AccountAnswer,
)
async def change(request: web.Request) -> web.Response:
    """PATCH ``{"option": "value", "other": null}``: stores options; null gives one its default again.

    Options not named keep their values. Changes apply at the next start; ``note`` says this for a running account.
    """
    accounts = context(request).accounts
    body = await json_object(request, 'send {"option": "value", "other": null}')
    unset = [name for name, value in body.items() if value is None]
    for name in unset:
        if name not in OPTIONS:
            raise BadOption(N_("option {option} is not known"), N_("wxclient(8) lists all options"), option=name[:64])
    changes = texts({name: value for name, value in body.items() if value is not None})
    checked = check_options(changes.items())
    view = await accounts.change(request.match_info["name"], changes, unset)
    shown = _options(view, await _running(request, view))
    answer: JsonObject = {**account_json(view), "options": shown["options"]}
    if checked.ignored:
        answer["ignored"] = list(checked.ignored)
    if view.unit.has_process:
        answer |= text_fields(note=Text("the options are stored and apply from the next start"))
    return json_response(answer)


async def _running(request: web.Request, view: View) -> Answer:
    """Query the options in use from the account's process."""
    return await ask(context(request).ports, view.account, "/v1/options")


def _options(view: View, answer: Answer) -> JsonObject:
    account = view.account
    program = answer.content or {}
    running, decided = obj(program.get("options")), items(program.get("credentials"))
    found: JsonObject = {}
    waiting: list[JsonValue] = []
    for option in OPTIONS.values():
        if option.origin is Origin.IGNORED:
            continue
        names = _NAMES.get(option.name, (option.name,))
        value = next((account.options[name] for name in names if name in account.options), option.default)
        origin = "default"
        for place, options in (("settings", account.options), ("request", account.parameters)):
            origin = place if any(name in options for name in names) else origin
        value, in_force = presentable(option.name, canonical(option, value)), running.get(option.name)
        if option.name in decided:  # by a file of the admin's, also at the next start
            value, origin = str(in_force), "credential"
        entry: JsonObject = {"value": value, "in_force": in_force, "default": option.default, "from": origin}
        found[option.name] = entry
        if in_force is not None and in_force != value:
            waiting.append(option.name)
    return {
        "account": account.name.name,
        "options": found,
        "limits": _limits(account.limits),
        "waiting": waiting,
        "program": str(answer.reason) or None,
        "program_text": answer.reason.as_json() if answer.reason else None,
    }


def canonical(option: TableRow, value: str) -> str:
    """Return a value as a program takes it: the admin's file may have it in another spelling."""
    try:
        return str(option.kind.check(value))
    except ValueError:
        return value


def _limits(limits: Mapping[str, str]) -> JsonObject:
    """Return the limits of an account's process; only the admin can set them."""
    found: JsonObject = {}
    for name, limit in OF_ACCOUNTS.items():
        default, origin = written(limit.default), "settings" if name in limits else "default"
        found[name] = {"value": limits.get(name, default), "default": default, "from": origin}
    return found
