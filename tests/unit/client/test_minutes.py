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
from wxcontroller.core.heartbeats import Heartbeats, Recent, heartbeats_of
from wxcontroller.core.jsontypes import JsonValue, obj
from wxcontroller.core.messages import Text
from wxcontroller.drivers.base import Offline

# A round hour, so that minutes are easy to count.
HOUR = 400_000
MINUTE = HOUR * 60


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
    """Wait until what is published fits."""
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
    client.driver.play([Offline(Text("no route"))])
    clock.now += 60
    await published_by(client, lambda one: one.beats.endswith("norro"))
    await client.stop()

    # Nobody ran for three minutes, and the hour is another one.
    clock.now += 60 * 57 + 3 * 60
    again = start(MOJO_WEIXIN_PLUGIN_OPENWX_POST_API=webhook.address)
    found = await published_by(again, lambda one: one.minute == MINUTE + 63)
    assert found.beats == "n" * 49 + "o"
    assert found.messages == (*(0,) * 22, 3, 0)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, Recent("n" * 47 + "ror", (*(0,) * 22, 5, 7))),
        (60, Recent("n" * 47 + "ror", (*(0,) * 22, 5, 7))),  # this minute is on its way
        (180, Recent("n" * 45 + "roroo", (*(0,) * 22, 5, 7))),  # two that should be there are not
        (3600, Recent("o" * 50, (*(0,) * 21, 5, 7, 0))),
        (-3600, Recent("n" * 47 + "ror", (*(0,) * 22, 5, 7))),  # a clock that was set back
    ],
)
def test_what_is_published_is_shown_as_of_now(seconds: int, expected: Recent) -> None:
    assert Heartbeats(MINUTE, "ror", (5, 7)).at(MINUTE * 60 + seconds) == expected


@pytest.mark.parametrize(
    "content", [None, 7, {}, {"beats": ""}, {"beats": "rx"}, {"beats": "r" * 51}, {"beats": ["r"]}, {"beats": "r\n"}]
)
def test_what_is_none_is_not_taken_for_one(content: JsonValue) -> None:
    assert heartbeats_of(content) is None


def test_numbers_of_any_kind_are_bounded() -> None:
    found = heartbeats_of({"beats": "r", "minute": -1, "messages": [*[1] * 30, "x", None, -5, 1 << 60]})
    assert found is not None
    assert found.minute == 0
    assert len(found.messages) == 24
    assert found.messages[-5:] == (1, 0, 0, 0, 1 << 40)
    assert len(found.at(1e12).messages) == 24
