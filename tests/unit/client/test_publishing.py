"""The status that an account publishes in its runtime directory, which the controller's lists and metrics read."""

import asyncio
import json

import pytest

from tests.patience import until
from tests.unit.client.conftest import POST_API, RunningClient, Start, locked, running
from tests.unit.client.scripted import message
from tests.unit.client.webhook import Webhook
from wxcontroller.client import publishing
from wxcontroller.client.calls.call import Parts
from wxcontroller.client.ilink.agentroutes import ConsumerRoutes
from wxcontroller.client.store.database import writer
from wxcontroller.client.v1.reads.status import shared_status
from wxcontroller.core.jsontypes import JsonObject, JsonValue, field, obj


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


async def test_it_is_written_only_when_something_has_changed(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "_PAUSE_SECONDS", 0.0)
    looks = 0

    def looked(parts: Parts) -> JsonObject:
        nonlocal looks
        looks += 1
        asyncio.get_running_loop().call_later(0.01, parts.log.nudge)
        return shared_status(parts)

    monkeypatch.setattr(publishing, "shared_status", looked)
    client = await running(start)
    path = client.paths.status_file("alice")
    await until(path.exists)

    async def unchanged() -> bool:
        before, number = path.stat().st_ctime_ns, looks
        await until(lambda: looks > number + 5)
        return path.stat().st_ctime_ns == before

    await until(unchanged)


async def test_disk_that_hangs_keeps_only_the_agents_back(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_: ConsumerRoutes) -> JsonValue:
        await asyncio.Event().wait()
        return None

    monkeypatch.setattr(publishing, "_AGENTS_SECONDS", 0.01)
    monkeypatch.setattr(ConsumerRoutes, "shown", never)
    client = await running(start)
    content = await until(lambda: published(client))
    assert (content["consumers"], field(content["reports"], "pending")) == (None, 0)


async def test_a_disk_that_cannot_be_written_is_published_at_once(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(writer, "_BUSY_SECONDS", 0.05)
    client = await running(start)
    await until(lambda: published(client))
    with locked(client.paths.state("alice") / "events.db"):
        client.driver.play([message("kept in memory")])
        await until(lambda: field(published(client)["reports"], "trouble"))
    await until(lambda: published(client), lambda content: not field(content["reports"], "trouble"))
