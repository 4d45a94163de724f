"""A sandbox for each test, with two accounts of the usual size."""

from collections.abc import AsyncIterator

import pytest

from tests.unit.drivers.kit import Wechat, wechat
from wxcontroller.sandbox.world.phone import ServerAccount


@pytest.fixture
async def world() -> AsyncIterator[Wechat]:
    async with wechat() as running:
        yield running


@pytest.fixture
def alice(world: Wechat) -> ServerAccount:
    return world.sandbox.add_account("Alice")
