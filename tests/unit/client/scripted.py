"""A driver that does what a test tells it, so that the client above it can be looked at by itself."""

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from wxcontroller.core.errors import WeChatError
from wxcontroller.core.model import Contact, Group, Member
from wxcontroller.drivers.base import (
    Accepted,
    DriverContext,
    DriverEvent,
    Emit,
    Ended,
    LoginWay,
    Online,
    Profile,
    RosterLoaded,
    Sent,
)

ME = Contact(id="@me", name="我", uid=4711)
ANN = Contact(id="@ann", name="Ann", markname="安", city="深圳")
BEN = Contact(id="@ben", name="Ben")
TEAM = Group(
    id="@@team", name="", members=(Member("@me", "我"), Member("@ann", "Ann", display="A"), Member("@c", "Cy"))
)


def logged_in(way: LoginWay = LoginWay.SCAN) -> list[DriverEvent]:
    """Events of a login up to running."""
    return [Accepted(way), Profile(ME), RosterLoaded((ANN, BEN), (TEAM,)), Online()]


@dataclass
class ScriptedDriver:
    """Plays events from ``script``; sends end as ``outcomes`` say, in turn, then always well."""

    script: "asyncio.Queue[DriverEvent | Ended | Exception]" = field(default_factory=asyncio.Queue)
    outcomes: list[WeChatError | None] = field(default_factory=list)
    sends: list[tuple[str, str, str]] = field(default_factory=list)
    context: DriverContext | None = None
    cancelled: bool = False
    _ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1000))

    def make(self, context: DriverContext) -> "ScriptedDriver":
        self.context = context
        return self

    def play(self, events: "Sequence[DriverEvent | Ended | Exception]") -> None:
        for event in events:
            self.script.put_nowait(event)

    async def run(self, emit: Emit) -> Ended:
        try:
            while True:
                event = await self.script.get()
                if isinstance(event, Ended):
                    return event
                if isinstance(event, Exception):
                    raise event
                await emit(event)
        except asyncio.CancelledError:
            self.cancelled = True
            raise

    async def send_text(self, to: str, content: str, client_id: str) -> Sent:
        self.sends.append((to, content, client_id))
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if outcome:
            raise outcome
        return Sent(f"77{client_id}")

    def new_client_id(self) -> str:
        return str(next(self._ids))
