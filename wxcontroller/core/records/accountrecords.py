"""Accounts: what a host says about each of its own, and what an account's process says about itself."""

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlencode

from msgspec import UNSET, Raw, UnsetType, field

from wxcontroller.core.condition.facts import Condition, Severity
from wxcontroller.core.names import parse_name
from wxcontroller.core.records.decoding import (
    Free,
    FreeRecord,
    Maybe,
    Number,
    Presence,
    Sent,
    SentValue,
    Whole,
    WireRecord,
    Word,
)
from wxcontroller.core.records.deliveryrecords import AttemptRecord, ReportCounts
from wxcontroller.core.records.texts import TextData
from wxcontroller.core.states import Desired, LoginState, UnitState

# A text that is only known to be an object.
_DATA: Mapping[str, object] = {"anyOf": [{"type": "object"}, {"type": "null"}]}
_WHOLE_OR_NULL: Mapping[str, object] = {"anyOf": [{"type": "integer"}, {"type": "null"}]}
# A value whose schema tells nothing.
_ANY: Mapping[str, object] = {}
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
    """A problem of an account, and its remedy."""

    schema_name = "Issue"

    code: Annotated[Word, "code of the problem"]
    severity: Annotated[Word, Severity, "severity"]
    since: Annotated[Whole | None, "start of the problem, in seconds since 1970; null: unknown"] = None
    message: Annotated[str, "the problem, in English"]
    remedy: Annotated[str, "remedy, in English"]
    message_text: Annotated[TextData | None, _DATA, "template and values of the message"]
    remedy_text: Annotated[TextData | None, _DATA, "template and values of the remedy"]
    values: Annotated[Free, "values used in both texts, by name"]

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

    schema_name = "Queue"

    waiting: Annotated[SentValue[Whole], "waiting sends"] = UNSET
    in_flight: Annotated[SentValue[Whole], "sends that are being passed to WeChat"] = UNSET
    held: Annotated[SentValue[bool], "whether the queue waits for a login"] = UNSET
    oldest_since: Annotated[Sent[Whole | None], "time when the oldest was queued, in seconds since 1970"] = UNSET
    next_send_at: Annotated[Sent[Number | None], "time of the next send, in seconds since 1970"] = UNSET
    last_error: Annotated[SentValue[str], "error of the last attempt; empty: none"] = UNSET
    last_error_text: Sent[TextData | None] = UNSET
    most_waiting: Annotated[SentValue[Whole], "most sends that wait; more are refused"] = UNSET
    sent_today: Annotated[SentValue[Whole], "number of messages sent today"] = UNSET
    daily_limit: Annotated[SentValue[Whole], "limit per day; 0: none"] = UNSET
    burst_limit: Annotated[SentValue[Whole], "limit per minute; 0: none"] = UNSET
    interval: Annotated[SentValue[Number], "smallest pause between two sends, in seconds"] = UNSET
    jitter: Annotated[SentValue[Number], "maximum random addition to the pause, in seconds"] = UNSET


class Reports(ReportCounts, kw_only=True):
    """The deliveries of an account, in short."""

    waiting: Whole | None | UnsetType = UNSET
    delivered: Whole | None | UnsetType = UNSET
    failed: Whole | None | UnsetType = UNSET
    refused: Whole | None | UnsetType = UNSET
    dead_at: Whole | None | UnsetType = UNSET
    dead_error: str | None | UnsetType = UNSET
    dead_error_text: _Text = UNSET
    bytes: Whole | None | UnsetType = UNSET


class WindowRecord(WireRecord, kw_only=True):
    """Reply window of a person, on routes that have one."""

    schema_name = "Window"

    peer: Annotated[str, "the person"]
    state: Annotated[
        Word, ("open", "low", "spent", "closed", "throttled", "never"), "never: the person has not written"
    ]
    opened: Annotated[Whole | None, "time of the person's last message, in seconds since 1970; null: never"]
    closes: Annotated[Whole | None, "end of the window, in seconds since 1970; null: never"]
    sent: Annotated[Whole, "messages sent in this window"]
    limit: Annotated[Whole, "messages in a window; 0: any number"]
    left: Annotated[Whole, "messages that both limits still allow"]
    held: Annotated[Whole, "messages that are held for the person"]
    held_since: Annotated[Whole | None, "when the oldest of them was queued, in seconds since 1970; null: never"]
    restricted: Annotated[bool, "whether WeChat accepts messages for the person but shows none"]


class SendRefusal(WireRecord, kw_only=True):
    """A refusal of a send, and how many had been sent in the 24 hours before it."""

    time: Whole
    sent_24h: Whole


class SendingRecord(WireRecord, kw_only=True):
    """Limits of the account on a route with reply windows."""

    schema_name = "Sending"

    sent_24h: Annotated[SentValue[Whole], "messages sent in the last 24 hours, to all people"] = UNSET
    limit_24h: Annotated[SentValue[Whole], "the limit for them; 0: none"] = UNSET
    limit_24h_from: Annotated[SentValue[Word], ("unset", "set", "learned"), "learned: derived from refusals"] = UNSET
    limit_24h_until: Annotated[Sent[Whole | None], "end of a learned limit, in seconds since 1970; null: none"] = (
        UNSET
    )
    limit_24h_refusals: Annotated[
        SentValue[list[SendRefusal]],
        "the refusals from which it is derived, with the messages sent in 24 hours before each",
    ] = UNSET
    throttled_until: Annotated[
        Sent[Whole | None], "the time until which nothing is sent, in seconds since 1970; null: never"
    ] = UNSET
    left: Annotated[
        Sent[Whole | None], "messages that the most used window still allows; null: nobody has written"
    ] = UNSET
    held: Annotated[SentValue[Whole], "messages that are held for all persons"] = UNSET
    accepted_without_id: Annotated[SentValue[Whole], "messages in a row that WeChat accepted without an id"] = UNSET
    media: Annotated[SentValue[Word], ("allowed", "refused"), "whether WeChat lets the account send media"] = UNSET
    media_since: Annotated[
        Sent[Whole | None], "since when WeChat refuses media, in seconds since 1970; null: never"
    ] = UNSET
    revived: Annotated[SentValue[Whole], "sessions that were found valid again after an error, since the start"] = (
        UNSET
    )


class CapabilitiesRecord(WireRecord, kw_only=True):
    """Capabilities of an account's route; other calls are refused."""

    schema_name = "Capabilities"

    sends: Annotated[SentValue[list[Word]], "kinds of messages that it sends"] = UNSET
    contacts: Annotated[
        SentValue[bool], "whether it lists all contacts; other routes list only people who have written"
    ] = UNSET
    groups: Annotated[SentValue[bool], "whether it supports groups"] = UNSET
    recall: Annotated[SentValue[bool], "whether it supports recalls"] = UNSET
    avatars: Annotated[SentValue[bool], "whether it fetches pictures of people"] = UNSET
    lasting_ids: Annotated[SentValue[bool], "whether ids of people survive another login"] = UNSET
    text_length: Annotated[SentValue[Whole], "characters of a message; a longer text is split; 0: any number"] = UNSET
    reply_window: Annotated[
        SentValue[bool], "whether it can send only within a window after a message from the person"
    ] = UNSET


class ConsumerRecord(FreeRecord, kw_only=True):
    """An agent that uses an account through the iLink API, as reported by the account's program."""

    schema_name = "Consumer"

    name: Annotated[str, "its name"]
    ilink_bot_id: Annotated[Maybe[str], "the bot id that it sees"] = UNSET
    ilink_user_id: Annotated[
        Maybe[str],
        "the id of the person that the agent treats as its user; empty if unknown",
    ] = UNSET
    options: Annotated[
        Maybe[Free],
        {"$ref": "#/components/schemas/ConsumerOptions"},
        "the messages that it receives, and the answers to its sends",
    ] = UNSET
    online: Annotated[Maybe[bool], "whether it has reported that it is running"] = UNSET
    polling: Annotated[Maybe[bool], "whether it is waiting for messages now"] = UNSET
    last_poll: Annotated[
        Whole | None | UnsetType, "the time of its last request for messages, in seconds since 1970; null: never"
    ] = UNSET
    bot_agent: Annotated[Maybe[str], "the name by which it identifies itself"] = UNSET
    channel_version: Annotated[Maybe[str], "the version of its client"] = UNSET
    sent: Annotated[Maybe[Whole], "messages that it has sent"] = UNSET
    held: Annotated[Maybe[Whole], "its sends that are held until the person writes"] = UNSET
    behind: Annotated[Whole | None | UnsetType, "messages that it has not fetched; null: it has never polled"] = UNSET
    skipped: Annotated[Maybe[Whole], "messages that were skipped because they were too old"] = UNSET

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

    version: Annotated[Sent[str | None], _ANY] = UNSET
    pid: Annotated[Sent[Whole | None], _ANY] = UNSET


class AccountRow(WireRecord, kw_only=True):
    """An account: desired state, unit, login and condition."""

    schema_name = "Account"

    name: Annotated[str, "name of the account"]
    host: Annotated[Sent[str | None], "the host of the fleet that has it; null without a fleet"] = UNSET
    instance: Annotated[SentValue[str], "instance id: the name, if it is valid in a unit name"] = UNSET
    unit: Annotated[SentValue[str], "its systemd unit"] = UNSET
    driver: Annotated[SentValue[Word], "route to WeChat"] = UNSET
    epoch: Annotated[SentValue[Whole], "1, and one more with each move to another host"] = UNSET
    leaving: Annotated[Sent[LeavingRecord | None], "host to which it is being moved; null: none"] = UNSET
    arrived: Annotated[Sent[str | None], "id of the move by which it came to this host; null: none"] = UNSET
    desired: Annotated[SentValue[Word], Desired, "desired state; survives reboots"] = UNSET
    unit_state: Annotated[SentValue[Word], UnitState, "state of the unit in systemd; absent: not loaded"] = UNSET
    unit_sub: Annotated[SentValue[Word], "detailed state of the unit in systemd"] = UNSET
    login_state: Annotated[
        Sent[Word | None], LoginState, "stage of the login; null: not reported by the running program"
    ] = UNSET
    state: Annotated[Sent[Word | None], "the same in the original's terms"] = UNSET
    status: Annotated[SentValue[str], "status text"] = UNSET
    status_text: Sent[TextData | None] = UNSET
    reason: Annotated[SentValue[str], "reason why it waits, is stuck or has stopped trying"] = UNSET
    reason_text: Sent[TextData | None] = UNSET
    since: Annotated[Sent[Whole | None], "time of the last change of login_state, in seconds since 1970"] = UNSET
    input: Annotated[Sent[Asked | None], "question that it waits for, with the risk; null: none"] = UNSET
    pid: Annotated[Sent[Whole | None], "process id"] = UNSET
    port: Annotated[SentValue[Whole], "its own port on 127.0.0.1"] = UNSET
    post_api: Annotated[SentValue[str], "where reports are posted, without secrets"] = UNSET
    proxy: Annotated[SentValue[str], "proxy for all traffic with WeChat, without secrets"] = UNSET
    qrcode: Annotated[SentValue[bool], "whether there is a QR code to scan"] = UNSET
    qrcode_number: Annotated[Sent[Whole | None], "number of this QR code since the process started"] = UNSET
    qrcode_try: Annotated[
        Sent[Whole | None],
        "the number of this QR code among those shown before the account stops trying; null: unknown",
    ] = UNSET
    qrcode_limit: Annotated[
        Sent[Whole | None], "number of QR codes that are shown before it stops trying; null: unknown"
    ] = UNSET
    qrcode_until: Annotated[Sent[Whole | None], "when the next one is due, in seconds since 1970; null: unknown"] = (
        UNSET
    )
    user: Annotated[Sent[UserRecord | None], "the logged-in user"] = UNSET
    avatar: Annotated[Sent[str | None], "path of the user's picture, on a route that has pictures"] = UNSET
    start_time: Annotated[Sent[Whole | None], "when its process began, in seconds since 1970"] = UNSET
    heartbeats: Annotated[
        Sent[Word | None],
        "a letter for each of the last 50 minutes, this one last: r running, o not running, n no process; "
        "null without a process",
    ] = UNSET
    hourly_messages: Annotated[
        Sent[list[Whole] | None], "messages received and sent in each of the last 24 hours, this one last"
    ] = UNSET
    condition: Annotated[SentValue[Word], Condition, "condition of the account"] = UNSET
    severity: Annotated[
        SentValue[Word], Severity, "severity of the condition; from warning on, it needs attention"
    ] = UNSET
    advice: Annotated[Sent[IssueRecord | None], "the most severe issue; null: none"] = UNSET
    issues: Annotated[SentValue[list[IssueRecord]], "its problems, the worst first"] = UNSET
    activity: Annotated[Activity | None | UnsetType, Presence.UNDESCRIBED] = UNSET  # of streams

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
    # Current data from the account's process.
    client: Annotated[Sent[ClientProgram | None], "its process; null if it does not respond"] = UNSET
    client_reason: Annotated[SentValue[str], "reason why it does not respond"] = UNSET
    client_reason_text: Sent[TextData | None] = UNSET
    queue: Annotated[Queue | None | UnsetType, "message to send"] = UNSET
    reports: Annotated[Reports | None | UnsetType, _ANY, "reports for the webhook, and their results"] = UNSET
    media: Annotated[StoredMedia | None | UnsetType, _ANY, "stored received media"] = UNSET
    roster: Annotated[RosterRecord | None | UnsetType, _ANY, "numbers of known people and groups"] = UNSET
    last_message_time: Annotated[
        LastMessage | None | UnsetType,
        _ANY,
        "time of the last message in either direction, in seconds since 1970",
    ] = UNSET
    last_sync_time: Annotated[
        Number | None | UnsetType, _WHOLE_OR_NULL, "time of WeChat's last answer, in seconds since 1970"
    ] = UNSET
    memory: Annotated[Whole | None | UnsetType, "private memory of the process, in bytes"] = UNSET
    capabilities: Annotated[Maybe[CapabilitiesRecord], "capabilities of its route"] = UNSET
    windows: Annotated[Maybe[list[WindowRecord]], "one for each person; not on every route"] = UNSET
    sending: Annotated[Maybe[SendingRecord], "limits of sends; not on every route"] = UNSET
    consumers: Annotated[
        Maybe[list[ConsumerRecord]],
        {"type": "array", "items": {"type": "object"}},
        "agents that use the account through the iLink API",
    ] = UNSET

    free = ("options",)


def avatar_path(account: str, user: str) -> str:
    """Return the controller's path of a user's picture."""
    return f"/openwx/get_avatar?{urlencode({'client': account, 'id': user})}"
