"""The life of a login code, from the QR code to the phone's confirmation.

``WebLoginCode`` is the web route's, with the ticket that opens a session (3); ``ILinkCode`` is the iLink route's.
"""

import enum
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from wxcontroller.core.jsontypes import JsonObject, one_line
from wxcontroller.sandbox.clock import ServerClock
from wxcontroller.sandbox.wakeups import Bell
from wxcontroller.sandbox.world.websession import ServerSession

KEPT = 2000
CLIENT_HEADER = "X-Wx-Account"
_CLIENT_LENGTH = 64


class LoginStage(enum.Enum):
    """The state of a login."""

    WAITING = "waiting"
    SCANNED = "scanned"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REFUSED = "refused"
    DONE = "done"


OPEN = frozenset({LoginStage.WAITING, LoginStage.SCANNED, LoginStage.CONFIRMED})


class WrongState(Exception):
    """An action that the login's state does not allow."""


@dataclass(slots=True)
class WebLoginCode:
    """One uuid. ``desktop`` and ``file_page`` are what the phone shows.

    ``uin`` is known after the scan, for a push login from the start.
    """

    uuid: str
    created: float
    expires: float
    desktop: bool
    push: bool = False
    file_page: bool = False
    uin: int | None = None
    state: LoginStage = LoginStage.WAITING
    ticket: str = ""
    scan: int = 0
    session: ServerSession | None = None
    bell: Bell = field(default_factory=Bell)
    client: str = ""  # the client's name for the account, if it gives one

    @property
    def link(self) -> str:
        """The content of the QR code."""
        return link(self.uuid)

    def confirmed(self, now: float, life: float) -> None:
        """Record the owner's confirmation; ``life`` is how long a ticket is valid."""
        self.ticket = f"A{secrets.token_urlsafe(16)}@qrticket_0"
        self.scan = int(now)
        self.expires = now + life

    def as_json(self) -> JsonObject:
        """Return it for the scripting API."""
        return {
            "route": "web",
            "uuid": self.uuid,
            "state": self.state.value,
            "desktop": self.desktop,
            "file_page": self.file_page,
            "push": self.push,
            "uin": self.uin,
            "created": round(self.created, 3),
            "link": self.link,
            "client": self.client,
        }


def client_of(headers: Mapping[str, str]) -> str:
    """Return a client's name for its account: this project's clients send one to a sandbox, to tell the codes
    apart."""
    return one_line(unquote(headers.get(CLIENT_HEADER, ""))[:_CLIENT_LENGTH])


def link(uuid: str) -> str:
    """Return the text of a uuid's QR code (3.2)."""
    return f"https://login.weixin.qq.com/l/{uuid}"


class WebLoginCodes:
    """All codes, oldest first. Expiry is checked on access, so waiting ones need no timer."""

    def __init__(self, life: float, clock: ServerClock) -> None:
        self.life = life
        self.clock = clock
        self.all: dict[str, WebLoginCode] = {}
        self.bell = Bell()

    def new(
        self, desktop: bool, push_for: int | None = None, file_page: bool = False, client: str = ""
    ) -> WebLoginCode:
        """Hand out a uuid; ``push_for`` is the account of a push login, ``client`` its name at the client."""
        now = self.clock.now()
        uuid = secrets.token_urlsafe(8)[:10] + "=="
        login = WebLoginCode(
            uuid,
            now,
            now + self.life,
            desktop,
            push=push_for is not None,
            file_page=file_page,
            uin=push_for,
            client=client,
        )
        self.add(login)
        return login

    def add(self, login: WebLoginCode) -> None:
        """Store a login."""
        self.all[login.uuid] = login
        while len(self.all) > KEPT:
            del self.all[next(iter(self.all))]
        self.bell.ring()

    def get(self, uuid: str) -> WebLoginCode | None:
        """Return a login in its current state, or None."""
        login = self.all.get(uuid)
        if login is not None and login.state in OPEN and self.clock.now() >= login.expires:
            self.move(login, LoginStage.EXPIRED)
        return login

    def newest_first(self) -> list[WebLoginCode]:
        """Return all logins in their current states."""
        return [login for uuid in reversed(self.all) if (login := self.get(uuid)) is not None]

    def move(self, login: WebLoginCode, state: LoginStage) -> None:
        """Change a login's state and wake its waiters."""
        login.state = state
        login.bell.ring()
        self.bell.ring()

    def scan(self, login: WebLoginCode, uin: int) -> None:
        """The phone of ``uin`` has read the code."""
        if login.state is not LoginStage.WAITING or (login.push and login.uin != uin):
            raise WrongState(
                f"login {login.uuid} is {login.state.value}: only a waiting one of this account can be scanned"
            )
        login.uin = uin
        self.move(login, LoginStage.SCANNED)

    def confirm(self, login: WebLoginCode) -> None:
        """The owner has pressed "Log in"."""
        if login.state is not LoginStage.SCANNED and not (login.push and login.state is LoginStage.WAITING):
            raise WrongState(f"login {login.uuid} is {login.state.value}: scan it first, confirm it once")
        login.confirmed(self.clock.now(), self.life)
        self.move(login, LoginStage.CONFIRMED)

    def cancel(self, login: WebLoginCode) -> None:
        """The owner has declined."""
        if login.state not in OPEN:
            raise WrongState(f"login {login.uuid} is {login.state.value}: nothing left to cancel")
        self.move(login, LoginStage.CANCELLED)

    def expire(self, login: WebLoginCode) -> None:
        """Let a uuid expire now."""
        if login.state not in OPEN:
            raise WrongState(f"login {login.uuid} is {login.state.value}: nothing left to expire")
        self.move(login, LoginStage.EXPIRED)
