"""People, groups and messages as all routes to WeChat see them."""

from dataclasses import dataclass
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

    ``id`` is what messages are addressed to; on the Web route it is valid for one login only. ``uid`` is 0 when
    unknown. Names are plain text: entities and emoji spans are decoded already.
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


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody in a group. ``display`` is the name used in that group, "" when none was chosen."""

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
    """What a message is. OTHER is everything a route does not decode yet: reported, never dropped."""

    TEXT = "text"
    NOTICE = "notice"  # WeChat's own words in a chat: joined, removed, red packet …
    OTHER = "other"


class Direction(StrEnum):
    RECEIVED = "received"
    SENT_ELSEWHERE = "sent elsewhere"  # by the account's phone or another device


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it arrived.

    ``chat`` is the friend's or group's id, ``sender`` who wrote it ("" for notices in a group), ``time`` seconds
    since 1970, ``raw_kind`` the route's own type for kinds it does not decode.
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
