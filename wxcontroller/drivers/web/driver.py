"""The Web route: one account over the protocol of WeChat's web and desktop page. Joins the layers of the package."""

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

from wxcontroller.core.backoff import Backoff
from wxcontroller.core.errors import Unsupported, WeChatError, WxError
from wxcontroller.core.jsontypes import JsonObject, text
from wxcontroller.core.model import MessageKind, MessageMedia
from wxcontroller.core.process.faultpoints import Point, reached
from wxcontroller.core.text.templates import N_, Text
from wxcontroller.drivers.base import (
    Capabilities,
    Driver,
    DriverContext,
    Emit,
    Ended,
    EndReason,
    Fetched,
    LoginStalled,
    LoginWay,
    Profile,
    Sent,
    SessionLost,
    Sink,
    Upload,
    Uploaded,
)
from wxcontroller.drivers.connection.logout import Logout
from wxcontroller.drivers.connection.pulse import Pulse, run_beside
from wxcontroller.drivers.connection.transport import transport_of
from wxcontroller.drivers.web.decode import answers, messages
from wxcontroller.drivers.web.decode.answers import Init
from wxcontroller.drivers.web.decode.failures import ABOUT_CONTENT, TOO_FREQUENT, reference_refusal, refusal
from wxcontroller.drivers.web.decode.text import plain
from wxcontroller.drivers.web.media.downloads import Downloads, Pictured
from wxcontroller.drivers.web.media.uploads import Uploads
from wxcontroller.drivers.web.session.commands import Commands
from wxcontroller.drivers.web.session.consent import Consent
from wxcontroller.drivers.web.session.guard import MediaLoop
from wxcontroller.drivers.web.session.identity import Identities
from wxcontroller.drivers.web.session.login import FLAGGED, Entered, LoginOptions, QrLogin
from wxcontroller.drivers.web.session.ownsends import OwnSends
from wxcontroller.drivers.web.session.roster import FILE_HELPER, RosterOptions, WebRoster
from wxcontroller.drivers.web.session.saved import Saved
from wxcontroller.drivers.web.session.sync import Entry, Listener, Lost, People
from wxcontroller.drivers.web.wire.calls import WebCalls, WebSession
from wxcontroller.drivers.web.wire.outgoing import SENDABLE, OutgoingMessage, media_message, text_message
from wxcontroller.drivers.web.wire.timing import DEFAULT, WebTiming

log = logging.getLogger(__name__)


class WebContacts(People, Pictured, Protocol):
    """An account's contacts; Roster, on the web page."""

    def begin(self, init: Init) -> None: ...

    def profile(self) -> Profile: ...

    async def load(self) -> None: ...

    async def work(self) -> None: ...


class WebDriver:
    """One account on the Web route. ``run`` once; everything else while it runs.

    Drivers of other pages with this protocol override the attributes, and the methods under "specific to the web
    page".
    """

    calls_of: ClassVar[type[WebCalls]] = WebCalls
    route: ClassVar[str] = "web"

    capabilities = Capabilities(
        sends=SENDABLE,
        contacts=True,
        groups=True,
        recall=True,
        avatars=True,
        lasting_ids=False,
        repeat_seconds=300.0,  # WeChat knows the ClientMsgId of recent messages (9.5)
        oneself=FILE_HELPER.id,
    )

    def __init__(self, context: DriverContext, timing: WebTiming = DEFAULT) -> None:
        """Raises BadOption for a ``ca_file`` that cannot be used."""
        self._limits = context.limits
        self._timing = replace(
            timing,
            connect=context.seconds("ua_connect_timeout"),
            # A poll is held for about 25 s: a shorter timeout would always expire. A much longer one would not notice
            # a broken connection.
            poll=max(timing.poll, min(45.0, context.seconds("ua_request_timeout")))
            if context.differs("ua_request_timeout")
            else timing.poll,
            check_spacing=context.seconds("synccheck_interval"),
            check_retry=max(0.1, context.seconds("synccheck_delay")),
            call=context.seconds("ua_request_timeout") if context.differs("ua_request_timeout") else timing.call,
            silence=context.seconds("ua_inactivity_timeout")
            if context.differs("ua_inactivity_timeout")
            else timing.silence,
            retries=context.number("ua_retry_times") if context.differs("ua_retry_times") else timing.retries,
        )
        self._emoji_names = context.flag("emoji_to_text")
        self._media_loop = MediaLoop(context.number("fix_media_loop"))
        self._stop_with_mobile = context.flag("stop_with_mobile")
        self._roster_options = RosterOptions(
            all_pages=context.flag("is_update_all_friend"),
            at_login=context.flag("is_init_group_member"),
            later=context.flag("is_update_group_member"),
        )
        self._login_options = LoginOptions(qrcodes=context.number("qrcode_count_max"))
        self._consent = self._consent_of(context)
        self._saved = Saved(context.store, self._home(context), context.flag("keep_cookie"))
        self._transport = transport_of(context, self._timing, self._saved.memory.jar)
        self._calls = self.calls_of(
            self._transport, self._timing, context.text("lang"), context.limits.wechat_answer_bytes
        )
        self._chunk = context.number("media_chunk_size")
        self._state = context.state
        self._identities = Identities(context.state)
        self._deadlines = context.deadlines
        self._session: _Live | None = None  # while it is alive
        self._logout = Logout()
        self._trouble: OSError | None = None  # of forgetting the session
        self._files_as_web = False  # the desktop page's form for files was refused
        self._last_client_id = 0
        self._own_sends = OwnSends()

    async def run(self, emit: Emit) -> Ended:
        """See Driver.run. Exceptions of ``emit`` are passed on unchanged."""
        self._saved.load()
        self._consent.load()
        async with self._transport:
            try:
                async with self._logout.ends(self._work(emit)) as working:
                    if working.done():
                        return working.result()
                    session = self._session.session if self._session else None
                    working.cancel()
                    await asyncio.wait({working})
                    return await self._logged_out(session)
            finally:
                self._logout.note_done()

    async def _logged_out(self, session: WebSession | None) -> Ended:
        """Tell WeChat, and forget the session in any case."""
        try:
            if session is not None:
                _ = await self._calls.logout(session)
        except WeChatError as problem:
            log.warning("the logout may not have reached WeChat: %s; end the session on the phone", problem.message)
        self._forget()
        return Ended(EndReason.LOGGED_OUT, Text("logged out as requested; start the account to log in again"))

    def _forget(self) -> None:
        try:
            self._saved.forget()
        except OSError as problem:
            self._trouble = problem

    async def logout(self) -> None:
        """See Driver.logout."""
        if not await self._logout.request():
            self._forget()
        if self._trouble is not None:
            raise self._trouble

    async def answer(self, input_id: str, value: str) -> None:
        """See Driver.answer."""
        await self._consent.answer(input_id, value)

    async def _work(self, emit: Emit) -> Ended:
        """Log in and listen repeatedly."""
        pulse = Pulse(emit, self._timing, self._deadlines)
        login = QrLogin(self._calls, self._saved, pulse, self._timing, self._login_options, self._consent)
        losses: deque[float] = deque(maxlen=self._timing.relogins)
        pause = Backoff(self._timing.retry_first, self._timing.retry_longest)
        try:
            await self._resume(pulse)
            while True:
                entered = await login.enter()
                if isinstance(entered, Ended):
                    return entered
                began = time.monotonic()
                lost = await self._hold(entered, pulse)
                await pulse.emit(SessionLost(lost.reason, lost.ret))
                ended = await self._judge(entered.way, lost, time.monotonic() - began, losses)
                if ended is not None:
                    return ended
                await pulse.pause(pause.next())
        finally:
            self._session = None
            # In this thread: the process ends, and a task that was cancelled cannot await.
            self._saved.save_now()

    async def _resume(self, pulse: Pulse) -> None:
        """Restore the data of earlier processes from the database.

        A stored session waits while that cannot be read: without its position it would skip messages received while
        the client was down. A new login has no position yet, and need not wait for a broken disk.
        """
        if self._state is None:
            return
        pause = Backoff(self._timing.retry_first, self._timing.retry_longest)
        while True:
            try:
                await self._identities.load()
                self._saved.resume(await self._state.restore())
            except WxError as problem:
                if self._saved.memory.session is None:
                    log.warning("%s; people and groups may get new numbers", problem.message)
                    return
                await pulse.emit(LoginStalled(problem.full_text))
                await pulse.pause(pause.next())
            else:
                return

    async def _hold(self, entered: Entered, pulse: Pulse) -> Lost:
        """Load the contacts and listen until the session is lost."""
        session = entered.session
        roster = self._roster(session, pulse)
        roster.begin(entered.init)
        listener = Listener(
            self._calls,
            session,
            self._saved,
            roster,
            pulse,
            self._timing,
            self._emoji_names,
            self._own_sends,
            self._media_loop,
            self._read,
        )
        return await run_beside(self._listen(entered, pulse, roster, listener), roster.work())

    async def _listen(self, entered: Entered, pulse: Pulse, roster: "WebContacts", listener: Listener) -> Lost:
        try:
            # Before the contacts: events about them name the account by its id.
            await pulse.emit(roster.profile())
            await self._notify(entered, pulse)
            # Before the contacts are loaded, which can take minutes: sends need the session only.
            self._session = self._put_to_work(entered.session, roster, listener)
            await roster.load()
            return await listener.listen()
        finally:
            self._session = None

    def _put_to_work(self, session: WebSession, roster: "WebContacts", listener: Listener) -> "_Live":
        def ticket() -> str:
            return self._saved.memory.jar.value("webwx_data_ticket")

        return _Live(
            session,
            listener,
            Uploads(self._calls, session, ticket, self._chunk, numbered=self.route == "web"),
            Downloads(self._calls, session, roster, ticket, self._timing.retry_first),
            self._commands_of(session, roster),
        )

    # -- specific to the web page

    def _home(self, context: DriverContext) -> str:
        """Return the host to begin with."""
        return context.text("domain")

    def _consent_of(self, context: DriverContext) -> Consent:
        desktop = {"on": True, "off": False}.get(context.text("desktop"))
        return Consent(context.account, desktop, context.decisions)

    def _roster(self, session: WebSession, pulse: Pulse) -> "WebContacts":
        return WebRoster(
            self._calls,
            session,
            pulse,
            self._timing,
            self._emoji_names,
            self._roster_options,
            self._identities,
            self._limits.contact_pages,
        )

    def _read(self, raw: JsonObject, me: str, emoji_names: bool) -> Entry | None:
        """Read an entry of AddMsgList."""
        return messages.message_of(raw, me, emoji_names)

    def _commands_of(self, session: WebSession, roster: "WebContacts") -> Commands | None:
        """Return the object that changes messages, people and groups; None on a page without these operations."""
        return Commands(self._calls, session, roster) if isinstance(roster, WebRoster) else None

    async def _notify(self, entered: Entered, pulse: Pulse) -> None:
        """Make the phone show the session; it answers with its list of chats. Not fatal (5.2)."""
        session = entered.session
        try:
            answers.accepted(await pulse.wait(self._calls.status_notify(session, 3, session.me)))
        except WeChatError as problem:
            log.info("%s", problem.message)

    async def _judge(self, way: LoginWay, lost: Lost, lasted: float, losses: deque[float]) -> Ended | None:
        """Decide after a session that lasted some seconds: None to log in again."""
        self._saved.memory.session = None  # the cookies stay: they may serve a login by consent
        await self._saved.save()
        # A large address book may take long: then only a complete lack of answers counts.
        new = lasted < self._timing.flagged_within * (1 if lost.heard else 10)
        stored = way is LoginWay.STORED
        if lost.ret in (1100, 1102) and new and not stored:
            return Ended(EndReason.FLAGGED, FLAGGED)
        # A stored session may be found dead only now, although it could be reopened (3.6): log in again.
        if lost.ret == 1101 and (self._stop_with_mobile or (lost.at_sync and not (stored and new))):
            return Ended(
                EndReason.PHONE,
                Text("by its owner, or by another login; start the account to log in again"),
            )
        now = time.monotonic()
        if len(losses) == losses.maxlen and now - losses[0] < self._timing.relogin_window:
            return Ended(
                EndReason.RETRIES_USED_UP,
                Text(
                    "{count} sessions were lost within an hour ({ret}); start the account again later",
                    count=len(losses) + 1,
                    ret=lost.ret,
                ),
            )
        losses.append(now)
        return None

    # -- calls on a session

    async def send_text(self, to: str, content: str, client_id: str) -> Sent:
        """See Driver.send_text."""
        return await self._send(text_message(content), to, client_id)

    async def send_media(self, to: str, content: Uploaded, client_id: str) -> Sent:
        """See Driver.send_media."""
        try:
            return await self._send_media(to, content, client_id)
        except WeChatError as problem:
            raise (reference_refusal(problem) if content.reference else problem) from None

    async def _send_media(self, to: str, content: Uploaded, client_id: str) -> Sent:
        desktop = self._live("webwxsendappmsg").session.desktop and not self._files_as_web
        try:
            return await self._send(media_message(content, desktop), to, client_id)
        except WeChatError as problem:
            if not desktop or content.kind is not MessageKind.FILE or problem.ret not in ABOUT_CONTENT:
                raise
        # Not every server takes files in the desktop page's form (2.2, 12).
        sent = await self._send(media_message(content, desktop=False), to, client_id)
        # Only after it worked: a refusal may be about the content.
        self._files_as_web = True
        return sent

    async def _send(self, outgoing: OutgoingMessage, to: str, client_id: str) -> Sent:
        live = self._live(outgoing.call)
        if live.listener.paused:
            raise refusal(outgoing.call, TOO_FREQUENT)
        words = text(outgoing.message.get("Content"))
        with self._own_sends.sending(client_id, to, plain(words, self._emoji_names)):
            try:
                answer = await self._calls.send(
                    live.session, outgoing.call, outgoing.query, to, client_id, outgoing.message, outgoing.scene
                )
                message_id = answers.sent_of(answer)
            except WeChatError as problem:
                if problem.ret is not None:
                    live.listener.sent(problem.ret)
                raise
            self._saved.memory.seen.add(message_id)  # in case it is echoed (7.2)
        live.listener.sent(0, media=outgoing.call != "webwxsendmsg")
        self._saved.memory.last_sent[to] = message_id
        reached(Point.SENT)
        return Sent(message_id)

    async def upload(self, file: Upload) -> Uploaded:
        """See Driver.upload."""
        return await self._live("webwxuploadmedia").uploads.upload(file)

    async def fetch(self, media: MessageMedia, sink: Sink, limit: int) -> Fetched:
        """See Driver.fetch. Content that WeChat no longer has is 0 bytes."""
        return await self._live("fetch").downloads.fetch(media, sink, limit)

    async def avatar(self, person: str, group: str, sink: Sink, limit: int) -> Fetched:
        """See Driver.avatar."""
        return await self._live("avatar").downloads.avatar(person, group, sink, limit)

    async def revoke(self, message_id: str, to: str) -> None:
        """See Driver.revoke."""
        await self._commands("webwxrevokemsg").revoke(message_id, to, self.new_client_id())

    async def create_group(self, people: Sequence[str], name: str) -> str:
        """See Driver.create_group."""
        return await self._commands("webwxcreatechatroom").create_group(people, name)

    async def invite(self, group: str, people: Sequence[str]) -> None:
        """See Driver.invite."""
        await self._commands("webwxupdatechatroom").invite(group, people)

    async def kick(self, group: str, people: Sequence[str]) -> None:
        """See Driver.kick."""
        await self._commands("webwxupdatechatroom").kick(group, people)

    async def rename_group(self, group: str, name: str) -> None:
        """See Driver.rename_group."""
        await self._commands("webwxupdatechatroom").rename_group(group, name)

    async def set_remark(self, person: str, remark: str) -> None:
        """See Driver.set_remark."""
        await self._commands("webwxoplog").set_remark(person, remark)

    async def pin(self, chat: str, on: bool) -> None:
        """See Driver.pin."""
        await self._commands("webwxoplog").pin(chat, on)

    async def ask_friend(self, person: str, greeting: str) -> None:
        """See Driver.ask_friend."""
        await self._commands("webwxverifyuser").ask_friend(person, greeting)

    async def accept_friend(self, person: str, ticket: str) -> None:
        """See Driver.accept_friend."""
        await self._commands("webwxverifyuser").accept_friend(person, ticket)

    def _commands(self, call: str) -> Commands:
        commands = self._live(call).commands
        if commands is None:
            raise Unsupported(
                N_("the {route} route does not support {call}"),
                N_("use an account on a route that does"),
                route=self.route,
                call=call,
            )
        return commands

    def _live(self, call: str) -> "_Live":
        if self._session is None:
            raise WeChatError(
                N_("{call}: the account is not logged in"), N_("wait until it is running"), ret=1100, call=call
            )
        return self._session

    def new_client_id(self) -> str:
        """Return 17 digits: milliseconds and four more, growing even if the clock is set back (7.9)."""
        proposed = int(time.time() * 1000) * 10_000 + secrets.randbelow(1000)
        self._last_client_id = max(proposed, self._last_client_id + 1)
        return str(self._last_client_id)


@dataclass(frozen=True, slots=True)
class _Live:
    """A session that is listened to, and everything that works on it."""

    session: WebSession
    listener: Listener
    uploads: Uploads
    downloads: Downloads
    commands: Commands | None


def make_driver(context: DriverContext) -> Driver:
    """Return the Web route for an account. Raises BadOption for options that cannot work."""
    return WebDriver(context)
