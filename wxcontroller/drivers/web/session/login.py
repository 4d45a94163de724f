"""Logging in: with the stored session, else a confirmation on the phone, else a QR code (weixin-web-protocol 3)."""

import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import Enum, auto
from typing import NoReturn, TypeAlias, TypeVar

from wxcontroller.core.backoff import Backoff
from wxcontroller.core.errors import WeChatError
from wxcontroller.core.process.faultpoints import Point, reached
from wxcontroller.core.text.templates import NOTHING, Text
from wxcontroller.drivers.base import (
    Accepted,
    Ended,
    EndReason,
    Loading,
    LoginRefused,
    LoginStalled,
    LoginWay,
    LossReason,
    PushOffered,
    QrReady,
    ScanCancelled,
    Scanned,
    SessionLost,
)
from wxcontroller.drivers.connection.failures import NoAnswer, UnreadableResponse
from wxcontroller.drivers.connection.pulse import Pulse
from wxcontroller.drivers.web.decode import answers
from wxcontroller.drivers.web.decode.answers import Init, LoginPage, WebRedirect
from wxcontroller.drivers.web.decode.failures import SESSION_OVER, TOO_FREQUENT, HostMoved, Overloaded
from wxcontroller.drivers.web.session.consent import SWITCH, Consent, Step
from wxcontroller.drivers.web.session.saved import Saved
from wxcontroller.drivers.web.wire.calls import WebCalls, WebSession
from wxcontroller.drivers.web.wire.cookies import Cookie
from wxcontroller.drivers.web.wire.hosts import hosts_of
from wxcontroller.drivers.web.wire.timing import WebTiming

log = logging.getLogger(__name__)
# Accepted redirects between hosts in a row: an account has one host, and WeChat names it.
HOST_MOVES = 3
# Failed confirmed scans in a row: more would only prolong a ban.
FRUITLESS_SCANS = 4
T = TypeVar("T")
_Work: TypeAlias = Callable[[], Coroutine[None, None, T]]
_QR_LINK = "https://login.weixin.qq.com/l/"
_NOT_ALLOWED = 1203
# System, logic, parameter and session errors: the login is begun once more (3.5).
_ONCE_MORE = frozenset({-1, -2, 1, 1200}) | SESSION_OVER


@dataclass(frozen=True, slots=True)
class LoginOptions:
    """Limits of a login."""

    qrcodes: int


@dataclass(frozen=True, slots=True)
class Entered:
    """Logged in."""

    session: WebSession
    way: LoginWay
    init: Init


class _ScanOutcome(Enum):
    """The result of waiting for a phone that did not confirm."""

    EXPIRED = auto()
    CANCELLED = auto()
    FAILED = auto()


class _Again(Exception):
    """The login has to begin again with another QR code."""


class _NotThisMode(_Again):
    """WeChat refuses the account in this mode; another one may remain."""


class _Over(Exception):
    """Nothing more can be done without a person."""

    def __init__(self, reason: EndReason, words: Text) -> None:
        super().__init__(words)
        self.ended = Ended(reason, words)


class QrLogin:
    """The ways to log in, in order. ``consent`` selects the mode."""

    def __init__(
        self, calls: WebCalls, saved: Saved, pulse: Pulse, timing: WebTiming, options: LoginOptions, consent: Consent
    ) -> None:
        self._calls = calls
        self._saved = saved
        self._pulse = pulse
        self._timing = timing
        self._options = options
        self._consent = consent
        self._restarted = False

    async def enter(self) -> Entered | Ended:
        """Log in by the first way that works. Waits for unreachable servers without a time limit."""
        await self._pulse.emit(Loading())
        try:
            entered = await self._stored() or await self._push() or await self._scan()
        except _Over as over:
            return over.ended
        self._restarted = False
        return entered

    # -- the stored session

    async def _stored(self) -> Entered | None:
        memory = self._saved.memory
        session = memory.session
        if session is None:
            return None
        try:
            init = await self._init(session, keep_keys=True)
        except WeChatError as problem:
            log.info("the stored session is no longer valid: %s", problem.message)
            # The cookies stay: they may serve a login by consent.
            memory.session = None
            return None
        await self._pulse.emit(Accepted(LoginWay.STORED))
        return Entered(session, LoginWay.STORED, init)

    async def _init(self, session: WebSession, keep_keys: bool) -> Init:
        """Open a session. ``keep_keys``: news since the stored sync key are still to come."""

        async def once() -> Init:
            return answers.init_of(await self._calls.init(session))

        # A good session is not dropped for a rate limit.
        init = await self._persist(once, waits_for=TOO_FREQUENT if keep_keys else -1)
        session.me = str(init.user["UserName"])
        session.skey = init.skey or session.skey
        session.invite_from = init.invite_from
        # With init's keys, everything since the stored position would count as received.
        if not (keep_keys and session.sync_key):
            session.sync_key, session.check_key = init.sync_key, ()
        if await self._saved.save() and not keep_keys:
            # From here on a restart resumes this session, and needs its starting position.
            await self._pulse.emit(self._saved.checkpoint())
        return init

    async def _persist(self, once: _Work[T], tries: int = 0, waits_for: int = -1) -> T:
        """Repeat a request until it succeeds: always while WeChat is unreachable, ``tries`` times after failures.

        ``waits_for`` is a temporary code, in addition to -1. Raises WeChatError for a refusal, and for the last of
        the unreadable answers.
        """
        backoff = Backoff(self._timing.retry_first, self._timing.retry_longest)
        frequent = Backoff(self._timing.frequent_first, self._timing.frequent_longest)
        in_vain = 0
        while True:
            try:
                return await self._pulse.wait(once())
            except NoAnswer as problem:
                failure: WeChatError = problem
            except WeChatError as problem:
                if tries or not isinstance(problem, Overloaded):
                    in_vain += 1
                if (
                    isinstance(problem, HostMoved)
                    and in_vain <= HOST_MOVES
                    and self._saved.memory.move(problem.domain)
                ):
                    continue
                transient = isinstance(problem, UnreadableResponse) or problem.ret in (-1, waits_for)
                if not transient or in_vain >= (tries or self._timing.login_tries):
                    raise
                failure = problem
            pause = frequent.next() if failure.ret == TOO_FREQUENT else backoff.next()
            if backoff.tries >= 2:  # once may happen
                await self._pulse.emit(LoginStalled(failure.full_text))
            log.debug("%s; next try in %.0f s", failure.message, pause)
            await self._pulse.pause(pause)

    # -- consent on the phone

    async def _push(self) -> Entered | None:
        memory = self._saved.memory
        if not memory.uin or not memory.jar.value("webwx_auth_ticket"):
            return None
        desktop = self._consent.push_mode(memory.desktop)
        if desktop is None:
            return None
        self._page_cookies()

        async def once() -> str:
            return answers.push_uuid_of(await self._calls.push_login(memory.domain, memory.uin, desktop))

        try:
            uuid = await self._persist(once, tries=min(3, self._timing.retries + 1))
        except WeChatError as problem:
            log.info("no login without a scan: %s", problem.message)
            return None
        await self._pulse.emit(PushOffered())
        answer = await self._watch(uuid)
        if isinstance(answer, _ScanOutcome):
            return None
        try:
            return await self._redeem(answer, desktop, LoginWay.PUSH)
        except _Again:
            return None

    def _page_cookies(self) -> None:
        """Set the cookies that the page keeps for this login (1.5, 3.4)."""
        memory = self._saved.memory
        wanted = {"last_wxuin": str(memory.uin), "login_frequency": "2"}
        loaded = memory.jar.value("wxloadtime").removesuffix("_expired")
        if loaded:
            wanted |= {"wxpluginkey": loaded, "wxloadtime": f"{loaded}_expired"}
        for name, value in wanted.items():
            memory.jar.put(Cookie(name, value, memory.domain, exact=False))

    # -- the QR code

    async def _scan(self) -> Entered:
        limit = self._options.qrcodes
        pause = Backoff(self._timing.retry_first, self._timing.retry_longest)
        unscanned = in_vain = 0
        while unscanned < limit:
            desktop = await self._mode()
            uuid = await self._uuid(desktop)
            image = await self._picture(uuid)
            shown = time.monotonic()
            await self._pulse.emit(QrReady(_QR_LINK + uuid, image, unscanned + 1, limit, self._timing.code_life))
            answer = await self._watch(uuid)
            if isinstance(answer, _ScanOutcome):
                unscanned += 1
                log.info("QR code %d of %d: %s", unscanned, limit, answer.name.lower())
                if answer is _ScanOutcome.CANCELLED or time.monotonic() - shown > self._timing.code_least:
                    pause.reset()
                elif unscanned < limit:  # expired too early to be scanned: a fault at WeChat
                    await self._pulse.pause(pause.next())
                continue
            try:
                return await self._redeem(answer, desktop, LoginWay.SCAN)
            except _NotThisMode:
                continue
            except _Again:
                in_vain += 1
                if in_vain >= FRUITLESS_SCANS:
                    raise _Over(
                        EndReason.RETRIES_USED_UP,
                        Text(
                            "WeChat rejected {in_vain} confirmed logins; start the account again later",
                            in_vain=in_vain,
                        ),
                    ) from None
        raise _Over(
            EndReason.QRCODES_USED_UP,
            Text("none of {limit} QR codes was used to log in; start the account again to get new ones", limit=limit),
        )

    async def _uuid(self, desktop: bool) -> str:
        memory = self._saved.memory

        async def once() -> str:
            try:
                return answers.uuid_of(await self._calls.jslogin(memory.domain, desktop))
            except (NoAnswer, UnreadableResponse):
                raise
            except WeChatError as problem:
                raise UnreadableResponse(
                    "jslogin", Text("WeChat answered {number}", number=problem.ret or 0)
                ) from None

        try:
            return await self._persist(once)
        except WeChatError as problem:
            raise _Over(
                EndReason.RETRIES_USED_UP,
                Text(
                    "WeChat returned no QR code ({problem}); it may block this IP address: start the account later",
                    problem=problem.text,
                ),
            ) from None

    async def _picture(self, uuid: str) -> bytes:
        """Return the JPEG, or nothing: the link can be drawn here."""
        for _ in range(min(3, self._timing.retries + 1)):
            try:
                return answers.picture_of(await self._pulse.wait(self._calls.qrcode(uuid)))
            except WeChatError as problem:
                log.debug("%s", problem.message)
                await self._pulse.pause(self._timing.retry_first / 4)
        log.warning("cannot fetch WeChat's picture of the QR code; drawing it from the link instead")
        return b""

    # -- waiting for the phone

    async def _watch(self, uuid: str) -> WebRedirect | _ScanOutcome:
        """Poll until the login is confirmed or rejected, or the code is too old."""
        backoff = Backoff(self._timing.retry_first, self._timing.retry_longest)
        since = time.monotonic()
        scanned, in_vain = False, 0
        while True:
            began = time.monotonic()
            try:
                poll = answers.poll_of(
                    await self._pulse.wait(
                        self._calls.login_poll(self._saved.memory.domain, uuid, 0 if scanned else 1)
                    )
                )
            except NoAnswer as problem:
                # Without an answer, the expiry of the code is not reported: assume it after twice its lifetime.
                if time.monotonic() - since > 2 * self._timing.code_life:
                    return _ScanOutcome.EXPIRED
                await self._pulse.pause(0.0 if problem.timed_out else backoff.next())
                continue
            except WeChatError as problem:
                in_vain += 1
                log.debug("%s", problem.message)
                if isinstance(problem, HostMoved):
                    self._saved.memory.move(problem.domain)
                if in_vain >= self._timing.poll_tries:
                    return _ScanOutcome.FAILED
                await self._pulse.pause(backoff.next())
                continue
            await self._pulse.progress()
            match poll.code:
                case 200 if poll.redirect is not None:
                    return poll.redirect
                case 201:
                    backoff.reset()
                    if not scanned:
                        scanned, since = True, time.monotonic()
                        await self._pulse.emit(Scanned(poll.avatar))
                    else:
                        await self._pulse.pause(self._timing.scanned_again)
                case 408:
                    backoff.reset()
                    if time.monotonic() - since > self._timing.code_life:
                        return _ScanOutcome.EXPIRED
                    await self._pulse.pace(began, self._timing.poll_spacing)
                case 202:
                    await self._pulse.emit(ScanCancelled())
                    return _ScanOutcome.CANCELLED
                case 400:
                    return _ScanOutcome.EXPIRED
                case _:
                    await self._pulse.pause(backoff.next())
                    return _ScanOutcome.FAILED

    # -- after the confirmation

    async def _redeem(self, redirect: WebRedirect, desktop: bool, way: LoginWay) -> Entered:
        """Turn the confirmed login into a session. Raises _Again or _Over."""
        page = await self._page(redirect, desktop)
        if page.ret != 0:
            await self._refuse(page, desktop)
        # The page accepted this mode, even if the session fails later.
        await self._consent.forget_refusals(desktop)
        session = self._session(page, desktop)
        memory = self._saved.memory
        memory.session, memory.uin, memory.desktop = session, session.uin, desktop
        reached(Point.LOGIN_CONFIRMED)
        # Before Accepted is shown: a crash from here on resumes this session instead of asking for another scan.
        await self._saved.save()
        reached(Point.LOGIN_STORED)
        await self._pulse.emit(Accepted(way))
        try:
            init = await self._init(session, keep_keys=False)
        except WeChatError as problem:
            await self._not_opened(problem)
        return Entered(session, way, init)

    async def _page(self, redirect: WebRedirect, desktop: bool) -> LoginPage:
        memory = self._saved.memory
        for _ in range(HOST_MOVES):  # from host to host
            memory.domain = hosts_of(redirect.host).base

            async def once(at: WebRedirect = redirect) -> LoginPage:
                return answers.login_page_of(await self._calls.login_page(at.host, at.path, at.query, desktop))

            page = await self._thrice(once)
            if page.moved is None:
                return page
            if not page.moved.path.endswith("webwxnewloginpage"):
                memory.domain = hosts_of(page.moved.host).base
                raise _Again
            redirect = page.moved
        raise _Again

    async def _thrice(self, once: _Work[LoginPage]) -> LoginPage:
        # Three times, as WeChat's page does (3.5).
        last = min(3, self._timing.retries + 1)
        for attempt in range(1, last + 1):
            try:
                return await self._pulse.wait(once())
            except WeChatError as problem:
                log.info("%s", problem)
                if attempt < last:
                    await self._pulse.pause(self._timing.retry_first)
        raise _Again

    def _session(self, page: LoginPage, desktop: bool) -> WebSession:
        memory = self._saved.memory
        uin = memory.jar.value("wxuin")
        session = WebSession(
            domain=memory.domain,
            uin=page.uin or (int(uin) if uin.isascii() and uin.isdigit() and len(uin) < 19 else 0),
            sid=page.sid or memory.jar.value("wxsid"),
            skey=page.skey,
            pass_ticket=page.pass_ticket,
            desktop=desktop,
            opened=time.time(),
        )
        if not session.uin or not session.sid:
            log.warning("WeChat accepted the login but returned no session")
            raise _Again
        return session

    async def _refuse(self, page: LoginPage, desktop: bool) -> NoReturn:
        """Report a refusal and decide the next step. Raises _Again or _Over."""
        words = Text("{message} (ret={ret})", message=page.message or Text("no reason given"), ret=page.ret)
        way = Text("once more")
        if page.ret == _NOT_ALLOWED:
            await self._refuse_mode(page, desktop, words)
        if page.ret in _ONCE_MORE:
            again, self._restarted = not self._restarted, True
            remedy = Text("start the account again later")
        elif page.ret == TOO_FREQUENT:
            again, remedy = False, Text("too many logins; wait an hour, then start the account again")
        else:
            again, remedy = False, Text("start the account again later, or {switch}", switch=Text(SWITCH))
        await self._pulse.emit(LoginRefused(page.ret, page.message, final=not again, way=way if again else NOTHING))
        if again:
            raise _Again
        raise _Over(EndReason.REFUSED, Text("{what}; {remedy}", what=words, remedy=remedy))

    async def _refuse_mode(self, page: LoginPage, desktop: bool, words: Text) -> NoReturn:
        """Report that WeChat refuses a mode, and decide about the other one. Raises _NotThisMode or _Over."""
        step = await self._consent.refused(desktop)
        way = {Step.NORMAL: Text("in normal mode"), Step.DESKTOP: Text("in desktop mode")}.get(step, NOTHING)
        await self._pulse.emit(LoginRefused(page.ret, page.message, final=not way, way=way))
        if step is Step.NONE:
            raise _Over(EndReason.REFUSED, Text("{what}; {remedy}", what=words, remedy=self._consent.no_mode_left))
        raise _NotThisMode

    async def _not_opened(self, problem: WeChatError) -> NoReturn:
        """The login was accepted, but the session does not work. Raises _Again or _Over."""
        self._saved.memory.session = None
        await self._saved.save()
        ret = problem.ret
        if ret in (1100, 1102):
            reason = LossReason.LOGGED_OUT if ret == 1100 else LossReason.COOKIE
            await self._pulse.emit(SessionLost(reason, ret))
            raise _Over(EndReason.FLAGGED, FLAGGED) from None
        if ret == TOO_FREQUENT:
            await self._pulse.emit(SessionLost(LossReason.TOO_FREQUENT, TOO_FREQUENT))
            raise _Over(
                EndReason.REFUSED, Text("too many logins; wait an hour, then start the account again")
            ) from None
        await self._pulse.emit(SessionLost(LossReason.ERRORS, ret or 0))
        if self._restarted:
            raise _Over(
                EndReason.RETRIES_USED_UP,
                Text("logged in, but {problem}; start the account again later", problem=problem.text),
            ) from None
        self._restarted = True
        raise _Again from None

    async def _mode(self) -> bool:
        """Return whether the next code is for desktop mode, which may need the owner's consent. Raises _Over."""
        while (step := self._consent.next_step()) is Step.ASK:
            await self._consent.ask(self._pulse)
            await self._pulse.emit(Loading())
        if step is Step.NONE:
            raise _Over(
                EndReason.REFUSED,
                Text(
                    "more attempts would make it worse (ret=1203); {switch}, or start "
                    "the account again in an hour or later",
                    switch=Text(SWITCH),
                ),
            )
        return step is Step.DESKTOP


FLAGGED = Text(
    "the account is probably flagged. Leave it alone for some days, use it on the phone, then start it again; or "
    "{switch}",
    switch=Text(SWITCH),
)
