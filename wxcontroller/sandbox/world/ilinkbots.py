"""State of the iLink route. Nothing here waits or depends on HTTP.

A WeChat user (an account of the sandbox) has at most one live bot: the login that its last confirmed code created.
The bot may write to a peer within that peer's window, which each message of the peer renews.
"""

import base64
import enum
import hashlib
import secrets
from collections import deque
from dataclasses import asdict, dataclass, field, fields
from typing import TypeVar

from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.sandbox.faults.attributes import kept
from wxcontroller.sandbox.media.storedcontent import ContentItem
from wxcontroller.sandbox.wakeups import Bell

BOT_CONTACT = "clawbot"  # the bot's name in its owner's conversations
KEPT_MESSAGES = 5000  # messages that can be quoted
KEPT_SENT = 20_000
KEPT_FILES = 5000  # permits and files of the CDN
KEPT_ANSWERS = 1000  # answers to client ids
_DAY = 86400.0
# A first refused attempt closes the bot for an hour, each further one doubles that (issue reports name 15 hours).
_PENALTY, _LONGEST_PENALTY = 3600.0, 86400.0

INVALID, THROTTLED, LOGGED_OUT = -3, -2, -14
NO_TICKET = -4

T = TypeVar("T")


class SendVerdict(enum.Enum):
    """The answer to an accepted send. All but ``ID`` mean that WeChat does not show the message."""

    ID = "id"
    NO_ID = "no-id"  # {"ret": 0}, as restricted users get it
    OBJECT = "object"  # {}
    EMPTY = "empty"  # no body


class TokenPolicy(enum.Enum):
    """The rule for the context token of a send. Reports contradict each other."""

    IGNORED = "ignored"  # a send without a token is delivered, even outside the window
    NEEDED = "needed"  # a send without a token is refused with -3
    CHECKED = "checked"  # also, a token that this bot never got for that peer is refused with -2


class UploadAnswer(enum.Enum):
    """The form of getuploadurl's answer."""

    BOTH = "both"
    URL = "url"
    PARAM = "param"
    NEITHER = "neither"


@dataclass(slots=True)
class ILinkBehavior:
    """The behavior of the service for one WeChat user."""

    answer: SendVerdict = SendVerdict.ID
    tokens: TokenPolicy = TokenPolicy.NEEDED
    upload_answer: UploadAnswer = UploadAnswer.BOTH
    media_refused: bool = False  # getuploadurl answers -2
    budget: int = 10  # sends after each message of the peer; 0: any number
    budget_24h: int = 0  # sends of the bot in 24 hours; 0: any number
    window: float = _DAY  # seconds after the peer's last message; 0: unlimited
    burst: int = 0  # sends in one second; 0: any number
    refusal_text: str = ""  # errmsg of -2
    drop_repeats: bool = False  # a repeated client_id gets the first answer and is not delivered again
    edge: float = 0.0  # seconds after which a gateway ends a held poll with 524; 0: never
    timeout_hint: int = 35_000  # longpolling_timeout_ms

    def as_json(self) -> JsonObject:
        """Return all settings by name."""
        values = {field_.name: getattr(self, field_.name) for field_ in fields(self)}
        return {name: value.value if isinstance(value, enum.Enum) else value for name, value in values.items()}


class SessionState(enum.Enum):
    """The state of a bot's token."""

    ALIVE = "alive"
    ASLEEP = "asleep"  # -14 until notifystart
    DEAD = "dead"  # -14 forever


@dataclass(slots=True)
class Window:
    """A bot's allowance for one peer. ``opened`` is the time of the peer's last message."""

    opened: float | None = None
    sent: int = 0
    closed: bool = False  # by a script: -14 until the peer writes again
    tokens: deque[str] = field(default_factory=lambda: deque(maxlen=50))
    ticket: str = ""
    typing: bool = False

    def open(self, now: float, token: str) -> None:
        """Count a new message of the peer."""
        self.opened, self.sent, self.closed = now, 0, False
        self.tokens.append(token)

    def is_open(self, now: float, length: float) -> bool:
        """Return whether the peer's last message is recent enough."""
        return self.opened is not None and not self.closed and (not length or now < self.opened + length)


@dataclass(slots=True)
class Bot:
    """One confirmed login."""

    uin: int  # of the user who scanned
    bot_id: str
    token: str
    created: float
    origin: str = ""  # scheme, host and path prefix at which its client calls
    state: SessionState = SessionState.ALIVE
    dies: float | None = None  # when another login takes over
    cursor: str = ""
    pending: deque[JsonObject] = field(default_factory=deque)  # messages that have not been polled
    windows: dict[str, Window] = field(default_factory=dict)  # by ilink_user_id
    sends: deque[float] = field(default_factory=deque)  # times of accepted sends, 24 hours at most
    throttled_until: float = 0.0
    attempts: int = 0  # refused while throttled
    answers: dict[str, JsonObject] = field(default_factory=dict)  # by client_id
    polls: int = 0  # waiting now
    last_poll: float | None = None
    started: bool = False  # notifystart without notifystop
    bell: Bell = field(default_factory=Bell)

    def state_at(self, now: float) -> SessionState:
        """Return the state, after a takeover that is due."""
        if self.dies is not None and now >= self.dies:
            self.state, self.dies = SessionState.DEAD, None
        return self.state

    def set_state(self, state: SessionState) -> None:
        """Change the state, and wake waiting polls."""
        self.state, self.dies = state, None
        self.bell.ring()

    def sent_24h(self, now: float) -> int:
        """Return the number of sends in the last 24 hours."""
        while self.sends and self.sends[0] <= now - _DAY:
            self.sends.popleft()
        return len(self.sends)

    def throttle(self, now: float) -> None:
        """Begin a penalty, or extend the current one."""
        self.attempts = self.attempts + 1 if now < self.throttled_until else 0
        self.throttled_until = now + min(_PENALTY * 2**self.attempts, _LONGEST_PENALTY)

    def end_throttle(self) -> None:
        """Lift the penalty."""
        self.throttled_until, self.attempts = 0.0, 0

    def count(self, now: float, window: Window) -> None:
        """Count an accepted send."""
        window.sent += 1
        self.sends.append(now)
        self.sent_24h(now)  # forgets older ones

    def remember(self, client_id: str, answer: JsonObject) -> None:
        """Store the answer to a client id for a repeat."""
        self.answers[client_id] = answer
        while len(self.answers) > KEPT_ANSWERS:
            del self.answers[next(iter(self.answers))]


@dataclass(frozen=True, slots=True)
class ILinkSend:
    """A message that the service accepted from a bot. ``problem``: why the phone does not show it."""

    seq: int
    uin: int  # of the peer
    peer: str
    bot_id: str
    kind: str
    text: str
    name: str
    client_id: str
    message_id: str
    context_token: str
    time: float
    problem: str
    item: ContentItem | None = None

    def as_json(self) -> JsonObject:
        """Return it for the scripting API."""
        return {
            **kept(self, ("seq", "uin", "peer", "bot_id", "kind", "text", "name", "client_id", "context_token")),
            "size": self.item.size if self.item else 0,
            "md5": self.item.md5 if self.item else "",
            "msg_id": self.message_id,
            "time": round(self.time, 3),
            "shown": not self.problem,
            "problem": self.problem,
        }


@dataclass(slots=True)
class User:
    """The iLink side of an account: its id, its bot, and what the bot sent."""

    uin: int
    user_id: str
    settings: ILinkBehavior = field(default_factory=ILinkBehavior)
    bot: Bot | None = None
    sent: deque[ILinkSend] = field(default_factory=lambda: deque(maxlen=KEPT_SENT))
    sent_count: int = 0
    messages: dict[str, JsonObject] = field(default_factory=dict)  # by message_id, both directions


@dataclass(frozen=True, slots=True)
class Permit:
    """An upload that getuploadurl allowed."""

    uin: int
    filekey: str
    request: JsonObject  # as announced by the client


@dataclass(frozen=True, slots=True)
class CdnFile:
    """Ciphertext on the CDN, and the accounts whose faults apply to its download."""

    uin: int
    md5: str
    size: int


@dataclass(slots=True)
class RecordedCall:
    """One request of a client and its response, for tests, whether or not it arrived."""

    seq: int
    time: float
    uin: int | None
    endpoint: str
    method: str
    host: str
    path: str
    headers: dict[str, str]
    body: JsonObject
    status: int | None = None  # None: not answered yet, or a fault or the client ended it
    answer: JsonObject = field(default_factory=dict)

    def as_json(self) -> JsonObject:
        """Return it for the scripting API."""
        return {**asdict(self), "time": round(self.time, 3)}


class ILink:
    """All of the iLink route's state."""

    def __init__(self) -> None:
        self.users: dict[int, User] = {}  # by uin
        self.users_by_id: dict[str, User] = {}  # by ilink_user_id, compared byte for byte
        self.bots: dict[str, Bot] = {}  # by token, dead ones too
        self.permits: dict[str, Permit] = {}  # by upload parameter
        self.files: dict[str, CdnFile] = {}  # by download parameter
        self.exchanges: deque[RecordedCall] = deque(maxlen=5000)
        self.exchange_count = 0
        self.bell = Bell()  # woken by each exchange and each send

    def add_user(self, uin: int, wxid: str) -> User:
        """Add an account's iLink state."""
        user = self.users[uin] = User(uin, user_id(wxid))
        self.users_by_id[user.user_id] = user
        return user

    def bot_by_id(self, bot_id: str) -> Bot | None:
        """Return the newest bot with an id."""
        return next((bot for bot in reversed(self.bots.values()) if bot.bot_id == bot_id), None)

    def allow_upload(self, permit: Permit) -> str:
        """Store a permit; return its parameter."""
        return keep(self.permits, permit)

    def store_file(self, file: CdnFile) -> str:
        """Store a file; return its download parameter."""
        return keep(self.files, file)


def user_id(wxid: str) -> str:
    """Return an account's ilink_user_id: it looks like an openid, mixes upper and lower case, and never changes."""
    letters = base64.urlsafe_b64encode(hashlib.sha256(wxid.encode()).digest()).decode()
    return f"o9cq8{letters[:23]}@im.wechat"


def opaque(size: int) -> str:
    """Make an opaque value of ``size`` random bytes in base64, with ``+``, ``/`` and ``=``."""
    return base64.b64encode(secrets.token_bytes(size)).decode()


def keep(book: dict[str, T], value: T) -> str:
    key = opaque(64)
    book[key] = value
    while len(book) > KEPT_FILES:
        del book[next(iter(book))]
    return key
