"""Messages, chats and sends, as an account answers them and the controller passes them on."""

import re
from typing import Literal
from urllib.parse import quote

from msgspec import UNSET, UnsetType

from wxcontroller.core.records.decoding import Whole, WireRecord, Word

# A received file in an account's media directory: time, random digits, extension. The only part of a path that an
# account may choose.
MEDIA_FILE = re.compile(r"mojo_weixin_media_[0-9]{14}_[0-9a-f]{16}\.[a-z0-9]{1,10}")


class NamedRecord(WireRecord, kw_only=True):
    """A person of a message."""

    id: str
    name: str


class MediaRecord(WireRecord, kw_only=True):
    """The content of a message. ``file`` is its name at the account; ``url`` is the controller's path of it.

    Programs of 2.3.0 send ``url`` and no ``file``.
    """

    type: Word
    name: str | None
    mime: str | None
    size: Whole | None
    id: str | None
    error: str | None
    file: str | None = None
    url: str | None | UnsetType = UNSET

    def locate(self, account: str) -> None:
        file = self.file or str(self.url or "").rpartition("/")[2]
        self.file = file if MEDIA_FILE.fullmatch(file) else None
        self.url = media_path(account, self.file) if self.file else None


class QuoteRecord(WireRecord, kw_only=True):
    """The message that another one replies to."""

    id: str
    sender: NamedRecord | None
    text: str


class OutcomeRecord(WireRecord, kw_only=True):
    """The state of a send."""

    state: Word | None = None
    reason: Word | None = None
    detail: str | None = None
    held_until: Whole | None = None
    handle: str | None = None
    code: Whole | None = None


class MessageRecord(OutcomeRecord, kw_only=True):
    """A message of a chat."""

    id: str
    cursor: str | None
    chat: str
    chat_name: str
    is_group: bool
    direction: Literal["in", "out"]
    sender: NamedRecord | None
    time: Whole
    kind: Word
    text: str
    media: MediaRecord | None
    quote: QuoteRecord | None
    origin: Word | None
    recalled: bool

    def locate(self, account: str) -> None:
        if self.media is not None:
            self.media.locate(account)


class MessagePage(WireRecord, kw_only=True):
    """A page of an account's history."""

    account: str | UnsetType = UNSET
    log: Word
    messages: list[MessageRecord]
    pending: list[MessageRecord]
    more: bool
    complete: bool

    def locate(self, account: str) -> None:
        self.account = account
        for message in (*self.messages, *self.pending):
            message.locate(account)


class ChatRecord(WireRecord, kw_only=True):
    """A chat with its last message."""

    id: str
    name: str
    is_group: bool
    known: bool
    last: MessageRecord


class ChatPage(WireRecord, kw_only=True):
    """A page of an account's chats."""

    account: str | UnsetType = UNSET
    log: Word
    chats: list[ChatRecord]
    more: bool

    def locate(self, account: str) -> None:
        self.account = account
        for chat in self.chats:
            chat.last.locate(account)


class SentPart(OutcomeRecord, kw_only=True):
    """One of the messages that a send consists of."""

    id: str


class SentMessage(SentPart, kw_only=True):
    """The result of a send."""

    chat: str
    parts: list[SentPart]


class Recall(WireRecord, kw_only=True):
    """The result of a recall."""

    id: str
    result: Word


class SendRecord(WireRecord, kw_only=True):
    """A message to be sent. What is not kept after its end is left out then."""

    id: str
    state: Word
    reason: Word | None
    detail: str | None | UnsetType = UNSET
    peer: str
    is_group: bool
    kind: Word
    interim: bool | UnsetType = UNSET
    urgent: bool | UnsetType = UNSET
    queued_at: Whole | UnsetType = UNSET
    held_until: Whole | None
    attempts_left: Whole | UnsetType = UNSET


class SendList(WireRecord, kw_only=True):
    """An account's sends that have not ended."""

    sends: list[SendRecord]
    more: bool = False


class CancelledSend(WireRecord, kw_only=True):
    """A send that was cancelled."""

    id: str
    state: Word


class TypingRecord(WireRecord, kw_only=True):
    """Whether a person sees that the account is typing."""

    peer: str
    on: bool
    shown: bool


def media_path(account: str, file: str) -> str:
    """Return the controller's path of a received file."""
    return f"/v1/accounts/{quote(account, safe='')}/media/{file}"
