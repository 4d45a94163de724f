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

# Fields of a send, in JSON or a form; a form may have a file besides.
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
# Codes of refused requests, besides those of every request.
CODES = (
    *("no-such-message", "no-such-peer", "key-reused", "queue-full", "stopping", "not-logged-in", "unsupported"),
    *("not-recallable", "recall-refused", "bad-type"),
)
_MEDIA_TYPES = ("image", "video", "file", "emoticon")


def with_meaning(kind: Schema, meaning: str) -> Schema:
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
    name: with_meaning(word(*_MEDIA_TYPES) if name == "media_type" else _TYPES[kind], _MEANINGS[name])
    for name, kind in FIELDS.items()
}
_OPTIONAL = tuple(name for name in (*FIELDS, FILE_FIELD) if name != "to")
_PERSON = record({"id": TEXT, "name": TEXT})
_OUTCOME: Mapping[str, Schema] = {
    "state": with_meaning(word(*STATES), "its state or result"),
    "reason": with_meaning(maybe(word(*HOLDS, *REFUSALS)), "a code for why it is held or refused"),
    "detail": with_meaning(maybe(TEXT), "the reason in words"),
    "held_until": with_meaning(maybe(WHOLE), "when it is refused if it is still held, in seconds since 1970"),
    "handle": with_meaning(maybe(TEXT), "its id in reports and in /openwx, once WeChat has assigned one"),
    "code": with_meaning(maybe(WHOLE), "the code that /openwx returns for this; 0: WeChat accepted the message"),
}
SCHEMAS: Mapping[str, Schema] = {
    "NewMessage": {
        **record(_FIELD_SCHEMAS, _OPTIONAL, "a message to send: text, media or both"),
        "examples": [{"to": "1234567", "text": "你好"}],
    },
    "NewMessageForm": record(
        {**_FIELD_SCHEMAS, FILE_FIELD: with_meaning(BINARY, "content to send")},
        _OPTIONAL,
        "the same as a form, with a file",
    ),
    "SentPart": record(
        {"id": with_meaning(TEXT, "the id of this message"), **_OUTCOME},
        meaning="one of the messages that a send consists of",
    ),
    "SentMessage": record(
        {
            "id": with_meaning(TEXT, "the id of the message; with several parts, that of the first"),
            "chat": with_meaning(TEXT, "the lasting id of the chat"),
            **_OUTCOME,
            "parts": with_meaning(listing(ref("SentPart")), "its messages: pieces of a long text, then media"),
        },
        meaning="the result of a send; its state is the worst of its parts",
    ),
    "MessageMedia": record(
        {
            "type": with_meaning(TEXT, "image, voice, video, file and so on"),
            "name": with_meaning(maybe(TEXT), "the file's name"),
            "mime": with_meaning(maybe(TEXT), "its media type"),
            "size": with_meaning(maybe(WHOLE), "bytes"),
            "id": with_meaning(maybe(TEXT), "the media_id with which to send the same content again"),
            "url": with_meaning(maybe(TEXT), "the path of the content at this controller, if the account has it"),
            "error": with_meaning(maybe(TEXT), "the reason why the content is missing"),
        },
        meaning="media of a message",
    ),
    "Message": record(
        {
            "id": with_meaning(TEXT, "the id of the message, which never changes"),
            "cursor": with_meaning(
                maybe(TEXT), "its position in the history, for before and after; null: it is still queued"
            ),
            "chat": with_meaning(TEXT, "the lasting id of the person or group"),
            "chat_name": with_meaning(TEXT, "the name of the chat; empty if unknown"),
            "is_group": with_meaning(SWITCH, "whether the chat is a group"),
            "direction": with_meaning(word("in", "out"), "received, or sent by the account"),
            "sender": with_meaning(maybe(_PERSON), "the sender; null: WeChat itself"),
            "time": with_meaning(WHOLE, "in seconds since 1970"),
            "kind": with_meaning(
                TEXT, "text, image, voice, video, file, app, card, location, revoke, notice and so on"
            ),
            "text": with_meaning(TEXT, "the text that people see; for media, the accompanying text"),
            "media": with_meaning(maybe(ref("MessageMedia")), "its content; null: it has none"),
            "quote": with_meaning(
                maybe(record({"id": TEXT, "sender": maybe(_PERSON), "text": TEXT})),
                "the message that this one replies to",
            ),
            "origin": with_meaning(
                maybe(TEXT), "api, code (a webhook's reply), reminder or device (another device); null: received"
            ),
            **_OUTCOME,
            "state": with_meaning(maybe(word(*STATES)), "the state or result of a send"),
            "recalled": with_meaning(SWITCH, "whether it was recalled with this API"),
        },
        meaning="a message; state, reason, detail, held_until, handle and code describe a send",
    ),
    "Chat": record(
        {
            "id": with_meaning(TEXT, "the lasting id of the person or group"),
            "name": with_meaning(TEXT, "the name to show"),
            "is_group": with_meaning(SWITCH, "whether it is a group"),
            "known": with_meaning(SWITCH, "whether messages can be sent to it at present"),
            "last": with_meaning(ref("Message"), "its last message"),
        },
        meaning="a chat with its last message",
    ),
    "ContactEntry": record(
        {
            "id": with_meaning(TEXT, "the lasting id"),
            "name": with_meaning(TEXT, "the name to show"),
            "kind": with_meaning(word("friend", "official", "system"), "the kind of contact"),
            "remark": with_meaning(TEXT, "the remark set by the account"),
            "nickname": with_meaning(TEXT, "the name chosen by the person"),
            "wechat_id": with_meaning(TEXT, "the WeChat ID, if WeChat provides one"),
            "province": with_meaning(TEXT, "province, as written in the profile"),
            "city": with_meaning(TEXT, "city, as written in the profile"),
            "signature": with_meaning(TEXT, "line under the name"),
            "sex": with_meaning(TEXT, "male or female; empty if unknown"),
        },
        meaning="a contact of the account",
    ),
    "GroupEntry": record(
        {
            "id": with_meaning(TEXT, "the lasting id"),
            "name": with_meaning(TEXT, "its name, or names of members"),
            "members": with_meaning(WHOLE, "how many are known"),
            "owner": with_meaning(maybe(TEXT), "the lasting id of the owner"),
        },
        meaning="a group of the account",
    ),
    "GroupMember": record(
        {
            "id": with_meaning(TEXT, "the lasting id"),
            "name": with_meaning(TEXT, "the name to show"),
            "display": with_meaning(TEXT, "the name in this group, if one was chosen"),
            "nickname": with_meaning(TEXT, "the name chosen by the person"),
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
        "log": with_meaning(TEXT, "the name of the log, which begins each cursor"),
        "messages": with_meaning(listing(ref("Message")), "the oldest first"),
        "pending": with_meaning(listing(ref("Message")), "sends that have not ended, with the newest messages"),
        "more": with_meaning(SWITCH, "whether there are more in this direction"),
        "complete": with_meaning(SWITCH, "false while the log of an earlier version is being indexed"),
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
