"""Messages, chats and people: passed on to the account's program."""

from collections.abc import Mapping

from aiohttp import web

from wxcontroller.controller.account_port.proxy import pass_on_v1
from wxcontroller.controller.context import context
from wxcontroller.controller.v1.calls import Calls
from wxcontroller.core.records.messages import ChatPage, MessagePage, MessageRecord, Recall, SentMessage
from wxcontroller.core.records.people import ContactPage, ContactRecord, GroupPage, MemberList
from wxcontroller.core.verdict import Cause, SendState
from wxcontroller.openwx.describing import (
    AS_DATA,
    BINARY,
    NUMBER,
    SWITCH,
    TEXT,
    WHOLE,
    Fields,
    Parameter,
    Schema,
    listing,
    maybe,
    record,
    ref,
    texts,
    word,
)
from wxcontroller.openwx.newmessage import FIELDS, FILE_FIELD
from wxcontroller.openwx.paging import PAGE_CHATS, PAGE_MESSAGES, PAGE_PEOPLE

# Codes of refused requests, in addition to those of every request.
CODES = (
    *("no-such-message", "no-such-peer", "key-reused", "queue-full", "stopping", "not-logged-in", "unsupported"),
    *("not-recallable", "recall-refused", "remark-refused", "bad-type"),
)
_MEDIA_TYPES = ("image", "video", "file", "emoticon")
_MEANINGS = {
    "to": "the id of a person or group: a lasting one, or that of a report; also as a number",
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
_FIELDS: Fields = {
    name: (word(*_MEDIA_TYPES) if name == "media_type" else _TYPES[kind], _MEANINGS[name])
    for name, kind in FIELDS.items()
}
_OPTIONAL = tuple(name for name in (*FIELDS, FILE_FIELD) if name != "to")
_PERSON = record({"id": TEXT, "name": TEXT})
# The verdict on a send, and what of it may be missing.
VERDICT: Fields = {
    "state": (word(*SendState), "its state, or its result"),
    "reason": (
        maybe(word(*Cause)),
        "a code for why it is held, waits until the account can send, was refused, or may have arrived; null: none",
    ),
    "detail": (maybe(TEXT), "the reason in words"),
    "detail_text": AS_DATA,
    **texts(ends="until when it is held or waits", remedy="what to do about the reason"),
    "held_until": (maybe(WHOLE), "when it is refused if it still waits or is held, in seconds since 1970"),
}
VERDICT_OPTIONAL = ("detail_text", "ends", "ends_text", "remedy", "remedy_text")
_OUTCOME: Fields = {
    **VERDICT,
    "handle": (maybe(TEXT), "its id in reports and in /openwx, once WeChat has assigned one"),
    "code": (maybe(WHOLE), "the code that /openwx returns for this; 0: WeChat accepted the message"),
}
SCHEMAS: Mapping[str, Schema] = {
    # One for JSON and forms: openapi-generator leaves out schemas that only forms have, and imports them.
    "NewMessage": {
        **record(
            {**_FIELDS, FILE_FIELD: (BINARY, "content to send; only in a form")},
            _OPTIONAL,
            "a message to send: text, media or both",
        ),
        "examples": [{"to": "1234567", "text": "你好"}],
    },
    "SentPart": record(
        {"id": (TEXT, "the id of this message"), **_OUTCOME},
        VERDICT_OPTIONAL,
        "one of the messages that a send consists of",
    ),
    "SentMessage": record(
        {
            "id": (TEXT, "the id of the message; with several parts, that of the first"),
            "chat": (TEXT, "the lasting id of the chat"),
            **_OUTCOME,
            "parts": (listing(ref("SentPart")), "its messages: pieces of a long text, then media"),
        },
        VERDICT_OPTIONAL,
        "the result of a send; its state is the worst of its parts",
    ),
    "MessageMedia": record(
        {
            "type": (TEXT, "image, voice, video, file and so on"),
            "name": (maybe(TEXT), "the file's name"),
            "mime": (maybe(TEXT), "its media type"),
            "size": (maybe(WHOLE), "bytes"),
            "id": (maybe(TEXT), "the media_id with which to send the same content again"),
            "file": (maybe(TEXT), "the name of the content in /v1/accounts/{name}/media, if the account has it"),
            "url": (
                maybe(TEXT),
                "the path of the content at this controller; the account's own port leaves it out",
            ),
            "error": (maybe(TEXT), "the reason why the content is missing"),
        },
        meaning="media of a message",
    ),
    "Message": record(
        {
            "id": (TEXT, "the id of the message, which never changes"),
            "cursor": (maybe(TEXT), "its position in the history, for before and after; null: it is still queued"),
            "chat": (TEXT, "the lasting id of the person or group"),
            "chat_name": (TEXT, "the name of the chat; empty if unknown"),
            "is_group": (SWITCH, "whether the chat is a group"),
            "direction": (word("in", "out"), "received, or sent by the account"),
            "sender": (maybe(_PERSON), "the sender; null: WeChat itself"),
            "time": (WHOLE, "in seconds since 1970"),
            "kind": (TEXT, "text, image, voice, video, file, app, card, location, revoke, notice and so on"),
            "text": (TEXT, "the text that people see; for media, the accompanying text"),
            "media": (maybe(ref("MessageMedia")), "its content; null: it has none"),
            "quote": (
                maybe(record({"id": TEXT, "sender": maybe(_PERSON), "text": TEXT})),
                "the message that this one replies to",
            ),
            "origin": (
                maybe(TEXT),
                "api, code (a webhook's reply), reminder or device (another device); null: received",
            ),
            **_OUTCOME,
            "state": (maybe(word(*SendState)), "the state or result of a send"),
            "recalled": (SWITCH, "whether it was recalled with this API"),
            "delivery": (
                maybe(ref("Progress")),
                "the delivery of its report to the webhook; null: it is still queued",
            ),
        },
        (*VERDICT_OPTIONAL, "delivery"),
        "a message; state, reason, detail, ends, remedy, held_until, handle and code describe a send",
    ),
    "Chat": record(
        {
            "id": (TEXT, "the lasting id of the person or group"),
            "name": (TEXT, "the name to show"),
            "is_group": (SWITCH, "whether it is a group"),
            "known": (SWITCH, "whether messages can be sent to it at present"),
            "last": (ref("Message"), "its last message"),
        },
        meaning="a chat with its last message",
    ),
    "ContactEntry": record(
        {
            "id": (TEXT, "the lasting id"),
            "name": (TEXT, "the name to show"),
            "kind": (word("friend", "official", "system"), "the kind of contact"),
            "remark": (TEXT, "the name set by the account's owner; on iLink it is stored here, elsewhere at WeChat"),
            "nickname": (TEXT, "the name chosen by the person"),
            "wechat_id": (TEXT, "the WeChat ID, if WeChat provides one"),
            "province": (TEXT, "province, as written in the profile"),
            "city": (TEXT, "city, as written in the profile"),
            "signature": (TEXT, "line under the name"),
            "sex": (TEXT, "male or female; empty if unknown"),
        },
        meaning="a contact of the account",
    ),
    "GroupEntry": record(
        {
            "id": (TEXT, "the lasting id"),
            "name": (TEXT, "its name, or names of members"),
            "members": (WHOLE, "the number of known members"),
            "owner": (maybe(TEXT), "the lasting id of the owner"),
        },
        meaning="a group of the account",
    ),
    "GroupMember": record(
        {
            "id": (TEXT, "the lasting id"),
            "name": (TEXT, "the name to show"),
            "display": (TEXT, "the name in this group, if one was chosen"),
            "nickname": (TEXT, "the name chosen by the person"),
        },
        meaning="a member of a group",
    ),
}
_ID = Parameter("id", "the id of the message, of its event, or of its delivery", place="path")
_KEY = Parameter("Idempotency-Key", "repeating a send with the same key sends one message", place="header")
_BEFORE = Parameter("before", "return results before this cursor")
_Q = Parameter("q", "a part of a name or id")
_AFTER_ID = Parameter("after", "the id of the last entry of the previous page")
_PAGE: Fields = {
    "account": TEXT,
    "log": (TEXT, "the name of the log, which begins each cursor"),
    "messages": (listing(ref("Message")), "the oldest first"),
    "pending": (listing(ref("Message")), "sends that have not ended, with the newest messages"),
    "more": (SWITCH, "whether there are more in this direction"),
}
CALLS = Calls()


def page(name: str, schema: str, **more: Schema) -> Schema:
    return record({"account": TEXT, name: listing(ref(schema)), "more": SWITCH, **more})


def limit(maximum: int) -> Parameter:
    return Parameter("limit", f"number of results, at most {maximum}", WHOLE)


@CALLS.forwarded(
    "POST messages",
    "send text, media or both; 202: the outcome is not known yet",
    ref("SentMessage"),
    (422, 429),
    parameters=(_KEY,),
    body=ref("NewMessage"),
    upload=ref("NewMessage"),
    also={202: ref("SentMessage")},
    decoded=SentMessage,
)
@CALLS.forwarded(
    "GET messages",
    "messages of all chats or one: the newest, or those next to a cursor",
    record(_PAGE),
    parameters=(
        Parameter("chat", "only messages of this chat"),
        _BEFORE,
        Parameter("after", "return results after this cursor"),
        limit(PAGE_MESSAGES),
    ),
    decoded=MessagePage,
)
@CALLS.forwarded(
    "GET messages/{id}",
    "one message",
    ref("Message"),
    parameters=(_ID,),
    decoded=MessageRecord,
)
@CALLS.forwarded(
    "DELETE messages/{id}",
    "recall a message that was sent, or cancel it while it waits, is held, or has its file uploaded",
    record({"id": TEXT, "result": word("recalled", "cancelled")}),
    parameters=(_ID,),
    decoded=Recall,
)
@CALLS.forwarded(
    "GET chats",
    "chats with their last messages, the latest first",
    page("chats", "Chat", log=TEXT),
    parameters=(_BEFORE, limit(PAGE_CHATS)),
    decoded=ChatPage,
)
@CALLS.forwarded(
    "GET contacts",
    "contacts of the account",
    page("contacts", "ContactEntry"),
    parameters=(_Q, _AFTER_ID, limit(PAGE_PEOPLE)),
    decoded=ContactPage,
)
@CALLS.forwarded(
    "PATCH contacts/{id}",
    "set the remark, the name that is shown for a contact",
    ref("ContactEntry"),
    parameters=(Parameter("id", "the contact's id", place="path"),),
    body=record({"remark": (TEXT, "the name, at most 64 characters; empty: none")}),
    decoded=ContactRecord,
)
@CALLS.forwarded(
    "GET groups",
    "groups of the account",
    page("groups", "GroupEntry"),
    parameters=(_Q, _AFTER_ID, limit(PAGE_PEOPLE)),
    decoded=GroupPage,
)
@CALLS.forwarded(
    "GET groups/{id}/members",
    "the members of a group",
    record({"account": TEXT, "group": TEXT, "members": listing(ref("GroupMember"))}),
    parameters=(Parameter("id", "the group's id", place="path"),),
    decoded=MemberList,
)
async def passed_on(request: web.Request) -> web.StreamResponse:
    """Pass a request on, whose body may be as large as an upload."""
    return await pass_on_v1(request, context(request).settings.max_body)
