"""What an account's own program is asked for under /v1; whatever it does, there is an answer."""

import asyncio
import json

import pytest

from tests.unit.controller.machine import Machine
from wxcontroller.core.jsontypes import JsonObject, JsonValue, items, obj
from wxcontroller.core.states import LoginState


async def test_deliveries_are_asked_of_the_account_and_nothing_else_is(host: Machine) -> None:
    await host.start("alice")
    status, seen = await host.v1("GET", "accounts/alice/deliveries?state=dead&after=5")
    assert (status, seen["method"], seen["target"]) == (200, "GET", "/v1/deliveries?state=dead&after=5")
    assert obj(seen["headers"]).keys() == {"Accept", "Host", "User-Agent", "X-Wxcontroller"}
    status, seen = await host.v1("GET", "accounts/alice/deliveries/a-1%2F..%2F..")
    assert seen["target"] == "/v1/deliveries/a-1%2F..%2F.."
    status, seen = await host.v1("POST", "accounts/alice/deliveries/replay", {"state": "dead"})
    assert (seen["method"], seen["target"], seen["size"]) == ("POST", "/v1/deliveries/replay", 17)
    for method, path in (("POST", "deliveries"), ("GET", "status"), ("GET", "never"), ("DELETE", "deliveries/a-1")):
        status, _ = await host.v1(method, f"accounts/alice/{path}")
        assert status in (404, 405), path


async def test_an_account_that_does_not_run_is_not_asked(host: Machine) -> None:
    await host.start("alice")
    await host.v1("POST", "accounts/alice/stop")
    status, answer = await host.v1("GET", "accounts/alice/deliveries")
    assert (status, obj(answer["error"])["code"]) == (409, "not-running")
    for method, path in (("GET", "messages"), ("POST", "messages"), ("GET", "chats"), ("GET", "contacts")):
        status, answer = await host.v1(method, f"accounts/alice/{path}")
        assert (status, obj(answer["error"])["code"]) == (409, "not-running")
        assert "wxctl start alice" in str(obj(answer["error"])["remedy"])
    status, answer = await host.v1("GET", "accounts/nobody/deliveries")
    assert (status, obj(answer["error"])["code"]) == (404, "unknown-account")


async def test_the_numbers_of_all_accounts_with_those_that_do_not_tell(host: Machine) -> None:
    for name in ("alice", "bob"):
        await host.start(name)
    await host.v1("POST", "accounts/bob/stop")
    status, answer = await host.v1("GET", "deliveries")
    alice, bob = (obj(one) for one in items(answer["accounts"]))
    assert (status, alice["account"], alice["pending"], alice["dead"], alice["error"]) == (200, "alice", 3, 1, None)
    assert "secret" not in alice
    assert (bob["account"], bob["pending"]) == ("bob", None)
    assert "is not running" in str(bob["error"])


QUEUE: JsonObject = {"waiting": 3, "sent_today": 118, "daily_limit": 200}


def says(instance: str = "alice", **more: JsonValue) -> bytes:
    return json.dumps(
        {"instance": instance, "version": "1.2", "pid": 7, "queue": QUEUE, "secret": 1, **more}
    ).encode()


async def ask(host: Machine) -> JsonObject:
    status, account = await host.v1("GET", "accounts/alice")
    assert (status, account["name"]) == (200, "alice")
    return account


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (None, "answered 404"),
        (b"<html>", "not a JSON object"),
        (b'{"instance": "alice", "queue": 1e999}', "not a JSON object"),
        (b'{"instance": "alice", "queue": "' + b"x" * 100_000 + b'"}', "not a JSON object"),
        (b"[" * 50_000, "not a JSON object"),
        (b"[1]", "not a JSON object"),
        (says("bob"), "another program answers at its port"),
    ],
)
async def test_a_program_that_is_not_ours(host: Machine, body: bytes | None, reason: str) -> None:
    process = await host.start("alice")
    process.say(LoginState.RUNNING)
    process.status = body
    account = await ask(host)
    assert account["client"] is None
    assert reason in str(account["client_reason"])
    assert "queue" not in account


async def test_a_program_that_does_not_answer(host: Machine) -> None:
    process = await host.start("alice")
    process.status, process.status_gate = says(), asyncio.Event()
    account = await ask(host)
    assert account["client"] is None
    assert "no response" in str(account["client_reason"])
    process.status_gate.set()
    assert (await ask(host))["queue"] == QUEUE
