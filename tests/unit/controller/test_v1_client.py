"""/v1/accounts/NAME asks the account's program how it is; whatever that does, there is an answer."""

import asyncio
import json

import pytest

from tests.unit.controller.machine import Machine
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.states import LoginState

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
