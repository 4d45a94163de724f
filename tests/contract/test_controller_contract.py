"""The controller's endpoints against the machine-readable contract; each "when" of an error has a scene."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest

from tests.contract import document
from tests.contract.document import Reply
from tests.openapi.validating import Judge
from tests.ports import FIRST_PORT
from tests.unit.controller.machine import Machine
from wxcontroller.controller.apis.v1.v1described import openapi
from wxcontroller.core.config.envfile import parse
from wxcontroller.core.jsontypes import JsonObject, field, items, obj, text

ENDPOINTS = [each for each in document.ENDPOINTS if each["scope"] == "controller"]
# Values that differ from call to call.
FREE = ("pid", "port")
JUDGE = Judge(openapi())

START, STOP, CODE, CHECK = (
    f"/openwx/{call}" for call in ("start_client", "stop_client", "get_qrcode", "check_client")
)


async def call(host: Machine, path: str, method: str = "GET") -> Reply:
    """Make a call and check the answer against the OpenAPI document."""
    async with host.http.request(method, path) as answer:
        reply = Reply(answer.status, answer.headers.get("Content-Type", ""), await answer.read(), answer.headers)
    described = path.partition("?")[0]
    if method == "GET" and described in JUDGE.paths:
        JUDGE.judge(method, described, reply.status, reply.content_type, reply.body)
    return reply


async def alike(host: Machine, path: str, *queries: str) -> Reply:
    """Make a call with each query; return the answer, which must be the same."""
    first, *others = [await call(host, f"{path}{query}") for query in queries]
    assert others == [first] * len(others)
    return first


async def missing(host: Machine, path: str) -> Reply:
    return await alike(host, path, "", "?client=", "?client=0")


async def unknown(host: Machine, path: str) -> Reply:
    return await alike(host, path, *(f"?client={name}" for name in ("nobody", "../etc", ".x", "x-aaaaaaaaaaaaaaa")))


async def already_running(host: Machine, path: str) -> Reply:
    await call(host, f"{path}?client=shop01")
    return await call(host, f"{path}?client=shop01")


async def one_too_many(host: Machine, path: str) -> Reply:
    for number in range(3):
        await call(host, f"{path}?client=c{number}")
    return await call(host, f"{path}?client=shop01")


async def unreadable(host: Machine, path: str) -> Reply:
    (await host.start("shop01")).write(b"{")
    return await call(host, f"{path}?client=shop01")


async def no_code(host: Machine, path: str) -> Reply:
    await host.start("shop01")
    return await call(host, f"{path}?client=shop01")


SCENES: Mapping[tuple[str, str], Callable[[Machine, str], Awaitable[Reply]]] = {
    (START, "client missing or falsy"): missing,
    (START, "more clients registered than max_clients (tested before the duplicate check)"): one_too_many,
    (START, "already running (not an error)"): already_running,
    (START, "no free port"): one_too_many,
    (STOP, "client missing"): missing,
    (STOP, "not registered"): unknown,
    (CODE, "client missing"): missing,
    (CODE, "not registered"): unknown,
    (CODE, "no QR file at the moment"): no_code,
    (CHECK, "client given and not registered"): unknown,
    (CHECK, "a state file cannot be read or parsed"): unreadable,
    ("/openwx/*", "client missing"): missing,
    ("/openwx/*", "not registered"): unknown,
    ("/*", "any other non-empty path"): missing,
}
# Paths for those of the contract that are rules.
PATHS = {"/openwx/*": "/openwx/get_user_info", "/*": "/foo/bar"}

ERRORS = [
    pytest.param(endpoint, obj(error), id=f"{endpoint['path']}: {field(error, 'when')}")
    for endpoint in ENDPOINTS
    for error in items(endpoint["errors"])
]


@pytest.mark.parametrize(("endpoint", "error"), ERRORS)
async def test_every_error_of_the_contract(tmp_path: Path, endpoint: JsonObject, error: JsonObject) -> None:
    path, when = text(endpoint["path"]), text(error["when"])
    scene = SCENES[path, when]
    limits = {"backend_end_port": FIRST_PORT + 2} if when == "no free port" else {"max_clients": 3}
    async with Machine(tmp_path, **limits) as host:
        answer = await scene(host, PATHS.get(path, path))
    assert answer.status == error["http_status"]
    if error["body"] == "":
        assert answer.body == b""
        return
    assert answer.content_type == "application/json"
    expected = obj(error["body"])
    found = {key: value for key, value in obj(answer.json).items() if key in expected}
    assert {**found, **_kinds(found)} == {**expected, **_kinds(expected)}


def _kinds(answer: JsonObject) -> JsonObject:
    """Return the types of the values that differ from call to call."""
    return {key: type(answer[key]).__name__ for key in FREE if key in answer}


# Parameters of start_client, and what they become in the account's environment (1.5).
VARIABLES: Mapping[str, tuple[str, str, str]] = {
    "client": ("shop01", "ACCOUNT", "shop01"),
    "post_api": ("http://a/b?client=x&y=1", "PLUGIN_OPENWX_POST_API", "http://a/b?y=1&client=shop01"),
    "poll_api": ("http://a/c", "PLUGIN_OPENWX_POLL_API", "http://a/c?client=shop01"),
    "plugin_openwx_post_event": ("0", "PLUGIN_OPENWX_POST_EVENT", "0"),
    "plugin_openwx_post_media_data": ("0", "PLUGIN_OPENWX_POST_MEDIA_DATA", "0"),
    "plugin_openwx_poll_interval": ("7", "PLUGIN_OPENWX_POLL_INTERVAL", "7"),
    "send_interval": ("9", "SEND_INTERVAL", "9"),  # the contract's "*"
}


async def test_every_parameter_of_a_start_reaches_the_account(host: Machine) -> None:
    [names] = [obj(each["params"]) for each in ENDPOINTS if each["path"] == START]
    assert {*names} == {*VARIABLES} - {"send_interval"} | {"*"}
    sent = {name: value for name, (value, _, _) in VARIABLES.items()}
    answer = await host.get("start_client", **sent)
    variables = parse(host.paths.account_file("shop01").read_text())
    for name, (value, variable, expected) in VARIABLES.items():
        assert (answer[name], variables[f"MOJO_WEIXIN_{variable}"]) == (value, expected)


@pytest.mark.parametrize("endpoint", ENDPOINTS[:4], ids=lambda endpoint: text(endpoint["path"]))
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_success(host: Machine, endpoint: JsonObject, method: str) -> None:
    path, example = text(endpoint["path"]), endpoint["success_example"]
    if path != START:
        (await host.start("shop01")).show_qrcode()
    answer = await call(host, f"{path}?client=shop01", method)
    assert answer.status == 200
    assert answer.content_type == endpoint.get("success_content_type", "application/json")
    headers = obj(endpoint.get("success_headers"))
    assert {name: answer.headers.get(name) for name in headers} == headers
    assert "shop01" in host.units.processes or path == STOP
    if method == "HEAD":
        assert answer.body == b""
        return
    if not isinstance(example, dict):
        assert answer.body.startswith(b"\xff\xd8")
        return
    body = obj(answer.json)
    assert set(example) <= set(body)
    assert {key: type(example[key]) for key in example} == {key: type(body[key]) for key in example}
    assert body["code"] == 0
    assert body.get("status") == example.get("status")
