"""/v1/accounts/{name}/options: what an account runs by, and storing other options."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from aiohttp import web

from wxcontroller.controller.context import context
from wxcontroller.controller.errors import json_response
from wxcontroller.controller.v1.accounts import json_object, texts
from wxcontroller.controller.view import View, account_json
from wxcontroller.core import egress
from wxcontroller.core.account import redacted
from wxcontroller.core.errors import BadOption
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.limits import LIMITS
from wxcontroller.core.limits import shown as written
from wxcontroller.core.options import OPTIONS, SAME, Origin, check_options


async def shown(request: web.Request) -> web.Response:
    """GET: every option and limit with value, default, and where it comes from. No passwords, no queries of URLs.

    ``from`` is ``request`` (stored with the account), ``settings`` ([client] of the settings, the template or the
    admin's file for this account) or ``default``. They are what the next start runs by.
    """
    return json_response(_options(await context(request).accounts.the(request.match_info["name"])))


async def change(request: web.Request) -> web.Response:
    """PATCH ``{"option": "value", "other": null}``: stores options; null gives one its default again.

    An option that is not named stays. They count from the next start; ``note`` says so where the account runs.
    """
    accounts = context(request).accounts
    body = await json_object(request, 'send {"option": "value", "other": null}')
    unset = [name for name, value in body.items() if value is None]
    for name in unset:
        if name not in OPTIONS:
            raise BadOption(f"option {name[:64]} is not known", "wxclient(8) lists all options")
    given = texts({name: value for name, value in body.items() if value is not None})
    checked = check_options(given.items(), longest=accounts.settings.limits.control.option_length)
    view = await accounts.change(request.match_info["name"], given, unset)
    answer: JsonObject = {**account_json(view), "options": _options(view)["options"]}
    if checked.ignored:
        answer["ignored"] = list(checked.ignored)
    if view.unit.has_process:
        answer["note"] = "the options are stored and count from the next start"
    return json_response(answer)


def _options(view: View) -> JsonObject:
    account = view.account
    found: JsonObject = {}
    asked = {SAME.get(name, name) for name in account.parameters}
    for option in OPTIONS.values():
        if option.origin is Origin.IGNORED:
            continue
        value = account.options.get(option.name, option.default)
        origin = "request" if option.name in asked else "settings" if option.name in account.options else "default"
        entry: JsonObject = {"value": _fit(option.name, value), "default": option.default, "from": origin}
        found[option.name] = entry
    name: JsonValue = account.name.name
    return {"account": name, "options": found, "limits": _limits(account.limits)}


def _limits(given: Mapping[str, str]) -> JsonObject:
    """Return the limits of an account's process; only the admin can set them."""
    found: JsonObject = {}
    for limit in LIMITS.values():
        if limit.for_accounts:
            default, origin = written(limit.default), "settings" if limit.name in given else "default"
            found[limit.name] = {"value": given.get(limit.name, default), "default": default, "from": origin}
    return found


def _fit(name: str, value: str) -> str:
    """Return a value fit for everybody's eyes."""
    if name == "proxy":
        return egress.shown(value)
    if value.startswith(("http://", "https://")) and (urlsplit(value).query or "@" in value):
        return redacted(value)
    return value
