"""MCP messages over HTTP, in the revisions that clients use.

- **2026-07-28** is stateless: each request names its revision and its client in ``params._meta`` and repeats what
  proxies route by in headers, which have to agree. ``server/discover`` lists the capabilities.
- **Earlier revisions** begin with ``initialize``. None of it must be remembered, so no session is opened:
  restarting the controller interrupts no client. There is no stream to GET, and no unsolicited messages. The first of
  them has batches: several messages in one body.
"""

import base64
import json
import re
from collections.abc import Sequence

from aiohttp import web

from wxcontroller import __version__
from wxcontroller.controller.apis.mcp.tools import SLOTS, TOOLS, UNTRUSTED, MediaSlots, ToolCall
from wxcontroller.controller.apis.v1.form.v1failures import FAILURE_FORM
from wxcontroller.controller.callers.authentication import Caller
from wxcontroller.controller.context import context
from wxcontroller.controller.edge.failureanswers import FORMS, json_response
from wxcontroller.controller.edge.peers import address_of
from wxcontroller.controller.edge.requestbody import read_body
from wxcontroller.core.condition.verdict import for_agents
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import JsonObject, JsonValue, field, obj, read_json, text
from wxcontroller.core.text.templates import N_
from wxcontroller.openwx.http import credentials

PATH = "/mcp"
MODERN = "2026-07-28"
# A client that names no revision in a header uses one of them: the first had no such header.
EARLIER = ("2025-03-26", "2025-06-18", "2025-11-25")
# A request is a call with a few arguments; the longest is the text of a message.
BODY_BYTES = 256 << 10
BODY_VALUES = 2000
# How long a client may keep the list of tools. It is the same for all tokens of a scope.
LIST_MILLISECONDS = 60_000
# Messages of a batch, which are answered one after the other.
BATCH_MESSAGES = 50

PARSE_ERROR, INVALID_REQUEST, NO_METHOD, INVALID_PARAMS = -32700, -32600, -32601, -32602
HEADER_MISMATCH, UNSUPPORTED_VERSION = -32020, -32022
_META = "io.modelcontextprotocol/"
_VERSION_HEADER = "MCP-Protocol-Version"
_BASE64 = re.compile(r"=\?base64\?(.*)\?=")
_INSTRUCTIONS = (
    "WeChat accounts of this server. Find accounts with list_accounts, and people with find_people. To follow a "
    "conversation, call read_messages with the last cursor; it returns immediately, so call it again later "
    f"instead of waiting. {UNTRUSTED}"
)


class Failed(Exception):
    """A request that is answered with a JSON-RPC error."""

    def __init__(self, code: int, message: str, data: JsonValue = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data


def add_routes(app: web.Application) -> None:
    """Route /mcp, which exists once ``mcp_serve`` is set."""
    app[SLOTS] = MediaSlots()
    app[FORMS].add(PATH, FAILURE_FORM)
    app.router.add_post(PATH, serve)


async def serve(request: web.Request) -> web.Response:
    """POST /mcp: one JSON-RPC message. Raises Refused without a token in a header, HTTPNotFound while it is off."""
    shared = context(request)
    if not shared.settings.mcp_serve:
        raise web.HTTPNotFound
    # Also while the API is open; a token in the query would be in logs of proxies.
    token = credentials.from_headers(request.headers.get("Authorization"), request.headers.get("X-Auth-Token"))
    who = shared.gate.caller(token, address_of(request))
    try:
        sent = _parsed(await read_body(request, BODY_BYTES))
        batch = _batch(request, sent) if isinstance(sent, list) else None
    except Failed as problem:
        return json_response(_error(problem), 400)
    if batch is None:
        found, status = await exchange(request, who, sent)
        return web.Response(status=status) if found is None else json_response(found, status)
    answers: list[JsonValue] = [found for each in batch if (found := (await exchange(request, who, each))[0])]
    return json_response(answers) if answers else web.Response(status=202)


async def exchange(request: web.Request, who: Caller, sent: JsonValue) -> tuple[JsonObject | None, int]:
    """Return the answer to a message, None for a notification, and its HTTP status."""
    identity: JsonValue = None
    modern = request.headers.get(_VERSION_HEADER, MODERN) not in EARLIER
    try:
        message = _message(sent)
        if "id" not in message:
            return None, 202
        identity = message["id"]
        modern = is_modern(request, message)
        result = await answer(request, who, text(message["method"]), obj(message.get("params")), modern)
    except Failed as problem:
        return _error(problem, identity), status_of(problem, modern)
    return {"jsonrpc": "2.0", "id": identity, "result": result}, 200


def _error(problem: Failed, identity: JsonValue = None) -> JsonObject:
    error: JsonObject = {"code": problem.code, "message": str(problem)}
    if problem.data is not None:
        error["data"] = problem.data
    return {"jsonrpc": "2.0", "id": identity, "error": error}


def status_of(problem: Failed, modern: bool) -> int:
    if not modern and problem.code in (NO_METHOD, INVALID_PARAMS):
        return 200  # clients of earlier revisions take a 404 for the end of their session
    return 404 if problem.code == NO_METHOD else 400


def _parsed(body: bytes) -> JsonValue:
    """Return a body's content. Raises Failed."""
    try:
        sent = read_json(body, values=BODY_VALUES, unique=True)
        json.dumps(sent, ensure_ascii=False).encode()  # no half of a character, which could not be passed on
    except ValueError as problem:
        raise Failed(PARSE_ERROR, f"the body is not usable as JSON: {problem}") from None
    return sent


def _batch(request: web.Request, sent: Sequence[JsonValue]) -> Sequence[JsonValue]:
    """Return the messages of a batch. Raises Failed for one that is empty, too long or of a later revision."""
    if request.headers.get(_VERSION_HEADER, EARLIER[0]) != EARLIER[0]:
        raise Failed(INVALID_REQUEST, f"only revision {EARLIER[0]} has batches; send each request separately")
    if not 0 < len(sent) <= BATCH_MESSAGES:
        raise Failed(INVALID_REQUEST, f"a batch has 1 to {BATCH_MESSAGES} messages")
    return sent


def _message(sent: JsonValue) -> JsonObject:
    """Return the JSON-RPC request or notification that a message is. Raises Failed."""
    if not isinstance(sent, dict) or sent.get("jsonrpc") != "2.0" or not isinstance(sent.get("method"), str):
        raise Failed(INVALID_REQUEST, "this is not a JSON-RPC 2.0 request")
    identity = sent.get("id", "")
    if isinstance(identity, bool) or not isinstance(identity, str | int):
        raise Failed(INVALID_REQUEST, "id is not a text or an integer")
    if not isinstance(sent.get("params", {}), dict):
        raise Failed(INVALID_REQUEST, "params is not an object")
    return sent


def is_modern(request: web.Request, sent: JsonObject) -> bool:
    """Return whether a request is of revision 2026-07-28, and not of an earlier one. Raises Failed for others."""
    meta = obj(field(sent.get("params"), "_meta"))
    named, header = meta.get(f"{_META}protocolVersion"), request.headers.get(_VERSION_HEADER)
    if named is None and (header is None or header in EARLIER):
        return False
    if named is None or f"{_META}clientCapabilities" not in meta:
        raise Failed(INVALID_PARAMS, f"params._meta needs {_META}protocolVersion and {_META}clientCapabilities")
    repeated = {_VERSION_HEADER: named, "Mcp-Method": sent["method"]}
    if sent["method"] == "tools/call":
        repeated["Mcp-Name"] = field(sent.get("params"), "name")
    for name, value in repeated.items():
        if [*map(_decoded, request.headers.getall(name, []))] != [value]:
            raise Failed(HEADER_MISMATCH, f"the header {name} does not agree with the body")
    if named != MODERN:
        supported: list[JsonValue] = [MODERN, *reversed(EARLIER)]
        raise Failed(UNSUPPORTED_VERSION, "unsupported revision", {"supported": supported, "requested": named})
    return True


def _decoded(value: str) -> str | None:
    """Return a header's value: plain, or the base64 of UTF-8 in ``=?base64?…?=``; None for a malformed one."""
    found = _BASE64.fullmatch(value)
    try:
        return base64.b64decode(found[1], validate=True).decode() if found else value
    except ValueError:
        return None


async def answer(request: web.Request, who: Caller, method: str, params: JsonObject, modern: bool) -> JsonObject:
    """Return the result of a method. Raises Failed."""
    server: JsonObject = {"name": "wxcontroller", "version": __version__}
    served: JsonObject = {"capabilities": {"tools": {}}, "instructions": _INSTRUCTIONS}
    kept: JsonObject = {"ttlMs": LIST_MILLISECONDS, "cacheScope": "private"} if modern else {}
    result: JsonObject
    if method == "tools/list":
        result = {"tools": [tool.as_json() for tool in TOOLS.values() if who.scope.covers(tool.scope)], **kept}
    elif method == "tools/call":
        result = await called(request, who, params)
    elif modern and method == "server/discover":
        versions: list[JsonValue] = [MODERN, *reversed(EARLIER)]
        result = {"supportedVersions": versions, **served, **kept}
    elif not modern and method == "initialize":
        wanted = params.get("protocolVersion")
        result = {"protocolVersion": wanted if wanted in EARLIER else EARLIER[-1], "serverInfo": server, **served}
    elif method == "ping":  # gone from 2026-07-28, but its clients ask whether a server is alive
        result = {}
    else:
        raise Failed(NO_METHOD, f"there is no method {method[:64]}")
    return {**result, "resultType": "complete", "_meta": {f"{_META}serverInfo": server}} if modern else result


async def called(request: web.Request, who: Caller, params: JsonObject) -> JsonObject:
    """Return the result of a tool. Its failures are results, which the agent can act on. Raises Failed."""
    name = text(params.get("name"))
    tool = TOOLS.get(name)
    if tool is None:
        raise Failed(INVALID_PARAMS, f"there is no tool {name[:64]}")
    if not who.scope.covers(tool.scope):
        denied = context(request).gate.denied(
            who,
            N_("the tool {tool} needs the scope {scope}"),
            N_("use a token with this scope"),
            tool=name,
            scope=tool.scope,
        )
        raise Failed(INVALID_PARAMS, str(denied))
    arguments = obj(params.get("arguments"))
    try:
        if wrong := tool.complaint(arguments):
            return failure(f"{wrong}; see the tool's inputSchema")
        return {"content": list[JsonValue](await tool.run(ToolCall(request, who, arguments))), "isError": False}
    except WxError as problem:
        remedy = for_agents(problem.code) or str(problem.remedy_text)
        return failure("; ".join(filter(None, (str(problem.text), remedy))))


def failure(why: str) -> JsonObject:
    return {"content": [{"type": "text", "text": why}], "isError": True}
