"""One account as on its phone. Costs next to nothing until its world is used."""

import enum
import secrets
from collections import deque
from dataclasses import dataclass, field

from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.sandbox.faults.attributes import kept
from wxcontroller.sandbox.hosts import FILE_PAGES
from wxcontroller.sandbox.media.storedcontent import ContentItem, PartialContent
from wxcontroller.sandbox.wakeups import Bell
from wxcontroller.sandbox.world import world as worlds
from wxcontroller.sandbox.world.websession import KEPT, ServerSession

KEPT_SENT = 20_000
KEPT_LINES = 200  # of a conversation
KEPT_HEARD = 5000  # messages whose content can be fetched and that can be revoked; also the number of content ids
KEPT_DEAD = 5  # dead sessions whose cookies still get the code they ended with


class WebLogin(enum.Enum):
    """The kinds of web login that the service allows for this account (2.1)."""

    BOTH = "both"
    DESKTOP = "desktop"
    NORMAL = "normal"
    REFUSED = "refused"

    def lets_in(self, desktop: bool) -> bool:
        """True when a login of that kind is accepted."""
        return self is WebLogin.BOTH or self is (WebLogin.DESKTOP if desktop else WebLogin.NORMAL)


class GroupOperations(enum.Enum):
    """The outcome of a web client's group operations; the real service removed them in 2018 (5.15)."""

    WORKING = "working"
    REMOVED = "removed"  # refused with 1101, which must not be taken for the end of the session
    PRETEND = "pretend"  # Ret 0, without effect


@dataclass(frozen=True, slots=True)
class Heard:
    """A stored message of any sender: enough to fetch its content and to revoke it."""

    peer: str
    sender: str
    msg_type: int
    item: ContentItem | None = None


@dataclass(frozen=True, slots=True)
class Stranger:
    """Somebody who sent a friend request. ``alias_id`` is their id until it is accepted (5.16)."""

    wxid: str
    name: str
    ticket: str

    @property
    def alias_id(self) -> str:
        """The id whose UserName is in RecommendInfo: not the later friend's."""
        return "request:" + self.wxid


@dataclass(frozen=True, slots=True)
class SentFriendRequest:
    """A friend request that the web client made."""

    wxid: str
    name: str
    greeting: str
    time: float

    def as_json(self) -> JsonObject:
        """Return it for the scripting API."""
        return {"wxid": self.wxid, "name": self.name, "greeting": self.greeting, "time": round(self.time, 3)}


@dataclass(slots=True)
class ChunkedUpload:
    """A file that is uploaded in chunks."""

    incoming: PartialContent
    chunks: int
    next: int = 0


@dataclass(slots=True)
class WebSend:
    """A message that the web client sent. ``kind`` is text, location, image, emoticon, video, file or app."""

    seq: int
    to: str
    to_username: str
    wxid: str
    text: str
    client_msg_id: str
    msg_id: str
    time: float
    kind: str = "text"
    name: str = ""
    item: ContentItem | None = None
    revoked: bool = False

    def as_json(self) -> JsonObject:
        """Return it for the scripting API; ``text`` is the Content exactly as the client wrote it."""
        return {
            **kept(self, ("kind", "name", "revoked", "seq", "to", "to_username", "text", "client_msg_id", "msg_id")),
            "size": self.item.size if self.item else 0,
            "md5": self.item.md5 if self.item else "",
            "to_wxid": self.wxid,
            "time": round(self.time, 3),
        }


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a conversation. ``origin`` is web, phone, peer or notice (WeChat itself)."""

    seq: int
    origin: str
    sender: str
    text: str
    time: float
    item: ContentItem | None = None
    url: str = ""

    def as_json(self) -> JsonObject:
        """Return it for the phone page."""
        item = self.item
        return {
            "kind": item.kind if item else "link" if self.url else "text",
            "name": item.name if item else "",
            "size": item.size if item else 0,
            "md5": item.md5 if item else "",
            "mime": item.mime if item else "",
            **kept(self, ("url", "seq", "origin", "sender", "text")),
            "time": round(self.time, 3),
        }


@dataclass(slots=True)
class ServerAccount:
    """A WeChat account: its profile, its logins, and its messages."""

    uin: int
    nickname: str
    wxid: str
    domain: str
    plan: worlds.Plan
    web_login: WebLogin = WebLogin.BOTH
    push_login: bool = True
    avatar: bool = True
    group_operations: GroupOperations = GroupOperations.WORKING
    file_page: str = next(iter(FILE_PAGES))  # domain of its logins to the File Transfer page
    echo: bool = False  # a session also gets the texts that it sent, before the response to the send
    resend: bool = True  # an old SyncKey gets acknowledged events again
    session: ServerSession | None = None
    dead: deque[ServerSession] = field(default_factory=deque)
    tickets: dict[str, str] = field(default_factory=dict)  # webwxuvid → webwx_auth_ticket, for push logins
    sent: deque[WebSend] = field(default_factory=lambda: deque(maxlen=KEPT_SENT))
    sent_count: int = 0
    lines: int = 0
    chats: dict[str, deque[Line]] = field(default_factory=dict)
    bell: Bell = field(default_factory=Bell)
    heard: dict[int, Heard] = field(default_factory=dict)  # by MsgId
    media: dict[str, ContentItem] = field(default_factory=dict)  # by MediaId, received and uploaded
    uploads: dict[str, ChunkedUpload] = field(default_factory=dict)  # by ClientMediaId
    signatures: dict[str, tuple[str, str]] = field(default_factory=dict)  # MD5 → AESKey, Signature (5.9)
    strangers: dict[str, Stranger] = field(default_factory=dict)  # by ticket
    asked: deque[SentFriendRequest] = field(default_factory=lambda: deque(maxlen=1000))
    _world: worlds.World | None = None

    def home(self, file_page: bool) -> str:
        """Return the domain of a login to the web page or to the File Transfer page."""
        return self.file_page if file_page else self.domain

    @property
    def kept(self) -> int:
        """Number of acknowledged events that a session keeps for an old SyncKey."""
        return KEPT if self.resend else 0

    @property
    def world(self) -> worlds.World:
        """Everybody this account knows; made on first use."""
        if self._world is None:
            self._world = worlds.build(self.plan, self.nickname, self.wxid)
        return self._world

    def new_ticket(self) -> tuple[str, str]:
        """Make the pair of cookies that identify a later push login."""
        device, ticket = secrets.token_hex(16), "CIsBE" + secrets.token_urlsafe(40)
        self.tickets = {**dict(list(self.tickets.items())[-4:]), device: ticket}
        return device, ticket

    def name_of(self, wxid: str) -> str:
        """Return the name of a person or group in the scripting API: plain, and the same in all logins."""
        if wxid in self.world.groups:
            return self.world.group_title(self.world.groups[wxid])
        if wxid == "filehelper":
            return wxid
        person = self.world.people.get(wxid)
        return person.name if person else wxid

    def find(self, name: str) -> list[str]:
        """Return the real ids that a name, remark, alias, UserName or real id stands for; ids win over names."""
        world = self.world
        if name in world.people or name in world.groups:
            return [name]
        if self.session is not None:
            self.session.learn(world)
            wxid = self.session.wxid(name)
            if wxid in world.people or wxid in world.groups:
                return [str(wxid)]
        found = [g.wxid for g in world.groups.values() if name == world.group_title(g)]
        return found + [p.wxid for p in world.people.values() if name in (p.name, p.remark, p.alias)]

    def hear(self, msg_id: int, heard: Heard) -> None:
        """Remember a message for a while."""
        self.heard[msg_id] = heard
        if len(self.heard) > KEPT_HEARD:
            del self.heard[next(iter(self.heard))]

    def hold(self, media_id: str, item: ContentItem) -> None:
        """Remember what a MediaId stands for, for a while."""
        self.media[media_id] = item
        if len(self.media) > KEPT_HEARD:
            del self.media[next(iter(self.media))]

    def record(
        self,
        peer: str,
        origin: str,
        sender: str,
        text: str,
        when: float,
        item: ContentItem | None = None,
        url: str = "",
    ) -> None:
        """Add a line to a conversation."""
        self.lines += 1
        line = Line(self.lines, origin, sender, text, when, item, url)
        self.chats.setdefault(peer, deque(maxlen=KEPT_LINES)).append(line)
        self.bell.ring()
