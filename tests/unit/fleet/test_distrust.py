"""A hostile host of a fleet: nothing that it makes up about its accounts reaches a caller of another host."""

import json
from pathlib import Path

import pytest
from aiohttp import web

from tests.patience import until
from tests.unit.controller.machine import Handler
from tests.unit.controller.test_distrust import ANSWERS, EVENT, EVIL, FILE, MEDIA, MESSAGE, WRONG, Json, places_of
from tests.unit.fleet.hosts import FleetHost, hosts_of, impostor
from wxcontroller.fleet import host as of_host

TEXTS: Json = {"message_text": None, "remedy_text": {"template": "x", "values": {}, "href": EVIL}, "href": EVIL}
ROW: Json = {
    **{"name": "bob", "instance": "bob", "host": "a", "desired": "started", "unit_state": "active"},
    **{"avatar": EVIL, "href": EVIL, "activity": {"queued": 1, "url": EVIL, "capabilities": {"avatars": True}}},
    "user": {"id": "@bob&client=alice", "name": "<script>", "avatar": EVIL},
    "issues": [{"code": "x", "severity": "error", "message": "<b>", "remedy": "", "values": {}, **TEXTS}],
}
AVATAR = "/openwx/get_avatar?client=bob&id=%40bob%26client%3Dalice"
BAD_ROWS: list[Json] = [
    {"name": "eve", "instance": "eve", "condition": "<script>"},
    {"name": "eve", "instance": "eve", "since": 10**50},
    {"name": "eve", "instance": "../eve"},
    {"name": "eve", "instance": "eve", "user": "eve"},
    {"name": "eve", "instance": "eve", "status_text": {"template": "x", "values": json.loads("[" * 90 + "]" * 90)}},
    "eve",
    None,
]


def stream(*events: tuple[str, Json]) -> Handler:
    async def serve(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for kind, data in events:
            await response.write(b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps(data).encode()))
        return response

    return serve


def host_b(answer: Json, status: int = 200, events: Handler | None = None) -> list[web.AbstractRouteDef]:
    """Return the routes of a host that has bob, and gives one answer to all calls about him."""
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()

    async def serve(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body, content_type="application/json")

    rows = stream(("accounts", {"accounts": [*BAD_ROWS, ROW], "all": True}))
    more = [web.get("/v1/events", events)] if events is not None else []
    return [web.get("/v1/accounts", rows), *more, web.route("*", "/{path:.*}", serve)]


async def met(a: FleetHost) -> None:
    await until(lambda: "bob" in a.other("b").rows)


async def test_rows_are_decoded_one_by_one(tmp_path: Path) -> None:
    async with hosts_of(tmp_path, "a") as [a], impostor(a, *host_b({})):
        await met(a)
        listed = await a.listed()
        assert set(listed) == {"bob"}
        row: Json = listed["bob"]
        assert (row["host"], row["avatar"], row["user"]["name"]) == ("b", AVATAR, "<script>")
        assert EVIL not in json.dumps(row)
        async with a.http.get("/v1/accounts", headers={"Accept": "text/event-stream"}) as answer:
            received = b""
            while b"bob" not in received:
                received += await answer.content.readany()
        assert EVIL.encode() not in received


@pytest.mark.parametrize("call", ANSWERS)
async def test_forwarded_answers_are_decoded(tmp_path: Path, call: str) -> None:
    async with hosts_of(tmp_path, "a") as [a], impostor(a, *host_b(ANSWERS[call])):
        await met(a)
        status, answer = await a.v1("GET", f"accounts/bob/{call}")
        assert status == 200
        assert EVIL not in json.dumps(answer)
        assert [place for place in places_of(answer) if place != "$.account" and "events" not in place] == []


async def test_paths_in_forwarded_answers_are_of_the_account(tmp_path: Path) -> None:
    media = {**MEDIA, "url": f"/v1/accounts/alice/media/{FILE}"}
    async with hosts_of(tmp_path, "a") as [a], impostor(a, *host_b({**MESSAGE, "media": media})):
        await met(a)
        _, answer = await a.v1("GET", "accounts/bob/messages/1")
        shown: Json = answer["media"]
        assert shown["url"] == f"/v1/accounts/bob/media/{FILE}"
    (again := tmp_path / "again").mkdir()
    async with hosts_of(again, "a") as [a], impostor(a, *host_b({**ROW, "name": "alice", "result": "x"})):
        await met(a)
        for method, path in (("GET", "accounts/bob"), ("POST", "accounts/bob/stop")):
            status, row = await a.v1(method, path)
            assert (status, row["name"], row["instance"], row["avatar"]) == (200, "bob", "bob", AVATAR)
            assert EVIL not in json.dumps(row)


@pytest.mark.parametrize("wrong", WRONG)
async def test_forwarded_answer_of_another_form_names_host_and_account(tmp_path: Path, wrong: str) -> None:
    async with hosts_of(tmp_path, "a") as [a], impostor(a, *host_b(WRONG[wrong])):
        await met(a)
        for path in ("accounts/bob/messages", "accounts/bob/contacts"):
            status, answer = await a.v1("GET", path)
            error: Json = answer["error"]
            assert (status, "host b" in error["message"], "bob" in error["message"]) == (502, True, True)


async def test_events_of_a_host_are_written_again(tmp_path: Path) -> None:
    good = {**EVENT, "account": "bob", "host": "b"}
    forged = [
        ("login", {**good, "host": "a"}),
        ("login", {**good, "account": "../bob"}),
        ("login", {**good, "type": "logout"}),
        ("login", {**good, "seq": "1"}),
        ("login", good),
        ("last", {**good, "id": "0badcafe-2", "type": "last"}),
    ]
    async with hosts_of(tmp_path, "a") as [a], impostor(a, *host_b({}, events=stream(*forged))):
        await met(a)
        received = b""
        async with a.http.get("/v1/events", headers={"Accept": "text/event-stream"}) as answer:
            while b"event: last" not in received or not received.endswith(b"\n\n"):
                received += await answer.content.readany()
    assert EVIL.encode() not in received
    events = [json.loads(line[6:]) for line in received.split(b"\n") if line.startswith(b'data: {"host')]
    assert [(event["id"], event["host"], event["account"]) for event in events] == [
        ("0badcafe-1", "b", "bob"),
        ("0badcafe-2", "b", "bob"),
    ]


@pytest.mark.parametrize("limit", ["HOST_ACCOUNTS", "HOST_ROWS_BYTES"])
async def test_accounts_of_a_host_are_limited_in_number_and_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(of_host, limit, {"HOST_ACCOUNTS": 3, "HOST_ROWS_BYTES": 4000}[limit])
    rows: list[Json] = [{"name": name, "instance": name, "status": "x" * 1000} for name in ("b1", "b2", "b3", "b4")]
    events = [*(("accounts", {"accounts": [row]}) for row in rows), ("accounts", {"gone": ["b1"]})]
    async with hosts_of(tmp_path, "a") as [a], impostor(a, web.get("/v1/accounts", stream(*events))):
        await until(lambda: set(a.other("b").rows) == {"b2", "b3"})
        assert set(await a.listed()) == {"b2", "b3"}
