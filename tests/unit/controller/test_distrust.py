"""A hostile program in an account's place: nothing that it makes up reaches a caller of the controller."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from tests.tokens import bearer, token
from tests.unit.controller.machine import Machine
from wxcontroller.core.access.rights import Scope

Json = Any  # of answers, which the assertions check
FILE = "mojo_weixin_media_20261202010203_0123456789abcdef.jpg"
EVIL = "/v1/accounts/bob/stop"
MEDIA: Mapping[str, Json] = {
    "type": "image",
    **dict.fromkeys(("name", "mime", "size", "id", "error")),
    "url": EVIL,
    "href": EVIL,
}
MESSAGE: Mapping[str, Json] = {
    **{"id": "1", "cursor": "0badcafe-1", "chat": "ann", "chat_name": "<script>", "is_group": False},
    **{"direction": "in", "sender": {"id": "ann", "name": "Ann", "avatar": EVIL}, "time": 1, "kind": "image"},
    **{"text": "", "media": MEDIA, "quote": None, "origin": None, "recalled": False, "url": EVIL},
}
PAGE: Mapping[str, Json] = {
    **{"account": "bob", "log": "0badcafe", "messages": [MESSAGE], "pending": [MESSAGE], "more": False},
    **{"next": EVIL},
}
CONTACT = {
    **{"id": "ann", "name": "Ann", "kind": "friend", "sex": "", "avatar": EVIL},
    **dict.fromkeys(("remark", "nickname", "wechat_id", "province", "city", "signature"), ""),
}
COUNTS = {"account": "bob", "dead": 1, "href": EVIL}
DELIVERY = {
    **{"id": "0badcafe-1", "seq": 1, "time": 1.5, "type": "login", "state": "dead", "attempts": 1, "bytes": 1},
    **dict.fromkeys(("lane", "next_at", "last_error", "last_status", "settled_at")),
    "href": EVIL,
}
SEND = {
    **{"id": "s1", "state": "held", "reason": "window", "detail": "", "peer": "ann", "is_group": False},
    **{"kind": "text", "held_until": None, "href": EVIL},
}
EVENT = {
    **{"id": "0badcafe-1", "account": "bob", "host": "b", "type": "login", "report": {}, "href": EVIL},
    **{"seq": 1, "stamp": 1, "time": 1},
}
ANSWERS: Mapping[str, Json] = {
    "messages": PAGE,
    "messages/1": MESSAGE,
    "chats": {
        **{"account": "bob", "log": "0badcafe", "more": False},
        "chats": [{"id": "ann", "name": "", "is_group": False, "known": True, "last": MESSAGE, "avatar": EVIL}],
    },
    "contacts": {"account": "bob", "contacts": [CONTACT], "more": False, "url": EVIL},
    "groups": {
        **{"account": "bob", "more": False},
        "groups": [{"id": "g", "name": "", "members": 1, "owner": None, "avatar": EVIL}],
    },
    "groups/g/members": {
        **{"account": "bob", "group": "g"},
        "members": [{"id": "ann", "name": "", "display": "", "nickname": "", "avatar": EVIL}],
    },
    "deliveries": {**COUNTS, "deliveries": [DELIVERY], "next": None},
    "deliveries/0badcafe-1": {**DELIVERY, "report": {}},
    "sends": {"sends": [SEND], "url": EVIL},
    "sends/s1": SEND,
    "events": {
        **{"account": "bob", "log": "0badcafe", "first": 1, "last": 1, "events": [EVENT], "more": False, "url": EVIL}
    },
}


def answering(host: Machine, body: bytes, status: int = 200) -> None:
    """Have alice's program give one answer to all calls."""

    async def serve(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body, content_type="application/json")

    process = host.process("alice")
    process.serve, process.serve_events, process.status = serve, serve, body if status == 200 else None


def places_of(value: Json, place: str = "$") -> list[str]:
    """Return where an answer has the forged path or account."""
    if isinstance(value, dict):
        return [found for key, each in value.items() for found in places_of(each, f"{place}.{key}")]
    if isinstance(value, list):
        return [found for each in value for found in places_of(each, f"{place}[]")]
    return [place] if value in (EVIL, "bob", "b") else []


@pytest.mark.parametrize("call", ANSWERS)
async def test_only_known_fields_and_paths_of_its_own_leave_an_account(host: Machine, call: str) -> None:
    await host.start("alice")
    answering(host, json.dumps(ANSWERS[call]).encode())
    status, answer = await host.v1("GET", f"accounts/alice/{call}")
    assert status == 200
    assert places_of(ANSWERS[call])
    assert places_of(answer) == []


async def test_url_of_media_is_made_by_the_controller(host: Machine) -> None:
    await host.start("老王")
    for media in ({**MEDIA, "file": FILE}, {**MEDIA, "url": f"/v1/accounts/bob/media/{FILE}"}):

        async def serve(_: web.Request, media: Json = media) -> web.StreamResponse:
            return web.json_response({**MESSAGE, "media": media})

        host.process("老王").serve = serve
        _, answer = await host.v1("GET", "accounts/老王/messages/1")
        shown: Json = answer["media"]
        assert shown["url"] == f"/v1/accounts/%E8%80%81%E7%8E%8B/media/{FILE}"


WRONG = {
    "no JSON": b"<html>",
    "another type": json.dumps({**PAGE, "messages": [{**MESSAGE, "time": "1"}]}).encode(),
    "deep": b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "many values": b'{"x":[' + b"1," * 1_000_000 + b"1]}",
    "long": json.dumps({**PAGE, "log": "x" * (4 << 20)}).encode(),
    "a long number": json.dumps({**PAGE, "messages": [{**MESSAGE, "time": 10**50}]}).encode(),
    "not UTF-8": b'{"account":"\xff"}',
    "code for a word": json.dumps({**PAGE, "messages": [{**MESSAGE, "kind": "a b"}]}).encode(),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_answer_of_another_form_is_a_failure_that_names_the_account(host: Machine, wrong: str) -> None:
    await host.start("alice")
    answering(host, WRONG[wrong])
    for call in ("messages", "chats", "contacts", "sends", "events", "deliveries"):
        status, answer = await host.v1("GET", f"accounts/alice/{call}")
        error: Json = answer["error"]
        assert (status, error["code"]) == (502, "not-answering"), call
        assert "alice" in error["message"]
        assert len(error["message"]) < 500
    assert (await host.v1("GET", "accounts/alice"))[1]["client"] is None


async def test_failure_of_an_account_is_decoded_too(host: Machine) -> None:
    await host.start("alice")
    failure = {"code": "no-such-message", "message": "no", "remedy": "see", "href": EVIL}
    answering(host, json.dumps({"error": failure, "url": EVIL}).encode(), 404)
    status, answer = await host.v1("GET", "accounts/alice/messages/1")
    assert (status, answer) == (404, {"error": {"code": "no-such-message", "message": "no", "remedy": "see"}})
    answering(host, b'{"location": "/"}', 404)
    status, answer = await host.v1("GET", "accounts/alice/messages/1")
    assert status == 502


async def test_agents_get_decoded_messages(host: Machine) -> None:
    host.accounts.settings = replace(host.settings, mcp_serve=True)
    await host.start("alice")
    answering(
        host, json.dumps({**PAGE, "messages": [{**MESSAGE, "media": {**MEDIA, "file": f"../{FILE}"}}]}).encode()
    )
    call = {"name": "read_messages", "arguments": {"account": "alice"}}
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    headers = {**bearer(token(host, Scope.READ)), "MCP-Protocol-Version": "2025-11-25"}
    async with host.http.post("/mcp", json=request, headers=headers) as answer:
        result = (await answer.json())["result"]
    [message] = json.loads(result["content"][0]["text"])["messages"]
    assert places_of(message) == []
    assert message["media"] == {"type": "image"}


async def test_status_passes_known_fields_of_the_right_type(host: Machine) -> None:
    await host.start("alice")
    status = {
        "instance": "alice",
        "pid": 5,
        "href": EVIL,
        "memory": 7,
        "media": {"files": 1, "url": EVIL},
    }
    answering(host, json.dumps({**status, "roster": {"avatar": EVIL}, "windows": []}).encode())
    answer = (await host.v1("GET", "accounts/alice"))[1]
    assert (answer["memory"], answer["media"], answer["windows"]) == (7, {"files": 1}, [])
    assert places_of(answer) == []


@pytest.mark.parametrize("path", ["/v1/events", "/v1/accounts/alice/events"])
async def test_events_are_written_again(host: Machine, path: str) -> None:
    process = await host.start("alice")
    good = {**EVENT, "account": "alice", "report": {"text": "hi"}}
    del good["host"]
    last = {**good, "id": "0badcafe-11", "type": "last"}
    forged: list[tuple[str, Json]] = [
        ("login", {**good, "type": "logout"}),
        ("login", {**good, "id": "../1"}),
        ("login", {**good, "time": "now"}),
        ("login", {**good, "report": "x"}),
        ("x y", {**good, "type": "x y"}),
    ]

    async def serve(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        opening = {"account": "alice", "log": "0badcafe", "after": "0badcafe-0", "url": EVIL}
        for kind, data in (("open", opening), *forged, ("login", {**good, "id": "0badcafe-9"})):
            await response.write(b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps(data).encode()))
        deep = b'{"id":"0badcafe-10","account":"alice","type":"login","seq":1,"stamp":1,"time":1,"report":%b}' % (
            b'{"a":' * 70 + b"1" + b"}" * 70
        )
        await response.write(b"event: login\ndata: %b\n\n" % deep)
        await response.write(b"event: login\rdata: {}\ndata: %b\r\n\n" % json.dumps(good).encode())
        await response.write(b"event: last\ndata: %b\n\n" % json.dumps(last).encode())
        await process.events.wait()
        return response

    process.serve_events = serve
    received = b""
    async with host.http.get(path, headers={"Accept": "text/event-stream"}) as answer:
        while b"event: last" not in received or not received.endswith(b"\n\n"):
            piece = await answer.content.readany()
            assert piece
            received += piece
    process.events.set()
    assert EVIL.encode() not in received
    data = [json.loads(line[6:]) for line in received.split(b"\n") if line.startswith(b"data: ")]
    events = [each for each in data if "report" in each]
    assert [(each["id"], each["type"]) for each in events] == [("0badcafe-9", "login"), ("0badcafe-11", "last")]
    assert all(set(each) <= {"id", "account", "type", "report", "seq", "stamp", "time"} for each in events)
