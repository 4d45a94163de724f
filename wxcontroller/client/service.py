"""The life of an account's process, in phases: open the store, take up what is left, connect the parts, listen, be
ready, drive, drain, close.

No phase before READY waits for the disk or for WeChat: the API answers from the first moment, and reports what the
process waits for. A stop ends the phase *drive*, at once if it was requested earlier. Then queued sends go out, the
driver ends, the last reports are delivered, and the store is closed while the API still answers.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wxcontroller.client import memory
from wxcontroller.client.callertasks import Tasks
from wxcontroller.client.calls.call import Parts
from wxcontroller.client.config import ClientConfig
from wxcontroller.client.configured import facts_of, pacer_of, policy_of, receiver_of, route_policy_of
from wxcontroller.client.deliveries.delivery import Delivery
from wxcontroller.client.deliveries.lanes import QUICK_RETRIES
from wxcontroller.client.drain import Drain
from wxcontroller.client.ilink.agentroutes import ConsumerRoutes
from wxcontroller.client.incoming.arrivals import Incoming
from wxcontroller.client.incoming.checkevent import EventRing
from wxcontroller.client.incoming.consult import Consults
from wxcontroller.client.incoming.lastingids import Directory
from wxcontroller.client.incoming.mediafetcher import MediaFetcher
from wxcontroller.client.incoming.quotes import Quotes
from wxcontroller.client.incoming.reporting import reporter_of
from wxcontroller.client.incoming.resuming import Resuming
from wxcontroller.client.incoming.roster import Roster
from wxcontroller.client.login.driverevents import Logins, RunningElsewhere
from wxcontroller.client.login.minutemarks import Minutes
from wxcontroller.client.login.pollheartbeat import Heartbeat
from wxcontroller.client.login.publicfiles import PublicFiles
from wxcontroller.client.login.session import Session
from wxcontroller.client.openwxapi import application
from wxcontroller.client.port import listening
from wxcontroller.client.portguard import Guard
from wxcontroller.client.publishing import Publisher
from wxcontroller.client.retention import Keeping
from wxcontroller.client.sends.acceptance import Sending
from wxcontroller.client.sends.content.preparing import MediaPreparer
from wxcontroller.client.sends.content.webhookreplies import Replies
from wxcontroller.client.sends.idempotency import Requests
from wxcontroller.client.sends.queue import SendQueue
from wxcontroller.client.sends.rules.sendbackoff import BackoffPolicy, SendBackoff
from wxcontroller.client.sends.sender import Sender
from wxcontroller.client.store.database.lock import locked_state
from wxcontroller.client.store.database.privatefiles import FileStore
from wxcontroller.client.store.driverstate import DriverState
from wxcontroller.client.store.eventlog import EventLog, Held
from wxcontroller.client.store.mediaids import MediaIndex
from wxcontroller.client.store.sendstore import LeftoverSends, SendStore
from wxcontroller.client.store.unsaved import Unsaved
from wxcontroller.core.files.atomic import remove_unfinished
from wxcontroller.core.net.trustedservers import client_context
from wxcontroller.core.paths import STATUS_FILE, Paths
from wxcontroller.core.process.faultpoints import Phase, reached
from wxcontroller.core.process.notify import Notifier
from wxcontroller.core.process.watchdog import Deadlines, Watchdog
from wxcontroller.core.registry.loginbook import holder
from wxcontroller.core.states import LoginState
from wxcontroller.core.text.templates import Text
from wxcontroller.drivers import ROUTES
from wxcontroller.drivers.base import DriverContext, DriverFactory, Ended, EndReason

if TYPE_CHECKING:
    from wxcontroller.client.login.permit import HostPermit

# Reports of the stop itself get this long; without queued sends the whole stop stays below 5 s.
FLUSH_SECONDS = 2.5
# The last events, onto a disk that may be slow.
STORE_SECONDS = 1.0
# A parked account only answers requests; the watchdog (WatchdogSec=90) still has to be fed.
PARKED_PULSE_SECONDS = 20.0
# Messages are lost: the unit fails, which raises an alert (EX_IOERR).
_LOST = 74
DEFAULT_AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"
)


@dataclass(frozen=True, slots=True)
class OpenStore:
    """An account's data on its disk, opened. ``session`` and ``decisions`` are files of the driver."""

    events: EventLog
    sends: SendStore
    unsaved: Unsaved
    driver: DriverState
    session: FileStore
    decisions: FileStore

    async def close(self) -> bool:
        """Write the rest; return whether no message is lost."""
        await self.events.close(STORE_SECONDS)
        return await self.unsaved.keep()


@dataclass(frozen=True, slots=True)
class Connected:
    """The connected parts: those that calls use, and those that only run. ``works`` run until they are cancelled."""

    parts: Parts
    guard: Guard
    consumers: ConsumerRoutes
    logins: Logins
    works: tuple[Callable[[], Coroutine[object, object, None]], ...]


@dataclass(slots=True)
class Client:
    """An account's process. ``run`` is its life; the other methods are the phases."""

    config: ClientConfig
    make_driver: DriverFactory
    backoff: BackoffPolicy = BackoffPolicy()
    quick_retries: tuple[float, ...] = QUICK_RETRIES
    paths: Paths = field(default_factory=Paths)
    permit: "HostPermit | None" = None
    _notifier: Notifier = field(default_factory=Notifier, init=False)
    _deadlines: Deadlines = field(default_factory=Deadlines, init=False)

    async def run(self, stopping: asyncio.Event) -> int:
        """Run until ``stopping`` is set; return the exit code.

        Raises CannotListen without the socket of the API, and StateInUse while another process runs the account.
        """
        private, instance = self.config.cookie_path.parent, self.config.name.instance
        with locked_state(private, instance), contextlib.closing(PublicFiles()) as files:
            files.write(self.config.pid_path, f"{os.getpid()}\n".encode())
            # Closed after the store, which still answers calls that wait for the disk.
            async with contextlib.AsyncExitStack() as listener:
                store = await self._open(private)
                reached(Phase.OPENED)
                try:
                    # Before this process writes anything.
                    left, held = store.sends.left(self.config.adopted), store.events.held()
                    reached(Phase.TAKEN_UP)
                    connected = self._connect(store, left, held, files, stopping)
                    reached(Phase.CONNECTED)
                    app = application(connected.parts, connected.guard, connected.consumers)
                    note = connected.parts.session.note_port
                    await listener.enter_async_context(listening(app, self.config, connected.guard, note))
                    reached(Phase.LISTENING)
                    self._notifier.ready()
                    reached(Phase.READY)
                    await self._work(connected, stopping)
                finally:
                    # Last, because everything above may still write.
                    is_lost = not await store.close()
                    reached(Phase.CLOSED)
                    files.remove(self.config.pid_path)
        return (self.permit.exit_code if self.permit else 0) or (_LOST if is_lost else 0)

    @property
    def _adopter(self) -> str:
        return self.permit.adopter if self.permit else ""

    async def _open(self, private: Path) -> OpenStore:
        config = self.config
        # Before anything is fetched: afterwards an unfinished file may be one that is being written.
        await asyncio.to_thread(remove_unfinished, private)
        route, keep = ROUTES[config.options["driver"]], config.flag("keep_cookie")
        session = FileStore(route.session_file(config.cookie_path), keep)
        session.forget_once(config.logged_out, FileStore(private / "logged_out"))
        events, unsaved = EventLog(private / "events.db", self._deadlines, epoch=config.epoch), Unsaved(private)
        sends = SendStore(events, config.options["driver"], config.limits.idempotency_keys)
        events.open()
        driver, decisions = DriverState(events, unsaved, keep, route.ending), FileStore(private / "decisions.json")
        return OpenStore(events, sends, unsaved, driver, session, decisions)

    def _connect(
        self,
        store: OpenStore,
        left: "asyncio.Future[LeftoverSends]",
        held: "asyncio.Future[list[Held]]",
        files: PublicFiles,
        stopping: asyncio.Event,
    ) -> Connected:
        """Make all parts, each from those before it."""
        config, events, deadlines, limits = self.config, store.events, self._deadlines, self.config.limits
        instance, agent = config.name.instance, config.options["http_agent"] or DEFAULT_AGENT
        tls = client_context(config.options["ca_file"])
        options = {name: config.options[name] for name in ROUTES[config.options["driver"]].options}
        driver = self.make_driver(
            DriverContext(
                *(config.name.name, options, store.session, store.driver, deadlines, limits),
                store.decisions,
                holder(self.paths, instance),
                self.permit.fence if self.permit else None,
            )
        )
        roster, tasks, consults, facts = Roster(), Tasks(), Consults(), facts_of(config)
        media_index, fetcher = MediaIndex(events), MediaFetcher(config, driver)
        ring = EventRing(config.number("check_event_list_max_size"), limits.check_event_media_bytes)
        reporter = reporter_of(config, events, ring)
        watchdog = Watchdog(self._notifier, deadlines)
        session = Session(config, facts, roster, self._notifier, watchdog, reporter, store.driver, files)
        running = session.running.is_set
        preparer = MediaPreparer(config, agent, media_index, store.sends.reported_files, deadlines)
        with_data = config.flag("plugin_openwx_post_media_data")
        report_bytes = limits.report_media_bytes if with_data else 0
        sender = Sender(driver, roster, reporter, media_index, report_bytes, deadlines)
        pacer, backoff = pacer_of(config, driver.capabilities.window), SendBackoff(self.backoff)
        policy, most = (
            route_policy_of(config, driver.capabilities, session.note_limits),
            config.number("send_queue_max"),
        )
        sends = SendQueue(pacer, sender, preparer, store.sends, tasks, backoff, policy, most)
        sending = Sending(sends, driver)
        receiver, retries = receiver_of(config, agent, tls), policy_of(config, self.quick_retries)
        delivery = Delivery(receiver, retries, events, Replies(roster, sending.reply).answered, deadlines)
        incoming = Incoming(config, roster, reporter, consults, fetcher, media_index, Quotes(events))
        minutes = Minutes(instance, events, running)
        guard = Guard(instance, self.paths, files, limits.token_failures)
        heartbeat = Heartbeat(config, agent, guard.headers, running, deadlines, tls)
        parts = Parts(
            config=config,
            facts=facts,
            session=session,
            roster=roster,
            minutes=minutes,
            sends=sends,
            events=ring,
            log=events,
            delivery=delivery,
            reporter=reporter,
            driver=driver,
            media=preparer,
            fetcher=fetcher,
            request_stop=stopping.set,
            requests=Requests(store.sends, tasks),
            tasks=tasks,
            sending=sending,
            directory=Directory(roster),
            consults=consults,
        )
        status_file, consumers = config.state_path.with_name(STATUS_FILE), ConsumerRoutes(parts)
        return Connected(
            parts,
            guard,
            consumers,
            Logins(session, sends, incoming, driver.capabilities.lasting_ids, events),
            (
                partial(sends.run, left),
                heartbeat.run,
                Keeping(config, events, fetcher, store.sends).run,
                minutes.run,
                memory.trim,
                Publisher(status_file, files, parts, consumers).run,
                partial(Resuming(reporter, fetcher, session.running, not self._adopter).run, held),
                watchdog.watch,
            ),
        )

    async def _work(self, connected: Connected, stopping: asyncio.Event) -> None:
        """Run the parts: drive, drain and close."""
        parts = connected.parts
        async with asyncio.TaskGroup() as group:
            # Ended separately, because it delivers the last reports of the other tasks.
            posting = group.create_task(parts.delivery.run())
            helpers = [group.create_task(work()) for work in connected.works]
            if self.permit is not None:
                helpers.append(group.create_task(self.permit.watch(stopping)))
            if self.permit is not None and self._adopter:
                from wxcontroller.client.login.settling import settle  # seldom

                if not await settle(self._adopter, parts.sends, parts.log, parts.delivery, stopping):
                    self.permit.exit_code = 75  # EX_TEMPFAIL: systemd tries again
            else:
                await self._drive(connected, stopping)
            reached(Phase.DRAINED)
            self._notifier.stopping()
            # The driver has ended, so nothing new arrives; the last reports of these tasks are still delivered.
            for helper in helpers:
                helper.cancel()
            await asyncio.wait(helpers)
            # Closed after the queue: these tasks wait for calls that the queue answers.
            await parts.tasks.close()
            await parts.fetcher.close()
            if not self._adopter:  # an adopted account runs on another host
                parts.session.stop()
            await parts.delivery.flush(FLUSH_SECONDS)
            posting.cancel()

    async def _drive(self, connected: Connected, stopping: asyncio.Event) -> None:
        """Run the driver until a stop is requested, and then while queued sends go out.

        If it ends earlier, stay up: API and state give the reason.
        """
        parts, session = connected.parts, connected.parts.session
        session.move(LoginState.LOADING, Text("logging in to WeChat"))
        working = asyncio.create_task(parts.driver.run(connected.logins.handle))
        asked = asyncio.create_task(stopping.wait())
        try:
            await asyncio.wait({working, asked}, return_when=asyncio.FIRST_COMPLETED)
            reached(Phase.DRIVEN)
            # Only then can sends go out; otherwise a stop would wait for nothing.
            if not working.done() and session.state is LoginState.RUNNING:
                drain = Drain(parts.sends, session, self._notifier, self.config.seconds("stop_drain"))
                await (replace(drain, left=self.permit.left) if self.permit else drain).run()
            if working.done():
                session.end(ended(working))
                while not asked.done():
                    session.feed_watchdog()
                    await asyncio.wait({asked}, timeout=PARKED_PULSE_SECONDS)
        finally:
            for task in (working, asked):
                task.cancel()
            await asyncio.wait({working, asked})


def ended(working: "asyncio.Task[Ended]") -> Ended:
    """Return how the driver ended. Raises what it raised."""
    try:
        return working.result()
    except RunningElsewhere:
        return Ended(EndReason.ELSEWHERE, Text("its former host may still run it; stop it there, then start it here"))
