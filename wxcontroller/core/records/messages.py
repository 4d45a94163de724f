"""Messages, chats and sends, as an account answers them and the controller passes them on."""

from typing import Literal
from urllib.parse import quote

from msgspec import UNSET, UnsetType

from wxcontroller.core.receivedmedia import MEDIA_FILE
from wxcontroller.core.records.decoding import Whole, WireRecord, Word
from wxcontroller.core.records.deliveries import ProgressRecord
from wxcontroller.core.records.texts import TextData


class NamedRecord(WireRecord, kw_only=True):
    """A person of a message."""

    id: str
    name: str | UnsetType = UNSET


class MediaRecord(WireRecord, kw_only=True):
    """The content of a message. ``file`` is its name at the account; ``url`` is the controller's path of it.

    Programs of 2.3.0 send ``url`` and no ``file``.
    """

    type: Word | UnsetType = UNSET
    name: str | None | UnsetType = UNSET
    mime: str | None | UnsetType = UNSET
    size: Whole | None | UnsetType = UNSET
    id: str | None
    error: str | None | UnsetType = UNSET
    file: str | None = None
    url: str | None | UnsetType = UNSET

    def locate(self, account: str) -> None:
        file = self.file or str(self.url or "").rpartition("/")[2]
        self.file = file if MEDIA_FILE.fullmatch(file) else None
        self.url = media_path(account, self.file) if self.file else None


class QuoteRecord(WireRecord, kw_only=True):
    """The message that another one replies to."""

    id: str
    sender: NamedRecord | None | UnsetType = UNSET
    text: str | UnsetType = UNSET


class VerdictRecord(WireRecord, kw_only=True):
    """The verdict on a send; programs of 2.3.0 know no texts but ``detail``."""

    reason: Word | None = None
    detail: str | None = None
    detail_text: TextData | None | UnsetType = UNSET
    ends: str | UnsetType = UNSET
    ends_text: TextData | None | UnsetType = UNSET
    remedy: str | UnsetType = UNSET
    remedy_text: TextData | None | UnsetType = UNSET
    held_until: Whole | None = None


class OutcomeRecord(VerdictRecord, kw_only=True):
    """The state of a message."""

    state: Word | None = None
    handle: str | None = None
    code: Whole | None = None


class MessageRecord(OutcomeRecord, kw_only=True):
    """A message of a chat."""

    id: str
    cursor: str | None | UnsetType = UNSET
    chat: str | UnsetType = UNSET
    chat_name: str | UnsetType = UNSET
    is_group: bool | UnsetType = UNSET
    direction: Literal["in", "out"] | UnsetType = UNSET
    sender: NamedRecord | None | UnsetType = UNSET
    time: Whole | UnsetType = UNSET
    kind: Word | UnsetType = UNSET
    text: str | UnsetType = UNSET
    media: MediaRecord | None | UnsetType = UNSET
    quote: QuoteRecord | None | UnsetType = UNSET
    origin: Word | None | UnsetType = UNSET
    recalled: bool | UnsetType = UNSET
    delivery: ProgressRecord | None | UnsetType = UNSET

    def locate(self, account: str) -> None:
        if isinstance(self.media, MediaRecord):
            self.media.locate(account)


class MessagePage(WireRecord, kw_only=True):
    """A page of an account's history."""

    account: str | UnsetType = UNSET
    log: Word | UnsetType = UNSET
    messages: list[MessageRecord]
    pending: list[MessageRecord] | UnsetType = UNSET
    more: bool | UnsetType = UNSET

    def locate(self, account: str) -> None:
        self.account = account
        for message in (*self.messages, *(self.pending if isinstance(self.pending, list) else ())):
            message.locate(account)


class ChatRecord(WireRecord, kw_only=True):
    """A chat with its last message."""

    id: str
    name: str | UnsetType = UNSET
    is_group: bool | UnsetType = UNSET
    known: bool | UnsetType = UNSET
    last: MessageRecord | UnsetType = UNSET


class ChatPage(WireRecord, kw_only=True):
    """A page of an account's chats."""

    account: str | UnsetType = UNSET
    log: Word | UnsetType = UNSET
    chats: list[ChatRecord]
    more: bool | UnsetType = UNSET

    def locate(self, account: str) -> None:
        self.account = account
        for chat in self.chats:
            if isinstance(chat.last, MessageRecord):
                chat.last.locate(account)


class SentPart(OutcomeRecord, kw_only=True):
    """One of the messages that a send consists of."""

    id: str


class SentMessage(SentPart, kw_only=True):
    """The result of a send."""

    chat: str | UnsetType = UNSET
    parts: list[SentPart] | UnsetType = UNSET


class Recall(WireRecord, kw_only=True):
    """The result of a recall."""

    id: str
    result: Word | UnsetType = UNSET


class SendRecord(VerdictRecord, kw_only=True):
    """A message to be sent. What is not kept after its end is left out then."""

    id: str
    state: Word | UnsetType = UNSET
    peer: str | UnsetType = UNSET
    is_group: bool | UnsetType = UNSET
    kind: Word | UnsetType = UNSET
    interim: bool | UnsetType = UNSET
    urgent: bool | UnsetType = UNSET
    queued_at: Whole | UnsetType = UNSET
    attempts_left: Whole | UnsetType = UNSET


class SendList(WireRecord, kw_only=True):
    """An account's sends that have not ended."""

    sends: list[SendRecord]
    more: bool = False


class CancelledSend(WireRecord, kw_only=True):
    """A send that was cancelled."""

    id: str
    state: Word | UnsetType = UNSET


class TypingRecord(WireRecord, kw_only=True):
    """Whether a person sees that the account is typing."""

    peer: str | UnsetType = UNSET
    on: bool | UnsetType = UNSET
    shown: bool | UnsetType = UNSET


def media_path(account: str, file: str) -> str:
    """Return the controller's path of a received file."""
    return f"/v1/accounts/{quote(account, safe='')}/media/{file}"
