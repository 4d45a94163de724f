"""Notifications from other programs: dialects, targets and their tokens, repeats, and answers."""

import asyncio
import base64
import json
import logging
import stat
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import FormData, web
from multidict import CIMultiDict

from tests.patience import PATIENCE, until
from tests.tokens import bearer, token
from tests.unit.controller.machine import ROOT_TOKEN, SENT, Machine, Process
from wxcontroller.controller.apis.notify import passing
from wxcontroller.controller.apis.notify.dialects import TEXT_BODY_BYTES
from wxcontroller.controller.apis.notify.notifyroutes import NOTIFICATIONS
from wxcontroller.controller.apis.notify.passing import UNKNOWN, NotifyVerdict
from wxcontroller.controller.apis.notify.repeats import KEEP_SECONDS, REMEMBERED_TEXTS, Repeat, Repeats
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.registry.notifytargets import TARGETS, NotifyTargets, new_target, rendered

# Longer than any test.
HOUR = 3600.0


async def account(host: Machine, name: str = "alice") -> Process:
    """Start an account that carries out sends."""
    process = await host.start(name)
    process.sends = []
    host.app[NOTIFICATIONS].repeats.seconds = HOUR
    return process


async def target(host: Machine, name: str = "ops", **more: str) -> str:
    """Add a target as root, and return its token."""
    body: JsonObject = {"name": name, "account": "alice", "peer": "filehelper", **more}
    status, content = await host.v1("POST", "targets", body, bearer(ROOT_TOKEN))
    assert status == 201, content
    return str(content["token"])


async def post(
    host: Machine, path: str, shown: str = "", data: Any = None, method: str = "POST", **headers: str
) -> tuple[int, dict[str, Any]]:
    """Send a notification; return status and JSON."""
    sent = CIMultiDict(headers)
    if shown:
        sent.update(bearer(shown))
    unsaid = () if isinstance(data, FormData) else ("Content-Type",)
    async with host.http.request(method, path, data=data, headers=sent, skip_auto_headers=unsaid) as answer:
        return answer.status, await answer.json()


def kuma(**more: object) -> dict[str, Any]:
    heartbeat = {"status": 0, "msg": "connect ECONNREFUSED", "time": "2026-11-27 10:00:00"}
    monitor = {"name": "shop", "url": "https://shop.example"}
    return {"heartbeat": heartbeat, "monitor": monitor, "msg": "[shop] [🔴 Down] connect ECONNREFUSED", **more}


ALERTMANAGER = {
    "version": "4",
    "groupKey": '{}:{alertname="DiskFull"}',
    "status": "firing",
    "groupLabels": {"alertname": "DiskFull"},
    "commonLabels": {"alertname": "DiskFull", "severity": "critical"},
    "externalURL": "http://alertmanager.example:9093",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "DiskFull", "instance": "db1", "severity": "critical"},
            "annotations": {"summary": "/var is 97 % full"},
        },
        {"status": "resolved", "labels": {"alertname": "DiskFull", "instance": "db2"}, "annotations": {}},
    ],
}
ALERTS_TEXT = (
    "🔴 DiskFull: /var is 97 % full\ninstance=db1, severity=critical\n✅ DiskFull\ninstance=db2\n"
    "http://alertmanager.example:9093"
)
GRAFANA = {**ALERTMANAGER, "version": "1", "orgId": 1, "title": "[FIRING:1] DiskFull (db1)", "state": "alerting"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}


def multipart(**fields: str) -> FormData:
    form = FormData(quote_fields=False, default_to_multipart=True)
    for name, value in fields.items():
        form.add_field(name, value)
    return form


# Path, headers and body of a program's request, and the text that is sent; "!" for an urgent one.
DIALECTS: dict[str, tuple[str, Mapping[str, str], Any, str]] = {
    "ntfy, a text as curl -d sends it": ("/notify/ops", FORM, "Backup 完成, 100 %", "Backup 完成, 100 %"),
    "ntfy, headers": (
        "/notify/ops",
        {"Title": "Disk", "Priority": "urgent", "Tags": "warning,db1", "Click": "https://x.example/1"},
        "/var is full",
        "!⚠️ Disk\n/var is full\n#db1\nhttps://x.example/1",
    ),
    "ntfy, a header encoded as in mails": ("/notify/ops", {"X-Title": "=?UTF-8?B?5aSH5Lu9?="}, "x", "备份\nx"),
    "ntfy, query, at the root": ("/ops?title=T&prio=4&message=a%5Cnb", {}, None, "!T\na\nb"),
    "ntfy, JSON at the root": (
        "/",
        {},
        json.dumps({"topic": "ops", "title": "T", "message": "m", "priority": 5, "tags": ["tada"]}),
        "!🎉 T\nm",
    ),
    "gotify, JSON": (
        "/notify/ops/message",
        JSON,
        '{"message": "m", "priority": 8, "extras": {"client::notification": {"click": {"url": "https://x.example"}}}}',
        "!m\nhttps://x.example",
    ),
    "a form": ("/notify/ops", FORM, "text=%E4%BD%A0%E5%A5%BD&title=T&priority=high", "!T\n你好"),
    "JSON": ("/notify/ops", JSON, '{"text": "m", "title": "T", "priority": "low"}', "T\nm"),
    "a text that only looks like JSON": ("/notify/ops", {}, '{"shop": "down"}', '{"shop": "down"}'),
    "uptime kuma": ("/notify/ops", JSON, json.dumps(kuma()), f"{kuma()['msg']}\nhttps://shop.example"),
    "uptime kuma, a form": (
        "/notify/ops",
        {},
        multipart(data=json.dumps(kuma(monitor=None, heartbeat=None, msg="Testing"))),
        "Testing",
    ),
    "alertmanager": (
        "/notify/ops?priority=high",
        JSON,
        json.dumps(ALERTMANAGER),
        f"![FIRING:1] DiskFull\n{ALERTS_TEXT}",
    ),
    "grafana": ("/notify/ops", JSON, json.dumps(GRAFANA), f"[FIRING:1] DiskFull (db1)\n{ALERTS_TEXT}"),
}


async def test_each_dialect_becomes_one_text(host: Machine) -> None:
    process, shown = await account(host), await target(host)
    for name, (path, headers, body, expected) in DIALECTS.items():
        process.sends = []
        host.app[NOTIFICATIONS].repeats.seconds = 0.0  # some of the texts are the same
        status, answer = await post(host, path, shown, body, **headers)
        assert (status, answer["state"]) == (200, "delivered"), name
        [send] = process.sends
        sent = (send["call"], send["id"], send["content"])
        assert sent == ("messages", "filehelper", expected.lstrip("!")), name
        assert (send.get("urgent") == "1") == expected.startswith("!"), name


async def test_answers_have_the_dialects_form_and_the_state(host: Machine) -> None:
    process, shown = await account(host), await target(host)
    _, answer = await post(host, "/notify/ops", shown, "m", Title="T", Tags="tada,x1")
    assert (answer["event"], answer["topic"], answer["message"], answer["title"]) == ("message", "ops", "m", "T")
    assert (answer["tags"], answer["priority"]) == (["tada", "x1"], 3)
    _, answer = await post(host, "/notify/ops/message", shown, '{"message": "n"}')
    assert (answer["appid"], answer["message"], answer["state"]) == (1, "n", "delivered")
    answers: list[tuple[JsonObject, int, str]] = [
        ({"code": 0, "id": "7", "state": "accepted", "detail": "…"}, 200, "accepted"),
        ({"code": -7, "id": "7", "state": "held", "reason": "window", "detail": "…"}, 200, "held"),
        ({"code": -1, "id": "7", "state": "unknown", "reason": "no-answer", "detail": "…"}, 200, "unknown"),
        ({"code": -8, "id": "7", "state": "refused", "reason": "daily-limit", "detail": "…"}, 409, "refused"),
        ({"code": -1, "id": "7", "state": "refused", "reason": "too-large", "detail": "…"}, 413, "refused"),
    ]
    current = iter([response for response, _, _ in answers for _ in range(2)])
    process.send_answer = lambda _: next(current)
    for number, (_, status, state) in enumerate(answers):
        found, answer = await post(host, "/notify/ops", shown, f"ntfy {number}")
        assert (found, answer["state"]) == (status, state)
        assert state in ("accepted", "delivered") or answer["reason"]
        assert status == 200 or (answer["http"], answer["error"]) == (status, answer["reason"])
        found, answer = await post(host, "/notify/ops/message", shown, json.dumps({"message": f"gotify {number}"}))
        assert (found, answer["state"]) == (status, state)
        assert status == 200 or (answer["errorCode"], answer["errorDescription"]) == (status, answer["reason"])


async def test_a_refusal_says_why_and_how_much_was_sent(host: Machine) -> None:
    process, shown = await account(host), await target(host)
    answer: JsonObject = {"code": -1, "id": "7", "detail": "the server answered 404", "remedy": "repair it"}
    process.send_answer = lambda _: answer
    status, found = await post(host, "/notify/ops", shown, "look", Attach="https://x.example/a.png")
    assert (status, found["reason"]) == (409, "the server answered 404; repair it")
    # Part of it has arrived: a client that tries again, as after an error, would repeat that.
    answer |= {"state": "refused", "parts": [{"id": "7", "state": "delivered"}, {"id": "8", "state": "refused"}]}
    status, found = await post(host, "/notify/ops", shown, "look", Attach="https://x.example/a.png")
    assert (status, found["state"], found["parts"]) == (200, "refused", [1, 2])
    assert found["reason"]


async def test_a_long_text_is_cut_and_the_answer_says_so(host: Machine) -> None:
    process, shown = await account(host), await target(host)
    long = "x" * 12_000
    status, found = await post(host, "/notify/ops", shown, long)
    assert (status, found["state"]) == (200, "delivered")
    assert process.sends is not None
    [sent] = process.sends
    assert found["left_out"] == 12_000 - sent["content"].count("x")
    assert str(found["left_out"]) in found["reason"]
    assert str(found["left_out"]) in sent["content"].splitlines()[-1]  # the reader sees it, too
    assert len(sent["content"]) <= 4000
    _, found = await post(host, "/notify/ops", shown, "y" * 4000)
    assert "left_out" not in found
    assert process.sends[-1]["content"] == "y" * 4000
    _, found = await post(host, "/notify/ops/message", shown, json.dumps({"message": "z" * 4001}))
    assert found["left_out"] > 0


NO_NOTIFICATIONS: list[tuple[str, Mapping[str, str], Any, int]] = [
    ("/notify/ops", JSON, '{"name": "value"}', 400),
    ("/notify/ops", {}, "", 400),
    ("/notify/ops", {}, b"\xff\xfe", 400),
    ("/notify/ops", {"Priority": "9"}, "m", 400),
    ("/notify/ops", {"Attach": "file:///etc/passwd"}, "m", 400),
    ("/notify/ops", {}, multipart(other="x"), 400),
    ("/notify/ops/message", JSON, '{"message": "m", "priority": "high"}', 400),
    ("/", {}, '{"message": "m"}', 400),
    ("/", {}, '{"topic": "ops", "message": "m", "delay": "1h"}', 400),
    ("/notify/ops", {}, b"x" * (TEXT_BODY_BYTES + 1), 413),
]


async def test_invalid_notifications_are_refused_with_the_reason(host: Machine) -> None:
    process, shown = await account(host), await target(host)
    for path, headers, body, status in NO_NOTIFICATIONS:
        found, answer = await post(host, path, shown, body, **headers)
        assert (found, answer["state"], bool(answer["reason"])) == (status, "refused", True), (path, headers, body)
    assert process.sends == []


async def test_files_are_sent_with_their_names(host: Machine) -> None:
    process, shown = await account(host), await target(host)
    content = bytes(range(256)) * 10_000  # more than a text may have
    process.echo = True
    assert (await post(host, "/ops?filename=a.bin&message=look", shown, content))[0] == 200
    assert (await post(host, "/notify/ops", shown, content, method="PUT", Filename="b.bin"))[0] == 200
    assert (await post(host, "/notify/ops", shown, Attach="https://x.example/c.png", Filename="c.png"))[0] == 200
    assert process.sends is not None
    found = [(send.get("text"), send["media_name"], send.get("media_url")) for send in process.sends]
    assert found == [("look", "a.bin", None), (None, "b.bin", None), (None, "c.png", "https://x.example/c.png")]
    assert [content in body for _, _, body in process.seen] == [True, True, False]
    status, answer = await post(host, "/ops?filename=big", shown, b"x" * (host.settings.max_body + 1))
    assert (status, answer["state"]) == (413, "refused")


async def test_target_tokens_are_accepted_in_all_places_and_not_forwarded(
    host: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    process, shown = await account(host), await target(host)
    process.echo = True

    def basic(user: str) -> str:
        return "Basic " + base64.b64encode(user.encode()).decode()

    coded = base64.urlsafe_b64encode(f"Bearer {shown}".encode()).decode().rstrip("=")
    ways: list[tuple[str, dict[str, str]]] = [
        ("/notify/ops", {"Authorization": f"Bearer {shown}"}),
        ("/notify/ops", {"Authorization": basic(f"me:{shown}")}),
        ("/notify/ops", {"Authorization": basic(f"{shown}:")}),
        (f"/notify/ops?auth={coded}", {}),
        ("/notify/ops", {"X-Auth-Token": shown}),
        ("/notify/ops/message", {"X-Gotify-Key": shown}),
        (f"/notify/ops/message?token={shown}", {}),
    ]
    for number, (path, headers) in enumerate(ways):
        status, answer = await post(host, path, "", json.dumps({"message": f"m {number}"}), **headers)
        assert status == 200, (path, headers)
        assert shown not in json.dumps(answer)
    secret = shown.rpartition("_")[2]
    assert secret not in caplog.text
    assert {headers["X-Wx-Holder"] for _, headers, _ in process.seen} == {"target ops"}
    assert all(secret not in f"{line}{headers}{body!r}" for line, headers, body in process.seen)


async def test_target_needs_its_own_token_even_while_the_api_is_open(host: Machine) -> None:
    process = await account(host)
    shown, other = await target(host), await target(host, "other")
    assert stat.S_IMODE(host.paths.notify_targets.stat().st_mode) == 0o600
    assert shown.rpartition("_")[2] not in host.paths.notify_targets.read_text()
    for path, code in (("/notify/ops", "http"), ("/ops", "http"), ("/notify/ops/message", "errorCode")):
        status, answer = await post(host, path, "", "m")
        assert (status, answer["state"], answer[code]) == (401, "refused", 401), path
    assert (await post(host, "/", "", '{"topic": "ops", "message": "m"}'))[0] == 401
    for wrong in ("wxc_12345678_" + "0" * 64, shown[:-1] + ("0" if shown[-1] != "0" else "1"), "tk_x"):
        for path in ("/notify/ops", "/notify/ops/message", "/ops", "/"):
            assert (await post(host, path, wrong, "m"))[0] in (401, 429)
    for path, body in (("/notify/ops", "m"), ("/", '{"topic": "ops", "message": "m"}'), ("/ops", "m")):
        for wrong in (other, ROOT_TOKEN):
            status, answer = await post(host, path, wrong, body)
            assert (status, answer["http"], answer["state"]) == (403, 403, "refused")
    assert (await post(host, "/notify/nobody", shown, "m"))[0] == 403
    # It is accepted nowhere else.
    admin = token(host, Scope.ADMIN)
    assert (await post(host, "/notify/ops", admin, "m"))[0] == 403
    for path in ("/v1/accounts", "/v1/targets", "/metrics", "/openwx/check_client"):
        async with host.http.get(path, headers=bearer(shown)) as response:
            assert response.status in (401, 403)
    assert process.sends == []
    assert (await post(host, "/notify/ops", shown, "m"))[0] == 200
    assert (await host.v1("DELETE", "targets/ops", headers=bearer(admin)))[0] == 200
    assert (await post(host, "/notify/ops", shown, "m"))[0] in (401, 429)


async def test_a_damaged_targets_file_admits_no_caller_with_503(
    host: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    await account(host)
    shown = await target(host)
    for content in ("", "{", '{"targets": [{"name": "ops"}]}', '{"targets": {}}'):
        host.paths.notify_targets.write_text(content)
        status, refusal = await post(host, "/notify/ops", shown, "m")
        assert (status, refusal["http"], refusal["state"]) == (503, 503, "refused")
        other: JsonObject = {"name": "b", "account": "alice", "peer": "x"}
        assert (await host.v1("POST", "targets", other, bearer(ROOT_TOKEN)))[0] == 500
        assert host.paths.notify_targets.read_text() == content
    assert caplog.text.count("the file of notification targets cannot be used") == 4


async def test_target_of_an_unavailable_account_is_refused(host: Machine, caplog: pytest.LogCaptureFixture) -> None:
    process, shown = await account(host), await target(host)
    admin = bearer(ROOT_TOKEN)

    async def refused() -> str:
        status, answer = await post(host, "/notify/ops", shown, "m")
        assert (status, answer["state"]) == (409, "refused")
        return str(answer["reason"])

    await host.v1("POST", "accounts/alice/stop", headers=admin)
    words = await refused()
    assert words == "account alice is not running; start it: wxctl start alice"
    assert caplog.messages[-1] == f"notification refused (target=ops): {words}"
    assert (await host.v1("PATCH", "accounts/alice/options", {"driver": "ilink"}, admin))[0] == 200
    assert (await host.v1("POST", "accounts/alice/start", headers=admin))[0] == 200
    assert "driver ilink," in await refused()
    assert (await host.v1("DELETE", "accounts/alice", headers=admin))[1]["targets"] == ["ops"]
    assert "removed" in await refused()
    # A new account of that name may belong to another person.
    again = await account(host)
    assert "removed" in await refused()
    assert process.sends == again.sends == []


async def test_peer_is_found_by_a_unique_name(host: Machine) -> None:
    process = await account(host)
    process.friends = [
        {"id": "@1", "displayname": "王芳"},
        {"id": "@2", "displayname": "Ann"},
        {"id": "@3", "displayname": "Ann"},
    ]
    people = {"@1", "@2", "@3"}
    missing: JsonObject = {"id": None, "code": 100, "status": "object not found"}
    process.send_answer = lambda form: SENT if form["id"] in people else missing
    peers = {"a": "王芳", "b": "Ann", "c": "x"}
    one, several, none = [await target(host, name, peer=peer) for name, peer in peers.items()]
    assert (await post(host, "/notify/a", one, "m"))[0] == 200
    for name, shown in (("b", several), ("c", none)):
        status, answer = await post(host, f"/notify/{name}", shown, "m")
        assert (status, answer["state"]) == (409, "refused")
    assert process.sends is not None
    assert [send["id"] for send in process.sends] == ["@1"]


async def test_request_with_a_lost_response_is_repeated_with_its_key(host: Machine) -> None:
    process, shown = await account(host), await target(host)
    tries: list[str] = []

    def answer(form: Mapping[str, str]) -> JsonObject:
        tries.append(form["idempotency_key"])
        return SENT if len(tries) > 1 else {}

    process.send_answer = answer
    status, content = await post(host, "/notify/ops", shown, "m")
    assert (status, content["state"]) == (200, "delivered")
    assert len(tries) == 2
    assert len(set(tries)) == 1


# Answers of an account that was taken over.
HOSTILE_ANSWERS: list[JsonValue] = [
    None,
    "x",
    [],
    {},
    {"state": []},
    {"state": {}},
    {"state": "x" * 100},
    {"error": [1]},
    {"error": {"code": []}},
    {"error": {"code": {}, "message": [], "remedy": {}}},
    {"state": "refused", "reason": ["x"], "detail": {}},
    {"state": "refused", "reason": "x", "detail": [], "ends": {}},
    {"state": "sending", "parts": "x", "id": []},
    {"state": "delivered", "parts": [1, {"state": []}], "handle": {}, "ends": "x", "left_out": []},
]


@pytest.mark.parametrize("answer", HOSTILE_ANSWERS, ids=repr)
async def test_odd_answers_of_an_account_are_results(host: Machine, answer: JsonValue) -> None:
    process, shown = await account(host), await target(host)

    async def serve(_: web.Request) -> web.StreamResponse:
        return web.json_response(answer)

    process.serve = serve
    status, content = await post(host, "/notify/ops", shown, "m")
    assert (status, content["state"]) in {(200, "unknown"), (200, "waiting"), (200, "delivered"), (409, "refused")}


async def test_a_message_that_is_not_confirmed_may_be_sent(host: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passing, "ANSWER_SECONDS", 0.3)
    process, shown = await account(host), await target(host)
    release = asyncio.Event()

    async def serve(_: web.Request) -> web.StreamResponse:
        await release.wait()
        return web.json_response(None)

    process.serve = serve
    status, content = await post(host, "/notify/ops", shown, "m")
    release.set()
    assert (status, content["state"]) == (200, "unknown")


async def storm(host: Machine, shown: str, texts: list[str]) -> Counter[str]:
    """Send texts concurrently; return the number of answers by their state."""

    async def sent(content: str) -> str:
        status, answer = await post(host, "/notify/ops", shown, content)
        assert (status == 200) == (answer["state"] != "refused")
        return str(answer["state"])

    async with asyncio.timeout(PATIENCE):
        return Counter(await asyncio.gather(*map(sent, texts)))


async def test_a_storm_of_equal_texts_is_two_messages(host: Machine) -> None:
    process, shown = await account(host), await target(host)
    assert await storm(host, shown, ["disk failure"] * 200) == {"delivered": 1, "waiting": 199}
    assert process.sends is not None
    assert [send["content"] for send in process.sends] == ["disk failure"]
    host.app[NOTIFICATIONS].repeats.seconds = 0.0
    host.app[NOTIFICATIONS].repeats.look()
    await until(lambda: len(process.sends or ()) >= 2)
    assert [send["content"] for send in process.sends] == ["disk failure", "disk failure\n(×199)"]


async def test_a_storm_of_different_texts_is_refused_beyond_the_targets_rate(host: Machine) -> None:
    process, shown = await account(host), await target(host)
    began = time.monotonic()
    found = await storm(host, shown, [f"event {number}" for number in range(200)])
    more = time.monotonic() - began  # one a second
    assert process.sends is not None
    assert found == {"delivered": len(process.sends), "refused": 200 - len(process.sends)}
    assert 60 <= len(process.sends) <= 60 + more
    async with host.http.post("/notify/ops", data="one more", headers=bearer(shown)) as answer:
        assert answer.status == 200 or (answer.status, int(answer.headers["Retry-After"]) > 0) == (429, True)


async def test_counts_survive_the_end_of_the_controller(tmp_path: Path) -> None:
    async with Machine(tmp_path) as host:
        process, shown = await account(host), await target(host)
        for _ in range(3):
            assert (await post(host, "/notify/ops", shown, "again", Priority="high"))[0] == 200
        # Once the caller has its answer, the count is on disk.
        assert b'"count": 2' in host.paths.notify_repeats.read_bytes()
        assert process.sends is not None
        assert len(process.sends) == 1
        key = json.loads(host.paths.notify_repeats.read_bytes())["repeats"][0]["key"]
    async with Machine(tmp_path) as host:
        process = await account(host)
        async with asyncio.timeout(PATIENCE):
            while not process.sends:
                host.app[NOTIFICATIONS].repeats.look()
                await asyncio.sleep(0.01)
        [send] = process.sends
        assert (send["content"], send["urgent"], send["idempotency_key"]) == ("again\n(×2)", "1", key)
        await until(lambda: b"again" not in host.paths.notify_repeats.read_bytes())


async def test_only_so_many_texts_are_remembered_for_counting(tmp_path: Path) -> None:
    sent = Counter[str]()

    async def send(_: str, content: str, _urgent: bool, _key: str) -> NotifyVerdict:
        sent[content] += 1
        return NotifyVerdict("delivered")

    repeats = Repeats(tmp_path / "repeats", send, HOUR)
    for number in (*range(REMEMBERED_TEXTS + 1), 0, REMEMBERED_TEXTS):
        await repeats.send("ops", str(number), False)
    assert (sent["0"], sent[str(REMEMBERED_TEXTS)]) == (1, 2)


async def test_counts_that_cannot_be_sent_are_dropped_after_their_time(tmp_path: Path) -> None:
    async def send(*_: object) -> NotifyVerdict:
        return NotifyVerdict(UNKNOWN)

    path, now = tmp_path / "repeats", time.time()
    old, new = (Repeat("ops", text, now - age, 2) for text, age in (("old", KEEP_SECONDS), ("new", KEEP_SECONDS / 2)))
    path.write_text(json.dumps({"repeats": [old.as_json(), new.as_json()]}))
    async with Repeats(path, send).running():
        await until(lambda: b'"old"' not in path.read_bytes())
        assert b'"new"' in path.read_bytes()


@pytest.mark.parametrize(("length", "status"), [(256, 201), (257, 400)])
async def test_peers_of_targets_have_a_limited_length(host: Machine, length: int, status: int) -> None:
    await account(host)
    body: JsonObject = {"name": "ops", "account": "alice", "peer": "x" * length}
    assert (await host.v1("POST", "targets", body, bearer(ROOT_TOKEN)))[0] == status


async def test_targets_are_limited_in_number(host: Machine) -> None:
    await account(host)
    made = [new_target(f"t{number}", "alice", "filehelper", False, "web")[1] for number in range(TARGETS - 1)]
    host.paths.notify_targets.write_bytes(rendered(NotifyTargets({each.name: each for each in made})))
    await target(host)
    body: JsonObject = {"name": "more", "account": "alice", "peer": "filehelper"}
    assert (await host.v1("POST", "targets", body, bearer(ROOT_TOKEN)))[0] == 400


async def test_refused_text_is_not_deduplicated(host: Machine) -> None:
    process, shown = await account(host), await target(host)
    process.send_answer = lambda _: {
        "id": "7",
        "code": -8,
        "state": "refused",
        "detail": "…",
    }
    for _ in range(2):
        assert (await post(host, "/notify/ops", shown, "m"))[0] == 409
    process.send_answer = lambda _: SENT
    assert (await post(host, "/notify/ops", shown, "m"))[1]["state"] == "delivered"
    assert process.sends is not None
    assert len(process.sends) == 1
