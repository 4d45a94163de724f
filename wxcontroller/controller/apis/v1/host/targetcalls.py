"""/v1/targets: notification targets (``notifytargets``). For administrators, because a target is a token."""

import asyncio

from aiohttp import web

from wxcontroller.controller.apis.v1.account.accountcalls import json_object
from wxcontroller.controller.apis.v1.form.declaring import Calls
from wxcontroller.controller.callers.refusals import BadRequest
from wxcontroller.controller.context import context
from wxcontroller.controller.edge.failureanswers import json_response
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.jsontypes import JsonValue
from wxcontroller.core.registry.notifytargets import new_target
from wxcontroller.core.text.templates import N_
from wxcontroller.openwx.contract.describing import SWITCH, TEXT, Fields, Parameter, listing, record

_REMEDY = N_('send {"name": "ops", "account": "alice", "peer": "filehelper"}')
_FIELDS: Fields = {
    "name": (TEXT, "its name, also in the URL"),
    "id": (TEXT, "the id of its token"),
    "account": (TEXT, "the account that sends"),
    "peer": (TEXT, "the id or name of the person or group that gets the messages"),
    "group": (SWITCH, "whether the peer is a group"),
    "driver": (TEXT, "the account's driver when the target was added; with another one it is refused"),
    "created": (TEXT, "when it was added, in UTC"),
    "removed": (SWITCH, "whether its account was removed; nothing is sent then"),
}
_TARGET = record(_FIELDS, meaning="where a program's notifications go")
_NAME = Parameter("target", "the target's name", place="path")
CALLS = Calls()


@CALLS.route("GET targets", Scope.ADMIN, "notification targets", record({"targets": listing(_TARGET)}))
async def listed(request: web.Request) -> web.Response:
    """GET: all targets, without their tokens."""
    found = await asyncio.to_thread(context(request).targets.read)
    targets: list[JsonValue] = [each.as_json() for each in found.by_name.values()]
    return json_response({"targets": targets})


@CALLS.route("GET targets/{target}", Scope.ADMIN, "one of them", _TARGET, (404,), (_NAME,))
async def one(request: web.Request) -> web.Response:
    """GET /v1/targets/{target}. Raises UnknownTarget."""
    found = await asyncio.to_thread(context(request).targets.read)
    return json_response(found.named(request.match_info["target"]).as_json())


@CALLS.route(
    "POST targets",
    Scope.ADMIN,
    "add one; its token is shown only in this response",
    record({**_FIELDS, "token": (TEXT, "the token, for this target only")}),
    (404, 409),
    body=record({"name": TEXT, "account": TEXT, "peer": TEXT, "group": SWITCH}, ("group",)),
    status=201,
)
async def add(request: web.Request) -> web.Response:
    """POST ``{"name", "account", "peer", "group"}``: the answer has the token, which is shown only here."""
    shared, body = context(request), await json_object(request, _REMEDY)
    name, account, peer, group = (body.get(key) for key in ("name", "account", "peer", "group"))
    if not (isinstance(name, str) and isinstance(account, str) and isinstance(peer, str)):
        raise BadRequest(N_("name, account and peer must be strings"), _REMEDY)
    if group is not None and not isinstance(group, bool):
        raise BadRequest(N_("group must be true or false"), _REMEDY)
    registered = shared.accounts.account(account)
    token, target = new_target(name, registered.name.name, peer, group is True, registered.driver)
    await asyncio.to_thread(shared.targets.add, target)
    return json_response({**target.as_json(), "token": token}, 201)


@CALLS.route(
    "DELETE targets/{target}",
    Scope.ADMIN,
    "remove one and revoke its token",
    record({"name": TEXT, "removed": SWITCH}),
    (404,),
    (_NAME,),
)
async def remove(request: web.Request) -> web.Response:
    """DELETE /v1/targets/{target}: its token is revoked immediately. Raises UnknownTarget."""
    target = await asyncio.to_thread(context(request).targets.remove, request.match_info["target"])
    return json_response({"name": target.name, "removed": True})
