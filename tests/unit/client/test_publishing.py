"""The status that an account publishes in its runtime directory, which the controller's lists and metrics read."""

import json

import pytest

from tests.patience import until
from tests.unit.client.conftest import POST_API, RunningClient, Start, running
from tests.unit.client.scripted import message
from tests.unit.client.webhook import Webhook
from wxcontroller.client import publishing
from wxcontroller.core.jsontypes import JsonObject, field, obj


def published(client: RunningClient) -> JsonObject:
    path = client.paths.status_file("alice")
    return obj(json.loads(path.read_bytes())) if path.exists() else {}


async def test_it_is_the_status_without_people(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "_PAUSE_SECONDS", 0.02)
    client = await running(start)

    def lasting(content: JsonObject) -> JsonObject:
        return {key: value for key, value in content.items() if key not in ("memory", "heartbeats", "messages_24h")}

    async def agrees() -> JsonObject:
        content, told = lasting(published(client)), await client.get_v1()
        return content if content and content.items() <= told.items() else {}

    content = await until(agrees)
    assert client.paths.status_file("alice").stat().st_mode & 0o777 == 0o640
    assert field(content["roster"], "contacts")
    # Those of the state file, and of single people.
    assert {"login_state", "status", "windows", "user"}.isdisjoint(content)


async def test_a_busy_account_writes_it_once_in_a_while(
    start: Start, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "_PAUSE_SECONDS", 3600.0)
    client = await running(start, **{POST_API: webhook.address})
    await until(lambda: published(client))
    client.driver.play([message(f"number {number}") for number in range(20)])
    await client.until_v1(lambda told: field(field(told["messages"], "received"), "text") == 20)
    await webhook.messages(20)
    assert field(field(published(client)["messages"], "received"), "text") is None
