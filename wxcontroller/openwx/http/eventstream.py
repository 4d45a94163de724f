"""Server-sent events (WHATWG HTML, 9.2), and readers that have stopped reading."""

import asyncio
from collections.abc import Awaitable, Mapping

# A reader on a slow line takes something each second; behind one that stopped, events would pile up.
STREAM_STALL_SECONDS = 30.0
HEADERS: Mapping[str, str] = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx must not buffer the stream
}


def event(kind: str, data: bytes = b"{}", place: str = "") -> bytes:
    """Return one event; ``data`` is JSON on one line, ``place`` the id from which a reader can resume."""
    line = b"id: %b\n" % place.encode() if place else b""
    return b"%bevent: %b\ndata: %b\n\n" % (line, kind.encode("ascii", "replace"), data)


HEARTBEAT = event("heartbeat")


async def write(sending: Awaitable[None]) -> None:
    """Send; cut off a reader that reads nothing for STREAM_STALL_SECONDS: it reconnects and resumes where it was.

    Raises ConnectionResetError.
    """
    try:
        async with asyncio.timeout(STREAM_STALL_SECONDS):
            await sending
    except TimeoutError:
        raise ConnectionResetError("the reader takes nothing") from None
