"""Which mode the next login may use: normal or desktop mode (weixin-web-protocol 2.3).

Desktop mode marks an account whatever it does afterwards: WeChat recognizes the login itself, and pacing does not
help. With desktop=auto a login therefore starts in normal mode. Desktop mode follows only after WeChat refused normal
mode to this account (1203) and the account's owner agreed, with the risk in the same sentence. desktop=on counts as
the owner's agreement, desktop=off rules desktop mode out; neither ever asks.

Refusals and the agreement are stored in a separate file, which outlives the session, a logout and keep_cookie=0:
without it a restart would cost the owner another scan that WeChat refuses.
"""

import asyncio
import json
import logging
import time
from enum import Enum, auto

from wxcontroller.core.errors import BadAnswer, NotAsked
from wxcontroller.core.jsontypes import JsonObject, JsonValue, items, obj, positive_seconds
from wxcontroller.core.text.templates import N_, Text
from wxcontroller.drivers.base import InputKind, InputRequired, SessionStore
from wxcontroller.drivers.connection.pulse import Pulse

log = logging.getLogger(__name__)
INPUT_ID = "allow-desktop"
_YES = "yes"
_VERSION = 1
# More refused attempts than these look like an attack to WeChat; refusals with texts like "environment abnormal" pass
# after hours (2.3).
_HOUR = 3600.0
_DAY = 86400.0
_A_DAY = 3

# The way that works for an account that the web route refuses.
SWITCH = N_("switch to the official bot API (driver=ilink)")
_VERIFIED = Text(
    "{switch}; WeChat may also accept a verified account with a bank card bound on the web", switch=Text(SWITCH)
)
_NO_MODE_LEFT = {
    None: Text("neither normal mode nor desktop mode is open to this account; {hint}", hint=_VERIFIED),
    True: Text(
        "desktop mode is not open to this account, and desktop=on rules out normal mode; {hint}", hint=_VERIFIED
    ),
    False: Text(
        "normal mode is not open to this account, and desktop=off rules out desktop mode; {hint}",
        hint=_VERIFIED,
    ),
}


class Step(Enum):
    """The kind of the next login attempt."""

    NORMAL = auto()
    DESKTOP = auto()
    ASK = auto()  # desktop mode, once the owner agrees
    NONE = auto()


class Consent:
    """Remembers refusals by mode and the owner's agreement, and derives the next step.

    Modes are given as ``desktop``: False is normal mode. ``choice`` is the option desktop; None is auto.
    """

    def __init__(self, account: str, choice: bool | None, store: SessionStore | None) -> None:
        # Quoted for a shell: of the characters in a name, only the space is special there.
        self._account = f"'{account}'" if " " in account else account
        self._choice = choice
        self._store = store
        self._agreed = 0.0  # seconds since 1970, 0 for never
        self._refused: dict[bool, list[float]] = {False: [], True: []}  # latest refusals since it was accepted
        self._answered: asyncio.Event | None = None  # while the owner is asked

    def load(self) -> None:
        """Read the stored decisions. An unreadable file counts as empty: the owner is asked again."""
        try:
            content = self._store.load() if self._store is not None else None
            stored = obj(json.loads(content or b"{}"))
        except (OSError, ValueError, RecursionError) as problem:
            log.warning("cannot read the refused and allowed login modes: %s", problem)
            return
        if stored.get("version") != _VERSION:
            return
        refused = obj(stored.get("refused"))
        self._agreed = positive_seconds(stored.get("agreed"))
        self._refused = {False: times(refused.get("normal")), True: times(refused.get("desktop"))}

    def next_step(self) -> Step:
        """Return the mode of the next QR code, or the step required first."""
        if self._choice is not None:
            if self._exhausted(self._choice):
                return Step.NONE
            return Step.DESKTOP if self._choice else Step.NORMAL
        # An owner who agreed is not asked for a scan that WeChat refuses while desktop mode works.
        desktop_first = self._agreed and self._refused[False] and not self._refused[True]
        if not desktop_first and not self._exhausted(desktop=False):
            return Step.NORMAL
        if self._exhausted(desktop=True):
            return Step.NONE
        return Step.DESKTOP if self._agreed else Step.ASK

    @property
    def no_mode_left(self) -> Text:
        """The text of a final refusal, with a remedy."""
        return _NO_MODE_LEFT[self._choice]

    def push_mode(self, stored: bool | None) -> bool | None:
        """Return the mode of a push login with the cookies of a session in mode ``stored``, which they keep.

        None to skip it.
        """
        desktop = stored is True if self._choice is None else self._choice
        return None if self._exhausted(desktop) else desktop

    async def refused(self, desktop: bool) -> Step:
        """Remember that WeChat refused a mode with 1203; return the next step."""
        self._refused[desktop] = [*self._refused[desktop], time.time()][-_A_DAY:]
        await self._keep()
        # Refused in desktop mode is final once the owner agreed: nothing is left to try (3.5).
        if self._choice is not None or (desktop and self._agreed):
            return Step.NONE
        return self.next_step()

    async def forget_refusals(self, desktop: bool) -> None:
        """Forget the refusals of a mode that works."""
        if self._refused[desktop]:
            self._refused[desktop] = []
            await self._keep()

    async def ask(self, pulse: Pulse) -> None:
        """Ask the owner to agree to desktop mode, and wait without a limit."""
        self._answered = asyncio.Event()
        prompt = Text(
            "WeChat refuses normal web login to this account (ret=1203); it may accept a login in "
            "desktop mode, but WeChat may warn about this account's safety and bar it from "
            "scanning any code for about two weeks; to avoid that risk, stop the account and {switch}",
            switch=Text(SWITCH),
        )
        try:
            await pulse.emit(InputRequired(INPUT_ID, InputKind.CONSENT, prompt))
            await pulse.until(self._answered)
        finally:
            self._answered = None

    async def answer(self, input_id: str, value: str) -> None:
        """See Driver.answer. The agreement is on disk when this returns."""
        if self._answered is None or input_id != INPUT_ID:
            raise NotAsked(
                N_("account {account} is not waiting for an answer to {input_id}"),
                N_("show the question: wxctl status {account}"),
                account=self._account,
                input_id=input_id[:64],
            )
        if value != _YES:
            raise BadAnswer(
                N_("{value} is not an answer to this question"),
                N_("answer yes to accept; to decline, stop the account"),
                value=f"{value[:64]!r}",
            )
        answered, now = self._answered, time.time()
        if self._store is not None:
            await asyncio.to_thread(self._store.save, self._content(now))
        self._agreed = now
        answered.set()
        log.info("the owner of account %s allows desktop mode", self._account)

    def _exhausted(self, desktop: bool) -> bool:
        """Whether a mode was refused too recently, or too often, to be tried now."""
        now = time.time()
        # A clock set back must not make a refusal last longer.
        ages = [abs(now - moment) for moment in self._refused[desktop]]
        return any(age < _HOUR for age in ages) or sum(age < _DAY for age in ages) >= _A_DAY

    async def _keep(self) -> None:
        if self._store is None:
            return
        try:
            await asyncio.to_thread(self._store.save, self._content(self._agreed))
        except OSError as problem:
            log.error("cannot store the refused login mode: %s; free some disk space", problem.strerror)

    def _content(self, agreed: float) -> bytes:
        normal: list[JsonValue] = [*self._refused[False]]
        desktop: list[JsonValue] = [*self._refused[True]]
        refused: JsonObject = {"normal": normal, "desktop": desktop}
        return json.dumps({"version": _VERSION, "agreed": agreed, "refused": refused}).encode()


def times(stored: JsonValue) -> list[float]:
    return [moment for moment in map(positive_seconds, items(stored)) if moment][-_A_DAY:]
