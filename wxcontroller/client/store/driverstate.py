"""The driver's way into the account's database."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from wxcontroller.client.store import state
from wxcontroller.client.store.eventlog import EventLog
from wxcontroller.client.store.unsaved import Unsaved
from wxcontroller.client.store.writer import Unavailable
from wxcontroller.core.faultpoints import Point
from wxcontroller.core.messages import N_, Text
from wxcontroller.drivers.base import Restored

# The driver retries, and reports meanwhile why it does not log in.
_IMPORT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class DriverState:
    """A ``drivers.base.StateStore`` in ``log``'s database. With ``keep`` false nothing is written (keep_cookie=0).

    ``imported`` is set when no data of an earlier version is left to import. ``ending`` is the route's suffix
    (``drivers.Route``): each route has its own position. ``unsaved``: messages that the log has not taken.
    """

    log: EventLog
    imported: asyncio.Event
    unsaved: Unsaved
    keep: bool = True
    ending: str = ""

    async def restore(self) -> Restored:
        """See StateStore.restore."""
        await self._imported()
        if not self.keep:
            return Restored()
        found = await self.log.read(lambda db: state.restored(db, self._name))
        return replace(found, state=await asyncio.to_thread(self.unsaved.restored, found.state))

    async def identities(self) -> Mapping[int, int]:
        """See StateStore.identities."""
        await self._imported()
        return await self.log.read(state.identities) if self.keep else {}

    @property
    def _name(self) -> str:
        return f"position{self.ending}"

    async def _imported(self) -> None:
        try:
            async with asyncio.timeout(_IMPORT_SECONDS):
                await self.imported.wait()
        except TimeoutError:
            why = self.log.trouble or Text("the disk is slow")
            raise Unavailable(
                N_("the event log cannot be written: {why}"), N_("check the account's disk"), why=why
            ) from None

    def learn(self, marks: Mapping[int, int], limit: int) -> None:
        """See StateStore.learn."""
        if self.keep and marks:
            _: asyncio.Future[None] = self.log.write(lambda db: state.learn(db, marks, limit))

    def checkpoint(self, position: bytes | None, seen: Sequence[str], carries: Sequence[str] = ()) -> None:
        """Store a driver's position and the ids it has reported, after the events that were stored before.

        ``carries``: see Checkpoint.
        """
        # Not awaited: the writer keeps the order, so the position cannot be durable without the events before it.
        if self.keep and (position is not None or seen):
            written: asyncio.Future[None] = self.log.write(
                lambda db: state.advance(db, self._name, position, seen), Point.POSITION_STORED, required=True
            )
            self.unsaved.begin(position, carries, written)
