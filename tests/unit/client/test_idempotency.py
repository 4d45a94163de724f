"""Requests with an Idempotency-Key: executed once, with the same response each time."""

import asyncio
import sqlite3
from collections.abc import Mapping

import pytest

from tests.patience import until
from tests.unit.client.conftest import POST_API, RunningClient, Start, Webhook, running
from tests.unit.client.scripted import message
from wxcontroller.client.sends.idempotency import fingerprint_of
from wxcontroller.client.sends.model.send import Request
from wxcontroller.client.store.eventlog import EventLog
from wxcontroller.client.store.sendstore import LeftoverSends, SendStore
from wxcontroller.core.errors import WeChatError
from wxcontroller.core.jsontypes import JsonObject, items, obj

SLOW = {"MOJO_WEIXIN_SEND_INTERVAL": "60"}
KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"
Form = Mapping[str, str]
ANN = {"id": "@ann", "content": "hi"}


async def ask(
    client: RunningClient, form: Form, call: str = "send_friend_message", key: str = KEY, data: bytes = b""
) -> tuple[int, JsonObject]:
    status, answer = await client.call(call, form, data, key=key)
    return status, obj(answer)


async def test_repeated_send_is_one_message_with_one_result(start: Start, webhook: Webhook) -> None:
    client = await running(start, **{POST_API: webhook.address})
    first = await ask(client, ANN)
    assert first == (200, {"id": "771000:@ann", "code": 0, "status": "success"})
    assert await ask(client, ANN) == first
    # The key may be quoted, as in the draft, or a parameter, also with GET.
    assert await ask(client, ANN, key=f'"{KEY}"') == first
    assert obj(await client.get("send_friend_message", idempotency_key=KEY, **ANN)) == first[1]
    assert (await ask(client, ANN, key="another"))[1]["id"] == "771001:@ann"
    assert len(client.driver.sends) == 2
    assert len(await webhook.messages(2)) == 2


async def test_a_key_that_came_with_another_request_is_refused(client: RunningClient) -> None:
    await ask(client, ANN)
    for call, form in (
        ("send_friend_message", {**ANN, "content": "ho"}),
        ("send_friend_message", {**ANN, "id": "@ben"}),
        ("send_friend_message", {**ANN, "async": "1"}),
        ("send_group_message", {"id": "@@team", "content": "hi"}),
        ("consult", ANN),
        ("upload_media", {"media_id": "@x:3"}),
    ):
        status, answer = await ask(client, form, call)
        assert (status, answer["code"], answer["id"]) == (422, -9, None), (call, form)
        assert "needs a new key" in str(answer["status"])
    assert len(client.driver.sends) == 1
    assert (await ask(client, ANN))[1]["code"] == 0


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ({"content": "hi", "id": "@ann"}, True),
        ({**ANN, "client": "alice", "token": "x", "datatype": "jsonp", "callback": "f"}, True),
        ({"content": "hiid@ann"}, False),
        ({**ANN, "media_name": ""}, False),
    ],
)
def test_what_makes_a_request_another_one(other: Form, same: bool) -> None:
    assert (fingerprint_of("consult", other, b"") == fingerprint_of("consult", ANN, b"")) is same


async def test_a_repeated_consult_returns_the_reply_that_came_in_between(start: Start) -> None:
    client = await running(start)
    asked = asyncio.create_task(ask(client, ANN, "consult"))
    await until(lambda: client.driver.sends)
    await client.until_queued(0)
    await client.stop()
    await asyncio.wait({asked})
    asked.exception()  # its connection has ended
    client = await running(start)
    client.driver.play([message("not she", sender="@ben", chat="@ben"), message("yes", id="42")])
    await until(lambda: client.get("check_event"), lambda events: "yes" in str(events))
    expected = {"id": "42", "reply": "yes", "code": 0, "status": "success"}
    assert await ask(client, {**ANN, "content": "hi"}, "consult") == (200, expected)
    assert client.driver.sends == []


async def test_failures_uploads_and_sends_without_a_result_are_done_once(start: Start, webhook: Webhook) -> None:
    client = await running(start, **{POST_API: webhook.address})
    png = b"\x89PNG\r\n\x1a\n" + bytes(100)
    client.driver.outcomes = [WeChatError("not a friend", ret=1204)]
    for _ in range(2):
        assert (await ask(client, ANN, key="failed"))[1]["code"] == 1204
        answer = (await ask(client, {**ANN, "async": "1"}, key="async"))[1]
        assert answer == {"code": 0, "status": "request already in execution"}
        assert (await ask(client, {"id": "@all", "content": "hi"}, key="all"))[1]["id"] == 0
        assert (await ask(client, ANN, key="both", data=png))[1]["media_id"] == "@up1:3"
        assert (await ask(client, {"id": "@ann", "media_path": "/etc/passwd"}, key="refused"))[1]["code"] == -1
        assert (await ask(client, {}, "upload_media", key="upload", data=png))[1]["media_id"] == "@up2:3"
    assert (await ask(client, ANN, key="both", data=png + b"x"))[0] == 422
    await webhook.until_sends(8)
    assert len(client.driver.sends) == 1 + 1 + 3 + 1
    assert (len(client.driver.media_sends), len(client.driver.uploads)) == (1, 2)


async def test_failure_of_a_piece_is_the_result_of_a_repetition(start: Start) -> None:
    client = await running(start)
    client.driver.outcomes = [None, WeChatError("not a friend", ret=1204), None]
    long = {"id": "@ann", "content": "a" * 4500}
    first = await ask(client, long)
    assert first[1]["code"] == 1204
    assert len(client.driver.sends) == 3
    assert await ask(client, long) == first
    await client.stop()
    again = start()
    await again.until_state("loading")
    assert await ask(again, long) == first


async def test_keys_are_forgotten_but_not_those_of_waiting_sends(start: Start) -> None:
    client = await running(start, **SLOW)
    for number in range(3):
        await ask(client, {**ANN, "async": "1"}, key=f"k{number}")  # the first is sent, the others wait
    await client.stop()
    path = client.paths.state("alice") / "events.db"
    with sqlite3.connect(path) as db:
        db.execute("UPDATE requests SET time = time - 100")
    log = EventLog(path)
    log.open()
    store = SendStore(log, "web")
    assert (await store.sweep(1000), await store.sweep(50)) == (0, 1)
    for number in range(3):
        await store.keep(Request(f"n{number}", "f", "upload_media", {"code": 0}))
    assert await SendStore(log, "web", most_requests=3).sweep(1000) == 2
    kept = [key for key in ("k0", "k1", "k2", "n0", "n1", "n2") if await store.request(key) is not None]
    assert kept == ["k1", "k2", "n2"]
    await log.close(2)


async def test_invalid_keys_are_refused(client: RunningClient) -> None:
    for headers, parameter in (
        ({"Idempotency-Key": "a"}, {"idempotency_key": "b"}),
        ({"Idempotency-Key": "k" * 256}, {}),
        ({}, {"idempotency_key": "ключ"}),
    ):
        url = client.address("send_friend_message")
        async with client.http.get(url, params={**ANN, **parameter}, headers=headers) as answer:
            found = await answer.json()
        assert (found["code"], "Idempotency-Key" in found["status"]) == (-1, True), (headers, parameter)
    assert client.driver.sends == []


async def test_repeated_request_waits_for_the_first(start: Start) -> None:
    client = start()
    client.driver.send_gate = asyncio.Event()
    await client.login()
    callers = [asyncio.create_task(ask(client, ANN)) for _ in range(20)]
    await client.until_queued(1)
    other = await ask(client, {**ANN, "content": "ho"})
    assert other[0] == 422
    first, *others = callers
    first.cancel()
    await asyncio.wait([first])
    await client.get("get_client_info")  # by then the account has noticed, too
    client.driver.send_gate.set()
    answers = [await one for one in others]
    assert answers == [(200, {"id": "771000:@ann", "code": 0, "status": "success"})] * 19
    assert len(client.driver.sends) == 1


async def test_key_is_known_after_a_restart(start: Start) -> None:
    client = await running(start, **SLOW)
    first = await ask(client, ANN)
    waiting = asyncio.create_task(ask(client, ANN, key="k2"))
    await client.until_queued(1)
    await client.stop()
    assert (await waiting)[1]["code"] == -7
    again = start()
    await again.until_state("loading")
    assert await ask(again, ANN) == first  # without a login
    second = asyncio.create_task(ask(again, ANN, key="k2"))
    await again.login()
    assert (await second)[1] == {"id": "771001:@ann", "code": 0, "status": "success"}
    assert [content_id for _, _, content_id in again.driver.sends] == ["1001"]
    status, _ = await ask(again, {**ANN, "content": "ho"})
    assert status == 422


async def test_reply_to_a_repeated_report_is_sent_once(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address}, WXCLIENT_MEDIA_PRIVATE_URLS="1")
    webhook.answer = lambda report: (
        b'{"reply":"hello","media":"http://127.0.0.1:1/a.png"}' if report["post_type"] == "receive_message" else b"{}"
    )
    await client.login()
    client.driver.play([message("hi", id="m1")])
    await webhook.messages(3)
    await client.stop()
    path = client.paths.state("alice") / "events.db"
    with sqlite3.connect(path) as db:
        assert db.execute("UPDATE events SET state = 'pending' WHERE key = 'm1'").rowcount == 1
    again = await running(start, **{POST_API: webhook.address}, WXCLIENT_MEDIA_PRIVATE_URLS="1")
    again.driver.play([message("ho", id="m2")])
    got = await webhook.messages(7)
    assert [(r["content"], r.get("from")) for r in got if r["format"] == "text"] == [
        ("hi", None),
        ("hello", "code"),
        ("hi", None),
        ("ho", None),
        ("hello", "code"),
    ]
    assert len(again.driver.sends) == 1


async def test_reply_to_a_replayed_report_does_not_count(start: Start, webhook: Webhook) -> None:
    client = await running(start, **{POST_API: webhook.address})
    webhook.answer = lambda report: b'{"reply":"hello"}' if report["post_type"] == "receive_message" else b"{}"
    client.driver.play([message("hi", id="m1")])
    await webhook.messages(2)
    _, page = await client.v1("GET", "events?types=friend_message")
    assert (await client.v1("POST", "deliveries/replay", {"ids": [obj(items(page["events"])[0])["id"]]}))[0] == 200
    await webhook.messages(3)
    assert obj(await client.get("send_friend_message", id="@ann", content="next"))["code"] == 0
    assert [text for _, text, _ in client.driver.sends] == ["hello", "next"]
    assert obj((await client.get_v1())["queue"])["sent_today"] == 2


async def test_keys_are_loaded_before_the_queue(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await running(start, **SLOW)
    await ask(client, ANN)
    waiting = asyncio.create_task(ask(client, ANN, key="k2"))
    await client.until_queued(1)
    await client.stop()
    await waiting
    gate, left = asyncio.Event(), SendStore.left

    def later(store: SendStore, adopted: int) -> "asyncio.Future[LeftoverSends]":
        found = left(store, adopted)

        async def gated() -> LeftoverSends:
            await gate.wait()
            return await found

        return asyncio.ensure_future(gated())

    monkeypatch.setattr(SendStore, "left", later)
    again = start()
    await again.until_state("loading")
    second = asyncio.create_task(ask(again, ANN, key="k2"))
    await again.login()
    done, _ = await asyncio.wait({second}, timeout=0.3)
    assert not done  # nobody can say yet how it ended
    gate.set()
    assert (await second)[1]["code"] == 0
