"""The only writer of the login state, and of the files, reports and log lines that show it."""

import asyncio
import hashlib
import io
import logging
import time
from collections import Counter
from collections.abc import Iterator
from typing import assert_never

from wxcontroller.client.config import ClientConfig
from wxcontroller.client.incoming.reporting import Reporter
from wxcontroller.client.incoming.roster import Roster
from wxcontroller.client.login.publicfiles import PublicFiles
from wxcontroller.client.store.driverstate import DriverState
from wxcontroller.core.model import Direction, FriendRequest, MessageKind
from wxcontroller.core.process.journal import Event, fields
from wxcontroller.core.process.notify import Notifier
from wxcontroller.core.process.watchdog import Watchdog
from wxcontroller.core.states import LoginState
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import NOTHING, Text
from wxcontroller.drivers import base
from wxcontroller.openwx.contract import objects, reports
from wxcontroller.openwx.contract.replies import to_bytes
from wxcontroller.openwx.contract.statefile import ClientFacts, Moment, Question, SendLimits, render

log = logging.getLogger(__name__)
# Report slow storage after this many seconds.
_STORE_SECONDS = 5.0
# How old the time of the last answer may be in the state file, in seconds: the controller ignores older ones.
_FRESH = 10.0


class Session:
    """Follows the driver's events and publishes the session's state.

    Event reports (login, state_change, …) go to ``reporter``. The state file, the QR
    file, systemd's status line and the journal are written here and nowhere else.
    """

    def __init__(
        self,
        config: ClientConfig,
        facts: ClientFacts,
        roster: Roster,
        notifier: Notifier,
        watchdog: Watchdog,
        reporter: Reporter,
        driver_state: DriverState,
        files: PublicFiles,
    ) -> None:
        self.config = config
        self.facts = facts
        self.roster = roster
        self.state = LoginState.INIT
        self.previous: LoginState | None = None
        self.since = int(time.time())
        self.reason = NOTHING
        self.ended = ""  # why the driver stopped, an EndReason
        self._port_error = NOTHING  # why its port cannot be used
        self.limits: SendLimits | None = None  # None: unknown
        self.asks: Question | None = None  # the question that the driver waits for
        # Seconds since 1970 or 0: WeChat's last answer, and the last message.
        self.last_sync = 0
        self._sync_uptime = self._told_uptime = 0.0
        self.last_received = 0
        # Messages from WeChat since the process began, those sent from the phone included.
        self.messages: Counter[tuple[Direction, MessageKind]] = Counter()
        self._status = Text("starting")
        self._notifier = notifier
        self._watchdog = watchdog
        self._reporter = reporter
        self._report = reporter.event
        self._driver_state = driver_state
        self._files = files
        self.running = asyncio.Event()  # set while the state is RUNNING
        self._link: str | None = None
        self._codes = 0
        self._code_try = self._code_limit = self._code_until = 0  # of the last code, as Moment has them
        self._logins = 0
        self._way = base.LoginWay.SCAN
        self._loaded = False
        self._heard = False
        self._login_marks: tuple[str, ...] | None = None  # of the login, None while it is not known
        self._why_scan = NOTHING  # why a code has to be scanned, if the last session ended or was refused
        self._final_refusal = NOTHING  # logged with the remedy, which follows
        self._publish()

    @property
    def status(self) -> Text:
        """One line for ``systemctl status``."""
        return self._status

    def note_port(self, problem: Text) -> None:
        """Publish why the account's port cannot be used; an empty text if it can."""
        if problem != self._port_error:
            self._port_error = problem
            self._publish()

    async def handle(self, event: base.DriverEvent) -> None:
        """Handle one event of the driver. Events of its loop are signs of life; some come from other tasks."""
        await self._handle(event)
        # These can be set while the loop itself hangs.
        if not isinstance(event, base.RosterChanged | base.Offline | base.ServiceState):
            self._watchdog.feed()

    async def _handle(self, event: base.DriverEvent) -> None:
        match event:
            case base.Loading():
                self.move(LoginState.LOADING, Text("logging in to WeChat"))
            case base.LoginStalled():
                self._hindered(event)
            case base.QrReady():
                self._show_qrcode(event)
            case base.PushOffered():
                self.move(LoginState.CONFIRMING, Text("waiting for the phone to confirm; nothing to scan"))
            case base.Scanned():
                self.move(LoginState.CONFIRMING, Text("scanned; waiting for the phone to confirm"))
            case base.ScanCancelled():
                log.info("the phone cancelled the login; a new QR code follows")
            case base.InputRequired() if event.kind is base.InputKind.CODE:
                self._request_digits(event)
            case base.InputRequired():
                self.park(event.prompt, asks=event)
            case base.Accepted():
                self._accepted(event)
            case base.LoginRefused():
                self._refused(event)
            case base.Profile():
                events = self.roster.rename(event.me)
                self.roster.login, self.roster.extra = event.owner or event.me.id, event.extra
                self._login_marks = event.marks or None
                if self._loaded:  # a login provides it in parts
                    self._reporter.events(events)
                self._publish()
            case base.RosterLoaded():
                self.roster.replace(event.contacts, event.groups)
                self._roster_loaded()
            case base.RosterChanged():
                await self._roster_changed(event)
            case base.FriendAsked():
                self.roster.meet(event.request.id)
                self._report(reports.friend_request(event.request), key_of(event.request))
            case base.Online():
                self._heard = True
                self._note_answer()
                self._maybe_running()
            case base.Offline():
                self._heard = False
                status = Text("no response from WeChat, retrying: {reason}", reason=event.reason)
                self.move(LoginState.OFFLINE, status, event.reason)
            case base.Progress():
                if event.heard:
                    self._note_answer()
                    # Each answer changes the state file, but a busy account would write it every second.
                    if self._sync_uptime - self._told_uptime > _FRESH:
                        self._publish()
            case base.MessageArrived():
                self.messages[event.message.direction, event.message.kind] += 1
                if event.message.direction is Direction.RECEIVED:
                    self.last_received = int(time.time())
                if event.message.card is not None:
                    self.roster.meet(event.message.card.id)
            case base.Checkpoint():
                await self._checkpoint(event)
            case base.ServiceState():
                pass  # the send queue's
            case base.SessionLost():
                self._lost(event)
            case _:
                assert_never(event)

    def move(self, state: LoginState, status: Text, reason: Text = NOTHING, asks: Question | None = None) -> None:
        """Enter a state. Raises nothing.

        ``asks`` is what a person has to enter before the login can continue.
        """
        before = self.state
        self._status = status
        # In these states the reason is shown, also after the process has ended.
        if state not in (LoginState.PARKED, LoginState.STOPPED):
            self.reason = reason
            self.asks = asks
        if state is before:
            self._publish()
            return
        self.previous, self.state, self.since = before, state, int(time.time())
        if state is LoginState.RUNNING:
            self.running.set()
        else:
            self.running.clear()
        # Anyone who has the picture can start a login, so it exists only while it is needed.
        if state not in (LoginState.SCANNING, LoginState.CONFIRMING):
            self._drop_qrcode()
        self._publish()
        log.info(
            "%s → %s%s",
            before.word if before.word != state.word else before,
            state.word if before.word != state.word else state,
            "" if state is LoginState.PARKED else f": {status}",  # logged before
            extra=fields(Event.STATE, self.config.name.name, state.word),
        )
        if before.word != state.word:
            self._report(reports.event("state_change", before.word, state.word))

    def note(self, status: Text) -> None:
        """Update the status text without changing the state."""
        self._status = status
        self._publish()

    def note_limits(self, limits: SendLimits) -> None:
        """Note the limits of sends that WeChat's answers showed."""
        if limits != self.limits:
            self.limits = limits
            self._publish()

    def end(self, ended: base.Ended) -> None:
        """Park an account whose driver has stopped."""
        self.ended = ended.reason.name.lower()
        self._login_marks = () if ended.reason is base.EndReason.LOGGED_OUT else None
        words = Text(ended.reason)
        if ended.words:
            words = Text("{reason}: {words}", reason=words, words=ended.words)
        if ended.reason is base.EndReason.LOGGED_OUT:
            log.info("account %s: %s", self.config.name, words)
        else:
            self._log_parked(words, ended.words)
        self._park(words)

    def park(self, reason: Text, asks: base.InputRequired | None = None) -> None:
        """Stop trying until someone intervenes; the state file keeps the reason.

        ``asks``: the driver still runs, and continues when this is answered.
        """
        answer = f"; to answer, run: {command('answer', self.config.name.name)}" if asks else ""
        self._log_parked(f"{reason}{answer}", f"{self._final_refusal}{answer}")
        self._park(reason, question_of(asks) if asks else None)

    def _log_parked(self, reason: object, refusal: object) -> None:
        """Log why the account has stopped trying to log in: the ``refusal``, if WeChat refused the login."""
        name, state = self.config.name.name, LoginState.PARKED.word
        if self._final_refusal:
            log.error("login refused by WeChat: %s", refusal, extra=fields(Event.LOGIN_REFUSED, name, state))
        else:
            log.error("account %s needs attention: %s", name, reason, extra=fields(Event.PARKED, name, state))
        self._final_refusal = NOTHING

    def _park(self, reason: Text, asks: Question | None = None) -> None:
        self.reason, self.asks = reason, asks
        self.move(LoginState.PARKED, reason)
        self._report(reports.event("stop"))

    def _request_digits(self, event: base.InputRequired) -> None:
        """Ask for digits that a phone shows: the login continues once they are entered."""
        log.warning("account %s: %s", self.config.name, event.prompt)
        self.move(LoginState.CONFIRMING, event.prompt, asks=question_of(event))

    def feed_watchdog(self) -> None:
        """Tell the watchdog that the process still answers, where no driver does."""
        self._watchdog.feed()

    def stop(self) -> None:
        """End in an orderly way."""
        if self.state is LoginState.PARKED:
            return  # logged already
        self.move(LoginState.STOPPED, Text("stopped"))
        self._report(reports.event("stop"))

    def _note_answer(self) -> None:
        self.last_sync = int(time.time())
        # The controller compares it with its own reading: a wall clock
        # can jump, and this one counts a suspension, too.
        self._sync_uptime = time.clock_gettime(time.CLOCK_BOOTTIME)

    def _show_qrcode(self, event: base.QrReady) -> None:
        image = event.image or drawn(event.link)
        self._files.write(self.config.qrcode_path, image)
        self._link = event.link
        self._codes += 1
        self._code_try, self._code_limit = event.number, event.limit
        self._code_until = int(time.time() + event.seconds) if event.seconds else 0
        self._loaded = self._heard = False
        # The original reports the code before the state; scripts show it at that report.
        self._report(reports.qrcode_event(str(self.config.qrcode_path), image))
        log.info(
            "QR code %d of %d is ready: wxctl qr %s, or GET /openwx/get_qrcode?client=…",
            event.number,
            event.limit,
            self.config.name.instance,
            extra=fields(Event.QRCODE, self.config.name.name),
        )
        status = Text("waiting for a scan of QR code {number} of {limit}", number=event.number, limit=event.limit)
        self.move(LoginState.SCANNING, status, self._why_scan)

    def _hindered(self, event: base.LoginStalled) -> None:
        """Show in the status why the login is stuck, and log each reason once."""
        words = Text("login is stuck, retrying: {reason}", reason=event.reason)
        if words != self._status:
            log.warning("account %s: %s", self.config.name, words)
        self._status, self.reason = words, event.reason
        self._publish()

    def _accepted(self, event: base.Accepted) -> None:
        self._way = event.way
        self._logins += 1
        # A stored session of another login may follow: forget the last one.
        self._loaded = self._heard = False
        self.roster.clear()
        self.reason = self._why_scan = self._final_refusal = NOTHING
        log.info("logged in (%s)", event.way, extra=fields(Event.LOGIN, self.config.name.name))
        self.move(LoginState.UPDATING, Text("loading account data"))

    def _refused(self, event: base.LoginRefused) -> None:
        self._report(reports.event("login", -1, event.message))
        refusal = Text("{message} (ret={ret})", message=event.message or Text("no reason given"), ret=event.ret)
        if event.final:
            self._final_refusal = refusal
            return
        way = event.way or Text("another way")
        words = Text("{refusal}; scan the new code to try {way}", refusal=refusal, way=way)
        log.error("login refused by WeChat: %s", words, extra=fields(Event.LOGIN_REFUSED, self.config.name.name))
        self._why_scan = self._status = self.reason = Text("WeChat refused the login: {words}", words=words)
        self._publish()

    def _roster_loaded(self) -> None:
        if not self._loaded:
            self._loaded = True
            self._report(reports.event("login", 0 if self._way is base.LoginWay.STORED else 1))
            self._report_roster()
        self._maybe_running()

    async def _roster_changed(self, event: base.RosterChanged) -> None:
        """Apply a change group by group, because the reports of fifty large ones take a tenth of a second."""
        for part in split_change(event):
            events = self.roster.update(part.contacts, part.groups, part.gone)
            if self._loaded:  # until the list is complete, contacts are not changes
                self._reporter.events(events)
            # Let the event loop serve other requests between two groups.
            await asyncio.sleep(0)

    def _report_roster(self) -> None:
        """update_user, update_friend, update_group: the whole list, only for receivers that want it (3.3)."""
        roster, wants = self.roster, self._reporter.wants
        if roster.me and wants("update_user"):
            self._report(reports.event("update_user", objects.user(roster.me)))
        if wants("update_friend"):
            self._report(reports.event("update_friend", *roster.friend_objects()))
        if wants("update_group"):
            self._report(reports.event("update_group", *roster.group_objects(members=True)))

    def _maybe_running(self) -> None:
        # ``running`` means that contacts are loaded and WeChat has answered a sync: sending needs both.
        if self._loaded and self._heard:
            who = self.roster.me.name if self.roster.me else "?"
            people = Text("{n} contact", "{n} contacts", n=len(self.roster.contacts))
            groups = Text("{n} group", "{n} groups", n=len(self.roster.groups))
            self.move(
                LoginState.RUNNING,
                Text("logged in as {who}, {people}, {groups}", who=who, people=people, groups=groups),
            )

    def _lost(self, event: base.SessionLost) -> None:
        self._loaded = self._heard = False
        log.warning(
            "the session of account %s has ended: %s (code %d); logging in again",
            self.config.name,
            event.reason,
            event.ret,
            extra=fields(Event.SESSION_LOST, self.config.name.name),
        )
        self._why_scan = Text("{reason} (code {code})", reason=Text(event.reason), code=event.ret)
        self.move(LoginState.LOADING, Text("session over ({reason}), logging in again", reason=Text(event.reason)))

    async def _checkpoint(self, event: base.Checkpoint) -> None:
        """Wait until everything reported so far, and the driver's position after it, are on disk.

        While they cannot be, the account is not running.
        """
        # Queued behind the events that it covers; the driver sends the position to WeChat only after this returns.
        self._driver_state.checkpoint(event.state, event.seen, event.carries)
        log_ = self._reporter.log
        tries = log_.tries
        # No time limit: continuing would acknowledge messages that are not on disk.
        while log_.writing and not await log_.settled(_STORE_SECONDS):
            if log_.tries != tries:  # a writer that retries makes progress, a hanging one does not
                tries = log_.tries
                self._watchdog.feed()
            trouble = log_.trouble or log_.blocked or Text("the disk is slow")
            words = Text("cannot store incoming messages: {trouble}; check the account's disk", trouble=trouble)
            if self.state is LoginState.RUNNING:
                self._heard = False
                self.move(LoginState.OFFLINE, words)
            elif words != self._status:
                self._status = self.reason = words  # a login waits for the disk, too; or the reason is known only now
                self._publish()
        if self.state is LoginState.OFFLINE and not self._heard:
            self._heard = True
            self._maybe_running()

    def _drop_qrcode(self) -> None:
        self._link = None
        self._files.remove(self.config.qrcode_path)

    def _publish(self) -> None:
        me = self.roster.me
        moment = Moment(
            state=self.state,
            previous=self.previous,
            since=self.since,
            status=self._status,
            reason=self.reason,
            qrcode_link=self._link,
            qrcode_number=self._codes,
            qrcode_try=self._code_try,
            qrcode_limit=self._code_limit,
            qrcode_until=self._code_until,
            logins=self._logins,
            user_id=me.id if me else "",
            user_name=me.name if me else "",
            last_sync=self.last_sync,
            sync_uptime=round(self._sync_uptime, 1),
            asks=self.asks,
            limits=self.limits,
            ended=self.ended,
            login_marks=self._login_marks,
            port_error=self._port_error,
        )
        self._told_uptime = self._sync_uptime
        self._files.write(self.config.state_path, to_bytes(render(self.facts, moment)))
        self._notifier.status(f"{self.state}: {self._status}")


def question_of(asked: base.InputRequired) -> Question:
    return Question(asked.id, asked.kind.value, asked.prompt, asked.digits)


def split_change(event: base.RosterChanged) -> Iterator[base.RosterChanged]:
    """Yield the contacts, each group, and removed ones, in this order."""
    if event.contacts:
        yield base.RosterChanged(contacts=event.contacts)
    for group in event.groups:
        yield base.RosterChanged(groups=(group,))
    if event.gone:
        yield base.RosterChanged(gone=event.gone)


def key_of(request: FriendRequest) -> str:
    """The identity of a friend request when it is repeated; without the ticket itself."""
    return "request-" + hashlib.sha256(f"{request.id} {request.ticket}".encode("utf-8", "replace")).hexdigest()[:32]


def drawn(link: str) -> bytes:
    """Draw the code here if WeChat's picture could not be fetched. As PNG: viewers go by the content."""
    import segno  # rarely needed, and memory is multiplied by hundreds

    picture = io.BytesIO()
    segno.make(link, micro=False).save(picture, kind="png", scale=8)
    return picture.getvalue()
