"""Logging in: QR codes until a phone confirms one (ilink-bot-protocol, section 5).

A code lives for about 120 s, and a code that expires while the person gets the phone is the most common failed
login. So the next code is shown at 80 s, and the older one is polled until its time is over: a scan of the picture
that was on the screen a moment ago still counts. The first code to leave ``wait`` wins, and the others are dropped.

Each code is polled by one task, which reports to the login through a queue; only the login emits events.
"""

import asyncio
import logging
import time
from dataclasses import dataclass, field

from wxcontroller.core.backoff import Backoff
from wxcontroller.core.errors import BadAnswer, NotAsked, WeChatError
from wxcontroller.core.text.templates import N_, Text
from wxcontroller.drivers.base import (
    Accepted,
    Ended,
    EndReason,
    InputKind,
    InputRequired,
    Loading,
    LoginStalled,
    LoginWay,
    QrReady,
    ScanCancelled,
    Scanned,
)
from wxcontroller.drivers.connection.pulse import Pulse
from wxcontroller.drivers.ilink import decode
from wxcontroller.drivers.ilink.decode import QrAnswer, QrStatus
from wxcontroller.drivers.ilink.memory import ILinkMemory
from wxcontroller.drivers.ilink.timing import ILinkTiming
from wxcontroller.drivers.ilink.wire import LOGIN_HOST, Credentials, ILinkCalls, ILinkHosts

log = logging.getLogger(__name__)
DIGITS = "verify-code"
_LENGTH = 6  # attempts to enter the digits (5.2)
# With an older WeChat, a code "expires" after the scan without a reason (5.2).
OLD_PHONE = N_("the phone needs WeChat 8.0.69 or newer (on iOS 8.0.70); update WeChat if a scanned code expires")
OTHER_USER = N_("another WeChat user scanned the code; scan it as the user who was logged in before")
_PROMPT = N_("enter the digits that WeChat shows on the phone")


@dataclass(slots=True, eq=False)
class _Code:
    """A displayed login code, and the host to poll for it."""

    key: str = field(repr=False)
    shown_at: float
    host: str = LOGIN_HOST
    digits: str = ""  # sent with every poll until the code is accepted
    wrong: int = 0  # digits that WeChat did not accept
    scanned: bool = False
    reported: bool = False  # it was scanned, and no longer needs digits
    task: "asyncio.Task[None] | None" = None
    turn: asyncio.Event = field(default_factory=asyncio.Event)  # set while it may be polled


@dataclass(slots=True)
class ILinkLogin:
    """Logs an account in by QR codes. ``limit``: codes shown before giving up.

    ``only`` is the WeChat user who may log in, "" for anyone.
    """

    calls: ILinkCalls
    memory: ILinkMemory
    hosts: ILinkHosts
    pulse: Pulse
    timing: ILinkTiming
    limit: int
    only: str = ""
    _other: bool = False  # another person has scanned
    _answers: "asyncio.Queue[tuple[_Code, QrAnswer]]" = field(default_factory=asyncio.Queue)
    _asked: "asyncio.Future[str] | None" = None

    async def enter(self) -> Credentials | Ended:
        """Show codes until one is confirmed; return the credentials, or why no more codes are shown.

        Raises OSError if the credentials cannot be stored.
        """
        await self.pulse.emit(Loading())
        codes: list[_Code] = []
        number = expired = 0
        self._answers = asyncio.Queue()
        try:
            while True:
                if not codes or self._is_old(codes[-1]):
                    # Not before the last code has ended: it can still be scanned.
                    if number >= self.limit and not codes:
                        return Ended(EndReason.QRCODES_USED_UP, self._why(expired))
                    if number < self.limit:
                        number += 1
                        codes.append(await self._show(number))
                self._drop_old(codes)
                found = await self._next(codes)
                if found is None:
                    continue
                code, answer = found
                # A server may repeat the same status while a person thinks.
                await self.pulse.progress()
                # It was dropped while its answer waited in the queue.
                if code not in codes:
                    continue
                credentials = await self._take(code, answer, codes)
                if credentials is not None:
                    return credentials
                if answer.status is QrStatus.EXPIRED:
                    expired += 1
                    if code.scanned or expired >= 2:
                        await self.pulse.emit(LoginStalled(Text(OLD_PHONE)))
        finally:
            self._asked = None
            tasks = [code.task for code in codes if code.task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def answer(self, input_id: str, value: str) -> None:
        """Submit the digits that the phone shows. Raises NotAsked and BadAnswer."""
        if self._asked is None or self._asked.done() or input_id != DIGITS:
            raise NotAsked(
                N_("the account is not waiting for a verification code"), N_("check its state: wxctl status")
            )
        digits = value.strip()
        if not digits.isdecimal() or not digits.isascii() or not 4 <= len(digits) <= 8:
            raise BadAnswer(
                N_("a verification code has 6 digits"), N_("enter the digits that WeChat shows on the phone")
            )
        self._asked.set_result(digits)

    # -- codes

    async def _show(self, number: int) -> _Code:
        """Fetch a code and show it; tries until WeChat gives one."""
        pause = Backoff(self.timing.retry_first, self.timing.retry_longest)
        own = self.memory.credentials
        while True:
            try:
                answer = await self.pulse.wait(self.calls.qrcode([own.token] if own else []))
                key, content = decode.qrcode(answer)
            except WeChatError as problem:
                await self.pulse.emit(LoginStalled(problem.full_text))
                await self.pulse.pause(pause.next())
            else:
                code = _Code(key, time.monotonic())
                code.turn.set()
                code.task = asyncio.create_task(self._poll(code))
                await self.pulse.emit(QrReady(content, b"", number, self.limit, self.timing.code_refresh))
                if self._other:  # after the code, which would clear the text
                    await self.pulse.emit(LoginStalled(Text(OTHER_USER)))
                return code

    def _is_old(self, code: _Code) -> bool:
        return not code.scanned and time.monotonic() - code.shown_at >= self.timing.code_refresh

    def _drop_old(self, codes: list[_Code]) -> None:
        """Stop polling expired codes, unless a login with one is in progress."""
        for code in codes[:-1]:
            if not code.scanned and time.monotonic() - code.shown_at >= self.timing.code_life:
                self._drop(code, codes)

    def _drop(self, code: _Code, codes: list[_Code]) -> None:
        codes.remove(code)
        if code.task is not None:
            code.task.cancel()

    def _why(self, expired: int) -> Text:
        if expired >= 2:
            return Text(
                "{what}; {remedy}", what=Text(OLD_PHONE), remedy=Text("start the account again for new codes")
            )
        return Text("start the account again for new codes")

    async def _poll(self, code: _Code) -> None:
        """Ask about a code, again and again; a failed request counts as ``wait`` (5.2)."""
        while True:
            await code.turn.wait()
            began, digits = time.monotonic(), code.digits
            try:
                answer = decode.qr_answer(await self.calls.qrcode_status(code.host, code.key, digits))
            except WeChatError as problem:
                log.debug("%s", problem.message)
                answer = QrAnswer(QrStatus.WAIT, "")
            if answer.status is QrStatus.DIGITS:
                code.turn.clear()  # repeated once they are entered
            if answer.status is not QrStatus.WAIT:
                await self._answers.put((code, answer))
            elif answer.word and answer.word != QrStatus.WAIT:
                log.warning("a login code has an unknown status: %s", answer.word)
            # After digits, a person waits for the result, and the protocol requires an immediate poll (5.2).
            if not digits:
                await asyncio.sleep(max(0.0, began + self.timing.code_spacing - time.monotonic()))

    async def _next(self, codes: list[_Code]) -> tuple[_Code, QrAnswer] | None:
        """Wait for a change of a code; return None when the codes' ages must be checked."""
        now = time.monotonic()
        ages = [code.shown_at + self.timing.code_life for code in codes]
        if codes and not codes[-1].scanned:
            ages.append(codes[-1].shown_at + self.timing.code_refresh)
        due = min((when - now for when in ages if when > now), default=self.timing.progress_every)
        try:
            async with asyncio.timeout(min(max(0.01, due), self.timing.progress_every)):
                return await self._answers.get()
        except TimeoutError:
            await self.pulse.progress()
            last = codes[-1] if codes else None
            # The server normally reports "expired" itself; this is for a silent one.
            if last is not None and time.monotonic() - last.shown_at > self.timing.code_life + self.timing.code_poll:
                return (last, QrAnswer(QrStatus.EXPIRED, "")) if not last.scanned else None
            return None

    # -- the status of one

    async def _take(self, code: _Code, answer: QrAnswer, codes: list[_Code]) -> Credentials | Ended | None:
        """Act on a change of a code."""
        match answer.status:
            case QrStatus.EXPIRED | QrStatus.BLOCKED:
                if code.scanned:
                    await self.pulse.emit(ScanCancelled())
                self._drop(code, codes)
            case QrStatus.SCANNED | QrStatus.REDIRECT:
                self._win(code, codes)
                if answer.status is QrStatus.REDIRECT and self.hosts.allowed(answer.redirect_host):
                    code.host = answer.redirect_host
                code.scanned, code.digits = True, ""
                if not code.reported:
                    code.reported = True
                    await self.pulse.emit(Scanned())
            case QrStatus.DIGITS:
                self._win(code, codes)
                code.scanned = True
                await self._ask_for_digits(code)
            case QrStatus.CONFIRMED if answer.credentials is not None:
                # The person who scans becomes the owner (5.1): another person's messages must not arrive in this
                # account.
                if self.only and answer.credentials.user_id != self.only:
                    self._other = True
                    self._drop(code, codes)
                    return None
                return answer.credentials
            case QrStatus.CONFIRMED:
                await self.pulse.emit(LoginStalled(Text("WeChat confirmed the login without credentials")))
                self._drop(code, codes)
            case QrStatus.BOUND if self.memory.credentials is not None:
                return self.memory.credentials
            case QrStatus.BOUND:
                words = Text("this bot is bound to this installation already, but its credentials are not here")
                await self.pulse.emit(LoginStalled(words))
                self._drop(code, codes)
            case QrStatus.WAIT:
                pass
        return None

    def _win(self, code: _Code, codes: list[_Code]) -> None:
        """This code was scanned: drop the others."""
        for other in [other for other in codes if other is not code]:
            self._drop(other, codes)

    async def _ask_for_digits(self, code: _Code) -> None:
        """Wait for the digits that the phone shows; the code is polled with them."""
        code.wrong, code.digits = code.wrong + bool(code.digits), ""
        self._asked = asyncio.get_running_loop().create_future()
        await self.pulse.emit(InputRequired(DIGITS, InputKind.CODE, prompt(code.wrong), _LENGTH))
        end = time.monotonic() + self.timing.answer_patience
        try:
            while not self._asked.done() and time.monotonic() < end:
                await asyncio.wait({self._asked}, timeout=self.timing.progress_every)
                await self.pulse.progress()
            code.digits = self._asked.result() if self._asked.done() else ""
        finally:
            self._asked = None
        code.turn.set()


def prompt(wrong: int) -> Text:
    """Return the question. It is numbered, so that a repeated one compares as different."""
    if not wrong:
        return Text(_PROMPT)
    return Text(
        "the digits were wrong; enter the digits that WeChat shows on the phone",
        "the digits were wrong {n} times; enter the digits that WeChat shows on the phone",
        n=wrong,
    )


def accepted(stored: bool) -> Accepted:
    """Return the event for a login that succeeded."""
    return Accepted(LoginWay.STORED if stored else LoginWay.SCAN)
