"""Messages, chats and sends, as an account answers them and the controller passes them on."""

from typing import Annotated, Literal
from urllib.parse import quote

from msgspec import UNSET, UnsetType

from wxcontroller.core.condition.verdict import Cause, SendState
from wxcontroller.core.files.receivedmedia import MEDIA_FILE
from wxcontroller.core.records.decoding import Presence, Sent, Whole, WireRecord, Word
from wxcontroller.core.records.deliveryrecords import ProgressRecord
from wxcontroller.core.records.texts import TextData


class NamedRecord(WireRecord, kw_only=True):
    """A person of a message."""

    id: str
    name: Sent[str] = UNSET


class MediaRecord(WireRecord, kw_only=True):
    """Media of a message.

    Programs of 2.3.0 send ``url`` and no ``file``; others leave ``url`` to the controller, whose path it is.
    """

    schema_name = "MessageMedia"

    type: Annotated[Sent[Word], "image, voice, video, file and so on"] = UNSET
    name: Annotated[Sent[str | None], "the file's name"] = UNSET
    mime: Annotated[Sent[str | None], "its media type"] = UNSET
    size: Annotated[Sent[Whole | None], "bytes"] = UNSET
    id: Annotated[str | None, "the media_id with which to send the same content again"]
    error: Annotated[Sent[str | None], "the reason why the content is missing"] = UNSET
    file: Annotated[str | None, "the name of the content in /v1/accounts/{name}/media, if the account has it"] = None
    url: Annotated[
        Sent[str | None], "the path of the content at this controller; the account's own port leaves it out"
    ] = UNSET

    def locate(self, account: str) -> None:
        file = self.file or str(self.url or "").rpartition("/")[2]
        self.file = file if MEDIA_FILE.fullmatch(file) else None
        self.url = media_path(account, self.file) if self.file else None


class QuoteRecord(WireRecord, kw_only=True):
    """The message that another one replies to."""

    id: str
    sender: Sent[NamedRecord | None] = UNSET
    text: Sent[str] = UNSET


class VerdictRecord(WireRecord, kw_only=True):
    """The verdict on a send; programs of 2.3.0 know no texts but ``detail``."""

    reason: Annotated[
        Word | None,
        Cause,
        "a code for why it is held, waits until the account can send, was refused, or may have arrived; null: none",
    ] = None
    detail: Annotated[str | None, "the reason in words"] = None
    detail_text: TextData | None | UnsetType = UNSET
    ends: Annotated[str | UnsetType, "until when it is held or waits"] = UNSET
    ends_text: TextData | None | UnsetType = UNSET
    remedy: Annotated[str | UnsetType, "what to do about the reason"] = UNSET
    remedy_text: TextData | None | UnsetType = UNSET
    held_until: Annotated[Whole | None, "when it is refused if it still waits or is held, in seconds since 1970"] = (
        None
    )


class OutcomeRecord(VerdictRecord, kw_only=True):
    """The state of a message."""

    state: Annotated[Word | None, Presence.NOT_NULL, SendState, "its state, or its result"] = None
    handle: Annotated[str | None, "its id in reports and in /openwx, once WeChat has assigned one"] = None
    code: Annotated[Whole | None, "the code that /openwx returns for this; 0: WeChat accepted the message"] = None


class MessageRecord(OutcomeRecord, kw_only=True):
    """A message; state, reason, detail, ends, remedy, held_until, handle and code describe a send."""

    schema_name = "Message"

    id: Annotated[str, "the id of the message, which never changes"]
    cursor: Annotated[
        Sent[str | None], "its position in the history, for before and after; null: it is still queued"
    ] = UNSET
    chat: Annotated[Sent[str], "the lasting id of the person or group"] = UNSET
    chat_name: Annotated[Sent[str], "the name of the chat; empty if unknown"] = UNSET
    is_group: Annotated[Sent[bool], "whether the chat is a group"] = UNSET
    direction: Annotated[Sent[Literal["in", "out"]], "received, or sent by the account"] = UNSET
    sender: Annotated[Sent[NamedRecord | None], "the sender; null: WeChat itself"] = UNSET
    time: Annotated[Sent[Whole], "in seconds since 1970"] = UNSET
    kind: Annotated[Sent[Word], "text, image, voice, video, file, app, card, location, revoke, notice and so on"] = (
        UNSET
    )
    text: Annotated[Sent[str], "the text that people see; for media, the accompanying text"] = UNSET
    media: Annotated[Sent[MediaRecord | None], "its content; null: it has none"] = UNSET
    quote: Annotated[Sent[QuoteRecord | None], "the message that this one replies to"] = UNSET
    origin: Annotated[
        Sent[Word | None], "api, code (a webhook's reply), reminder or device (another device); null: received"
    ] = UNSET
    recalled: Annotated[Sent[bool], "whether it was recalled with this API"] = UNSET
    delivery: Annotated[
        ProgressRecord | None | UnsetType, "the delivery of its report to the webhook; null: it is still queued"
    ] = UNSET

    def locate(self, account: str) -> None:
        if isinstance(self.media, MediaRecord):
            self.media.locate(account)


class MessagePage(WireRecord, kw_only=True):
    """A page of an account's history."""

    account: Sent[str] = UNSET
    log: Annotated[Sent[Word], "the name of the log, which begins each cursor"] = UNSET
    messages: Annotated[list[MessageRecord], "the oldest first"]
    pending: Annotated[Sent[list[MessageRecord]], "sends that have not ended, with the newest messages"] = UNSET
    more: Annotated[Sent[bool], "whether there are more in this direction"] = UNSET

    def locate(self, account: str) -> None:
        self.account = account
        for message in (*self.messages, *(self.pending if isinstance(self.pending, list) else ())):
            message.locate(account)


class ChatRecord(WireRecord, kw_only=True):
    """A chat with its last message."""

    schema_name = "Chat"

    id: Annotated[str, "the lasting id of the person or group"]
    name: Annotated[Sent[str], "the name to show"] = UNSET
    is_group: Annotated[Sent[bool], "whether it is a group"] = UNSET
    known: Annotated[Sent[bool], "whether messages can be sent to it at present"] = UNSET
    last: Annotated[Sent[MessageRecord], "its last message"] = UNSET


class ChatPage(WireRecord, kw_only=True):
    """A page of an account's chats."""

    account: Sent[str] = UNSET
    log: Sent[Word] = UNSET
    chats: list[ChatRecord]
    more: Sent[bool] = UNSET

    def locate(self, account: str) -> None:
        self.account = account
        for chat in self.chats:
            if isinstance(chat.last, MessageRecord):
                chat.last.locate(account)


class SentPart(OutcomeRecord, kw_only=True):
    """One of the messages that a send consists of."""

    schema_name = "SentPart"

    id: Annotated[str, "the id of this message"]


class SentMessage(SentPart, kw_only=True):
    """The result of a send; its state is the worst of its parts."""

    schema_name = "SentMessage"

    chat: Annotated[Sent[str], "the lasting id of the chat"] = UNSET
    parts: Annotated[Sent[list[SentPart]], "its messages: pieces of a long text, then media"] = UNSET


class Recall(WireRecord, kw_only=True):
    """The result of a recall."""

    id: str
    result: Annotated[Sent[Word], ("recalled", "cancelled")] = UNSET


class SendRecord(VerdictRecord, kw_only=True):
    """A message to be sent; interim, urgent, queued_at and attempts_left are not kept after it has ended."""

    schema_name = "Send"

    id: Annotated[str, "id in the response to the call"]
    state: Annotated[Sent[Word], SendState, "its state, or its result"] = UNSET
    peer: Annotated[Sent[str], "the recipient"] = UNSET
    is_group: Annotated[Sent[bool], "whether that is a group"] = UNSET
    kind: Annotated[Sent[Word], "text, image, video or file"] = UNSET
    interim: Annotated[bool | UnsetType, "whether it is progress, which may be dropped"] = UNSET
    urgent: Annotated[bool | UnsetType, "whether it is sent before others"] = UNSET
    queued_at: Annotated[Whole | UnsetType, "when it was queued, in seconds since 1970"] = UNSET
    attempts_left: Annotated[Whole | UnsetType, "attempts that are left"] = UNSET


class SendList(WireRecord, kw_only=True):
    """An account's sends that have not ended."""

    sends: list[SendRecord]
    more: Annotated[bool | UnsetType, "whether more are waiting than are listed"] = False


class CancelledSend(WireRecord, kw_only=True):
    """A send that was cancelled."""

    id: str
    state: Annotated[Sent[Word], ("refused",)] = UNSET


class TypingRecord(WireRecord, kw_only=True):
    """Whether a person sees that the account is typing."""

    peer: Sent[str] = UNSET
    on: Sent[bool] = UNSET
    shown: Sent[bool] = UNSET


def media_path(account: str, file: str) -> str:
    """Return the controller's path of a received file."""
    return f"/v1/accounts/{quote(account, safe='')}/media/{file}"
