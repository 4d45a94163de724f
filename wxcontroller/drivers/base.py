"""The protocol of all routes to WeChat.

A driver runs one account: it logs in, stays logged in, receives, and emits events in order.
It keeps no state on disk except in its SessionStore. Operations that a route cannot do raise Unsupported. Its other
errors (core.errors) say how they are to be handled: only a driver knows the meaning of WeChat's codes.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from wxcontroller.core.config.limits import DEFAULTS, Limits
from wxcontroller.core.config.options import OPTIONS
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.model import Contact, FriendRequest, Group, Message, MessageKind, MessageMedia
from wxcontroller.core.process.watchdog import Deadlines
from wxcontroller.core.text.templates import N_, NOTHING, Text

if TYPE_CHECKING:
    from wxcontroller.drivers.connection.fence import Fence


class LoginWay(StrEnum):
    """The way in which an account logged in."""

    SCAN = "scan"
    PUSH = "push"  # confirmed on the phone without a scan
    STORED = "stored"  # the stored session was still good


class LossReason(StrEnum):
    """Why a session ended."""

    LOGGED_OUT = N_("logged out on the phone, or by WeChat")
    KICKED = N_("ended by the phone or another login")
    COOKIE = N_("the login has expired")
    REPLACED = N_("another client has this WeChat user, or WeChat dropped the login")
    TOO_FREQUENT = N_("too many requests")
    ERRORS = N_("too many unknown errors")


class EndReason(StrEnum):
    """Why ``run`` returned; it needs a person to continue."""

    QRCODES_USED_UP = N_("no phone scanned any of the QR codes")
    REFUSED = N_("WeChat refused the login")
    FLAGGED = N_("WeChat ended the session right after the login")
    PHONE = N_("the session was ended on the phone")
    TAKEN = N_("another account of this host has this WeChat user")
    ELSEWHERE = N_("WeChat ended the session right after the account moved here")
    RETRIES_USED_UP = N_("logging in failed again and again")
    LOGGED_OUT = N_("logged out")


@dataclass(frozen=True, slots=True)
class ReplyWindow:
    """A route on which a person must write first and then accepts sends for ``seconds``. ``pace``: the minimum pause
    between two sends, in seconds; ``again``: the pause before a send whose answer was lost is repeated.
    """

    seconds: float = 86400.0
    pace: float = 1.0
    again: float = 2.0


# Longer texts were cut or refused on the web route (weixin-web-protocol 5.7), and cut silently on the iLink route
# (ilink-bot-protocol 8).
TEXT_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The operations that a route supports, known in advance. All others raise Unsupported, with a reason.

    ``sends`` are the kinds of messages it can send. ``contacts``: it lists all people; else only those who wrote are
    known. ``lasting_ids``: ids of people and groups mean the same after a new login, so that sends may wait for one.
    ``repeat_seconds``: for this long the server drops a message with a known client id. Later, or with 0, a send
    whose answer was lost cannot be repeated without risking a duplicate. ``text_length`` is the longest
    text of one message in characters, 0 for any. ``window``: sends go out within a reply window only. ``oneself`` is
    the id of the chat with oneself, the same in each login, or "".
    """

    sends: frozenset[MessageKind]
    contacts: bool
    groups: bool
    recall: bool
    avatars: bool
    lasting_ids: bool
    repeat_seconds: float
    text_length: int = TEXT_CHARACTERS
    window: ReplyWindow | None = None
    oneself: str = ""

    def as_json(self) -> JsonObject:
        """Return the capabilities for callers."""
        return {
            "sends": [kind.value for kind in sorted(self.sends)],
            "contacts": self.contacts,
            "groups": self.groups,
            "recall": self.recall,
            "avatars": self.avatars,
            "lasting_ids": self.lasting_ids,
            "text_length": self.text_length,
            "reply_window": self.window is not None,
        }


@dataclass(frozen=True, slots=True)
class Loading:
    """A login attempt begins, with the stored session, push login or a new QR code."""


@dataclass(frozen=True, slots=True)
class LoginStalled:
    """A login is stuck, or loading the contacts after it; the driver keeps trying. ``reason`` is a text."""

    reason: Text


@dataclass(frozen=True, slots=True)
class QrReady:
    """A QR code to scan. ``link`` is the text it encodes, ``image`` WeChat's own JPEG, ``number`` counts from 1.

    After ``seconds`` without a scan the next one is shown, 0 for unknown. The previous session is over, and
    with it the ids of people and groups; as with PushOffered.
    """

    link: str = field(repr=False)  # anyone who has it can offer the login to a phone: not for logs
    image: bytes = field(repr=False)
    number: int
    limit: int
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class PushOffered:
    """The phone shows a login dialog without a scan."""


@dataclass(frozen=True, slots=True)
class Scanned:
    """A phone scanned the code; it has still to confirm. ``avatar`` is a JPEG or empty."""

    avatar: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class ScanCancelled:
    """The login was rejected on the phone; a new code follows."""


class InputKind(StrEnum):
    """The kinds of input that a person gives."""

    CONSENT = "consent"  # answered with "yes"
    CODE = "code"  # digits that another device shows


@dataclass(frozen=True, slots=True)
class InputRequired:
    """The driver waits for a person, and continues when ``Driver.answer`` is called for ``id``.

    ``prompt`` states the question, its reason and its risk. ``digits`` is the length of a code, 0 for unknown. The
    wait is over with the next Loading, QrReady or PushOffered; a repeated request means that the answer was wrong.
    """

    id: str
    kind: InputKind
    prompt: Text
    digits: int = 0


@dataclass(frozen=True, slots=True)
class Accepted:
    """WeChat accepted the login; profile and contacts follow."""

    way: LoginWay


@dataclass(frozen=True, slots=True)
class LoginRefused:
    """WeChat refused the login after the scan. ``way`` describes the next attempt.

    ``final``: there is none, at least before InputRequired is answered.
    """

    ret: int
    message: str
    final: bool
    way: Text = NOTHING


@dataclass(frozen=True, slots=True)
class Profile:
    """Oneself, at login and when it changes. ``owner`` identifies the login on routes with lasting ids: sends wait
    for the next login of the same owner. By default it is oneself. ``marks`` are hashes that tell other accounts of
    the host that this login is in use (DriverContext.holder). ``extra`` are further fields of get_user_info.
    """

    me: Contact
    owner: str = ""
    marks: tuple[str, ...] = ()
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RosterLoaded:
    """The whole contact list after a login: it replaces the previous one."""

    contacts: tuple[Contact, ...]
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class RosterChanged:
    """New or changed contacts and groups, complete, and removed ids."""

    contacts: tuple[Contact, ...] = ()
    groups: tuple[Group, ...] = ()
    gone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Online:
    """WeChat responds to the account: after a login, and again after Offline."""


@dataclass(frozen=True, slots=True)
class Offline:
    """WeChat has not responded for some time; the driver keeps trying. ``reason`` is a text."""

    reason: Text


@dataclass(frozen=True, slots=True)
class Progress:
    """The driver's loop made progress, for the watchdog. Emitted at least every 30 s.

    ``heard``: because WeChat answered a logged-in account, and not because a wait continues.
    """

    heard: bool = False


@dataclass(frozen=True, slots=True)
class MessageArrived:
    message: Message


@dataclass(frozen=True, slots=True)
class FriendAsked:
    """A friend request arrived."""

    request: FriendRequest


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything emitted so far is about to be acknowledged to WeChat: when ``emit`` returns it is durable.

    ``state`` is the driver's position after that, committed with the events it covers (None: the position is the
    same); ``seen`` are ids that the driver must not report again after a restart. StateStore.restore returns both.
    ``carries``: ids of messages that only ``state`` contains, which WeChat does not send again.
    """

    state: bytes | None = field(default=None, repr=False)
    seen: tuple[str, ...] = ()
    carries: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceState:
    """WeChat's service for this account, apart from its session; emitted on changes.

    ``confirming``: the end of the session is being confirmed, and sends wait. ``media_refused``: the time since which
    WeChat refuses the account's media, in seconds since 1970, 0 if it does not. ``revived``: how often since the
    start a session that seemed to be over was still valid.
    """

    confirming: bool = False
    media_refused: int = 0
    revived: int = 0


@dataclass(frozen=True, slots=True)
class SessionLost:
    """The session is over; a new login follows unless ``run`` returns. ``ret`` is WeChat's code."""

    reason: LossReason
    ret: int


DriverEvent: TypeAlias = (
    Loading
    | LoginStalled
    | QrReady
    | PushOffered
    | Scanned
    | ScanCancelled
    | InputRequired
    | Accepted
    | LoginRefused
    | Profile
    | RosterLoaded
    | RosterChanged
    | Online
    | Offline
    | Progress
    | MessageArrived
    | FriendAsked
    | Checkpoint
    | ServiceState
    | SessionLost
)
# Awaited before the driver continues. After the next Checkpoint, the receiver has stored all earlier events.
Emit: TypeAlias = Callable[[DriverEvent], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Ended:
    """The result of ``run``. ``words`` give the cause and the remedy."""

    reason: EndReason
    words: Text


@dataclass(frozen=True, slots=True)
class Sent:
    """WeChat accepted a message. ``id`` is its id there."""

    id: str


@dataclass(frozen=True, slots=True)
class Upload:
    """A local file to send. ``mime`` and ``name`` decide how WeChat shows it (weixin-web-protocol 5.8).

    ``kind`` FILE: always as a file.
    """

    path: Path
    name: str
    mime: str
    size: int
    kind: MessageKind | None = None


@dataclass(frozen=True, slots=True)
class Uploaded:
    """Content that WeChat stores and that can be sent repeatedly, to any chat, during the session.

    ``key`` is WeChat's handle or an id for it, which callers see; ``signature`` is further data that the route needs.
    ``name`` and ``size`` are needed again when a FILE is sent. ``reference`` is that of received content
    (``Media.reference``); WeChat may refuse to send it.
    """

    kind: MessageKind
    key: str
    name: str = ""
    size: int = 0
    signature: str = field(default="", repr=False)
    reference: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Fetched:
    """The result of ``fetch``: bytes and WeChat's type, or ""."""

    size: int
    mime: str


class Sink(Protocol):
    """Receives content in pieces."""

    def write(self, piece: bytes, /) -> object: ...


# Marks by which people are recognized after a login (StateStore.learn): ten for each of ten thousand people.
IDENTITY_MARKS = 100_000


class SessionStore(Protocol):
    """Storage of a driver's session between processes. Private to the account; replaced whole."""

    def load(self) -> bytes | None: ...

    def save(self, session: bytes) -> None:
        """Raises OSError, for instance when the disk is full; the old session is then still there."""
        ...

    def clear(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Restored:
    """The stored checkpoints: the last ``state``, b"" for none, and the latest ``seen`` ids, the oldest first."""

    state: bytes = field(default=b"", repr=False)
    seen: tuple[str, ...] = ()


class StateStore(Protocol):
    """Storage of a driver's checkpoints, and of the marks that identify people after a login."""

    async def restore(self) -> Restored:
        """Return the checkpoints of earlier processes. Raises WxError while the database cannot be read."""
        ...

    async def identities(self) -> Mapping[int, int]:
        """Return numbers by mark, those learned first coming first. Raises WxError as ``restore``."""
        ...

    def learn(self, marks: Mapping[int, int], limit: int) -> None:
        """Keep numbers by mark, ``limit`` marks in all. Returns immediately: the database's writer stores them."""
        ...


class Driver(Protocol):
    """One account on one route."""

    @property
    def capabilities(self) -> Capabilities: ...

    async def run(self, emit: Emit) -> Ended:
        """Log in and receive until a person is needed.

        Cancel it for an orderly stop: it keeps the stored session, does not log out and ends within a second.
        """
        ...

    async def logout(self) -> None:
        """End the session and delete all data that could reopen it; ``run`` returns LOGGED_OUT.

        Returns when it is done, also after ``run`` has ended. If WeChat cannot be reached, the session is
        deleted here only, which is logged. Raises OSError if stored data cannot be deleted.
        """
        ...

    async def answer(self, input_id: str, value: str) -> None:
        """Deliver the answer to an InputRequired.

        Raises NotAsked for an unknown or past id, BadAnswer for an invalid value, and OSError when
        an answer that must be kept cannot be stored; the driver then waits on.
        """
        ...

    async def send_text(self, to: str, content: str, client_id: str) -> Sent:
        """Send a text to a contact or group id.

        ``client_id`` is the same on every try of one message (``new_client_id``). Raises Unsupported, and WeChatError
        with WeChat's code, or with ret None without a readable answer; its ``handling`` says how to proceed.
        """
        ...

    async def upload(self, file: Upload) -> Uploaded:
        """Upload a file to WeChat.

        Raises UploadFailed, WeChatError without a login, Unsupported for content that WeChat never accepts,
        and OSError.
        """
        ...

    async def send_media(self, to: str, content: Uploaded, client_id: str) -> Sent:
        """Send uploaded content; raises as ``send_text``, and ReferenceRefused for content sent by ``reference``."""
        ...

    async def fetch(self, media: MessageMedia, sink: Sink, limit: int) -> Fetched:
        """Write a received message's content into ``sink``; content that WeChat no longer has is 0 bytes.

        Raises WeChatError, also beyond ``limit`` bytes; ``sink`` may then hold a part. An OSError of ``sink`` is
        passed on unchanged.
        """
        ...

    async def avatar(self, person: str, group: str, sink: Sink, limit: int) -> Fetched:
        """Write the picture of a contact, group or (with ``group``) member into ``sink``. Raises as ``fetch``."""
        ...

    async def revoke(self, message_id: str, to: str) -> None:
        """Recall an own message. Raises WeChatError (too late, not an own message)."""
        ...

    async def create_group(self, people: Sequence[str], name: str) -> str:
        """Create a group with these friends and return its id. Raises WeChatError."""
        ...

    async def invite(self, group: str, people: Sequence[str]) -> None: ...

    async def kick(self, group: str, people: Sequence[str]) -> None: ...

    async def rename_group(self, group: str, name: str) -> None: ...

    async def set_remark(self, person: str, remark: str) -> None: ...

    async def pin(self, chat: str, on: bool) -> None: ...

    async def ask_friend(self, person: str, greeting: str) -> None:
        """Send a friend request to a person (a group member)."""
        ...

    async def accept_friend(self, person: str, ticket: str) -> None:
        """Accept the request of a FriendAsked."""
        ...

    def new_client_id(self) -> str:
        """Return an id for a message to send, unique in this process."""
        ...


@runtime_checkable
class ShowsTyping(Protocol):
    """A driver of a route with a typing indicator."""

    async def show_typing(self, person: str, on: bool) -> None:
        """Show the typing indicator for some seconds, or end it. Raises WeChatError."""
        ...


@runtime_checkable
class KeepsUser(Protocol):
    """A driver of a route that recognizes the WeChat user who logged in before."""

    def keep_user(self) -> bool:
        """Refuse the next login unless its user is the last one; return whether there was one."""
        ...


@dataclass(frozen=True, slots=True)
class DriverContext:
    """The arguments of a driver: ``options`` are texts by option name; one that is missing has its default.

    ``state`` keeps checkpoints and identities; without it nothing outlives the process. ``deadlines`` tracks work in
    progress. ``limits`` are the administrator's. ``decisions`` keeps the decisions of the account's owner: it
    outlives sessions. ``holder`` returns the name of another account of this host that has a mark of a login, running
    or not, else "". ``fence`` closes all connections to WeChat when this host may no longer run the account.
    """

    account: str
    options: Mapping[str, str]
    store: SessionStore
    state: StateStore | None = None
    deadlines: Deadlines = field(default_factory=Deadlines)
    limits: Limits = DEFAULTS
    decisions: SessionStore | None = None
    holder: Callable[[str], str] = lambda _: ""
    fence: "Fence | None" = None

    def text(self, option: str) -> str:
        return self.options.get(option, OPTIONS[option].default)

    def differs(self, option: str) -> bool:
        """Whether an option has another value than its default."""
        return bool(self.text(option) != OPTIONS[option].default)

    def flag(self, option: str) -> bool:
        return self.text(option) == "1"

    def number(self, option: str) -> int:
        return int(self.text(option))

    def seconds(self, option: str) -> float:
        return float(self.text(option))


DriverFactory: TypeAlias = Callable[[DriverContext], Driver]
