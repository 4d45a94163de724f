"""Return freed memory to the kernel.

A login or a burst of messages leaves free pages between blocks that are still in use. The C library keeps them: it
only returns the end of its heap. With hundreds of accounts on a host, each would hold half a MiB for nothing.
"""

import asyncio
import ctypes

# A call takes 0.1 ms, and getting pages back that are needed again takes as long.
_PAUSE_SECONDS = 60.0


async def trim() -> None:
    """Return free pages once a minute until cancelled."""
    library = ctypes.CDLL(None)
    while True:
        await asyncio.sleep(_PAUSE_SECONDS)
        library.malloc_trim(0)
