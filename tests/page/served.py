"""A controller with real files and sockets whose accounts are what a test says; only systemd is a stand-in.

See tests/unit/controller/machine.py. No host has to boot.
"""

import contextlib
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from tests.i18n import compiled
from tests.inthread import InThread, in_thread
from tests.unit.controller.machine import Machine, reports_of
from wxcontroller.core.condition.deliverystate import DeliveryState
from wxcontroller.core.heartbeats import Heartbeats
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.states import LoginState


class Served(InThread[Machine]):
    """A controller in a thread of its own."""

    @property
    def machine(self) -> Machine:
        return self.entered

    def account(
        self,
        name: str,
        state: LoginState | None,
        driver: str = "ilink",
        beats: str = "r" * 50,
        hours: Sequence[int] = range(24),
        /,
        **more: JsonValue,
    ) -> None:
        """Add an account that reports ``state``; None: one that is stopped.

        ``beats`` are its last minutes, ``hours`` its messages in each of the last hours.
        """
        _, added = self.run(self.machine.v1("POST", "accounts", {"name": name, "options": {"driver": driver}}))
        assert added["name"] == name
        if state is None:
            return
        status, _ = self.run(self.machine.v1("POST", f"accounts/{name}/start"))
        assert status == 200
        process = self.machine.process(name)
        words: JsonObject = {"user": {"id": f"u-{name}", "name": f"小{name}"}, **more}
        process.say(state, **words)
        self.publish(name, DeliveryState(), beats, hours)

    def publish(
        self, name: str, deliveries: DeliveryState, beats: str = "r" * 50, hours: Sequence[int] = range(24)
    ) -> None:
        """Have the account publish these deliveries, and its last minutes and hours with them."""
        # A minute ahead, so that it is still the present one at the end of the test.
        heartbeats = Heartbeats(int(time.time() // 60) + 30, beats, tuple(hours))
        self.machine.process(name).publish(reports=reports_of(deliveries), heartbeats=heartbeats.as_json())


@contextlib.contextmanager
def serving(place: Path) -> Iterator[Served]:
    """Serve a controller without accounts."""

    @contextlib.asynccontextmanager
    async def alone() -> AsyncIterator[list[Machine]]:
        async with Machine(place) as machine:
            machine.answered_by_others = ("/v1/accounts/",)  # a test has accounts say what it needs
            yield [machine]

    with serving_hosts(alone()) as [one]:
        yield one


@contextlib.contextmanager
def serving_hosts(hosts: AbstractAsyncContextManager[Sequence[Machine]]) -> Iterator[list[Served]]:
    """Serve controllers, all in one thread."""
    compiled()
    with in_thread(hosts) as running:
        yield [Served(machine, running.loop) for machine in running.entered]
