"""Messages, chats and people of an account over HTTP, described.

They are answered at the account's own port, and by the controller for the account that its path names.
"""

from collections.abc import Mapping

from wxcontroller.openwx.described_sends import HOLDS, REFUSALS, STATES
from wxcontroller.openwx.describing import (
    BINARY,
    NUMBER,
    SWITCH,
    TEXT,
    WHOLE,
    DescribedRoute,
    Parameter,
    Schema,
    listing,
    maybe,
    record,
    ref,
    word,
)
from wxcontroller.openwx.pages import PAGE_CHATS, PAGE_MESSAGES, PAGE_PEOPLE

# What a send may say, in JSON or a form; a form may have a file besides.
FIELDS: Mapping[str, type] = {
    "to": str,
    "text": str,
    "reply_to": str,
    "media_url": str,
    "media_id": str,
    "media_name": str,
    "media_type": str,
    "interim": bool,
    "urgent": bool,
    "hold": float,
    "wait": float,
}
FILE_FIELD = "file"
# What a request is refused with, besides what every request may be.
CODES = (
    *("no-such-message", "no-such-peer", "key-reused", "queue-full", "stopping", "not-logged-in", "unsupported"),
    *("not-recallable", "recall-refused", "bad-type"),
)
_MEDIA_TYPES = ("image", "video", "file", "emoticon")


def said(kind: Schema, meaning: str) -> Schema:
    return {**kind, "description": meaning}


_MEANINGS = {
    "to": "the lasting id of a person or group, from contacts, groups or chats",
    "text": "the text; long ones are split where the route needs it",
    "reply_to": "the id of the message in the same chat that this one replies to",
    "media_url": "an http or https URL of content to send",
    "media_id": "the id of media that were received or sent before",
    "media_name": "the file's name",
    "media_type": "the type to send it as; by default determined from the content",
    "interim": "progress, which may be dropped if an answer is sent first",
    "urgent": "send it before messages that are not urgent",
    "hold": "seconds for which it may be held; by default the account's setting",
    "wait": "seconds to wait for the outcome; 0 answers as soon as it is stored",
}
_TYPES: Mapping[type, Schema] = {str: TEXT, bool: SWITCH, float: NUMBER}
_FIELD_SCHEMAS: Mapping[str, Schema] = {
    name: said(word(*_MEDIA_TYPES) if name == "media_type" else _TYPES[kind], _MEANINGS[name])
    for name, kind in FIELDS.items()
}
_OPTIONAL = tuple(name for name in (*FIELDS, FILE_FIELD) if name != "to")
_PERSON = record({"id": TEXT, "name": TEXT})
_OUTCOME: Mapping[str, Schema] = {
    "state": said(word(*STATES), "its state or result"),
    "reason": said(maybe(word(*HOLDS, *REFUSALS)), "a code for why it is held or refused"),
    "detail": said(maybe(TEXT), "the reason in words"),
    "held_until": said(maybe(WHOLE), "when it is refused if it is still held, in seconds since 1970"),
    "handle": said(maybe(TEXT), "its id in reports and in /openwx, once WeChat has assigned one"),
    "code": said(maybe(WHOLE), "the code that /openwx returns for this; 0: WeChat accepted the message"),
}
SCHEMAS: Mapping[str, Schema] = {
    "NewMessage": {
        **record(_FIELD_SCHEMAS, _OPTIONAL, "a message to send: text, media or both"),
        "examples": [{"to": "1234567", "text": "你好"}],
    },
    "NewMessageForm": record(
        {**_FIELD_SCHEMAS, FILE_FIELD: said(BINARY, "content to send")}, _OPTIONAL, "the same as a form, with a file"
    ),
    "SentPart": record(
        {"id": said(TEXT, "the id of this message"), **_OUTCOME},
        meaning="one of the messages that a send consists of",
    ),
    "SentMessage": record(
        {
            "id": said(TEXT, "the id of the message; with several parts, that of the first"),
            "chat": said(TEXT, "the lasting id of the chat"),
            **_OUTCOME,
            "parts": said(listing(ref("SentPart")), "its messages: pieces of a long text, then media"),
        },
        meaning="the result of a send; its state is the worst of its parts",
    ),
    "MessageMedia": record(
        {
            "type": said(TEXT, "image, voice, video, file and so on"),
            "name": said(maybe(TEXT), "the file's name"),
            "mime": said(maybe(TEXT), "its media type"),
            "size": said(maybe(WHOLE), "bytes"),
            "id": said(maybe(TEXT), "the media_id with which to send the same content again"),
            "url": said(maybe(TEXT), "the path of the content at this controller, if the account has it"),
            "error": said(maybe(TEXT), "the reason why the content is missing"),
        },
        meaning="media of a message",
    ),
    "Message": record(
        {
            "id": said(TEXT, "the id of the message, which never changes"),
            "cursor": said(
                maybe(TEXT), "its position in the history, for before and after; null: it is still queued"
            ),
            "chat": said(TEXT, "the lasting id of the person or group"),
            "chat_name": said(TEXT, "the name of the chat; empty if unknown"),
            "is_group": said(SWITCH, "whether the chat is a group"),
            "direction": said(word("in", "out"), "received, or sent by the account"),
            "sender": said(maybe(_PERSON), "the sender; null: WeChat itself"),
            "time": said(WHOLE, "in seconds since 1970"),
            "kind": said(TEXT, "text, image, voice, video, file, app, card, location, revoke, notice and so on"),
            "text": said(TEXT, "the text that people see; for media, the accompanying text"),
            "media": said(maybe(ref("MessageMedia")), "its content; null: it has none"),
            "quote": said(
                maybe(record({"id": TEXT, "sender": maybe(_PERSON), "text": TEXT})),
                "the message that this one replies to",
            ),
            "origin": said(
                maybe(TEXT), "api, code (a webhook's reply), reminder or device (another device); null: received"
            ),
            **_OUTCOME,
            "state": said(maybe(word(*STATES)), "the state or result of a send"),
            "recalled": said(SWITCH, "whether it was recalled with this API"),
        },
        meaning="a message; state, reason, detail, held_until, handle and code describe a send",
    ),
    "Chat": record(
        {
            "id": said(TEXT, "the lasting id of the person or group"),
            "name": said(TEXT, "the name to show"),
            "is_group": said(SWITCH, "whether it is a group"),
            "known": said(SWITCH, "whether messages can be sent to it at present"),
            "last": said(ref("Message"), "its last message"),
        },
        meaning="a chat with its last message",
    ),
    "ContactEntry": record(
        {
            "id": said(TEXT, "the lasting id"),
            "name": said(TEXT, "the name to show"),
            "kind": said(word("friend", "official", "system"), "the kind of contact"),
            "remark": said(TEXT, "the remark set by the account"),
            "nickname": said(TEXT, "the name chosen by the person"),
            "wechat_id": said(TEXT, "the WeChat ID, if WeChat provides one"),
            "province": said(TEXT, "province, as written in the profile"),
            "city": said(TEXT, "city, as written in the profile"),
            "signature": said(TEXT, "line under the name"),
            "sex": said(TEXT, "male or female; empty if unknown"),
        },
        meaning="a contact of the account",
    ),
    "GroupEntry": record(
        {
            "id": said(TEXT, "the lasting id"),
            "name": said(TEXT, "its name, or names of members"),
            "members": said(WHOLE, "how many are known"),
            "owner": said(maybe(TEXT), "the lasting id of the owner"),
        },
        meaning="a group of the account",
    ),
    "GroupMember": record(
        {
            "id": said(TEXT, "the lasting id"),
            "name": said(TEXT, "the name to show"),
            "display": said(TEXT, "the name in this group, if one was chosen"),
            "nickname": said(TEXT, "the name chosen by the person"),
        },
        meaning="a member of a group",
    ),
}
_ID = Parameter("id", "the message's id", place="path")
_BEFORE = Parameter("before", "return results before this cursor")
_Q = Parameter("q", "a part of a name or id")
_AFTER_ID = Parameter("after", "the id of the last entry of the previous page")


def _limit(limit: int) -> Parameter:
    return Parameter("limit", f"number of results, at most {limit}", WHOLE)


def routes(path: str, first: tuple[Parameter, ...], failures: tuple[int, ...]) -> tuple[DescribedRoute, ...]:
    """Return the calls below ``path`` (an account's in /v1); ``first`` are the path's own parameters."""

    def page(name: str, schema: str, *more: str) -> Schema:
        fields: dict[str, Schema] = {"account": TEXT, name: listing(ref(schema)), "more": SWITCH}
        return record({**fields, **dict.fromkeys(more, TEXT)})

    def failed(*statuses: int) -> tuple[int, ...]:
        return tuple(sorted({*failures, *statuses}))

    messages = {
        "account": TEXT,
        "log": said(TEXT, "the name of the log, which begins each cursor"),
        "messages": said(listing(ref("Message")), "the oldest first"),
        "pending": said(listing(ref("Message")), "sends that have not ended, with the newest messages"),
        "more": said(SWITCH, "whether there are more in this direction"),
        "complete": said(SWITCH, "false while the log of an earlier version is being indexed"),
    }
    key = Parameter("Idempotency-Key", "repeating a send with the same key sends one message", place="header")
    return (
        DescribedRoute(
            *("POST", f"{path}/messages", "send text, media or both; 202: the outcome is not known yet"),
            {200: ref("SentMessage"), 202: ref("SentMessage")},
            (*first, key),
            ref("NewMessage"),
            failures=failed(404, 409, 415, 422, 429, 504),
            tag="v1",
            upload=ref("NewMessageForm"),
        ),
        DescribedRoute(
            *(
                "GET",
                f"{path}/messages",
                "messages of all chats or one: the newest, or those next to a cursor",
            ),
            {200: record(messages)},
            (
                *first,
                Parameter("chat", "only messages of this chat"),
                _BEFORE,
                Parameter("after", "return results after this cursor"),
                _limit(PAGE_MESSAGES),
            ),
            failures=failures,
            tag="v1",
        ),
        DescribedRoute(
            *("GET", f"{path}/messages/{{id}}", "one message"),
            {200: ref("Message")},
            (*first, _ID),
            failures=failed(404),
            tag="v1",
        ),
        DescribedRoute(
            *("DELETE", f"{path}/messages/{{id}}", "recall a message that was sent, or cancel it while it waits"),
            {200: record({"id": TEXT, "result": word("recalled", "cancelled")})},
            (*first, _ID),
            failures=failed(404, 409, 504),
            tag="v1",
        ),
        DescribedRoute(
            *("GET", f"{path}/chats", "chats with their last messages, the latest first"),
            {200: page("chats", "Chat", "log")},
            (*first, _BEFORE, _limit(PAGE_CHATS)),
            failures=failures,
            tag="v1",
        ),
        DescribedRoute(
            *("GET", f"{path}/contacts", "contacts of the account"),
            {200: page("contacts", "ContactEntry")},
            (*first, _Q, _AFTER_ID, _limit(PAGE_PEOPLE)),
            failures=failures,
            tag="v1",
        ),
        DescribedRoute(
            *("GET", f"{path}/groups", "groups of the account"),
            {200: page("groups", "GroupEntry")},
            (*first, _Q, _AFTER_ID, _limit(PAGE_PEOPLE)),
            failures=failures,
            tag="v1",
        ),
        DescribedRoute(
            *("GET", f"{path}/groups/{{id}}/members", "the members of a group"),
            {200: record({"account": TEXT, "group": TEXT, "members": listing(ref("GroupMember"))})},
            (*first, Parameter("id", "the group's id", place="path")),
            failures=failed(404),
            tag="v1",
        ),
    )
