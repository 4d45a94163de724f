"""Requests of agents for a token, which an administrator approves or refuses.

A request has two secrets. The agent polls with one; the other is in the link that it shows, and only who opened
the link can approve. The token is created when the approved agent fetches it, so no unused one ever exists. All is
in memory: after a restart of the controller, an agent requests pairing again.
"""

import asyncio
import hmac
import secrets
import time
from dataclasses import dataclass, field
from enum import StrEnum

from aiohttp import web

from wxcontroller.core.errors import WxError
from wxcontroller.core.failurelimit import caller_of
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.text.templates import N_

# The longest validity of WeChat's codes in clients.
LIVES_SECONDS = 300.0
MAX_OPEN = 50
# Otherwise one address, which may open that many in their lifetime, could prevent all others from pairing.
MAX_OF_ONE = MAX_OPEN // 2
PER_MINUTE = 10
_WRONG_DIGITS = 3  # ilink-bot-protocol 20.8


class Status(StrEnum):
    """The status that an agent gets, in the API's terms."""

    WAIT = "wait"
    OPENED = "scaned"
    DIGITS = "need_verifycode"
    BLOCKED = "verify_code_blocked"
    CONFIRMED = "confirmed"
    EXPIRED = "expired"
    BOUND = "binded_redirect"


_ENDED = frozenset({Status.BLOCKED, Status.EXPIRED, Status.BOUND})


class NoPairing(WxError, LookupError, code="no-such-pairing", status=404):
    """No open pairing request has this code."""

    def __init__(self) -> None:
        super().__init__(
            N_("no agent is waiting at this link; the request may have expired"),
            N_("start pairing in the agent again"),
        )


class TooManyPairings(WxError, code="too-many-pairings", status=429):
    """Too many pairing requests are open."""


@dataclass(frozen=True, slots=True)
class Approval:
    """An approval: the account by its instance, the consumer, and its ids."""

    instance: str
    consumer: str
    bot_id: str
    user_id: str


@dataclass(slots=True, eq=False)
class Pairing:
    """One request.

    ``key`` is the agent's secret, ``code`` the link's; ``account`` is what the agent suggests.

    ``reported`` is the status that the agent knows.
    """

    address: str
    agent: str
    account: str
    base_url: str
    status: Status = Status.WAIT
    key: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    code: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    asked: float = field(default_factory=time.time)
    reported: Status = Status.WAIT
    digits: str = ""
    approval: Approval | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    _wrong: int = 0
    _ends: float = field(default_factory=lambda: time.monotonic() + LIVES_SECONDS)

    @property
    def is_over(self) -> bool:
        return self.status in _ENDED or self.is_old

    @property
    def is_old(self) -> bool:
        return time.monotonic() >= self._ends

    def set(self, status: Status) -> None:
        """Change the status, and wake the agent's request."""
        self.status = status
        self.changed.set()
        self.changed = asyncio.Event()

    def enter(self, digits: str) -> None:
        """Accept the digits typed at the agent, if they are requested."""
        if self.status is not Status.DIGITS:
            return
        if hmac.compare_digest(digits.encode(), self.digits.encode()):
            self.set(Status.CONFIRMED)
            return
        self._wrong += 1
        if self._wrong >= _WRONG_DIGITS:
            self.approval = None
            self.set(Status.BLOCKED)

    def as_json(self) -> JsonObject:
        """Return the request for an administrator, without the secrets."""
        account: JsonValue = self.account or None
        return {
            "status": self.status.value,
            "address": self.address,
            "agent": self.agent,
            "account": account,
            "asked_at": int(self.asked),
            "base_url": self.base_url,
            "digits": self.digits if self.status is Status.DIGITS else None,
        }


class Pairings:
    """The requests that are open."""

    def __init__(self) -> None:
        self._by_key: dict[str, Pairing] = {}
        self._recent: dict[str, list[float]] = {}

    def add(self, pairing: Pairing) -> None:
        """Open a request. Raises TooManyPairings."""
        now, who = time.monotonic(), caller_of(pairing.address)
        recent = {key: [each for each in times if now - each < 60] for key, times in self._recent.items()}
        self._recent = {key: times for key, times in recent.items() if times}
        if len(self._recent.get(who, ())) >= PER_MINUTE:
            raise TooManyPairings(
                N_("more than {most} pairing requests from one address within a minute"),
                N_("wait a minute"),
                most=PER_MINUTE,
            )
        # Finished requests are kept until their agents have fetched the result, and are counted, too.
        full = len(self.open()) >= MAX_OPEN or len(self._by_key) >= 2 * MAX_OPEN
        if full or sum(caller_of(each.address) == who for each in self.open()) >= MAX_OF_ONE:
            raise TooManyPairings(
                N_("too many open pairing requests ({most})"),
                N_("refuse some, or wait until they expire"),
                most=MAX_OPEN if full else MAX_OF_ONE,
            )
        self._recent.setdefault(who, []).append(now)
        self._by_key[pairing.key] = pairing

    def open(self) -> list[Pairing]:
        """Return the requests that wait for an administrator or an agent, oldest first."""
        self._by_key = {key: each for key, each in self._by_key.items() if not each.is_old}
        return [each for each in self._by_key.values() if not each.is_over]

    def of_agent(self, key: str) -> Pairing | None:
        """Return the request that an agent polls for, also one that is over."""
        return self._by_key.get(key)

    def of_link(self, code: str) -> Pairing:
        """Return the request that a link is for. Raises NoPairing."""
        for each in self.open():
            if hmac.compare_digest(each.code.encode(), code.encode("utf-8", "surrogateescape")):
                return each
        raise NoPairing

    def forget(self, pairing: Pairing) -> None:
        """Delete a request whose result the agent has received."""
        self._by_key.pop(pairing.key, None)


PAIRINGS: web.AppKey[Pairings] = web.AppKey("pairings", Pairings)
