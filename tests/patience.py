"""How long a test waits for something that must happen.

It is long, so that a busy machine causes no failure; only a failing test waits so long. A test that something happens
"at once" makes the alternative take longer, for example an hour, and waits for the event like any other.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")
PATIENCE = 120.0


@overload
async def until(look: Callable[[], Awaitable[T]], fits: Callable[[T], object] = bool) -> T: ...
@overload
async def until(look: Callable[[], T], fits: Callable[[T], object] = bool) -> T: ...
async def until(look: Callable[[], Any], fits: Callable[[Any], object] = bool) -> Any:
    """Poll where there is no event to await; return the first value that fits, by default a true one."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = look()
            if inspect.isawaitable(found):
                found = await found
            if fits(found):
                return found
            await asyncio.sleep(0.01)
