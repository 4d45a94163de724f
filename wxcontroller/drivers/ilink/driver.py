"""The iLink route's driver: joins login, polling and content, and sends."""

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from wxcontroller.core.backoff import Backoff
from wxcontroller.core.errors import FailureHandling, NotAsked, Unsupported, WeChatError, WxError, reason_of
from wxcontroller.core.jsontypes import JsonObject, text
from wxcontroller.core.model import Contact, MessageKind, MessageMedia
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
    LossReason,
    Profile,
    ReplyWindow,
    RosterChanged,
    RosterLoaded,
    Sent,
    ServiceState,
    SessionLost,
    Sink,
    Upload,
    Uploaded,
)
from wxcontroller.drivers.connection.logout import Logout
from wxcontroller.drivers.connection.pulse import Pulse
from wxcontroller.drivers.connection.transport import transport_of
from wxcontroller.drivers.ilink import decode
from wxcontroller.drivers.ilink.claim import Claimed, claimed, marks
from wxcontroller.drivers.ilink.decode import SESSION_TIMEOUT
from wxcontroller.drivers.ilink.login import ILinkLogin, accepted
from wxcontroller.drivers.ilink.media import ILinkMedia, item_of
from wxcontroller.drivers.ilink.memory import ILinkMemory
from wxcontroller.drivers.ilink.polling import Poller
from wxcontroller.drivers.ilink.timing import DEFAULT, ILinkTiming
from wxcontroller.drivers.ilink.wire import Credentials, ILinkCalls, ILinkHosts

log = logging.getLogger(__name__)
_ROUTE = "iLink"
# Sessions that may be lost within an hour before no new code is shown: another client logs in with the same account.
_LOSSES, _LOSS_WINDOW = 5, 3600.0


def unsupported(what: str) -> Callable[..., Coroutine[Any, Any, NoReturn]]:
    """Return a method that refuses an operation."""

    async def refuse(*_: object, **__: object) -> NoReturn:
        raise Unsupported(
            Text(N_("the {route} route does not support this: {what}"), route=_ROUTE, what=Text(what)),
            N_("use an account on the web route for it; see docs/routes.md"),
        )

    return refuse


class ILinkDriver:
    """One account on the iLink route. ``run`` once; everything else while it runs."""

    capabilities = Capabilities(
        sends=frozenset({MessageKind.TEXT, MessageKind.IMAGE, MessageKind.VIDEO, MessageKind.FILE}),
        contacts=False,
        groups=False,
        recall=False,
        avatars=False,
        lasting_ids=True,
        repeat_seconds=300.0,  # one repetition under the same client id is taken for harmless (8, 19.7)
        window=ReplyWindow(),
    )

    def __init__(self, context: DriverContext, timing: ILinkTiming = DEFAULT) -> None:
        """Raises BadOption for a ``ca_file`` or proxy that cannot be used."""
        self._account, self._world = context.account, context.text("server")
        self._timing = timing
        self._memory = ILinkMemory(context.store)
        self._holder = context.holder
        self._state = context.state
        self._deadlines = context.deadlines
        self._limit = context.number("qrcode_count_max")
        self._tokenless = context.flag("tokenless_retry")
        self._hosts = ILinkHosts(self._world)
        self._transport = transport_of(context, timing)
        self._calls = ILinkCalls(self._transport, timing, self._hosts, context.limits.wechat_answer_bytes)
        self._contents = ILinkMedia(self._calls, self._transport, self._memory, timing, self._media_changed)
        self._pulse: Pulse | None = None
        self._login: ILinkLogin | None = None
        self._poller: Poller | None = None
        self._logout = Logout()
        self._only = ""  # see keep_user
        self._tickets: dict[str, tuple[str, float]] = {}  # for typing notices, by person, and how long they are good
        self._revived = 0  # sessions that seemed to be over, before the present one

    # -- the session

    async def run(self, emit: Emit) -> Ended:
        """See Driver.run. Exceptions of ``emit`` are passed on unchanged."""
        self._memory.load()
        async with self._transport:
            try:
                async with self._logout.ends(self._work(emit)) as working:
                    if working.done():
                        return working.result()
                    return Ended(
                        EndReason.LOGGED_OUT, Text("logged out as requested; start the account to log in again")
                    )
            finally:
                # Also when cancelled: the protocol wants it at each orderly stop (10).
                await self._notify_stop()
                self._poller = None
                if self._logout.is_requested:
                    self._memory.forget()
                self._logout.note_done()

    async def logout(self) -> None:
        """See Driver.logout. The API has no logout: the credentials are forgotten here."""
        if not await self._logout.request():
            self._memory.forget()

    async def answer(self, input_id: str, value: str) -> None:
        """See Driver.answer."""
        if self._login is None:
            raise NotAsked(N_("the account is not waiting for an answer"), N_("check its state: wxctl status"))
        self._login.answer(input_id, value)

    async def _work(self, emit: Emit) -> Ended:
        """Log in and receive repeatedly."""
        pulse = self._pulse = Pulse(emit, self._timing, self._deadlines)
        losses: deque[float] = deque(maxlen=_LOSSES)
        await self._resume(pulse)
        credentials, stored = self._memory.credentials, True
        while True:
            if credentials is None:
                found = await self._enter(pulse)
                if isinstance(found, Ended):
                    return found
                credentials, stored = found, False
            try:
                # Before anything is received: a second poll with the same token would take half of the messages.
                async with claimed(self._account, credentials, self._world, self._holder):
                    if not stored:
                        await self._store(credentials, pulse)
                    await self._receive(credentials, pulse, stored)
            except Claimed as problem:
                return Ended(EndReason.TAKEN, already_used(problem.account))
            await pulse.emit(SessionLost(LossReason.REPLACED, SESSION_TIMEOUT))
            await self._emit_service()  # later, so that nothing is sent in between
            self._memory.credentials = credentials = None
            now = time.monotonic()
            if len(losses) == losses.maxlen and now - losses[0] < _LOSS_WINDOW:
                words = Text(
                    "{count} sessions were lost within an hour; start the account again later", count=len(losses) + 1
                )
                return Ended(EndReason.RETRIES_USED_UP, words)
            losses.append(now)

    async def _resume(self, pulse: Pulse) -> None:
        """Restore the data of earlier processes; a stored session waits until it can be read."""
        if self._state is None:
            return
        pause = Backoff(self._timing.retry_first, self._timing.retry_longest)
        while True:
            try:
                self._memory.resume(await self._state.restore())
            except WxError as problem:
                if self._memory.credentials is None:
                    log.warning("%s", problem.message)
                    return
                await pulse.emit(LoginStalled(problem.full_text))
                await pulse.pause(pause.next())
            else:
                return

    async def _enter(self, pulse: Pulse) -> Credentials | Ended:
        """Log in by a QR code."""
        self._login = ILinkLogin(self._calls, self._memory, self._hosts, pulse, self._timing, self._limit, self._only)
        try:
            return await self._login.enter()
        finally:
            self._login, self._only = None, ""

    def keep_user(self) -> bool:
        """See KeepsUser.keep_user. Codes that are shown already count, too."""
        self._only = self._memory.owner
        if self._login is not None:
            self._login.only = self._only
        return bool(self._only)

    async def _store(self, credentials: Credentials, pulse: Pulse) -> None:
        """Store the credentials of a new login, before anything is received with them."""
        reached(Point.LOGIN_CONFIRMED)
        pause = Backoff(self._timing.retry_first, self._timing.retry_longest)
        while True:
            try:
                await asyncio.to_thread(self._memory.enter, credentials)
            except OSError as problem:
                await pulse.emit(
                    LoginStalled(
                        Text("the session cannot be stored: {reason}; check free space", reason=reason_of(problem))
                    )
                )
                await pulse.pause(pause.next())
            else:
                reached(Point.LOGIN_STORED)
                await pulse.emit(self._memory.checkpoint())
                return

    async def _receive(self, credentials: Credentials, pulse: Pulse, stored: bool) -> None:
        """Receive until the session is over."""
        self._tickets.clear()
        await pulse.emit(accepted(stored))
        me = Contact(id=credentials.bot_id, name=credentials.bot_id)
        extra = {"ilink_user_id": credentials.user_id}
        await pulse.emit(Profile(me, credentials.user_id, marks(credentials, self._world), extra))
        await self._notify(credentials, pulse)
        peers = [peer for peer in self._memory.peers if peer != credentials.user_id]
        people = [credentials.user_id, *peers] if credentials.user_id else peers
        await pulse.emit(RosterLoaded(tuple(self._contact(peer) for peer in people), ()))
        await self._emit_service()
        self._poller = Poller(self._calls, credentials, self._memory, pulse, self._timing, self._emit_service)
        await self._poller.poll()
        self._revived += self._poller.revived
        self._poller = None  # a stop leaves it, for notifystop

    async def _emit_service(self) -> None:
        """Report the state of the service apart from the login."""
        if self._pulse is not None:
            poller, since = self._poller, self._memory.media_refused
            confirming = poller is not None and poller.confirming
            await self._pulse.emit(ServiceState(confirming, since, self._revived + (poller.revived if poller else 0)))

    async def _media_changed(self) -> None:
        """Store that WeChat began or ceased to refuse media, before anything else is sent."""
        await self._emit_service()
        if self._pulse is not None:
            await self._pulse.emit(self._memory.checkpoint())

    async def _notify(self, credentials: Credentials, pulse: Pulse) -> None:
        try:
            await pulse.wait(self._calls.notify(credentials, True, self._timing.brief))
        except WeChatError as problem:
            log.info("%s", problem.message)

    async def _notify_stop(self) -> None:
        """Announce the stop, within the remainder of one second."""
        if self._poller is None:
            return
        try:
            async with asyncio.timeout(self._timing.farewell):
                await self._calls.notify(self._poller.credentials, False, self._timing.farewell)
        except (TimeoutError, WeChatError) as problem:
            log.debug("WeChat was not notified of the stop: %s", problem)

    def _contact(self, peer: str) -> Contact:
        found = self._memory.peers.get(peer)
        alias = found.alias if found else ""
        return Contact(id=peer, name="", markname=alias, display=alias or peer)

    # -- sends

    async def send_text(self, to: str, content: str, client_id: str) -> Sent:
        """See Driver.send_text."""
        return await self._send(to, {"type": 1, "text_item": {"text": content}}, client_id)

    async def send_media(self, to: str, content: Uploaded, client_id: str) -> Sent:
        """See Driver.send_media."""
        return await self._send(to, item_of(content), client_id)

    async def _send(self, to: str, item: JsonObject, client_id: str) -> Sent:
        poller = self._live("sendmessage")
        if poller.confirming:
            raise WeChatError(
                N_("the account is checking whether its session is still valid"),
                N_("the message is sent again in a moment"),
                unsure=False,
                handling=FailureHandling.RETRY_SAME_ID,
            )
        context = self._memory.context_of(to)
        if not context:
            # Without a token WeChat reports success for messages that are never shown (9).
            raise WeChatError(
                N_("this person has not written since the login, and WeChat delivers replies only"),
                N_("the person has to write first"),
                unsure=False,
                handling=FailureHandling.WAIT_FOR_PEER,
            )
        message: JsonObject = {
            "from_user_id": "",
            "to_user_id": to,
            "client_id": client_id,
            "message_type": 2,
            "message_state": 2,
            "context_token": context,
            "item_list": [item],
        }
        answer = await self._calls.send(poller.credentials, message)
        failure = decode.verdict("sendmessage", answer)
        if self._tokenless and failure is not None and failure.ret == SESSION_TIMEOUT:
            # Users report that such a message was delivered without its token (9). If that is refused, too, the end
            # of the window is the reason: a missing token would be refused permanently.
            del message["context_token"]
            again = await self._calls.send(poller.credentials, message)
            answer = answer if decode.verdict("sendmessage", again) else again
        message_id = decode.sent_id(answer)
        reached(Point.SENT)
        return Sent(message_id)

    async def show_typing(self, person: str, on: bool) -> None:
        """See ShowsTyping.show_typing. A ticket is good for a day (10)."""
        poller, now = self._live("sendtyping"), time.monotonic()
        ticket, until = self._tickets.get(person, ("", 0.0))
        if now >= until:
            context = self._memory.context_of(person)
            answer = await self._calls.config(poller.credentials, person, context)
            if failure := decode.verdict("getconfig", answer):
                raise decode.failure_error(failure)
            ticket = text(answer.get("typing_ticket"))
            self._tickets[person] = (ticket, now + self._timing.ticket_life)
        answer = await self._calls.typing(poller.credentials, person, ticket, on)
        if failure := decode.verdict("sendtyping", answer):
            self._tickets.pop(person, None)
            raise decode.failure_error(failure)

    async def upload(self, file: Upload) -> Uploaded:
        """See Driver.upload."""
        return await self._contents.upload(self._live("getuploadurl").credentials, file)

    async def fetch(self, media: MessageMedia, sink: Sink, limit: int) -> Fetched:
        """See Driver.fetch. Content is fetched by its URL and needs no login."""
        return await self._contents.fetch(media, sink, limit)

    async def set_remark(self, person: str, remark: str) -> None:
        """See Driver.set_remark. WeChat has no remarks on this route: the alias is stored locally."""
        if self._pulse is None or person not in self._memory.peers:
            raise WeChatError(
                N_("this person has not written yet"),
                N_("an alias can be set only for people who have written"),
                ret=100,
            )
        self._memory.peers[person].alias = remark
        await self._pulse.emit(RosterChanged(contacts=(self._contact(person),)))
        await self._pulse.emit(self._memory.checkpoint())

    def new_client_id(self) -> str:
        """Return an id in the official form, milliseconds and eight hex digits (7)."""
        return f"wxcontroller:{int(time.time() * 1000)}-{secrets.token_hex(4)}"

    def _live(self, call: str) -> Poller:
        if self._poller is None:
            raise WeChatError(
                Text(N_("{call}: the account is not logged in"), call=call),
                N_("wait until it is running"),
                unsure=False,
                handling=FailureHandling.RETRY_SAME_ID,
            )
        return self._poller

    # Operations without a call on this route; see Driver.
    avatar = unsupported(N_("pictures of people"))
    revoke = unsupported(N_("recalling messages"))
    create_group = invite = kick = rename_group = unsupported(N_("groups"))
    pin = unsupported(N_("pinning chats"))
    ask_friend = accept_friend = unsupported(N_("friend requests"))


def already_used(account: str) -> Text:
    if not account:
        return Text("another program uses its session; stop that program, then start the account again")
    return Text(
        "account {account} has it; use one account for each WeChat user: remove {account}, or log in as another user",
        account=account,
    )


def make_driver(context: DriverContext) -> Driver:
    """Return the iLink route for an account. Raises BadOption for options that cannot work."""
    return ILinkDriver(context)
