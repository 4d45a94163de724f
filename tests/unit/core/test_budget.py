"""What counts for the budget of an account or host."""

import asyncio
import time

from wxcontroller.core.budget import Budget


async def test_work_at_the_same_time_counts_once() -> None:
    budget = Budget()

    async def decode() -> None:
        with budget.working():
            await asyncio.sleep(0.1)

    began = time.monotonic()
    await asyncio.gather(*(decode() for _ in range(30)))
    assert 0.4 < budget.pause < 5 * (time.monotonic() - began)
