from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.unit.controller.machine import Machine


@pytest_asyncio.fixture
async def host(tmp_path: Path) -> AsyncIterator[Machine]:
    async with Machine(tmp_path) as made:
        yield made
