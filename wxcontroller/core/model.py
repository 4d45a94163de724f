"""People, groups and messages as all routes to WeChat see them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum


class Sex(StrEnum):
    """Values are the HTTP contract's (openwx-api 2.7)."""

    UNKNOWN = ""
    MALE = "male"
    FEMALE = "female"


class ContactKind(StrEnum):
    FRIEND = "friend"
    OFFICIAL = "official"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Contact:
    """A friend, official account, system account, or oneself.

    ``id`` is what messages are addressed to; on the Web route it is valid for one login only. ``uid`` is a number
    that outlasts logins, 0 when unknown. Names are plain text: entities and emoji spans are decoded already.
    """

    id: str
    name: str
    uid: int = 0
    account: str = ""
    markname: str = ""
    display: str = ""
    province: str = ""
    city: str = ""
    signature: str = ""
    sex: Sex = Sex.UNKNOWN
    kind: ContactKind = ContactKind.FRIEND
    avatar: str = ""


# Oneself, as it were: always a valid target, in no list of WeChat's (weixin-web-protocol 6.7).


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a group. ``display`` is the name used in that group, "" when none was chosen."""

    id: str
    nickname: str
    display: str = ""
    uid: int = 0
    account: str = ""
    province: str = ""
    city: str = ""
    signature: str = ""
    sex: Sex = Sex.UNKNOWN


@dataclass(frozen=True, slots=True)
class Group:
    """A group chat. ``members`` include oneself; empty means not loaded yet. ``key`` is the route's own handle."""

    id: str
    name: str
    members: tuple[Member, ...] = ()
    uid: int = 0
    owner_uid: int = 0
    owner: str = ""
    key: str = ""
    avatar: str = ""


class MessageKind(StrEnum):
    """Kinds of messages. OTHER is everything a route does not decode yet: reported, never dropped."""

    TEXT = "text"
    NOTICE = "notice"  # WeChat's notices in a chat: joined, removed, red packet …
    IMAGE = "image"
    EMOTICON = "emoticon"
    VOICE = "voice"
    VIDEO = "video"
    MICROVIDEO = "microvideo"
    FILE = "file"
    APP = "app"  # a shared link, article, mini program …
    PAYMENT = "payment"
    CARD = "card"
    LOCATION = "location"
    REVOKE = "revoke"
    OTHER = "other"

    @property
    def is_media(self) -> bool:
        """Whether there is content to fetch."""
        return self in _MEDIA


_MEDIA = frozenset(
    {
        MessageKind.IMAGE,
        MessageKind.EMOTICON,
        MessageKind.VOICE,
        MessageKind.VIDEO,
        MessageKind.MICROVIDEO,
        MessageKind.FILE,
    }
)


@dataclass(frozen=True, slots=True)
class MessageMedia:
    """Content of a message that can be fetched with Driver.fetch.

    ``key`` is the route's own handle, ``name`` the sender's unchecked file name or "" (it is
    foreign text, never a path), ``size`` the announced bytes (0: unknown), ``seconds`` the play time. ``public``
    names it in the API if the key must stay private; ``reference`` lets the route send it
    again without its content (``Uploaded.reference``), "" when it cannot.
    """

    kind: MessageKind
    key: str
    name: str = ""
    size: int = 0
    seconds: float = 0.0
    public: str = ""
    reference: str = field(default="", repr=False)

    @property
    def id(self) -> str:
        """Its id in the API."""
        return self.public or self.key


@dataclass(frozen=True, slots=True)
class Article:
    """One of the articles that an official account pushes together."""

    title: str
    url: str = ""
    digest: str = ""
    cover: str = ""


@dataclass(frozen=True, slots=True)
class AppShare:
    """A shared link or app. ``type`` is WeChat's number (weixin-web-protocol 7.4).

    ``articles`` are all articles of a push, the first one too.
    """

    title: str
    url: str = ""
    description: str = ""
    app_name: str = ""
    app_id: str = ""
    type: int = 0
    articles: tuple[Article, ...] = ()


@dataclass(frozen=True, slots=True)
class Card:
    """A contact card."""

    id: str
    name: str
    account: str = ""
    province: str = ""
    city: str = ""
    sex: Sex = Sex.UNKNOWN
    avatar: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """A location: degrees as WeChat gives them, as text, with its label."""

    latitude: str
    longitude: str
    label: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class FriendRequest:
    """A friend request. ``ticket`` is needed to accept it."""

    id: str
    name: str
    greeting: str
    ticket: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Quote:
    """The quoted message of a reply: its id and text, either "" when the route does not provide it.

    ``select`` returns the part of the text that was selected.
    """

    id: str
    text: str = ""
    select: Callable[[str], str] = field(default=str, compare=False, repr=False)


class Direction(StrEnum):
    RECEIVED = "received"
    SENT_ELSEWHERE = "sent elsewhere"  # by the account's phone or another device


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it arrived.

    ``chat`` is the friend's or group's id, ``sender`` who wrote it ("" for notices in a group), ``text`` what a
    person would read, ``time`` seconds since 1970, ``raw_kind`` the route's own type. One of ``media``, ``app``,
    ``card``, ``place`` and ``revoked`` (the id of the recalled message) are set for the kinds that have them.
    """

    id: str
    chat: str
    is_group: bool
    sender: str
    direction: Direction
    kind: MessageKind
    text: str
    time: int
    raw_kind: str = ""
    media: MessageMedia | None = None
    app: AppShare | None = None
    card: Card | None = None
    place: Place | None = None
    revoked: str = ""
    quote: Quote | None = None
