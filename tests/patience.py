"""How long a test waits for something that must happen.

Only a test that fails waits so long, so that a busy machine is no failure. A test that something happens "at once"
makes the alternative take longer than this, an hour for example, and waits for the event like any other.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")
PATIENCE = 60.0


@overload
async def until(look: Callable[[], Awaitable[T]], fits: Callable[[T], object] = bool) -> T: ...
@overload
async def until(look: Callable[[], T], fits: Callable[[T], object] = bool) -> T: ...
async def until(look: Callable[[], Any], fits: Callable[[Any], object] = bool) -> Any:
    """Look again and again, where nothing tells; return the first value that fits, by default one that is true."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = look()
            if inspect.isawaitable(found):
                found = await found
            if fits(found):
                return found
            await asyncio.sleep(0.01)
