"""The driver's way into the account's database."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from wxcontroller.client.store.eventlog import EventLog
from wxcontroller.client.store.tables import drivertables
from wxcontroller.client.store.unsaved import Unsaved
from wxcontroller.core.process.faultpoints import Point
from wxcontroller.drivers.base import Restored


@dataclass(frozen=True, slots=True)
class DriverState:
    """A ``drivers.base.StateStore`` in ``log``'s database. With ``keep`` false nothing is written (keep_cookie=0).

    ``ending`` is the route's suffix (``drivers.Route``): each route has its own position. ``unsaved``: messages that
    the log has not taken.
    """

    log: EventLog
    unsaved: Unsaved
    keep: bool = True
    ending: str = ""

    async def restore(self) -> Restored:
        """See StateStore.restore."""
        if not self.keep:
            return Restored()
        found = await self.log.read(lambda db: drivertables.restored(db, self._name))
        return replace(found, state=await asyncio.to_thread(self.unsaved.restored, found.state))

    async def identities(self) -> Mapping[int, int]:
        """See StateStore.identities."""
        return await self.log.read(drivertables.identities) if self.keep else {}

    @property
    def _name(self) -> str:
        return f"position{self.ending}"

    def learn(self, marks: Mapping[int, int], limit: int) -> None:
        """See StateStore.learn."""
        if self.keep and marks:
            _: asyncio.Future[None] = self.log.write(lambda db: drivertables.learn(db, marks, limit))

    def checkpoint(self, position: bytes | None, seen: Sequence[str], carries: Sequence[str] = ()) -> None:
        """Store a driver's position and the ids it has reported, after the events that were stored before.

        ``carries``: see Checkpoint.
        """
        # Not awaited: the writer keeps the order, so the position cannot be durable without the events before it.
        if self.keep and (position is not None or seen):
            written: asyncio.Future[None] = self.log.write(
                lambda db: drivertables.advance(db, self._name, position, seen), Point.POSITION_STORED, required=True
            )
            self.unsaved.begin(position, carries, written)
