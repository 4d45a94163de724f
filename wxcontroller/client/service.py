"""The lifecycle of one account: connects its parts, starts them and shuts them down in order.

The API starts first, so that the account answers from the first moment; then the database, the deliveries and
the queue of sends, which continue where the last process stopped; then the login. A stop has the reverse order:
queued sends go out, the driver ends, the last reports are delivered, and the database is closed.
"""

import asyncio
import os
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from wxcontroller.client import memory
from wxcontroller.client.api import application
from wxcontroller.client.calls import Parts
from wxcontroller.client.checkevent import EventRing
from wxcontroller.client.config import ClientConfig
from wxcontroller.client.configured import facts_of, pacer_of, policy_of, receiver_of, route_policy_of
from wxcontroller.client.consult import Consults
from wxcontroller.client.deliveries.delivery import Delivery
from wxcontroller.client.deliveries.lanes import QUICK_RETRIES
from wxcontroller.client.deliveries.published import Publisher
from wxcontroller.client.directory import Directory
from wxcontroller.client.guard import Guard
from wxcontroller.client.heartbeat import Heartbeat
from wxcontroller.client.incoming import Incoming
from wxcontroller.client.logins import Logins, RunningElsewhere
from wxcontroller.client.media_fetcher import MediaFetcher
from wxcontroller.client.minutes import Minutes
from wxcontroller.client.port import listening
from wxcontroller.client.publicfiles import PublicFiles
from wxcontroller.client.quotes import Quotes
from wxcontroller.client.reporting import reporter_of
from wxcontroller.client.resuming import Resuming
from wxcontroller.client.roster import Roster
from wxcontroller.client.sends.backoff import BackoffPolicy, SendBackoff
from wxcontroller.client.sends.calls import SendCalls
from wxcontroller.client.sends.drain import Drain
from wxcontroller.client.sends.idempotency import Requests
from wxcontroller.client.sends.preparing import MediaPreparer
from wxcontroller.client.sends.queue import SendQueue
from wxcontroller.client.sends.replies import Replies, Reply
from wxcontroller.client.sends.sender import Sender
from wxcontroller.client.sends.sending import Sending
from wxcontroller.client.session import Session
from wxcontroller.client.store.driverstate import DriverState
from wxcontroller.client.store.eventlog import EventLog
from wxcontroller.client.store.files import FileStore
from wxcontroller.client.store.lock import locked_state
from wxcontroller.client.store.media import MediaIndex
from wxcontroller.client.store.retention import Keeping
from wxcontroller.client.store.sends import SendStore
from wxcontroller.client.store.unsaved import Unsaved
from wxcontroller.client.tasks import Tasks
from wxcontroller.core.files import remove_unfinished
from wxcontroller.core.loginbook import holder
from wxcontroller.core.messages import Text
from wxcontroller.core.notify import Notifier
from wxcontroller.core.paths import API_SOCKET, DELIVERIES_FILE, Paths
from wxcontroller.core.states import LoginState
from wxcontroller.core.tls import client_context
from wxcontroller.core.watchdog import Deadlines, Watchdog
from wxcontroller.drivers import ROUTES
from wxcontroller.drivers.base import DriverContext, DriverFactory, Ended, EndReason

if TYPE_CHECKING:
    from wxcontroller.client.permit import HostPermit

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


@dataclass(slots=True)
class Client:
    """The parts of a running client, wired together."""

    config: ClientConfig
    make_driver: DriverFactory
    backoff: BackoffPolicy = BackoffPolicy()
    quick_retries: tuple[float, ...] = QUICK_RETRIES
    paths: Paths = field(default_factory=Paths)
    permit: "HostPermit | None" = None

    async def run(self, stopping: asyncio.Event) -> int:
        """Run until ``stopping`` is set; return the exit code.

        Raises CannotListen without the socket of the API, and StateInUse while another process runs the account.
        """
        with locked_state(self.config.cookie_path.parent, self.config.name.instance):
            return await self._run(stopping)

    async def _run(self, stopping: asyncio.Event) -> int:
        config, roster, notifier, deadlines = self.config, Roster(), Notifier(), Deadlines()
        watchdog = Watchdog(notifier, deadlines)
        agent = config.options["http_agent"] or DEFAULT_AGENT
        private = config.cookie_path.parent
        limits = config.limits
        tasks, events = Tasks(), EventLog(private / "events.db", deadlines, epoch=config.epoch)
        route, keep = ROUTES[config.options["driver"]], config.flag("keep_cookie")
        unsaved, is_lost = Unsaved(private), False
        session_file = FileStore(route.session_file(config.cookie_path), keep)
        session_file.forget_once(config.logged_out, FileStore(private / "logged_out"))
        driver_state = DriverState(events, unsaved, keep, route.ending)
        driver = self.make_driver(
            DriverContext(
                config.name.name,
                {name: config.options[name] for name in route.options},
                session_file,
                driver_state,
                deadlines,
                limits,
                FileStore(private / "decisions.json"),
                holder(self.paths, config.name.instance),
                self.permit.fence if self.permit else None,
            )
        )

        # Functions instead of the objects' methods: the parts that they call are made further below.
        def send_reply(reply: Reply, event: int) -> None:
            send_calls.reply(reply, event)

        replies = Replies(roster, send_reply)
        tls = client_context(config.options["ca_file"])
        delivery = Delivery(
            receiver_of(config, agent, tls),
            policy_of(config, self.quick_retries),
            events,
            replies.answered,
            deadlines,
        )
        media_index = MediaIndex(events)
        ring = EventRing(config.number("check_event_list_max_size"), limits.check_event_media_bytes)
        reporter = reporter_of(config, events, ring)
        consults, fetcher = Consults(), MediaFetcher(config, driver)
        store = SendStore(events, config.options["driver"], limits.idempotency_keys)
        preparer = MediaPreparer(config, agent, media_index, store.reported_files, deadlines)

        window = driver.capabilities.window

        def note_writer(peer: str) -> None:
            sends.heard(peer)

        incoming = Incoming(config, roster, reporter, consults, fetcher, media_index, Quotes(events), note_writer)
        facts = facts_of(config)
        files = PublicFiles()
        session = Session(config, facts, roster, notifier, watchdog, reporter, incoming.take, driver_state, files)
        adopter = self.permit.adopter if self.permit else ""
        resuming = Resuming(reporter, fetcher, session.running, may_log_in=not adopter)
        with_data = config.flag("plugin_openwx_post_media_data")
        report_bytes = limits.report_media_bytes if with_data else 0
        sends = SendQueue(
            pacer_of(config, window),
            Sender(driver, roster, reporter, media_index, report_bytes, deadlines),
            preparer,
            store,
            tasks,
            SendBackoff(self.backoff),
            route_policy_of(config, driver.capabilities, session.note_limits),
            config.number("send_queue_max"),
        )
        minutes = Minutes(config.name.instance, events, session.running.is_set)
        logins = Logins(session, sends, driver.capabilities.lasting_ids, events)
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
            request_stop=stopping.set,
            requests=Requests(store, tasks),
            tasks=tasks,
            sending=Sending(sends, driver),
            directory=Directory(roster),
            consults=consults,
        )
        send_calls = SendCalls(parts)
        guard = Guard(config.name.instance, self.paths, files, limits.token_failures)
        own_socket = config.state_path.with_name(API_SOCKET)
        heartbeat = Heartbeat(
            config.poll_api,
            config.seconds("plugin_openwx_poll_interval"),
            config.port,
            own_socket,
            agent,
            guard.headers,
            lambda: session.state is LoginState.RUNNING,
            config.targets,
            deadlines,
            tls,
        )
        files.write(config.pid_path, f"{os.getpid()}\n".encode())
        # Before anything is fetched: afterwards an unfinished file may be one that is being written.
        await asyncio.to_thread(remove_unfinished, private)
        app = application(parts, send_calls, fetcher, guard)
        async with listening(app, config, guard, own_socket, session.note_port):
            # READY means that the API responds. The database may still be waiting for its disk, which the API then
            # reports.
            notifier.ready()
            events.open()
            # Clean up after an earlier process before this one writes anything.
            left, held = store.left(config.adopted), asyncio.ensure_future(events.held())
            try:
                async with asyncio.TaskGroup() as group:
                    # Ended separately, because it delivers the last reports of the other tasks.
                    posting = group.create_task(delivery.run())
                    works = (
                        sends.run(left),
                        heartbeat.run(),
                        Keeping(config, events, fetcher, store).run(),
                        minutes.run(),
                        memory.trim(),
                        Publisher(
                            config.state_path.with_name(DELIVERIES_FILE), events, delivery, lambda: minutes.recent
                        ).run(),
                        resuming.run(held),
                        watchdog.watch(),
                    )
                    helpers = [group.create_task(work) for work in works]
                    drain = Drain(sends, session, notifier, config.seconds("stop_drain"))
                    if self.permit is not None:
                        helpers.append(group.create_task(self.permit.watch(stopping)))
                        drain = replace(drain, left=self.permit.left)
                    if self.permit is not None and adopter:
                        from wxcontroller.client.settling import settle  # seldom

                        if not await settle(adopter, sends, events, delivery, stopping):
                            self.permit.exit_code = 75  # EX_TEMPFAIL: systemd tries again
                    else:
                        await self._drive(driver.run(logins.handle), session, drain, stopping)
                    notifier.stopping()
                    # The driver has ended, so nothing new arrives; the last reports of these tasks are still
                    # delivered.
                    for helper in helpers:
                        helper.cancel()
                    await asyncio.wait(helpers)
                    # Closed after the queue: these tasks wait for calls that the queue answers.
                    await tasks.close()
                    await fetcher.close()
                    if not adopter:  # an adopted account runs on another host
                        session.stop()
                    await delivery.flush(FLUSH_SECONDS)
                    posting.cancel()
            finally:
                held.cancel()
                # Last, because everything above may still write.
                await events.close(STORE_SECONDS)
                is_lost = not await unsaved.keep()
                files.remove(config.pid_path)
                files.close()
        return (self.permit.exit_code if self.permit else 0) or (_LOST if is_lost else 0)

    async def _drive(
        self, driving: Coroutine[None, None, Ended], session: Session, drain: Drain, stopping: asyncio.Event
    ) -> None:
        """Run the driver until a stop is requested. If it ends earlier, stay up: API and state give the reason."""
        session.move(LoginState.LOADING, Text("logging in to WeChat"))
        working = asyncio.create_task(driving)
        asked = asyncio.create_task(stopping.wait())
        try:
            await asyncio.wait({working, asked}, return_when=asyncio.FIRST_COMPLETED)
            # Only then can sends go out; otherwise a stop would wait for nothing.
            if not working.done() and session.state is LoginState.RUNNING:
                await drain.run()
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
