"""The Web route: one account over the protocol of WeChat's web and desktop page.

Three layers by knowledge, so that a change at WeChat touches one: ``calls`` knows requests, ``decode``, ``text``,
``contacts`` and ``messages`` know answers, ``login``, ``sync`` and ``roster`` know what to do with them.
"""

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Coroutine
from dataclasses import replace

from wxcontroller.core.backoff import Backoff
from wxcontroller.core.errors import WeChatError
from wxcontroller.core.options import OPTIONS
from wxcontroller.drivers.base import (
    Driver,
    DriverContext,
    Emit,
    Ended,
    EndReason,
    LoginWay,
    Profile,
    Sent,
    SessionLost,
)
from wxcontroller.drivers.web import decode
from wxcontroller.drivers.web.calls import Calls, sendable
from wxcontroller.drivers.web.failures import TOO_FREQUENT, refusal
from wxcontroller.drivers.web.login import FLAGGED, Entered, Login, LoginOptions
from wxcontroller.drivers.web.pulse import Pulse
from wxcontroller.drivers.web.roster import Roster
from wxcontroller.drivers.web.saved import Saved
from wxcontroller.drivers.web.sync import Listener, Lost
from wxcontroller.drivers.web.timing import DEFAULT, Timing
from wxcontroller.drivers.web.transport import Transport

log = logging.getLogger(__name__)


class WebDriver:
    """One account on the Web route. ``run`` once; ``send_text`` while it runs."""

    def __init__(self, context: DriverContext, timing: Timing = DEFAULT) -> None:
        """Raises BadOption for a ``ca_file`` that can't be used."""
        option = _Options(context)
        self._timing = replace(
            timing,
            connect=option.seconds("ua_connect_timeout"),
            # A poll is held for about 25 s: a shorter patience would never hear its end.
            # A much longer one would leave a broken line unnoticed.
            poll=max(timing.poll, min(45.0, option.seconds("ua_request_timeout"))),
            check_spacing=option.seconds("synccheck_interval"),
            check_retry=max(0.1, option.seconds("synccheck_delay")),
        )
        self._emoji_names = option.flag("emoji_to_text")
        self._stop_with_mobile = option.flag("stop_with_mobile")
        self._all_pages = option.flag("is_update_all_friend")
        self._login_options = LoginOptions(
            desktop={"on": True, "off": False}.get(option.text("desktop")),
            qrcodes=int(option.text("qrcode_count_max")),
        )
        self._saved = Saved(context.store, option.text("domain"), option.flag("keep_cookie"))
        self._transport = Transport(
            self._saved.memory.jar,
            self._timing,
            server=option.text("server"),
            ca_file=option.text("ca_file"),
            agent=option.text("http_agent"),
            verbose=option.flag("http_debug"),
        )
        self._calls = Calls(self._transport, self._timing, option.text("lang"))
        self._listener: Listener | None = None  # while a session is alive
        self._last_client_id = 0

    async def run(self, emit: Emit) -> Ended:
        """See Driver.run. Exceptions that ``emit`` raises come out as they are."""
        self._saved.load()
        pulse = Pulse(emit, self._timing)
        login = Login(self._calls, self._saved, pulse, self._timing, self._login_options)
        losses: deque[float] = deque(maxlen=self._timing.relogins)
        pause = Backoff(self._timing.retry_first, self._timing.retry_longest)
        async with self._transport:
            try:
                while True:
                    entered = await login.enter()
                    if isinstance(entered, Ended):
                        return entered
                    began = time.monotonic()
                    lost = await self._session(entered, pulse)
                    await pulse.emit(SessionLost(lost.reason, lost.ret))
                    ended = self._judge(entered.way, lost, time.monotonic() - began, losses)
                    if ended is not None:
                        return ended
                    await pulse.pause(pause.next())
            finally:
                self._listener = None
                self._saved.save()

    async def _session(self, entered: Entered, pulse: Pulse) -> Lost:
        """Load the contacts and listen until the session is lost."""
        session = entered.session
        roster = Roster(self._calls, session, pulse, self._timing, self._emoji_names, self._all_pages)
        roster.begin(entered.init)
        listener = Listener(self._calls, session, self._saved, roster, pulse, self._timing, self._emoji_names)
        return await _beside(self._live(entered, pulse, roster, listener), roster.work())

    async def _live(self, entered: Entered, pulse: Pulse, roster: Roster, listener: Listener) -> Lost:
        try:
            await pulse.emit(Profile(roster.me))
            await self._notify(entered, pulse)
            self._listener = listener
            await roster.load()
            return await listener.listen()
        finally:
            self._listener = None

    async def _notify(self, entered: Entered, pulse: Pulse) -> None:
        """Make the phone show the session; it answers with its list of chats. Not fatal (5.2)."""
        session = entered.session
        try:
            decode.accepted(await pulse.wait(self._calls.status_notify(session, 3, session.me)))
        except WeChatError as problem:
            log.info("%s", problem.message)

    def _judge(self, way: LoginWay, lost: Lost, lasted: float, losses: deque[float]) -> Ended | None:
        """Decide after a session that lasted some seconds: None to log in again."""
        self._saved.memory.session = None  # the cookies stay: they may serve a login by consent
        self._saved.save()
        new = lasted < self._timing.flagged_within
        stored = way is LoginWay.STORED
        if lost.ret in (1100, 1102) and new and not stored:
            return Ended(EndReason.FLAGGED, FLAGGED)
        # A stored session may be found dead only now, although it could be reopened (3.6): log in again.
        if lost.ret == 1101 and (self._stop_with_mobile or (lost.at_sync and not (stored and new))):
            return Ended(
                EndReason.PHONE,
                "the session was ended on the phone or by another login; start the account to log in again",
            )
        now = time.monotonic()
        if len(losses) == losses.maxlen and now - losses[0] < self._timing.relogin_window:
            return Ended(
                EndReason.RETRIES_USED_UP,
                f"{len(losses) + 1} sessions were lost within an hour ({lost.ret}); start the account again later",
            )
        losses.append(now)
        return None

    async def send_text(self, to: str, content: str, client_id: str) -> Sent:
        """See Driver.send_text."""
        session, listener = self._saved.memory.session, self._listener
        if session is None or listener is None:
            raise WeChatError("webwxsendmsg: the account is not logged in", "wait until it is running", 1100)
        if listener.paused:
            raise refusal("webwxsendmsg", TOO_FREQUENT)
        try:
            message_id = decode.sent_of(await self._calls.send_text(session, to, sendable(content), client_id))
        except WeChatError as problem:
            if problem.ret is not None:
                listener.sent(problem.ret)
            raise
        listener.sent(0)
        self._saved.memory.seen.add(message_id)  # in case it is echoed (7.2)
        return Sent(message_id)

    def new_client_id(self) -> str:
        """Return 17 digits: milliseconds and four more, growing even when the clock goes back (7.9)."""
        proposed = int(time.time() * 1000) * 10_000 + secrets.randbelow(1000)
        self._last_client_id = max(proposed, self._last_client_id + 1)
        return str(self._last_client_id)


class _Options:
    """The context's options; one that is missing has its default."""

    def __init__(self, context: DriverContext) -> None:
        self._given = context.options

    def text(self, name: str) -> str:
        return self._given.get(name, OPTIONS[name].default)

    def flag(self, name: str) -> bool:
        return self.text(name) == "1"

    def seconds(self, name: str) -> float:
        return float(self.text(name))


async def _beside(main: Coroutine[None, None, Lost], helper: Coroutine[None, None, None]) -> Lost:
    """Return what ``main`` returns while ``helper`` runs beside it; the failure of either is the failure of both."""
    tasks = asyncio.ensure_future(main), asyncio.ensure_future(helper)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not tasks[0].done():
            tasks[1].result()
        return await tasks[0]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def make_driver(context: DriverContext) -> Driver:
    """Return the Web route for an account. Raises BadOption for options that can't work."""
    return WebDriver(context)
