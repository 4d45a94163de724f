"""One account as its phone knows it. Costs next to nothing until its world is asked for."""

import enum
import secrets
from collections import deque
from dataclasses import dataclass, field

from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.sandbox import world as worlds
from wxcontroller.sandbox.bell import Bell
from wxcontroller.sandbox.session import Session

KEPT_SENT = 20_000
KEPT_LINES = 200  # of a conversation
KEPT_DEAD = 5  # dead sessions whose cookies still get their own code


class WebLogin(enum.Enum):
    """Which kinds of web login the service lets this account in by (2.1)."""

    BOTH = "both"
    DESKTOP = "desktop"
    NORMAL = "normal"
    REFUSED = "refused"

    def lets_in(self, desktop: bool) -> bool:
        """True when a login of that kind is accepted."""
        return self is WebLogin.BOTH or self is (WebLogin.DESKTOP if desktop else WebLogin.NORMAL)


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that the web client sent."""

    seq: int
    to: str
    to_username: str
    wxid: str
    text: str
    client_msg_id: str
    msg_id: str
    time: float

    def as_json(self) -> JsonObject:
        """Return it for the scripting API; ``text`` is the Content exactly as the client wrote it."""
        return {
            "seq": self.seq,
            "to": self.to,
            "to_username": self.to_username,
            "to_wxid": self.wxid,
            "text": self.text,
            "client_msg_id": self.client_msg_id,
            "msg_id": self.msg_id,
            "time": round(self.time, 3),
        }


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a conversation. ``origin`` is web, phone or peer."""

    seq: int
    origin: str
    sender: str
    text: str
    time: float

    def as_json(self) -> JsonObject:
        """Return it for the phone page."""
        return {
            "seq": self.seq,
            "origin": self.origin,
            "sender": self.sender,
            "text": self.text,
            "time": round(self.time, 3),
        }


@dataclass(slots=True)
class Account:
    """A WeChat account: who it is, how it may log in, what it said and heard."""

    uin: int
    nickname: str
    wxid: str
    domain: str
    plan: worlds.Plan
    web_login: WebLogin = WebLogin.BOTH
    push_login: bool = True
    avatar: bool = True
    session: Session | None = None
    dead: deque[Session] = field(default_factory=deque)
    tickets: dict[str, str] = field(default_factory=dict)  # webwxuvid → webwx_auth_ticket, for push logins
    sent: deque[Sent] = field(default_factory=lambda: deque(maxlen=KEPT_SENT))
    sent_count: int = 0
    lines: int = 0
    chats: dict[str, deque[Line]] = field(default_factory=dict)
    bell: Bell = field(default_factory=Bell)
    _world: worlds.World | None = None

    @property
    def world(self) -> worlds.World:
        """Everybody this account knows; made when first asked for."""
        if self._world is None:
            self._world = worlds.build(self.plan, self.nickname, self.wxid)
        return self._world

    def new_ticket(self) -> tuple[str, str]:
        """Make the pair of cookies that a later push login is known by."""
        device, ticket = secrets.token_hex(16), "CIsBE" + secrets.token_urlsafe(40)
        self.tickets = {**dict(list(self.tickets.items())[-4:]), device: ticket}
        return device, ticket

    def name_of(self, wxid: str) -> str:
        """Return what to call somebody or some group in the scripting API: plain, stable over logins."""
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

    def record(self, peer: str, origin: str, sender: str, text: str, when: float) -> None:
        """Add a line to a conversation."""
        self.lines += 1
        line = Line(self.lines, origin, sender, text, when)
        self.chats.setdefault(peer, deque(maxlen=KEPT_LINES)).append(line)
        self.bell.ring()
