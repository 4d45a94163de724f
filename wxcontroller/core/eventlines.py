"""Reading server-sent events as wxcontroller's programs write them: one line of data each."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

_DATA = b"data: "


class ByteSource(Protocol):
    """A response's content."""

    async def readany(self) -> bytes:
        """Return the received bytes, b"" at the end."""
        ...


@dataclass(frozen=True, slots=True)
class SentEvent:
    """One event. ``id`` is where a reader may come back to, "" for none.

    ``omitted``: the size of data that was too long, which are left out.
    """

    type: str
    data: bytes
    id: str = ""
    omitted: int = 0


async def events_in(content: ByteSource, limit: int) -> AsyncIterator[SentEvent]:
    """Yield the events of a stream until it ends, without data of more than ``limit`` bytes.

    Raises ValueError for another line of that length.
    """
    kind, data, place = "", b"", ""
    omitted = 0
    async for line, size in _lines(content, limit):
        if size > limit:
            if not line.startswith(_DATA):
                raise ValueError("a line of an event is too long")
            # A reader that gave up here would meet the same event again.
            data, omitted = b"", size - len(_DATA)
        elif line.startswith(b"event: "):
            kind = line[7:].decode("ascii", "replace")
        elif line.startswith(_DATA):
            data = line[len(_DATA) :]
        elif line.startswith(b"id: "):
            place = line[4:].decode("ascii", "replace")
        elif not line and kind:
            yield SentEvent(kind, data, place, omitted)
            kind, data, place, omitted = "", b"", "", 0


async def _lines(content: ByteSource, limit: int) -> AsyncIterator[tuple[bytes, int]]:
    """Yield complete lines with their sizes; of one of more than ``limit`` bytes only the beginning."""
    buffer = bytearray()
    size = 0
    while piece := await content.readany():
        # Splitting all of it at each piece would take quadratic time for a long line.
        *ends, rest = piece.split(b"\n")
        for end in ends:
            buffer += end[: max(0, limit - len(buffer))]
            yield bytes(buffer), size + len(end)
            buffer, size = bytearray(), 0
        buffer += rest[: max(0, limit - len(buffer))]
        size += len(rest)
