"""One account's life: API first, then the login, and on until somebody stops it."""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiohttp import web

from wxcontroller import __version__
from wxcontroller.client.api import Api
from wxcontroller.client.checkevent import EventRing
from wxcontroller.client.config import ClientConfig
from wxcontroller.client.delivery import Delivery
from wxcontroller.client.outgoing import Outgoing
from wxcontroller.client.roster import Roster
from wxcontroller.client.session import Session
from wxcontroller.client.store import FileStore
from wxcontroller.core.errors import WxError
from wxcontroller.core.files import replace_file
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.model import Contact, Direction
from wxcontroller.core.notify import Notifier
from wxcontroller.core.states import LoginState
from wxcontroller.drivers.base import Driver, DriverContext, DriverFactory, Ended, MessageArrived
from wxcontroller.openwx import reports
from wxcontroller.openwx.statefile import ClientFacts

log = logging.getLogger(__name__)
# Reports of the stop itself get this long; the whole stop stays below 5 s.
FLUSH_SECONDS = 2.5
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

    async def run(self, stopping: asyncio.Event) -> int:
        """Run until ``stopping`` is set; return the exit code.

        Raises PortTaken when the API can't listen.
        """
        config, roster, notifier = self.config, Roster(), Notifier()
        delivery = Delivery(
            config.post_api,
            config.options["http_agent"] or DEFAULT_AGENT,
            config.cookie_path.parent / "undelivered.json",
        )
        ring = EventRing(config.number("check_event_list_max_size"))
        driver = self.make_driver(
            DriverContext(config.name.name, config.options, FileStore(config.cookie_path, config.flag("keep_cookie")))
        )
        facts = facts_of(config)

        def report_event(report: JsonObject) -> None:
            if config.flag("plugin_openwx_post_event"):
                delivery.put(report)

        def report_message(report: JsonObject) -> None:
            delivery.put(report)
            ring.put(report)

        def take_message(event: MessageArrived) -> None:
            report_message(reports.received(event.message, chat_of(roster, event)))

        def take_result(result: reports.SendResult) -> None:
            report_message(reports.sent(result, send_chat(roster, result)))

        session = Session(config, facts, roster, notifier, report_event, take_message)

        async def send(target: str, content: str, client_id: str) -> str:
            return (await driver.send_text(target, content, client_id)).id

        outgoing = Outgoing(config.seconds("send_interval"), send, driver.new_client_id, take_result)
        api = Api(config, facts, session, roster, outgoing, ring, delivery, stopping.set)
        with contextlib.suppress(OSError):
            replace_file(config.pid_path, f"{os.getpid()}\n".encode(), 0o640)
        async with listening(api.application(), config):
            notifier.ready()
            try:
                async with asyncio.TaskGroup() as tasks:
                    background = [tasks.create_task(delivery.run()), tasks.create_task(outgoing.run())]
                    await self._drive(driver, session, stopping)
                    notifier.stopping()
                    background[1].cancel()
                    await asyncio.wait([background[1]])
                    session.stop()
                    await delivery.flush(FLUSH_SECONDS)
                    background[0].cancel()
            finally:
                delivery.keep()
                with contextlib.suppress(OSError):
                    config.pid_path.unlink()
        return 0

    async def _drive(self, driver: Driver, session: Session, stopping: asyncio.Event) -> None:
        """Run the driver until a stop is asked for. When it ends before, stay: the API and the state say why."""
        session.move(LoginState.LOADING, "logging in to WeChat")
        working = asyncio.create_task(driver.run(session.handle))
        asked = asyncio.create_task(stopping.wait())
        try:
            await asyncio.wait({working, asked}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                ended: Ended = working.result()
                session.park(f"{ended.reason}: {ended.words}" if ended.words else str(ended.reason))
                while not asked.done():
                    session.alive()
                    await asyncio.wait({asked}, timeout=PARKED_PULSE_SECONDS)
        finally:
            for task in (working, asked):
                task.cancel()
            await asyncio.wait({working, asked})


@contextlib.asynccontextmanager
async def listening(app: web.Application, config: ClientConfig) -> AsyncIterator[None]:
    """Serve the account's API on its loopback port. Raises PortTaken, saying what to do."""
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, "127.0.0.1", config.port).start()
        except OSError as problem:
            raise PortTaken(
                f"account {config.name}: port {config.port} can't be used: {problem.strerror}",
                "see who has it with ss -ltnp, and whether wxclient.slice allows it (SocketBindAllow=)",
            ) from None
        yield
    finally:
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


def chat_of(roster: Roster, event: MessageArrived) -> reports.Chat:
    """Return who a message that arrived is between."""
    message, me = event.message, me_of(roster)
    if message.is_group:
        group = roster.groups.get(message.chat)
        return reports.Chat(me, group=group, member=roster.member(message.chat, message.sender))
    other = message.chat if message.direction is Direction.SENT_ELSEWHERE else message.sender
    return reports.Chat(me, friend=roster.contacts.get(other))


def send_chat(roster: Roster, result: reports.SendResult) -> reports.Chat:
    """Return who a sent message is between."""
    if result.is_group:
        return reports.Chat(me_of(roster), group=roster.groups.get(result.target))
    return reports.Chat(me_of(roster), friend=roster.contacts.get(result.target))


def me_of(roster: Roster) -> Contact:
    """Return oneself; before the profile is known somebody without a name."""
    return roster.me or Contact(id="", name="")
