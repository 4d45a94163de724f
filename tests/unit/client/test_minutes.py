"""Minutes and hours that an account publishes next to its state file."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.patience import PATIENCE
from tests.unit.client.conftest import RunningClient, Start, Webhook
from tests.unit.client.scripted import message
from wxcontroller.client import minutes
from wxcontroller.client.deliveries import published
from wxcontroller.core.heartbeats import Heartbeats, heartbeats_of
from wxcontroller.core.jsontypes import obj
from wxcontroller.core.messages import Text
from wxcontroller.drivers.base import Offline

# A round hour, so that minutes are easy to count.
MINUTE = 400_000 * 60


@dataclass
class Clock:
    """The time that the account takes its minutes from; those of a test pass as soon as it says so."""

    now: float = MINUTE * 60.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(minutes, "time", made)
    monkeypatch.setattr(minutes, "seconds_until", lambda *_: 0.01)
    monkeypatch.setattr(published, "_PAUSE_SECONDS", 0.01)
    return made


async def published_by(client: RunningClient, fits: Callable[[Heartbeats], bool]) -> Heartbeats:
    path = client.paths.deliveries_file("alice")
    async with asyncio.timeout(PATIENCE):
        while True:
            content = obj(json.loads(path.read_bytes())) if path.exists() else {}
            found = heartbeats_of(content.get("heartbeats"))
            if found is not None and fits(found):
                return found
            await asyncio.sleep(0.01)


async def test_minutes_and_messages_outlive_a_restart(start: Start, webhook: Webhook, clock: Clock) -> None:
    client = start(MOJO_WEIXIN_PLUGIN_OPENWX_POST_API=webhook.address)
    await client.until_state("loading")
    await published_by(client, lambda one: one.beats.endswith("no"))
    clock.now += 60
    await client.login()
    await published_by(client, lambda one: one.beats.endswith("nor"))
    client.driver.play([message("one"), message("two")])
    await client.get("send_friend_message", id="@ann", content="three")
    await webhook.messages(3)
    clock.now += 60
    await published_by(client, lambda one: one.beats.endswith("norr") and one.messages[-1] == 3)
    assert (await client.told())["messages_24h"] == 3
    client.driver.play([Offline(Text("no route"))])
    clock.now += 60
    await published_by(client, lambda one: one.beats.endswith("norro"))
    await client.stop()

    # Stopped for three minutes; another hour has begun.
    clock.now += 60 * 57 + 3 * 60
    again = start(MOJO_WEIXIN_PLUGIN_OPENWX_POST_API=webhook.address)
    found = await published_by(again, lambda one: one.minute == MINUTE + 63)
    assert found.beats == "n" * 49 + "o"
    assert found.messages == (*(0,) * 22, 3, 0)
