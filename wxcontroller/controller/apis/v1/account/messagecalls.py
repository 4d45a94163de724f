"""Messages, chats and people: passed on to the account's program."""

from collections.abc import Mapping

from aiohttp import web

from wxcontroller.controller.apis.v1.form.declaring import Calls
from wxcontroller.controller.apis.v1.form.recordschemas import schema_of, schemas_of
from wxcontroller.controller.forwarding.proxy import pass_on_v1
from wxcontroller.core.condition.verdict import SendState
from wxcontroller.core.records.messagerecords import (
    ChatPage,
    ChatRecord,
    MediaRecord,
    MessagePage,
    MessageRecord,
    Recall,
    SentMessage,
    SentPart,
)
from wxcontroller.core.records.peoplerecords import (
    ContactPage,
    ContactRecord,
    GroupPage,
    GroupRecord,
    MemberList,
    MemberRecord,
)
from wxcontroller.openwx.contract.describing import (
    BINARY,
    NUMBER,
    SWITCH,
    TEXT,
    WHOLE,
    Fields,
    Parameter,
    Schema,
    maybe,
    record,
    ref,
    word,
)
from wxcontroller.openwx.contract.newmessage import FIELDS, FILE_FIELD
from wxcontroller.openwx.contract.paging import PAGE_CHATS, PAGE_MESSAGES, PAGE_PEOPLE

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
    **schemas_of(SentPart, MediaRecord, ChatRecord),
    "SentMessage": schema_of(SentMessage, id=(TEXT, "the id of the message; with several parts, that of the first")),
    "Message": schema_of(MessageRecord, state=(maybe(word(*SendState)), "the state or result of a send")),
    **schemas_of(ContactRecord, GroupRecord, MemberRecord),
}
_ID = Parameter("id", "the id of the message, of its event, or of its delivery", place="path")
_KEY = Parameter("Idempotency-Key", "repeating a send with the same key sends one message", place="header")
_BEFORE = Parameter("before", "return results before this cursor")
_Q = Parameter("q", "a part of a name or id")
_AFTER_ID = Parameter("after", "the id of the last entry of the previous page")
CALLS = Calls()


def limit(maximum: int) -> Parameter:
    return Parameter("limit", f"number of results, at most {maximum}", WHOLE)


@CALLS.forwarded(
    "POST messages",
    "send text, media or both; 202: the outcome is not known yet",
    SentMessage,
    (422, 429),
    parameters=(_KEY,),
    body=ref("NewMessage"),
    upload=ref("NewMessage"),
    also={202: ref("SentMessage")},
)
@CALLS.forwarded(
    "GET messages",
    "messages of all chats or one: the newest, or those next to a cursor",
    MessagePage,
    parameters=(
        Parameter("chat", "only messages of this chat"),
        _BEFORE,
        Parameter("after", "return results after this cursor"),
        limit(PAGE_MESSAGES),
    ),
)
@CALLS.forwarded(
    "GET messages/{id}",
    "one message",
    MessageRecord,
    parameters=(_ID,),
)
@CALLS.forwarded(
    "DELETE messages/{id}",
    "recall a message that was sent, or cancel it while it waits, is held, or has its file uploaded",
    Recall,
    parameters=(_ID,),
)
@CALLS.forwarded(
    "GET chats",
    "chats with their last messages, the latest first",
    ChatPage,
    parameters=(_BEFORE, limit(PAGE_CHATS)),
)
@CALLS.forwarded(
    "GET contacts",
    "contacts of the account",
    ContactPage,
    parameters=(_Q, _AFTER_ID, limit(PAGE_PEOPLE)),
)
@CALLS.forwarded(
    "PATCH contacts/{id}",
    "set the remark, the name that is shown for a contact",
    ContactRecord,
    parameters=(Parameter("id", "the contact's id", place="path"),),
    body=record({"remark": (TEXT, "the name, at most 64 characters; empty: none")}),
)
@CALLS.forwarded(
    "GET groups",
    "groups of the account",
    GroupPage,
    parameters=(_Q, _AFTER_ID, limit(PAGE_PEOPLE)),
)
@CALLS.forwarded(
    "GET groups/{id}/members",
    "the members of a group",
    MemberList,
    parameters=(Parameter("id", "the group's id", place="path"),),
)
async def passed_on(request: web.Request) -> web.StreamResponse:
    """Pass a request on to the account's program."""
    return await pass_on_v1(request)
