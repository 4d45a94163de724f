"""What is queued to be sent, in memory: what waits for its turn, for its content, and for its end to be on disk."""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from wxcontroller.client.sends.job import Job


@dataclass(slots=True)
class Waiting:
    """``line`` are those whose turn will come; ``packing`` those whose content is being found, by their parcel's id.

    ``ending`` have ended, and that is not stored yet: they do not wait any more.
    """

    line: deque[Job] = field(default_factory=deque)
    packing: dict[int, list[Job]] = field(default_factory=dict)
    ending: set[Job] = field(default_factory=set)
    _empty: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._empty.set()

    def __len__(self) -> int:
        return len(self.line) + sum(map(len, self.packing.values()))

    @property
    def all(self) -> list[Job]:
        return [*self.line, *(job for jobs in self.packing.values() for job in jobs)]

    def of(self, request: str) -> list[Job]:
        """Return the messages of a keyed request whose end is not stored."""
        return [job for job in (*self.all, *self.ending) if job.request == request]

    def add(self, job: Job) -> bool:
        """Take a job in; True when its content is still to be found, and nobody is at it yet."""
        self._empty.clear()
        if job.parcel is None or job.parcel.ready:
            self.line.append(job)
            return False
        self.packing.setdefault(job.parcel.id, []).append(job)
        return len(self.packing[job.parcel.id]) == 1

    def packed(self, parcel: int) -> list[Job]:
        """Put those who waited for a parcel into the line, and return them."""
        jobs = self.packing.pop(parcel, [])
        self.line.extend(jobs)
        return jobs

    def to_the_end(self, job: Job) -> None:
        """Put the first in line behind all others."""
        self.line.remove(job)
        self.line.append(job)

    def remove(self, job: Job) -> None:
        """Take out one that has ended."""
        number = job.parcel.id if job.parcel is not None else 0
        if job in self.packing.get(number, ()):
            self.packing[number].remove(job)
            if not self.packing[number]:
                del self.packing[number]
        else:
            self.line.remove(job)
        self.ending.add(job)
        if not len(self):
            self._empty.set()

    async def until_empty(self) -> None:
        await self._empty.wait()
