"""How long a test waits for something that must happen.

Only a test that fails waits so long, so that a busy machine is no failure. A test that something happens "at once"
makes the alternative take longer than this, an hour for example, and waits for the event like any other.
"""

import asyncio
from collections.abc import Callable

PATIENCE = 60.0


async def until(condition: Callable[[], object]) -> None:
    """Look again and again whether a condition holds, where nothing tells."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)
