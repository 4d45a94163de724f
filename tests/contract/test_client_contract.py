"""An account's endpoints against the machine-readable contract, row by row, over a scripted route to WeChat.

Endpoints, methods, parameters and errors come from the contract: a new row is a new test, and each "when" of an error
needs a scene that makes it happen. The original's errors that this product avoids are in docs/compatibility.md.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime

import aiohttp
import pytest

from tests.contract import document
from tests.contract.document import Reply, covers, shape
from tests.openapi.validating import Judge
from tests.patience import PATIENCE
from tests.unit.client.conftest import POST_API, RunningClient, Start, Webhook
from tests.unit.client.scripted import ANN, TEAM, message
from tests.unit.durability.routes import ROUTES, Route
from wxcontroller.client.calls import avatar
from wxcontroller.controller.apis.v1.v1described import openapi
from wxcontroller.core.errors import WeChatError
from wxcontroller.core.jsontypes import JsonObject, field, items, obj, text
from wxcontroller.core.model import Contact
from wxcontroller.drivers.base import QrReady, RosterChanged
from wxcontroller.openwx.contract.eventtypes import EVENTS

ENTRIES = [each for each in document.ENDPOINTS if each["scope"] == "client"]
ENDPOINTS = [each for each in ENTRIES if "*" not in text(each["path"])]
JUDGE = Judge(openapi())
# The parameters with which each call succeeds; none for the others.
PARAMETERS: Mapping[str, Mapping[str, str]] = {
    "search_friend": {"id": "@ann"},
    "search_group": {"id": "@@team"},
    "get_avatar": {"id": "@ann"},
    "send_friend_message": {"id": "@ann", "content": "hi"},
    "send_group_message": {"id": "@@team", "content": "hi"},
    "consult": {"id": "@ann", "content": "hi", "timeout": "5"},
    "upload_media": {"media_data": "raw"},
    "revoke_message": {"id": "8801:@ann"},
    "create_group": {"friends": "@ben"},
    "invite_friend": {"friends": "@ben", "id": "@@team"},
    "kick_group_member": {"members": "@c", "id": "@@team"},
    "set_group_displayname": {"new_displayname": "new", "id": "@@team"},
    "stick": {"id": "@ann"},
    "set_markname": {"id": "@ann"},
    "set_friend_markname": {"id": "@ann"},
    "make_friend": {"id": "@c"},
    "accept_friend_request": {"id": "@ann", "displayname": "安", "ticket": "v2_x@stranger"},
}


def name_of(endpoint: JsonObject) -> str:
    return text(endpoint["path"]).removeprefix("/openwx/")


def parameters_of(endpoint: JsonObject) -> Mapping[str, str]:
    return PARAMETERS.get(name_of(endpoint), {})


async def replied(call: str, method: str, answer: aiohttp.ClientResponse) -> Reply:
    """Read an answer and check it against the OpenAPI document."""
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


async def with_events(start: Start) -> RunningClient:
    """Return a client in which a friend has appeared, before anything else."""
    client = start()
    await client.login()
    client.driver.play([RosterChanged(contacts=(Contact("@new", "New"),)), message("news")])
    return client


SUCCESSES = [
    pytest.param(endpoint, text(method), multipart, id=f"{name_of(endpoint)} {method}{' multipart' * multipart}")
    for endpoint in ENDPOINTS
    for method in dict.fromkeys([*(text(method) for method in items(endpoint["methods"])), "POST"])
    for multipart in ((False, True) if method == "POST" else (False,))
]


@pytest.mark.parametrize(("endpoint", "method", "multipart"), SUCCESSES)
async def test_success(start: Start, endpoint: JsonObject, method: str, multipart: bool) -> None:
    example = endpoint["success_example"]
    client = await (with_events if name_of(endpoint) == "check_event" else running)(start)
    asked = asyncio.create_task(ask(client, name_of(endpoint), parameters_of(endpoint), method, multipart))
    if name_of(endpoint) == "consult":
        while not client.driver.sends:
            await asyncio.sleep(0.005)
        client.driver.play([message("hello")])
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
        # Where the original says null, 5.1 no. 3 wants what the documents say.
        expected = text(obj(example).get("status")) or "success"
        pid = str(obj(example).get("pid", ""))
        expected = expected.replace(pid, str(answer.json.get("pid"))) if pid else expected
        assert (answer.json["code"], answer.json["status"]) == (0, expected)


# Every key finds its target alone (2.4, 2.5).
KEYS = ("id", "account", "displayname", "markname")
LOOKUPS: Mapping[str, tuple[str, ...]] = {
    name_of(each): keys
    for each in ENDPOINTS
    if "displayname" in (keys := tuple(key for key in KEYS if obj(each.get("params")).get(key) is False))
    and not name_of(each).startswith(("search_", "create_"))
}


@pytest.mark.parametrize("call", LOOKUPS)
async def test_each_key_finds_its_target(start: Start, call: str) -> None:
    client, groups = await running(start), "markname" not in LOOKUPS[call]
    for key in LOOKUPS[call]:
        # As before the last call, which may have changed them.
        people = (replace(ANN, account="ann_a"),), (replace(TEAM, name="Team"),)
        client.driver.play([RosterChanged(*people)])
        known = {"account": "ann_a", "markname": "安"}
        async with asyncio.timeout(PATIENCE):
            while isinstance(await client.get("search_friend", **known), dict) or isinstance(
                await client.get("search_group", name="Team"), dict
            ):
                await asyncio.sleep(0.005)
        named = {"id": "@@team", "displayname": "Team"} if groups else {"id": "@ann", "displayname": "安", **known}
        others = {name: value for name, value in PARAMETERS[call].items() if name != "id"}
        answer = await ask(client, call, {**others, key: named[key]} | ({"timeout": "0.1"} if others else {}))
        assert answer.status == 200
        assert answer.content_type.startswith("image/") or obj(answer.json)["code"] == 0, (key, answer)


NOT_FOUND = {"code": 100, "status": "object not found"}
CALLS = {name_of(each): obj(each["params"]) for each in ENDPOINTS if "params" in each}
SEARCHES = [(call, name) for call, names in CALLS.items() for name in names if call.startswith("search_")]


@pytest.mark.parametrize(("call", "name"), SEARCHES)
async def test_each_attribute_narrows_a_search(start: Start, call: str, name: str) -> None:
    client, known = await running(start), {"id": "@ann"} if call == "search_friend" else {"id": "@@team"}
    [found] = items(await client.get(call, **known))
    if name == "_check_remote":  # accepted, without effect: docs/compatibility.md
        assert await client.get(call, id="@x", **{name: "1"}) == NOT_FOUND
        assert await client.get(call, **{**known, name: "1"}) == [found]
        return
    value = str(field(found, name))
    assert not value or found in items(await client.get(call, **{name: value}))
    assert await client.get(call, **{**known, name: value}) == [found]
    assert await client.get(call, **{**known, name: "another"}) == NOT_FOUND


PNG = b"\x89PNG\r\n\x1a\n" + bytes(50)
# Parameters of media, and what the upload's answer or the send's report has then; the content is a picture.
MEDIA: Mapping[str, tuple[str, JsonObject]] = {
    "media_data": ("", {"media_size": len(PNG), "media_type": "image", "media_code": "3", "media_mime": "image/png"}),
    "media_path": ("/a/b.png", {"media_path": "/a/b.png", "media_name": "b.png", "media_ext": "png"}),
    "media_id": ("", {"media_size": len(PNG), "media_type": "image", "media_code": "3"}),
    "media_name": ("c.png", {"media_name": "c.png"}),
    "media_mime": ("image/own", {"media_mime": "image/own"}),
    "media_ext": ("own", {"media_ext": "own"}),
    "media_size": ("3", {"media_size": len(PNG)}),  # the content's: docs/compatibility.md
    "media_mtime": ("1600000000", {"media_mtime": 1600000000}),
    "media_type": ("file", {"media_type": "file", "media_code": "6"}),
    "media_code": ("6", {"media_type": "file", "media_code": "6"}),
}


@pytest.mark.parametrize("call", [call for call, names in CALLS.items() if "media_data" in names])
async def test_each_parameter_of_media_has_its_effect(start: Start, webhook: Webhook, call: str) -> None:
    client, is_upload = await running(start, **{POST_API: webhook.address}), call == "upload_media"
    target = {} if is_upload else {"id": "@@team" if call == "send_group_message" else "@ann"}
    for number, name in enumerate(filter(MEDIA.__contains__, CALLS[call]), start=1):
        value, expected = MEDIA[name]
        given, content = {name: value} if value else {}, PNG
        if name == "media_id":
            earlier = obj(await client.post("upload_media", PNG, media_name="a.png"))
            given, content = {name: text(earlier[name])}, b"not this"
        uploads = len(client.driver.uploads)
        answer = obj(await client.post(call, content, "", **target, **given))
        assert answer["code"] == 0, (name, answer)
        assert len(client.driver.uploads) == uploads + (name != "media_id"), name
        found = answer if is_upload else (await webhook.messages(1 + number))[-1]
        assert {key: found[key] for key in expected} == expected, name


# What the driver is told, with the parameters of the success and these.
EFFECTS: Mapping[tuple[str, str], tuple[Mapping[str, str], tuple[str, ...]]] = {
    ("revoke_message", "id"): ({}, ("revoke", "8801", "@ann")),
    ("create_group", "friends"): ({"friends": "@ben, @ann"}, ("create_group", "@ben", "@ann", "")),
    ("create_group", "displayname"): ({"displayname": "New"}, ("create_group", "@ben", "New")),
    ("invite_friend", "friends"): ({"friends": "@ben,@ann"}, ("invite", "@@team", "@ben", "@ann")),
    ("kick_group_member", "members"): ({"members": "@c,@ann"}, ("kick", "@@team", "@c", "@ann")),
    ("set_group_displayname", "new_displayname"): ({}, ("rename_group", "@@team", "new")),
    ("stick", "id"): ({"id": "@@team"}, ("pin", "@@team", "True")),
    ("stick", "op"): ({"op": "0"}, ("pin", "@ann", "False")),
    ("set_markname", "new_markname"): ({"new_markname": "x"}, ("set_remark", "@ann", "x")),
    ("set_markname", "group_id"): ({"id": "@c", "group_id": "@@team"}, ("set_remark", "@c", "")),
    ("set_friend_markname", "new_markname"): ({"new_markname": "x"}, ("set_remark", "@ann", "x")),
    ("make_friend", "id"): ({}, ("ask_friend", "@c", "")),
    ("make_friend", "verify"): ({"verify": "hello"}, ("ask_friend", "@c", "hello")),
    ("accept_friend_request", "id"): ({"id": "@x"}, ("accept_friend", "@x", "v2_x@stranger")),
    ("accept_friend_request", "displayname"): ({"displayname": "x"}, ("accept_friend", "@ann", "v2_x@stranger")),
    ("accept_friend_request", "ticket"): ({"ticket": "v1"}, ("accept_friend", "@ann", "v1")),
}


@pytest.mark.parametrize(("call", "name"), EFFECTS)
async def test_each_parameter_reaches_wechat_and_a_required_one_is_missed(start: Start, call: str, name: str) -> None:
    client, (given, command) = await running(start), EFFECTS[call, name]
    parameters = {**PARAMETERS[call], **given}
    if CALLS[call][name] and name != "displayname":  # which 2.5 repeats in the answer, and checks no more than others
        del parameters[name]
        assert obj((await ask(client, call, parameters)).json)["code"] != 0
        assert client.driver.commands == []
    answer = obj((await ask(client, call, {**PARAMETERS[call], **given})).json)
    assert (answer["code"], client.driver.commands) == (0, [command])
    assert call != "accept_friend_request" or answer[name] == {**PARAMETERS[call], **given}[name]


@pytest.mark.parametrize(("value", "waits"), [("1", False), ("0", True), ("", True)])
@pytest.mark.parametrize("call", [call for call, names in CALLS.items() if "async" in names])
async def test_async_is_answered_before_the_send(start: Start, call: str, value: str, waits: bool) -> None:
    client = await running(start)
    client.driver.send_gate = asyncio.Event()
    asked = asyncio.create_task(client.get(call, **PARAMETERS[call], **{"async": value}))
    await client.until_queued(1)
    if not waits:
        assert await asyncio.wait_for(asked, PATIENCE) == {"code": 0, "status": "request already in execution"}
    assert asked.done() != waits
    client.driver.send_gate.set()
    assert obj(await asked)["code"] == 0


def test_every_parameter_of_the_contract_is_tried() -> None:
    tried = {*SEARCHES, *EFFECTS, *((call, key) for call, keys in LOOKUPS.items() for key in keys)}
    tried |= {(call, name) for call, names in CALLS.items() for name in names if name in MEDIA}
    # Those of test_success, of the errors, and of test_whose_picture_is_fetched; of ``async`` above.
    others = {"content", "timeout", "async"}
    every = {(call, name) for call, names in CALLS.items() for name in names if name not in others}
    assert every - tried == {("get_avatar", "group_id")}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
async def test_every_call_keeps_its_form_on_each_route(start: Start, route: Route) -> None:
    client = start(WXCLIENT_DRIVER=route.name)
    client.driver.capabilities = route.capabilities
    await client.login()
    client.driver.play([message("opens the reply window")])
    apart = ("consult", "check_event", "stop_client", "get_avatar")  # they wait, stop the account or answer no JSON
    called = [endpoint for endpoint in ENDPOINTS if name_of(endpoint) not in apart]
    # Calls that change people come last.
    for endpoint in sorted(called, key=lambda each: name_of(each).startswith(("set_", "kick_"))):
        name = name_of(endpoint)
        answer = (await ask(client, name, parameters_of(endpoint), "POST")).json
        if name in route.unsupported:
            refused = obj(answer)
            assert (refused["code"], route.name in text(refused["status"])) == (-10, True), refused
            continue
        covers(answer, endpoint["success_example"])
        assert not isinstance(answer, dict) or answer.get("code", 0) == 0, (name, answer)


async def test_check_event_has_messages_and_changes_but_not_the_accounts_own_states(start: Start) -> None:
    client = start(MOJO_WEIXIN_POST_EVENT_LIST=",".join(sorted(EVENTS)))
    client.driver.play([QrReady("https://login.weixin.qq.com/l/abc==", b"\xff\xd8jpeg", 1, 10)])
    await client.until_state("scaning")
    await client.login()
    client.driver.play([RosterChanged(contacts=(Contact("@new", "New"),)), message("news")])
    async with asyncio.timeout(PATIENCE):
        found: list[JsonObject] = []
        while not found or found[-1].get("content") != "news":
            found += map(obj, items(await client.get("check_event")))
    assert [each.get("event", each["post_type"]) for each in found] == ["new_friend", "receive_message"]


async def test_events_can_be_disabled(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address}, MOJO_WEIXIN_PLUGIN_OPENWX_POST_EVENT="0")
    await client.login()
    client.driver.play([RosterChanged(contacts=(Contact("@new", "New"),)), message("news")])
    [report] = await webhook.messages(1)
    assert report["content"] == "news"
    assert [each["post_type"] for each in webhook.reports] == ["receive_message"]
    assert [obj(each)["post_type"] for each in items(await client.get("check_event"))] == ["receive_message"]


@pytest.mark.parametrize(
    ("parameters", "whose"),
    [
        ({"id": "@me"}, ("@me", "")),
        ({"id": "@@team"}, ("@@team", "")),
        ({"id": "@c", "group_id": "@@team"}, ("@c", "@@team")),
        ({"id": "@ann"}, ("@ann", "")),
    ],
)
async def test_whose_picture_is_fetched(start: Start, parameters: Mapping[str, str], whose: tuple[str, str]) -> None:
    client = await running(start)
    client.driver.contents[" ".join(("avatar", *whose)).strip()] = b"GIF89a...."
    answer = await ask(client, "get_avatar", parameters)
    assert (answer.status, answer.content_type) == (200, "image/gif")
    assert client.driver.commands[-1] == ("avatar", *whose)
    # The contract's "now" and "now+1h".
    now, expires = (parsedate_to_datetime(answer.headers[name]).timestamp() for name in ("Last-Modified", "Expires"))
    assert (abs(now - time.time()) < 60, expires - now) == (True, 3600)


@pytest.mark.parametrize("content", [b"<html>", b"\xff\xd8\xff" + bytes(avatar.AVATAR_BYTES), None])
async def test_picture_that_is_none_or_too_large_or_late_is_missing(
    start: Start, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    client = await running(start)
    if content is None:
        monkeypatch.setattr(avatar, "AVATAR_SECONDS", 0.05)
        monkeypatch.setattr(client.driver, "avatar", lambda *_: asyncio.sleep(PATIENCE))
    else:
        client.driver.contents["avatar @ann"] = content
    answer = await ask(client, "get_avatar", {"id": "@ann"})
    assert (answer.status, answer.body) == (503, b"")


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
    body = aiohttp.FormData(parameters_of(endpoint))
    body.add_field("media_data", bytes(20971521), filename="x")
    async with client.http.post(client.address(name_of(endpoint)), data=body) as answer:
        return await replied(name_of(endpoint), "POST", answer)


async def nothing_happens(client: RunningClient, endpoint: JsonObject) -> Reply:
    await ask(client, name_of(endpoint), {})  # takes the events so far
    return await ask(client, name_of(endpoint), {})


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
    "no friend id": with_values(friends=""),
    "unknown friend id": with_values(friends="@ann,@x"),
    "upstream refuses": refused(1, "no"),
    "group not found": with_values(id="@@x", group_id="@@x"),
    "no member id": with_values(members=" , "),
    "unknown member id": with_values(members="@x"),
    "not found": with_values(id="@x"),
    "own id": with_values(id="@me"),
    "already a friend": with_values(id="@ann"),
    "not a known member": with_values(id="@x"),
    "unknown path or wrong method": lambda client, _: ask(client, "no_such_call", {}),
}
# Values that differ from the contract's examples.
FREE = frozenset({"id", "displayname", "ticket"})

ERRORS = [
    pytest.param(endpoint, obj(error), id=f"{endpoint['path']}: {field(error, 'when')}")
    for endpoint in ENTRIES
    for error in items(endpoint["errors"])
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
    # check_event waits, as always; the contract has stop_client last.
    for endpoint in (each for each in ENDPOINTS if name_of(each) != "check_event"):
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
    # 5.3 no. 43: no Access-Control-Allow-Origin. Section 0: the server has a name of its own.
    expected = {**obj(row["success_headers"]), "Access-Control-Allow-Origin": None, "Server": "wxclient"}
    assert {key: answer.headers.get(key) for key in expected} == expected
