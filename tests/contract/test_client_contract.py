"""An account's endpoints against the machine-readable contract, row by row, over a scripted route to WeChat.

Endpoints, methods, parameters and errors come from the contract: a new row is a new test. Every "when" of an error is
either made to happen here, or stands in DIFFERENT with the reason why this product answers something else.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import aiohttp
import pytest

from tests.contract import document
from tests.contract.document import Reply, covers, shape
from tests.openapi.validating import Judge
from tests.unit.client.conftest import RunningClient, Start
from tests.unit.client.scripted import ANN, BEN, TEAM, message
from tests.unit.durability.routes import ROUTES, Route
from wxcontroller.controller.v1.described import openapi
from wxcontroller.core.errors import WeChatError
from wxcontroller.core.jsontypes import JsonObject, field, items, obj, text
from wxcontroller.drivers.base import RosterLoaded

ENTRIES = [each for each in document.ENDPOINTS if each["scope"] == "client"]
ENDPOINTS = [each for each in ENTRIES if "*" not in text(each["path"])]
JUDGE = Judge(openapi())
BLOCKED = "client blocked: loading, scaning, confirming, updating, re-login, or inside a blocking call"

DIFFERENT: Mapping[str, str] = {
    BLOCKED: "nothing blocks: test_every_call_answers_before_the_login",
    "auth hook refuses": "no functions in settings but tokens; the same body with status 403: test_guard.py",
    "POST or another method": "5.1 no. 1: the documents say POST, so POST is taken",
    "a parameter that is not an attribute (original)": "5.3 no. 46: code 102, and no method is called",
    "a second waiter (original)": "5.2 no. 33: every waiter gets the event",
    "neither content nor media, or media_data alone (original)": "5.2 no. 25, 26: code -1, and media_data is sent",
    "text still queued after 15 s (original); the message is sent later": "5.4 no. 64: answered up to 100 s",
    "no reply and timeout above 15 s (original)": "5.5 no. 73: the timeout holds",
    "media URL cannot be fetched (original)": "answered like any failure",
    "id malformed or upstream refuses (code 0 in the original)": "5.2 no. 23: the same status with code -1",
    "new_displayname missing or falsy: the original's process exits": "5.3 no. 56: code -1",
    "the path /": "403 as every unknown path, no page that dumps the process (5.3 no. 54)",
}

# What is sent where a row does not say it: by endpoint and parameter, or by parameter alone.
VALUES: Mapping[str, str] = {
    **{"id": "@ann", "group_id": "@@team", "friends": "@ben", "members": "@c", "content": "hi", "op": "1"},
    **dict.fromkeys(("displayname", "markname"), "安"),
    **dict.fromkeys(("new_displayname", "new_markname"), "new"),
    **{"verify": "hi", "timeout": "0.02", "async": "1", "ticket": "v2_x@stranger", "_check_remote": "1"},
    **{"media_path": "http://127.0.0.1:1/a.jpg", "media_data": "raw", "media_id": "@crypt_x:3"},
    **{"media_type": "image", "media_mime": "image/jpeg", "media_ext": "jpg", "media_name": "a.jpg"},
    **{"media_code": "3", "media_size": "3", "media_mtime": "1700000000"},
}
GROUP_CALLS = ("search_group", "send_group_message", "invite_friend", "kick_group_member", "set_group_displayname")
# The least that makes a call succeed, beyond what the contract calls required.
NEEDED: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("search_friend", "search_group", "get_avatar", "invite_friend", "kick_group_member"), ("id",)),
    **dict.fromkeys(("set_group_displayname", "set_markname", "set_friend_markname"), ("id",)),
    **dict.fromkeys(("send_friend_message", "send_group_message"), ("id", "content")),
    **{"consult": ("id", "content", "timeout"), "upload_media": ("media_data",)},
}
SPECIAL: Mapping[tuple[str, str], str] = {
    ("revoke_message", "id"): "8801:@ann",
    ("make_friend", "id"): "@c",
    ("create_group", "displayname"): "Club",
}


def name_of(endpoint: JsonObject) -> str:
    return text(endpoint["path"]).removeprefix("/openwx/")


def value_of(call: str, parameter: str) -> str:
    if (call, parameter) in SPECIAL:
        return SPECIAL[call, parameter]
    if call in GROUP_CALLS and parameter in ("id", "displayname"):
        return {"id": "@@team", "displayname": "A、Cy"}[parameter]
    return VALUES.get(parameter, "")


def parameters_of(endpoint: JsonObject) -> dict[str, str]:
    call = name_of(endpoint)
    required = [text(field(p, "name")) for p in items(endpoint["params"]) if field(p, "required")]
    return {each: value_of(call, each) for each in [*required, *NEEDED.get(call, ())]}


async def replied(call: str, method: str, answer: aiohttp.ClientResponse) -> Reply:
    """Read an answer, which must be as the OpenAPI document describes it, too."""
    reply = Reply(answer.status, answer.headers.get("Content-Type", ""), await answer.read(), answer.headers)
    path = f"/openwx/{call}"
    if method.lower() in obj(JUDGE.paths.get(path)):
        JUDGE.judge(method, path, reply.status, reply.content_type, reply.body)
    return reply


async def ask(
    client: RunningClient, call: str, parameters: Mapping[str, str], method: str = "GET", multipart: bool = False
) -> Reply:
    query, form = (parameters, None) if method != "POST" else ({}, aiohttp.FormData(dict(parameters)))
    if form and multipart:
        form = aiohttp.FormData(quote_fields=False)
        for name, value in parameters.items():
            form.add_field(name, value, content_type="text/plain")
    async with client.http.request(method, client.address(call), params=query, data=form) as answer:
        return await replied(call, method, answer)


async def running(start: Start, **environ: str) -> RunningClient:
    client = start(**environ)
    await client.login()
    client.driver.contents.update({"avatar @ann": b"GIF89a....", "avatar @me": b"GIF89a...."})
    client.driver.play([message("news")])
    return client


SUCCESSES = [
    pytest.param(endpoint, text(method), multipart, id=f"{name_of(endpoint)} {method}{' multipart' * multipart}")
    for endpoint in ENDPOINTS
    for method in dict.fromkeys([*(text(each) for each in items(endpoint["methods"])), "POST"])
    for multipart in ((False, True) if method == "POST" else (False,))
]


@pytest.mark.parametrize(("endpoint", "method", "multipart"), SUCCESSES)
async def test_success(start: Start, endpoint: JsonObject, method: str, multipart: bool) -> None:
    client, example = await running(start), endpoint["success_example"]
    parameters = parameters_of(endpoint)
    if name_of(endpoint) == "consult":
        parameters["timeout"] = "5"
    asked = asyncio.create_task(ask(client, name_of(endpoint), parameters, method, multipart))
    if name_of(endpoint) == "consult":
        while not client.driver.sends:
            await asyncio.sleep(0.005)
        client.driver.play([message("hello")])
    if name_of(endpoint) == "check_event":
        # Its example is an event; what is here is a message.
        example = [{"post_type": "receive_message"}]
    answer = await asked
    assert answer.status == 200
    for header, value in obj(endpoint.get("success_headers")).items():
        assert header in answer.headers
        assert str(value).startswith("now") or answer.headers[header] == value
    if method == "HEAD":
        assert answer.body == b""
        return
    if "success_content_type" in endpoint:
        assert answer.content_type.startswith("image/")
        return
    assert answer.content_type == "application/json"
    covers(answer.json, example)
    if isinstance(answer.json, dict) and "code" in answer.json:
        assert answer.json["code"] == 0


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
async def test_every_call_keeps_its_form_on_each_route(start: Start, route: Route) -> None:
    client = start(WXCLIENT_DRIVER=route.name)
    client.driver.capabilities = route.capabilities
    await client.login()
    client.driver.play([message("opens the reply window")])
    apart = ("consult", "check_event", "stop_client", "get_avatar")  # they wait, or end it; or answer no JSON
    called = [endpoint for endpoint in ENDPOINTS if name_of(endpoint) not in apart]
    # What changes people comes last.
    for endpoint in sorted(called, key=lambda each: name_of(each).startswith(("set_", "kick_"))):
        name = name_of(endpoint)
        answer = (await ask(client, name, parameters_of(endpoint), "POST")).json
        if name in route.unsupported:
            refused = obj(answer)
            assert (refused["code"], route.name in text(refused["status"])) == (-10, True), refused
            continue
        covers(answer, endpoint["success_example"])
        assert not isinstance(answer, dict) or answer.get("code", 0) == 0, (name, answer)


@pytest.mark.parametrize("endpoint", [each for each in ENDPOINTS if each["params"]], ids=name_of)
async def test_every_parameter_is_taken_in_each_form(start: Start, endpoint: JsonObject) -> None:
    """The answers are the documented ones: a success, or one of the row's errors; and the same in each form."""
    client, call = await running(start, WXCLIENT_LIMIT_CHECK_EVENT_SECONDS="0.1"), name_of(endpoint)
    known = [endpoint["success_example"], *(field(error, "body") for error in items(endpoint["errors"]))]
    known += [field(other, "body") for other in items(endpoint.get("other_successes"))]
    codes = {field(each, "code") for each in known if isinstance(each, dict)} | {None}
    for parameter in (text(field(each, "name")) for each in items(endpoint["params"])):
        parameters = {**parameters_of(endpoint), parameter: value_of(call, parameter)}
        got = []
        for method, multipart in (("GET", False), ("POST", False), ("POST", True)):
            # As if nothing had been changed by the call before.
            client.driver.play([RosterLoaded((ANN, BEN), (TEAM,))])
            while not client.driver.script.empty():
                await asyncio.sleep(0.001)
            answer = await ask(client, call, parameters, method, multipart)
            assert answer.status in {200, *(field(error, "http_status") for error in items(endpoint["errors"]))} - {
                500
            }
            if answer.content_type == "application/json":
                code = field(answer.json, "code") if isinstance(answer.json, dict) else 0
                assert code in codes | {0, -1}
                got.append(code)
        assert len(set(got)) <= 1, parameter


Scene = Callable[[RunningClient, JsonObject], Awaitable[Reply]]


def with_values(**values: str) -> Scene:
    async def scene(client: RunningClient, endpoint: JsonObject) -> Reply:
        return await ask(client, name_of(endpoint), {**parameters_of(endpoint), **values})

    return scene


def refused(code: int | None, words: str, times: int = 1) -> Scene:
    async def scene(client: RunningClient, endpoint: JsonObject) -> Reply:
        client.driver.outcomes = [WeChatError(words, ret=code)] * times
        return await ask(client, name_of(endpoint), parameters_of(endpoint))

    return scene


async def without_parameters(client: RunningClient, endpoint: JsonObject) -> Reply:
    return await ask(client, name_of(endpoint), {})


async def too_large(client: RunningClient, endpoint: JsonObject) -> Reply:
    body = aiohttp.FormData({"id": value_of(name_of(endpoint), "id")})
    body.add_field("media_data", bytes(20971521), filename="x")
    async with client.http.post(client.address(name_of(endpoint)), data=body) as answer:
        return await replied(name_of(endpoint), "POST", answer)


async def nothing_happens(client: RunningClient, endpoint: JsonObject) -> Reply:
    await ask(client, name_of(endpoint), {})  # what there was
    return await ask(client, name_of(endpoint), {})


async def unknown_path(client: RunningClient, _: JsonObject) -> Reply:
    return await ask(client, "no_such_call", {})


NO_FRIENDS = with_values(friends="")
SCENES: Mapping[str, Scene] = {
    "nothing found or no attribute given": without_parameters,
    "object not found": with_values(id="@x"),
    "no avatar, upstream error, not an image, or slower than 3 s": with_values(id="@ben"),
    "no event within 30 s": nothing_happens,
    "target not found": with_values(id="@x"),
    "upstream refuses after 5 attempts": refused(1201, "webwxsendmsg: WeChat answered 1201"),
    "upstream answer unreadable": refused(None, "webwxsendmsg: the answer is not JSON", times=5),
    "media file missing": with_values(content="", media_path="/no/such/file"),
    "media too large": too_large,
    "no reply in time": with_values(timeout="0.1"),
    "any failure": with_values(media_data="", media_path="/no/such/file"),
    "id missing": without_parameters,
    "no friend id": NO_FRIENDS,
    "unknown friend id": with_values(friends="@ann,@x"),
    "upstream refuses": refused(1, "no"),
    "group not found": with_values(id="@@x", group_id="@@x"),
    "no member id": with_values(members=" , "),
    "unknown member id": with_values(members="@x"),
    "not found": with_values(id="@x"),
    "own id": with_values(id="@me"),
    "already a friend": with_values(id="@ann"),
    "not a known member": with_values(id="@x"),
    "unknown path or wrong method": unknown_path,
}
# A call's own id, not the contract's.
FREE = frozenset({"id", "displayname", "ticket"})

ERRORS = [
    pytest.param(endpoint, obj(error), id=f"{endpoint['path']}: {field(error, 'when')}")
    for endpoint in ENTRIES
    for error in items(endpoint["errors"])
    if text(field(error, "when")) not in DIFFERENT
]


@pytest.mark.parametrize(("endpoint", "error"), ERRORS)
async def test_every_error_of_the_contract(start: Start, endpoint: JsonObject, error: JsonObject) -> None:
    client, expected = await running(start, WXCLIENT_LIMIT_CHECK_EVENT_SECONDS="0.1"), error["body"]
    answer = await SCENES[text(error["when"])](client, endpoint)
    assert answer.status == error["http_status"]
    if isinstance(expected, str):
        assert answer.body.decode() == expected
        return
    assert answer.content_type == "application/json"
    if isinstance(expected, list):
        assert answer.json == expected
        return
    found = obj(answer.json)
    assert set(obj(expected)) <= set(found)
    for key, value in obj(expected).items():
        if key in FREE:
            assert shape(found[key]) == shape(value), key
        else:
            assert found[key] == value, key


async def test_every_call_answers_before_the_login(start: Start) -> None:
    client = start()
    await client.until_state("loading")
    # check_event waits, as always; stop_client comes last.
    called = [endpoint for endpoint in ENDPOINTS if name_of(endpoint) not in ("check_event", "stop_client")]
    called += [endpoint for endpoint in ENDPOINTS if name_of(endpoint) == "stop_client"]
    for endpoint in called:
        call = name_of(endpoint)
        for method in ("GET", "POST"):
            answer = await ask(client, call, parameters_of(endpoint), method)
            found = obj(answer.json)
            succeeds = call in ("get_client_info", "stop_client")
            expected = (200, 0) if succeeds else (200, -3)
            assert (answer.status, found["code"]) == expected, (call, method)
            assert succeeds or found["state"] == "loading", (call, method)


async def test_a_preflight_has_the_contracts_headers_but_lets_no_page_in(start: Start) -> None:
    [row] = [each for each in ENTRIES if each["methods"] == ["OPTIONS"]]
    client = start()
    await client.until_state("loading")
    answer = await ask(client, "get_user_info", {}, "OPTIONS")
    assert (answer.status, answer.body.decode()) == (200, row["success_example"])
    # 5.3 no. 43: no Access-Control-Allow-Origin.
    expected = {key: value for key, value in obj(row["success_headers"]).items() if not key.endswith("Allow-Origin")}
    assert {key: answer.headers.get(key) for key in obj(row["success_headers"])} == {
        **expected,
        "Access-Control-Allow-Origin": None,
    }


def test_every_error_is_made_to_happen_or_explained() -> None:
    entries = {text(field(error, "when")) for each in ENTRIES for error in items(each["errors"])}
    assert set(DIFFERENT) | set(SCENES) == entries
    assert not set(DIFFERENT) & set(SCENES)
