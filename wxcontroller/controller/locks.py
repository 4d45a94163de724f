"""One lock per account, kept only while in use."""

import asyncio
from weakref import WeakValueDictionary


class Locks:
    """Locks by key. Those who hold or wait for one keep it alive."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def held(self, key: str) -> asyncio.Lock:
        """Return the lock of ``key``, to be held for a block; later callers wait, in order."""
        return self._locks.setdefault(key, asyncio.Lock())
