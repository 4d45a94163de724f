"""Accounts: what a host says about each of its own, and what an account's process says about itself."""

from urllib.parse import urlencode

from msgspec import UNSET, Raw, UnsetType, field

from wxcontroller.core.names import parse_name
from wxcontroller.core.records.decoding import Free, FreeRecord, Number, Whole, WireRecord, Word
from wxcontroller.core.records.deliveries import AttemptRecord
from wxcontroller.core.records.texts import TextData

_Text = TextData | None | UnsetType


class UserRecord(WireRecord, kw_only=True):
    """The user who is logged in."""

    id: str
    name: str


class LeavingRecord(WireRecord, kw_only=True):
    """The move of an account to another host."""

    to: str
    id: str
    ran: bool
    sent: bool


class Asked(WireRecord, kw_only=True):
    """A question that an account waits for."""

    id: str
    kind: Word
    prompt: str
    prompt_text: _Text = UNSET
    digits: Whole | None = None


class IssueRecord(FreeRecord, kw_only=True):
    """A problem of an account."""

    code: Word
    severity: Word
    since: Whole | None = None
    message: str
    remedy: str
    message_text: TextData | None
    remedy_text: TextData | None
    values: Free

    free = ("values",)


class Activity(WireRecord, kw_only=True):
    """The part of a process's status that a row shows."""

    last_message: Whole | None = None
    messages_24h: Whole | None = None
    queued: Whole = 0
    undelivered: Whole = 0
    dead: Whole = 0
    delivery_error: str | None = None
    delivery_error_text: _Text = UNSET
    tries: Whole = 0
    last_attempt: AttemptRecord | None = None
    people: Whole = 0
    memory: Whole | None = None
    held: Whole = 0
    media_since: Whole | None = None
    capabilities: dict[Word, bool] | None = None


class Queue(WireRecord, kw_only=True):
    """An account's queue of sends."""

    waiting: Whole | None | UnsetType = UNSET
    in_flight: Whole | None | UnsetType = UNSET
    held: bool | None | UnsetType = UNSET
    oldest_since: Whole | None | UnsetType = UNSET
    next_send_at: Number | None | UnsetType = UNSET
    last_error: str | None | UnsetType = UNSET
    last_error_text: _Text = UNSET
    most_waiting: Whole | None | UnsetType = UNSET
    sent_today: Whole | None | UnsetType = UNSET
    daily_limit: Whole | None | UnsetType = UNSET
    burst_limit: Whole | None | UnsetType = UNSET
    interval: Number | None | UnsetType = UNSET
    jitter: Number | None | UnsetType = UNSET


class Reports(WireRecord, kw_only=True):
    """The deliveries of an account, in short."""

    to: str | None | UnsetType = UNSET
    held: Whole | None | UnsetType = UNSET
    pending: Whole | None | UnsetType = UNSET
    waiting: Whole | None | UnsetType = UNSET
    retrying: Whole | None | UnsetType = UNSET
    oldest_since: Whole | None | UnsetType = UNSET
    last_error: str | None | UnsetType = UNSET
    last_error_text: _Text = UNSET
    trouble: str | None | UnsetType = UNSET
    trouble_text: _Text = UNSET
    last_attempt: AttemptRecord | None | UnsetType = UNSET
    delivered: Whole | None | UnsetType = UNSET
    failed: Whole | None | UnsetType = UNSET
    refused: Whole | None | UnsetType = UNSET
    dropped: Whole | None | UnsetType = UNSET
    dropped_at: Whole | None | UnsetType = UNSET
    damaged_at: Whole | None | UnsetType = UNSET
    dead: Whole | None | UnsetType = UNSET
    unacknowledged: Whole | None | UnsetType = UNSET
    dead_at: Whole | None | UnsetType = UNSET
    dead_error: str | None | UnsetType = UNSET
    dead_error_text: _Text = UNSET
    bytes: Whole | None | UnsetType = UNSET


class WindowRecord(WireRecord, kw_only=True):
    """The reply window of a person."""

    peer: str
    state: Word
    opened: Whole | None
    closes: Whole | None
    sent: Whole
    limit: Whole
    left: Whole
    held: Whole
    held_since: Whole | None
    restricted: bool


class SendRefusal(WireRecord, kw_only=True):
    """A refusal of a send, and how many had been sent in the 24 hours before it."""

    time: Whole
    sent_24h: Whole


class SendingRecord(WireRecord, kw_only=True):
    """Limits of sends on a route with reply windows."""

    sent_24h: Whole | None | UnsetType = UNSET
    limit_24h: Whole | None | UnsetType = UNSET
    limit_24h_from: Word | None | UnsetType = UNSET
    limit_24h_until: Whole | None | UnsetType = UNSET
    limit_24h_refusals: list[SendRefusal] | None | UnsetType = UNSET
    throttled_until: Whole | None | UnsetType = UNSET
    left: Whole | None | UnsetType = UNSET
    held: Whole | None | UnsetType = UNSET
    accepted_without_id: Whole | None | UnsetType = UNSET
    media: Word | None | UnsetType = UNSET
    media_since: Whole | None | UnsetType = UNSET
    revived: Whole | None | UnsetType = UNSET


class CapabilitiesRecord(WireRecord, kw_only=True):
    """What a route supports."""

    sends: list[Word] | None | UnsetType = UNSET
    contacts: bool | None | UnsetType = UNSET
    groups: bool | None | UnsetType = UNSET
    recall: bool | None | UnsetType = UNSET
    avatars: bool | None | UnsetType = UNSET
    lasting_ids: bool | None | UnsetType = UNSET
    text_length: Whole | None | UnsetType = UNSET
    reply_window: bool | None | UnsetType = UNSET


class ConsumerRecord(FreeRecord, kw_only=True):
    """An agent that uses the account."""

    name: str
    ilink_bot_id: str | None | UnsetType = UNSET
    ilink_user_id: str | None | UnsetType = UNSET
    options: Free | None | UnsetType = UNSET
    online: bool | None | UnsetType = UNSET
    polling: bool | None | UnsetType = UNSET
    last_poll: Whole | None | UnsetType = UNSET
    bot_agent: str | None | UnsetType = UNSET
    channel_version: str | None | UnsetType = UNSET
    sent: Whole | None | UnsetType = UNSET
    held: Whole | None | UnsetType = UNSET
    behind: Whole | None | UnsetType = UNSET
    skipped: Whole | None | UnsetType = UNSET

    free = ("options",)


class MessageCounts(WireRecord, kw_only=True):
    """Messages since the start, by kind."""

    received: dict[Word, Whole] | None | UnsetType = UNSET
    sent: dict[Word, Whole] | None | UnsetType = UNSET
    sent_elsewhere: dict[Word, Whole] | None | UnsetType = UNSET
    not_sent: Whole | dict[Word, Whole] | None | UnsetType = UNSET


class StoredMedia(WireRecord, kw_only=True):
    """An account's media files."""

    files: Whole | None | UnsetType = UNSET
    bytes: Whole | None | UnsetType = UNSET


class RosterRecord(WireRecord, kw_only=True):
    """Numbers of known people; ``changes`` grows with each change."""

    contacts: Whole | None | UnsetType = UNSET
    groups: Whole | None | UnsetType = UNSET
    members: Whole | None | UnsetType = UNSET
    changes: Whole | None | UnsetType = UNSET


class LastMessage(WireRecord, kw_only=True):
    """The time of the last message in either direction."""

    received: Number | None | UnsetType = UNSET
    sent: Number | None | UnsetType = UNSET


class Identified(WireRecord, kw_only=True):
    """An answer of an account's process, by which account it is of: one of these names is required."""

    name: str | None | UnsetType = UNSET
    account: str | None | UnsetType = UNSET
    instance: str | None | UnsetType = UNSET


class StatusRecord(Identified, kw_only=True):
    """An account's status."""

    version: str | None | UnsetType = UNSET
    pid: Whole | None | UnsetType = UNSET
    start_time: Number | None | UnsetType = UNSET
    driver: Word | None | UnsetType = UNSET
    login_state: Word | None | UnsetType = UNSET
    state: Word | None | UnsetType = UNSET
    status: str | None | UnsetType = UNSET
    status_text: _Text = UNSET
    reason: str | None | UnsetType = UNSET
    reason_text: _Text = UNSET
    since: Number | None | UnsetType = UNSET
    proxy: str | None | UnsetType = UNSET
    queue: Queue | None | UnsetType = UNSET
    reports: Reports | None | UnsetType = UNSET
    messages: MessageCounts | None | UnsetType = UNSET
    messages_24h: Whole | None | UnsetType = UNSET
    media: StoredMedia | None | UnsetType = UNSET
    roster: RosterRecord | None | UnsetType = UNSET
    last_message_time: LastMessage | None | UnsetType = UNSET
    last_sync_time: Number | None | UnsetType = UNSET
    memory: Whole | None | UnsetType = UNSET
    capabilities: CapabilitiesRecord | None | UnsetType = UNSET
    windows: list[WindowRecord] | None | UnsetType = UNSET
    sending: SendingRecord | None | UnsetType = UNSET
    consumers: list[ConsumerRecord] | None | UnsetType = UNSET


class HeartbeatsRecord(WireRecord, kw_only=True):
    """Its last minutes and hours."""

    minute: Whole
    beats: str
    messages: list[Whole]


class PublishedStatus(StatusRecord, kw_only=True):
    """The status that an account publishes in its runtime directory: without what concerns single people."""

    heartbeats: HeartbeatsRecord | None = None


class ConsumerList(Identified, kw_only=True):
    """An account's agents."""

    consumers: list[ConsumerRecord] | None | UnsetType = UNSET


class OptionsInUse(Identified, kw_only=True):
    """The options that an account's process uses, and the names of its credentials."""

    options: dict[str, str | None] | UnsetType = UNSET
    credentials: list[str] | None | UnsetType = UNSET


class ClientProgram(WireRecord, kw_only=True):
    """The program of an account's process."""

    version: str | None | UnsetType = UNSET
    pid: Whole | None | UnsetType = UNSET


class AccountRow(WireRecord, kw_only=True):
    """An ACCOUNT of another host, as a row or as the answer to a call about it."""

    name: str
    host: str | None | UnsetType = UNSET
    instance: str | None | UnsetType = UNSET
    unit: str | None | UnsetType = UNSET
    driver: Word | None | UnsetType = UNSET
    epoch: Whole | None | UnsetType = UNSET
    leaving: LeavingRecord | None | UnsetType = UNSET
    arrived: str | None | UnsetType = UNSET
    desired: Word | None | UnsetType = UNSET
    unit_state: Word | None | UnsetType = UNSET
    unit_sub: Word | None | UnsetType = UNSET
    login_state: Word | None | UnsetType = UNSET
    state: Word | None | UnsetType = UNSET
    status: str | None | UnsetType = UNSET
    status_text: _Text = UNSET
    reason: str | None | UnsetType = UNSET
    reason_text: _Text = UNSET
    since: Whole | None | UnsetType = UNSET
    input: Asked | None | UnsetType = UNSET
    pid: Whole | None | UnsetType = UNSET
    port: Whole | None | UnsetType = UNSET
    post_api: str | None | UnsetType = UNSET
    proxy: str | None | UnsetType = UNSET
    qrcode: bool | None | UnsetType = UNSET
    qrcode_number: Whole | None | UnsetType = UNSET
    qrcode_try: Whole | None | UnsetType = UNSET
    qrcode_limit: Whole | None | UnsetType = UNSET
    qrcode_until: Whole | None | UnsetType = UNSET
    user: UserRecord | None | UnsetType = UNSET
    avatar: str | None | UnsetType = UNSET
    start_time: Whole | None | UnsetType = UNSET
    heartbeats: Word | None | UnsetType = UNSET
    hourly_messages: list[Whole] | None | UnsetType = UNSET
    condition: Word | None | UnsetType = UNSET
    severity: Word | None | UnsetType = UNSET
    advice: IssueRecord | None | UnsetType = UNSET
    issues: list[IssueRecord] | None | UnsetType = UNSET
    activity: Activity | None | UnsetType = UNSET

    def locate(self, account: str) -> None:
        self.name, self.instance = account, parse_name(account).instance
        self.avatar = avatar_path(account, self.user.id) if isinstance(self.user, UserRecord) else None


class RowsEvent(WireRecord, kw_only=True):
    """An event of a host's stream of rows. ``all``: there are no other accounts.

    ``accounts`` are AccountRows, which are decoded one by one: an invalid one is left out.
    """

    accounts: list[Raw] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    all: bool = False

    in_pieces = True


class AccountAnswer(AccountRow, FreeRecord, kw_only=True):
    """The answer to a call about an account of another host: its ACCOUNT, and more with some calls."""

    result: str | None | UnsetType = UNSET
    ignored: list[str] | None | UnsetType = UNSET
    note: str | None | UnsetType = UNSET
    note_text: _Text = UNSET
    options: Free | None | UnsetType = UNSET
    client: ClientProgram | None | UnsetType = UNSET
    client_reason: str | None | UnsetType = UNSET
    client_reason_text: _Text = UNSET
    queue: Queue | None | UnsetType = UNSET
    reports: Reports | None | UnsetType = UNSET
    media: StoredMedia | None | UnsetType = UNSET
    roster: RosterRecord | None | UnsetType = UNSET
    last_message_time: LastMessage | None | UnsetType = UNSET
    last_sync_time: Number | None | UnsetType = UNSET
    memory: Whole | None | UnsetType = UNSET
    capabilities: CapabilitiesRecord | None | UnsetType = UNSET
    windows: list[WindowRecord] | None | UnsetType = UNSET
    sending: SendingRecord | None | UnsetType = UNSET
    consumers: list[ConsumerRecord] | None | UnsetType = UNSET

    free = ("options",)


def avatar_path(account: str, user: str) -> str:
    """Return the controller's path of a user's picture."""
    return f"/openwx/get_avatar?{urlencode({'client': account, 'id': user})}"
