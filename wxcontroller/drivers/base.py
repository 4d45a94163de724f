"""What every route to WeChat promises, whatever it speaks.

A driver runs one account: it logs in, stays logged in and listens, and tells everything it learns as events, in
order. It keeps no state on disk but what it puts into its SessionStore. What a route can't do raises Unsupported.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeAlias

from wxcontroller.core.model import Contact, Group, Message


class LoginWay(StrEnum):
    """How an account got in."""

    SCAN = "scan"
    PUSH = "push"  # confirmed on the phone without a scan
    STORED = "stored"  # the stored session was still good


class LossReason(StrEnum):
    """Why a session ended."""

    LOGGED_OUT = "logged out"  # 1100
    KICKED = "ended by the phone or another login"  # 1101
    COOKIE = "session no longer accepted"  # 1102
    TOO_FREQUENT = "too frequent"  # 1205
    ERRORS = "too many unknown errors"


class EndReason(StrEnum):
    """Why ``run`` returned: nothing more will happen without a human."""

    QRCODES_USED_UP = "no phone scanned any of the QR codes"
    REFUSED = "WeChat refuses this account on this route"
    FLAGGED = "WeChat ended the session right after the login"
    PHONE = "the session was ended on the phone"
    RETRIES_USED_UP = "logging in failed again and again"


@dataclass(frozen=True, slots=True)
class Loading:
    """A login attempt begins: stored session, push login or a new QR code."""


@dataclass(frozen=True, slots=True)
class QrReady:
    """A QR code to scan. ``link`` is the text it encodes, ``image`` WeChat's own JPEG, ``number`` counts from 1."""

    link: str = field(repr=False)  # whoever has it can offer the login to a phone: not for logs
    image: bytes = field(repr=False)
    number: int
    limit: int


@dataclass(frozen=True, slots=True)
class PushOffered:
    """The phone shows a login dialog by itself; nothing to scan."""


@dataclass(frozen=True, slots=True)
class Scanned:
    """A phone scanned the code; it has still to confirm. ``avatar`` is a JPEG or empty."""

    avatar: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class ScanCancelled:
    """The phone said no; a new code follows."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """WeChat let the account in; profile and contacts follow."""

    way: LoginWay


@dataclass(frozen=True, slots=True)
class Refused:
    """WeChat refused the login after the scan. ``final``: it is not tried again."""

    ret: int
    message: str
    final: bool


@dataclass(frozen=True, slots=True)
class Profile:
    """Oneself, at login and when it changes."""

    me: Contact


@dataclass(frozen=True, slots=True)
class RosterLoaded:
    """The whole contact list after a login: it replaces what was known."""

    contacts: tuple[Contact, ...]
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class RosterChanged:
    """Contacts and groups that are new or different, whole, and ids that are gone."""

    contacts: tuple[Contact, ...] = ()
    groups: tuple[Group, ...] = ()
    gone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Online:
    """The account hears WeChat: after a login, and again after Offline."""


@dataclass(frozen=True, slots=True)
class Offline:
    """WeChat has not answered for a while; the driver goes on trying. ``reason`` in words."""

    reason: str


@dataclass(frozen=True, slots=True)
class Progress:
    """The driver's loop has come round: what the watchdog wants to hear. Emitted at least every 30 s."""


@dataclass(frozen=True, slots=True)
class MessageArrived:
    message: Message


@dataclass(frozen=True, slots=True)
class SessionLost:
    """The session is over; a new login follows unless ``run`` returns. ``ret`` is WeChat's code."""

    reason: LossReason
    ret: int


DriverEvent: TypeAlias = (
    Loading
    | QrReady
    | PushOffered
    | Scanned
    | ScanCancelled
    | Accepted
    | Refused
    | Profile
    | RosterLoaded
    | RosterChanged
    | Online
    | Offline
    | Progress
    | MessageArrived
    | SessionLost
)
# Awaited before the driver goes on: a message is the receiver's before WeChat is told that it arrived.
Emit: TypeAlias = Callable[[DriverEvent], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Ended:
    """The result of ``run``. ``words`` say what happened and what to do."""

    reason: EndReason
    words: str


@dataclass(frozen=True, slots=True)
class Sent:
    """WeChat took a message. ``id`` is its id there."""

    id: str


class SessionStore(Protocol):
    """Where a driver keeps its session between processes. Private to the account; replaced whole."""

    def load(self) -> bytes | None: ...

    def save(self, session: bytes) -> None:
        """Raises OSError, for instance when the disk is full; the old session is then still there."""
        ...

    def clear(self) -> None: ...


class Driver(Protocol):
    """One account on one route."""

    async def run(self, emit: Emit) -> Ended:
        """Log in and listen until nothing more can be done without a human.

        Cancel it for an orderly stop: it keeps the stored session, does not log out and ends within a second.
        """
        ...

    async def send_text(self, to: str, content: str, client_id: str) -> Sent:
        """Send a text to a contact or group id.

        ``client_id`` is the same on every try of one message (``new_client_id``). Raises WeChatError with WeChat's
        code, or with ret None when nothing readable came back (the caller may try again), and Unsupported.
        """
        ...

    def new_client_id(self) -> str:
        """Return an id for a message to send, unique in this process."""
        ...


@dataclass(frozen=True, slots=True)
class DriverContext:
    """What a driver is made from: ``options`` are texts by option name with all defaults filled in."""

    account: str
    options: Mapping[str, str]
    store: SessionStore


DriverFactory: TypeAlias = Callable[[DriverContext], Driver]
