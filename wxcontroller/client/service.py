"""One account's life: API first, then the login, and on until somebody stops it."""

import asyncio
import contextlib
import logging
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field

from aiohttp import web

from wxcontroller import __version__
from wxcontroller.client.api import SERVER, application
from wxcontroller.client.calls import Parts
from wxcontroller.client.checkevent import EventRing
from wxcontroller.client.config import ClientConfig
from wxcontroller.client.consult import Consults
from wxcontroller.client.deliveries.delivery import Delivery
from wxcontroller.client.deliveries.lanes import QUICK_RETRIES, Policy
from wxcontroller.client.deliveries.receivers import Receiver
from wxcontroller.client.guard import Guard
from wxcontroller.client.heartbeat import Heartbeat
from wxcontroller.client.inbox import Inbox
from wxcontroller.client.logins import Logins
from wxcontroller.client.people import chat_of
from wxcontroller.client.reporting import reporter_of
from wxcontroller.client.resuming import Resuming, with_media
from wxcontroller.client.roster import Roster
from wxcontroller.client.sends.backoff import BackoffPolicy, SendBackoff
from wxcontroller.client.sends.calls import SendCalls
from wxcontroller.client.sends.drain import Drain
from wxcontroller.client.sends.idempotency import Requests
from wxcontroller.client.sends.pacer import Pacer
from wxcontroller.client.sends.preparing import MediaPreparer
from wxcontroller.client.sends.queue import SendQueue
from wxcontroller.client.sends.replies import Replies, Reply
from wxcontroller.client.sends.sender import Sender
from wxcontroller.client.session import Session
from wxcontroller.client.store.driverstate import DriverState
from wxcontroller.client.store.eventlog import EventLog
from wxcontroller.client.store.files import FileStore
from wxcontroller.client.store.media import MediaIndex, media_to_json
from wxcontroller.client.store.migration import Migration
from wxcontroller.client.store.retention import Keeping
from wxcontroller.client.store.sends import SendStore
from wxcontroller.client.tasks import Tasks
from wxcontroller.core.errors import WxError
from wxcontroller.core.files import remove_unfinished, replace_file
from wxcontroller.core.model import Media
from wxcontroller.core.notify import Notifier
from wxcontroller.core.paths import Paths
from wxcontroller.core.states import LoginState
from wxcontroller.core.tls import client_context
from wxcontroller.core.vitals import Vitals, Watchdog
from wxcontroller.drivers.base import DriverContext, DriverFactory, Ended, EndReason, MessageArrived
from wxcontroller.openwx import reports
from wxcontroller.openwx.admission import ADMISSION
from wxcontroller.openwx.connection import PatientConnection
from wxcontroller.openwx.media import MediaFacts
from wxcontroller.openwx.statefile import ClientFacts

log = logging.getLogger(__name__)
# Reports of the stop itself get this long; without queued sends the whole stop stays below 5 s.
FLUSH_SECONDS = 2.5
# What happened last, onto a disk that may be slow.
STORE_SECONDS = 1.0
# A parked account does nothing but answer; the watchdog still wants to hear that it could.
PARKED_PULSE_SECONDS = 20.0
DEFAULT_AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"
)


class PortTaken(WxError):
    """The account's API port can't be bound."""


@dataclass(slots=True)
class Client:
    """The parts of a running client, wired together."""

    config: ClientConfig
    make_driver: DriverFactory
    backoff: BackoffPolicy = BackoffPolicy()
    quick_retries: tuple[float, ...] = QUICK_RETRIES
    paths: Paths = field(default_factory=Paths)

    async def run(self, stopping: asyncio.Event) -> int:
        """Run until ``stopping`` is set; return the exit code.

        Raises PortTaken when the API can't listen.
        """
        config, roster, notifier, vitals = self.config, Roster(), Notifier(), Vitals()
        watchdog = Watchdog(notifier, vitals)
        agent = config.options["http_agent"] or DEFAULT_AGENT
        private = config.cookie_path.parent
        limits = config.limits
        tasks, events = Tasks(), EventLog(private / "events.db", vitals)
        migration = Migration(config.cookie_path, events)
        driver_state = DriverState(events, migration.done, config.flag("keep_cookie"))
        driver = self.make_driver(
            DriverContext(
                config.name.name,
                config.options,
                FileStore(config.cookie_path, config.flag("keep_cookie")),
                driver_state,
                vitals,
                limits,
                FileStore(private / "decisions.json"),
            )
        )

        def send_reply(reply: Reply, event: int) -> None:
            send_calls.reply(reply, event)

        replies = Replies(roster, send_reply)
        tls = client_context(config.options["ca_file"])
        delivery = Delivery(
            receiver_of(config, agent, tls), policy_of(config, self.quick_retries), events, replies.answered, vitals
        )
        media_index = MediaIndex(events)
        ring = EventRing(config.number("check_event_list_max_size"), limits.check_event_media_bytes)
        reporter = reporter_of(config, events, ring)
        consults, inbox = Consults(), Inbox(config, driver)
        preparer = MediaPreparer(config, agent, media_index, vitals)

        def take_message(event: MessageArrived) -> None:
            message = event.message
            consults.heard(message)
            try:
                # Who it is between is what it is now: while media are fetched the roster may change.
                report = reports.received(message, chat_of(roster, message))
            except Exception:  # one message must not take the others with it (5.4 no. 62)
                log.exception("message %s can't be reported", message.id)
                return
            if not message.kind.is_media:
                reporter.message(report, message.id)
                return
            source = media_to_json(message.media) if message.media else {}
            slot = reporter.hold(report, message.id, source)

            def publish(facts: MediaFacts) -> None:
                content = message.media or Media(message.kind, message.id)
                _ = media_index.add_received(content, facts.path if facts.size else "")
                slot.fill(with_media(report, facts, config), facts.path if facts.data else "")

            inbox.take(message, publish)

        facts = facts_of(config)
        session = Session(config, facts, roster, notifier, watchdog, reporter, take_message, driver_state)
        resuming = Resuming(reporter, inbox, session.running)
        store = SendStore(events, limits.idempotency_keys)
        with_data = config.flag("plugin_openwx_post_media_data")
        report_bytes = limits.report_media_bytes if with_data else 0
        sends = SendQueue(
            pacer_of(config),
            Sender(driver, roster, reporter, media_index, report_bytes, vitals),
            preparer,
            store,
            tasks,
            config.seconds("send_keep_seconds"),
            SendBackoff(self.backoff),
            limits.send_tries,
            config.number("send_queue_max"),
        )
        logins = Logins(session, sends, driver.capabilities.lasting_ids)
        parts = Parts(
            config=config,
            facts=facts,
            session=session,
            roster=roster,
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
            consults=consults,
        )
        send_calls = SendCalls(parts)
        guard = Guard(config.name.instance, self.paths, limits.token_failures)
        heartbeat = Heartbeat(
            config.poll_api,
            config.seconds("plugin_openwx_poll_interval"),
            config.port,
            agent,
            guard.headers,
            lambda: session.state is LoginState.RUNNING,
            config.targets,
            vitals,
            tls,
        )
        with contextlib.suppress(OSError):
            replace_file(config.pid_path, f"{os.getpid()}\n".encode(), 0o640)
        await asyncio.to_thread(remove_unfinished, private)
        async with listening(application(parts, send_calls, inbox, guard), config, guard):
            notifier.ready()
            events.open()
            # What an earlier process left, before anything is written by this one.
            left, held = store.left(), asyncio.ensure_future(events.held())
            try:
                async with asyncio.TaskGroup() as group:
                    posting = group.create_task(delivery.run())
                    works = (
                        sends.run(left),
                        sends.count_imported(migration.done),
                        heartbeat.run(),
                        Keeping(config, events, inbox, store).run(),
                        resuming.run(held),
                        migration.run(),
                        watchdog.watch(),
                    )
                    helpers = [group.create_task(work) for work in works]
                    drain = Drain(sends, session, notifier, config.seconds("stop_drain"))
                    await self._drive(driver.run(logins.handle), session, drain, stopping)
                    notifier.stopping()
                    for helper in helpers:
                        helper.cancel()
                    await asyncio.wait(helpers)
                    await tasks.close()
                    await inbox.close()
                    session.stop()
                    await delivery.flush(FLUSH_SECONDS)
                    posting.cancel()
            finally:
                held.cancel()
                await events.close(STORE_SECONDS)
                with contextlib.suppress(OSError):
                    config.pid_path.unlink()
        return 0

    async def _drive(
        self, driving: Coroutine[None, None, Ended], session: Session, drain: Drain, stopping: asyncio.Event
    ) -> None:
        """Run the driver until a stop is asked for. When it ends before, stay: the API and the state say why."""
        session.move(LoginState.LOADING, "logging in to WeChat")
        working = asyncio.create_task(driving)
        asked = asyncio.create_task(stopping.wait())
        try:
            await asyncio.wait({working, asked}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done() and session.state is LoginState.RUNNING:
                await drain.run()
            if working.done():
                ended: Ended = working.result()
                words = f"{ended.reason}: {ended.words}" if ended.words else str(ended.reason)
                session.park(words, asked=ended.reason is EndReason.LOGGED_OUT)
                while not asked.done():
                    session.alive()
                    await asyncio.wait({asked}, timeout=PARKED_PULSE_SECONDS)
        finally:
            for task in (working, asked):
                task.cancel()
            await asyncio.wait({working, asked})


@contextlib.asynccontextmanager
async def listening(app: web.Application, config: ClientConfig, guard: Guard) -> AsyncIterator[None]:
    """Serve the account's API on its loopback port. Raises PortTaken, saying what to do."""
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.5)
    await runner.setup()
    http, loop, admission = runner.server, asyncio.get_running_loop(), app[ADMISSION]
    assert http is not None
    sockets: asyncio.Server | None = None
    try:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", config.port))
            guard.tell_controller()
            sockets = await loop.create_server(
                lambda: PatientConnection(http, loop, SERVER, admission), sock=listener
            )
        except OSError as problem:
            listener.close()
            raise PortTaken(
                f"account {config.name}: port {config.port} can't be used: {problem.strerror}",
                "see who has it with ss -ltnp, and whether wxclient.slice allows it (SocketBindAllow=)",
            ) from None
        yield
    finally:
        if sockets is not None:
            sockets.close()
        await runner.cleanup()


def facts_of(config: ClientConfig) -> ClientFacts:
    """Return what the state file says of this process."""
    return ClientFacts(
        account=config.name.name,
        version=__version__,
        pid=os.getpid(),
        start_time=int(time.time()),
        driver=config.options["driver"],
        given=config.given,
        defaults=config.options,
        paths={
            "tmpdir": str(config.tmpdir),
            "media_dir": str(config.media_dir),
            "cookie_path": str(config.cookie_path),
            "qrcode_path": str(config.qrcode_path),
            "pid_path": str(config.pid_path),
            "state_path": str(config.state_path),
        },
    )


def pacer_of(config: ClientConfig) -> Pacer:
    """Return how fast this account may send."""
    return Pacer(
        interval=config.seconds("send_interval"),
        jitter=config.seconds("send_jitter"),
        burst=config.number("send_burst_max"),
        daily=config.number("send_daily_max"),
    )


def receiver_of(config: ClientConfig, agent: str, tls: ssl.SSLContext | None) -> Receiver:
    """Return who gets this account's reports; ``tls`` as in Receiver."""
    with_data = config.flag("plugin_openwx_post_media_data")
    most = config.limits.report_media_bytes
    return Receiver(config.post_api, agent, config.webhook_secrets, with_data, config.targets, most, tls)


def policy_of(config: ClientConfig, quick_retries: tuple[float, ...]) -> Policy:
    """Return how hard delivering is tried."""
    return Policy(
        first=config.seconds("webhook_retry_first"),
        longest=config.seconds("webhook_retry_longest"),
        final=frozenset(int(status) for status in config.options["webhook_final"].split(",") if status),
        timeout=config.seconds("webhook_timeout"),
        strict=config.flag("webhook_strict_order"),
        quick_retries=quick_retries,
    )
