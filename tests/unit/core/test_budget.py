"""What counts for the budget of an account or host."""

import asyncio
import time

import pytest

from wxcontroller.core.budget import HELD_BYTES, Budget, TooMuch


async def test_work_at_the_same_time_counts_once() -> None:
    budget = Budget()

    async def decode() -> None:
        with budget.working():
            await asyncio.sleep(0.1)

    began = time.monotonic()
    await asyncio.gather(*(decode() for _ in range(30)))
    assert 0.4 < budget.pause < 5 * (time.monotonic() - began)


def test_answers_that_are_kept_are_limited_together() -> None:
    budget = Budget()
    with budget.holding() as first, budget.holding() as second:
        first.add(HELD_BYTES - 1)
        second.add(1)
        with pytest.raises(TooMuch):
            second.add(1)
    with budget.holding() as again:
        again.add(HELD_BYTES)
