"""Reading server-sent events as wxcontroller's programs write them: one line of data each."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol


class ByteSource(Protocol):
    """A response's content."""

    async def readany(self) -> bytes:
        """Return the received bytes, b"" at the end."""
        ...


@dataclass(frozen=True, slots=True)
class SentEvent:
    """One event. ``id`` is where a reader may come back to, "" for none."""

    type: str
    data: bytes
    id: str = ""


async def events_in(content: ByteSource, limit: int) -> AsyncIterator[SentEvent]:
    """Yield the events of a stream until it ends. Raises ValueError for one of more than ``limit`` bytes."""
    kind, data, place = "", b"", ""
    buffer = bytearray()
    while piece := await content.readany():
        buffer += piece
        if len(buffer) > limit:
            raise ValueError("an event is too long")
        # Splitting all of it at each piece would take quadratic time for a long line.
        if b"\n" not in piece:
            continue
        *lines, rest = bytes(buffer).split(b"\n")
        buffer = bytearray(rest)
        for line in lines:
            if line.startswith(b"event: "):
                kind = line[7:].decode("ascii", "replace")
            elif line.startswith(b"data: "):
                data = line[6:]
            elif line.startswith(b"id: "):
                place = line[4:].decode("ascii", "replace")
            elif not line and kind:
                yield SentEvent(kind, data, place)
                kind, data, place = "", b"", ""
