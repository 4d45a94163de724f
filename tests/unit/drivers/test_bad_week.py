"""Whatever can go wrong with the line and with WeChat, by chance, over many restarts: each message once, in order."""

import asyncio
import random

import pytest

from tests.unit.drivers.kit import Store, Wechat
from wxcontroller.drivers.base import QrReady, SessionLost
from wxcontroller.sandbox.account import ServerAccount
from wxcontroller.sandbox.faults import FaultKind

MESSAGES = 250
ENDPOINTS = (
    "synccheck",
    "webwxsync",
    "webwxbatchgetcontact",
    "webwxgetcontact",
    "webwxinit",
    "webwxstatusnotify",
    "*",
)


def trouble(chance: random.Random) -> tuple[FaultKind, str | float | None]:
    """Something that ends no session."""
    kinds: tuple[tuple[FaultKind, str | float | None], ...] = (
        (FaultKind.RESET, None),
        (FaultKind.RESET, "after"),
        (FaultKind.DROP, 0.2),
        (FaultKind.DROP, "after"),
        (FaultKind.DELAY, 0.3),
        (FaultKind.TRUNCATE, chance.randint(0, 300)),
        (FaultKind.SHORT, chance.randint(0, 300)),
        (FaultKind.STATUS, chance.choice((0, 204, 404, 502, 503))),
        (FaultKind.GARBAGE, None),
        (FaultKind.RETCODE, -1),
    )
    return chance.choice(kinds)


@pytest.mark.parametrize("seed", [1, 2])
async def test_nothing_is_lost_and_nothing_told_twice(world: Wechat, alice: ServerAccount, seed: int) -> None:
    chance, store, number = random.Random(seed), Store(), 0
    async with world.drive(store) as drive:
        await world.enter(drive, alice)
    told: list[str] = []
    while number < MESSAGES:
        async with world.drive(store) as drive:
            for _ in range(chance.randint(5, 60)):
                if chance.random() < 0.3:
                    kind, value = trouble(chance)
                    world.fault(chance.choice(ENDPOINTS), kind, value, chance.randint(1, 3))
                for _ in range(chance.randint(0, 4)):
                    world.hear(alice, str(number))
                    number += 1
                await asyncio.sleep(chance.uniform(0, 0.08))
            await drive.stop()
        told += drive.texts()
        assert drive.count(QrReady) + drive.count(SessionLost) == 0
        world.sandbox.faults.all.clear()
    async with world.drive(store) as drive:
        world.hear(alice, "the end")
        await drive.text("the end")
    assert told + drive.texts() == [*map(str, range(number)), "the end"]
