"""Reading server-sent events as wxcontroller's programs write them: one line of data each."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from wxcontroller.core.budget import PART_BYTES, Budget, ByteSource, Holding

_DATA = b"data: "


@dataclass(frozen=True, slots=True)
class SentEvent:
    """One event. ``id`` is where a reader may come back to, "" for none.

    ``omitted``: the size of data that was too long, which are left out.
    """

    type: str
    data: bytes
    id: str = ""
    omitted: int = 0


async def events_in(content: ByteSource, limit: int, budget: Budget) -> AsyncIterator[SentEvent]:
    """Yield the events of a stream until it ends, without data of more than ``limit`` bytes.

    The work counts for ``budget``; the caller adds its own. Raises ValueError for another line of that length.
    """
    with budget.holding() as holding:
        lines = _EventLines(limit, holding)
        while piece := await content.readany():
            for at in range(0, len(piece), PART_BYTES):
                await budget.wait()
                began = time.perf_counter()
                found = lines.take(piece[at : at + PART_BYTES])
                budget.spend(time.perf_counter() - began)
                for event in found:
                    await budget.wait()
                    yield event


class _EventLines:
    """The received part of a stream."""

    def __init__(self, limit: int, holding: Holding) -> None:
        self._limit, self._holding = limit, holding
        self._line = bytearray()  # the beginning of a line, up to the limit
        self._size = 0  # of that line
        self._kept = 0
        self._clear()

    def _clear(self) -> None:
        self._kind, self._data, self._place, self._omitted = "", b"", "", 0

    def take(self, part: bytes) -> list[SentEvent]:
        """Return the events that end in a part of the stream. Raises ValueError."""
        # Splitting all of it at each part would take quadratic time for a long line.
        *ends, rest = part.split(b"\n")
        found: list[SentEvent] = []
        for end in ends:
            self._add(end)
            if self._line or self._size:
                self._end_line(bytes(self._line))
            elif self._kind:
                found.append(SentEvent(self._kind, self._data, self._place, self._omitted))
                self._clear()
            self._line, self._size = bytearray(), 0
        self._add(rest)
        return found

    def _add(self, data: bytes) -> None:
        self._line += data[: max(0, self._limit - len(self._line))]
        self._size += len(data)
        # The data of the event before is one more copy.
        if len(self._line) > self._kept:
            self._holding.add(len(self._line) - self._kept)
            self._kept = len(self._line)

    def _end_line(self, line: bytes) -> None:
        if self._size > self._limit:
            if not line.startswith(_DATA):
                raise ValueError("a line of an event is too long")
            # A reader that gave up here would meet the same event again.
            self._data, self._omitted = b"", self._size - len(_DATA)
        elif line.startswith(b"event: "):
            self._kind = line[7:].decode("ascii", "replace")
        elif line.startswith(_DATA):
            self._data = line[len(_DATA) :]
        elif line.startswith(b"id: "):
            self._place = line[4:].decode("ascii", "replace")
