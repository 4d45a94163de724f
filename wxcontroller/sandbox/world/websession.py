"""One web login of an account: its secrets, its UserNames, and the queue that webwxsync reads."""

import base64
import hashlib
import secrets
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from wxcontroller.core import jsontypes
from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, items
from wxcontroller.sandbox.hosts import FILE_PAGES
from wxcontroller.sandbox.media.storedcontent import ContentItem
from wxcontroller.sandbox.wakeups import Bell
from wxcontroller.sandbox.world.world import Relation, World

KEPT = 1000  # delivered events that are kept for an old SyncKey
REMEMBERED_SENDS = 5000  # ClientMsgIds that are remembered for repeats (7.9)
_CHECK_ONLY = 201  # an entry of SyncCheckKey that SyncKey lacks
SELECTOR_MESSAGE, SELECTOR_CONTACT, SELECTOR_CHAT_ENTERED = "2", "4", "7"


@dataclass(frozen=True, slots=True)
class ServerMessage:
    """A message as the server keeps it: real ids, Content as delivered but without the group prefix.

    ``fields`` are further fields of AddMsgList; RecommendInfo.UserName in it is a real id. Notices of WeChat itself
    have the conversation as their sender.
    """

    msg_id: int
    time: int
    peer: str
    sender: str
    content: str
    msg_type: int = 1
    notify_code: int = 0
    notify: tuple[str, ...] = ()
    fields: JsonObject = field(default_factory=dict)
    item: ContentItem | None = None


@dataclass(frozen=True, slots=True)
class ContactChanged:
    """A contact or group is new or has changed."""

    wxid: str


@dataclass(frozen=True, slots=True)
class ContactGone:
    """A friend was removed or a group left."""

    wxid: str


Event = ServerMessage | ContactChanged | ContactGone


class BadSyncKey(ValueError):
    """A SyncKey that this session never issued."""


class ServerSession:
    """A web login. Alive while ``dead`` is 0; then ``dead`` is the code with which every call is refused."""

    def __init__(self, uin: int, domain: str, desktop: bool) -> None:
        self.uin = uin
        self.domain = domain
        self.desktop = desktop
        self.opened = int(time.time())
        self.initialised = False
        self.dead = 0
        # with characters that clients forget to encode
        self.sid = secrets.token_urlsafe(6)[:8] + "/" + secrets.token_hex(2) + "+" + secrets.token_hex(2)
        self.skeys = [new_skey()]
        self.pass_ticket = quote(base64.b64encode(secrets.token_bytes(23) + b"?>").decode(), safe="")
        self.data_ticket = secrets.token_urlsafe(16)
        self.salt = secrets.token_bytes(16)
        self.base = 600_000_000 + secrets.randbelow(90_000_000)
        self.queue: deque[Event] = deque()
        self.first = 1  # position of queue[0]
        self.issued = 0  # position of the last SyncKey that was sent
        self.acknowledged = 0  # highest position of a key from the client
        self.serial = 0
        self.check_key = ""
        self.bell = Bell()
        self.polls = 0  # current synccheck calls
        self.sends: dict[str, str] = {}  # ClientMsgId → MsgID
        self._batches = (time.monotonic(), 0.0)  # when batch-gets were last counted, and how many still count
        self._names: dict[str, str] = {}
        self._wxids: dict[str, str] = {}

    # -- secrets

    @property
    def skey(self) -> str:
        """The newest skey."""
        return self.skeys[-1]

    def takes_pass_ticket(self, value: str) -> bool:
        """True for the ticket and for its decoded form (1.6)."""
        return value in (self.pass_ticket, unquote(self.pass_ticket))

    def end(self, retcode: int) -> None:
        """End the session; polls return at once."""
        if not self.dead:
            self.dead = retcode
            self.queue.clear()
            self.bell.ring()

    # -- ids

    def learn(self, world: World) -> None:
        """Give everybody in ``world`` a UserName for this session (6.1). Repeated calls are cheap."""
        if self._names:
            return
        for person in world.people.values():
            self._learn(
                person.wxid, person.wxid if person.kind is Relation.SPECIAL else "@" + self._hash(person.wxid)
            )
        for wxid in world.groups:
            self.meet(wxid)

    def meet(self, wxid: str) -> str:
        """Give a new person or group a UserName; return it."""
        if wxid not in self._names:
            self._learn(wxid, "@@" + self._hash(wxid, 32) if wxid.endswith("@chatroom") else "@" + self._hash(wxid))
        return self._names[wxid]

    def _learn(self, wxid: str, username: str) -> None:
        self._names[wxid] = username
        self._wxids[username] = wxid

    def _hash(self, wxid: str, size: int = 0) -> str:
        if not size:  # both lengths occur
            size = 16 if wxid.encode()[-1] & 1 else 32
        return hashlib.blake2b(wxid.encode(), key=self.salt, digest_size=size).hexdigest()

    def username(self, wxid: str) -> str:
        """Return this session's UserName of a person."""
        return self._names.get(wxid, wxid)

    def wxid(self, username: str) -> str | None:
        """Return the id of a UserName of this session, or None."""
        return self._wxids.get(username)

    def room_id(self, wxid: str) -> str:
        """Return the EncryChatRoomId of a group."""
        return "@" + hashlib.blake2b(b"room" + wxid.encode(), key=self.salt, digest_size=16).hexdigest()

    # -- the queue

    @property
    def head(self) -> int:
        """Position of the newest event."""
        return self.first + len(self.queue) - 1

    def push(self, event: Event) -> None:
        """Queue an event and wake the poll. Ignored on a dead session and for events of another page."""
        if not self.dead and (self.domain not in FILE_PAGES or of_file_page(event)):
            self.queue.append(event)
            self.bell.ring()

    def selector(self) -> str:
        """Return synccheck's selector for undelivered events, "0" without any."""
        if self.issued >= self.head:
            return "0"
        event = self.queue[self.issued - self.first + 1]
        match event:
            case ServerMessage(notify_code=2 | 5):
                return SELECTOR_CHAT_ENTERED
            case ServerMessage():
                return SELECTOR_MESSAGE
            case _:
                return SELECTOR_CONTACT

    def after(self, position: int, limit: int) -> list[Event]:
        """Return up to ``limit`` events after ``position``; forgotten ones are skipped."""
        start = max(0, position - self.first + 1)
        return [self.queue[index] for index in range(start, min(len(self.queue), start + limit))]

    def acknowledge(self, position: int, kept: int = KEPT) -> None:
        """Forget events up to ``position`` except the last ``kept``. A SyncKey from the client proves that its events
        arrived."""
        self.acknowledged = max(self.acknowledged, position)
        while self.first <= position - kept:
            self.queue.popleft()
            self.first += 1

    def fresh_sync_key(self) -> JsonObject:
        """Return the SyncKey of webwxinit, with four entries; synccheck uses it until the first sync (4)."""
        self.issued = self.head
        pairs = ((1, self.base), (2, self.base + self.head), (3, self.base), (1000, self.opened))
        self.check_key = flat(pairs)
        return _key(pairs)

    def sync_keys(self, position: int) -> tuple[JsonObject, JsonObject]:
        """Return SyncKey and SyncCheckKey for a client that has everything up to ``position``."""
        self.issued = position
        self.bell.ring()
        self.serial += 1
        common = ((1, self.base), (2, self.base + position), (3, self.base), (11, self.base - 7))
        check = (*common, (_CHECK_ONLY, self.opened + self.serial), (1000, self.opened))
        self.check_key = flat(check)
        return _key((*common, (1000, self.opened))), _key(check)

    def position(self, sync_key: JsonValue) -> int:
        """Return the position of a SyncKey. Raises BadSyncKey if it is not this session's."""
        pairs = _pairs(sync_key)
        if not pairs:
            raise BadSyncKey("SyncKey is empty")
        position = pairs.get(2, -1) - self.base
        if pairs.get(1) != self.base or not 0 <= position <= self.head:
            raise BadSyncKey("SyncKey is not of this session")
        return position

    def batch_allowance(self, rate: float, burst: int) -> bool:
        """Count a batch-get; False when it exceeds the limit. ``rate`` of them a second are allowed, 0 for any
        number."""
        if not rate:
            return True
        last, owed = self._batches
        now = time.monotonic()
        owed = max(0.0, owed - (now - last) * rate)
        self._batches = (now, min(owed + 1, burst))
        return owed + 1 <= burst

    def remember_send(self, client_msg_id: str, msg_id: str) -> None:
        """Remember a ClientMsgId, so that a repeat is not delivered twice."""
        if not client_msg_id:
            return
        self.sends[client_msg_id] = msg_id
        if len(self.sends) > REMEMBERED_SENDS:
            del self.sends[next(iter(self.sends))]


def of_file_page(event: Event) -> bool:
    return isinstance(event, ServerMessage) and event.peer == "filehelper"


def new_skey() -> str:
    """Make an skey."""
    return f"@crypt_{secrets.token_hex(4)}_{secrets.token_hex(16)}"


def sync_key_flaw(sync_key: JsonValue) -> str:
    """Return the fault in the form of a SyncKey, or "". Its position is valid."""
    pairs = _pairs(sync_key)
    if _CHECK_ONLY in pairs:
        return "SyncCheckKey sent as SyncKey"
    return "" if integer(jsontypes.field(sync_key, "Count"), -1) == len(pairs) else "Count of SyncKey is wrong"


def _pairs(sync_key: JsonValue) -> dict[int, int]:
    part = jsontypes.field
    return {integer(part(e, "Key"), -1): integer(part(e, "Val"), -1) for e in items(part(sync_key, "List"))}


def _key(pairs: Iterable[tuple[int, int]]) -> JsonObject:
    entries: list[JsonValue] = [{"Key": key, "Val": value} for key, value in pairs]
    return {"Count": len(entries), "List": entries}


def flat(pairs: Iterable[tuple[int, int]]) -> str:
    return "|".join(f"{key}_{value}" for key, value in pairs)
