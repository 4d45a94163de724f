"""The calls of an account under /openwx, described: their parameters and answers (openwx-api 2).

They are answered at the account's own port, and by the controller for the account that ``client`` names.
"""

from collections.abc import Mapping

from wxcontroller.core.access import rights
from wxcontroller.core.condition.verdict import Cause
from wxcontroller.core.states import LoginState
from wxcontroller.openwx.contract.describing import (
    ANYTHING,
    BINARY,
    JSON,
    NUMBER,
    TEXT,
    WHOLE,
    Answer,
    Content,
    DescribedRoute,
    Fields,
    Parameter,
    Schema,
    either,
    listing,
    maybe,
    record,
    ref,
    word,
)
from wxcontroller.openwx.contract.objects import FRIEND_ATTRIBUTES, GROUP_ATTRIBUTES

TAG = "an account"
# A number or empty text. Clients of openapi-generator cannot read a choice of simple types.
_UID = ANYTHING
_SWITCH = word("0", "1")
_DONE: Fields = {"code": (WHOLE, "0 on success"), "status": (TEXT, "success, or the reason for the failure")}
_REASON: Fields = {"reason": (TEXT, "details of the failure")}
# Fields of sends on routes with a reply window.
_VERDICT: Fields = {
    "state": (
        word(
            *("waiting", "held", "delivered", "accepted", "refused", "unknown"),
            *dict.fromkeys(state.word for state in LoginState),
        ),
        "result of the send, or held, on routes with a reply window; with code -3, the state of the login",
    ),
    "refusal": (word(*Cause), "why it was refused, for programs"),
    "held_until": (WHOLE, "when it is refused if it is still held, in seconds since 1970"),
    "position": (WHOLE, "its position among the messages held for the person"),
    "parts": (listing(WHOLE), "number of pieces sent, and their total"),
}
_PERSON: Fields = {
    "id": (TEXT, "id to use in calls; changes with each login"),
    "uid": (_UID, "number that stays the same after new logins, if WeChat provides one"),
    "account": (TEXT, "account name, if WeChat provides one"),
    "name": (TEXT, "name that the person has chosen"),
    "display": (TEXT, "display name, if WeChat provides one"),
    "markname": (TEXT, "remark; of a member the nickname in the group"),
    "displayname": (TEXT, "name to display: remark, nickname or name"),
    "province": (TEXT, "province, as written in the profile"),
    "city": (TEXT, "city, as written in the profile"),
    "sex": (word("male", "female", ""), "empty if unknown"),
    "signature": (TEXT, "line under the name"),
}
_GROUP: Fields = {
    "id": (TEXT, "id to use in calls; changes with each login"),
    "uid": (_UID, "number that stays the same after new logins, if WeChat provides one"),
    "owner_uid": (_UID, "uid of its owner"),
    "name": (TEXT, "its name"),
    "displayname": (TEXT, "name to display: its name, or its members"),
}
_PROGRAM: Fields = {
    **_DONE,
    "account": (TEXT, "name of the account"),
    "pid": (WHOLE, "process id"),
    "starttime": (WHOLE, "start time, in seconds since 1970"),
    "runtime": (WHOLE, "seconds since the start"),
}
SCHEMAS: Mapping[str, Schema] = {
    "Reply": record(
        {**_DONE, **_REASON},
        _REASON,
        "code is 0 on success; otherwise status gives the reason, and reason may give details",
    ),
    "Failure": record(
        {"code": (WHOLE, "not 0"), "status": (TEXT, "the reason")}, meaning="why a request was refused"
    ),
    "User": record(
        {**_PERSON, "ilink_user_id": (TEXT, "on the iLink route: id of the person who scanned the code")},
        ("ilink_user_id",),
        "oneself",
    ),
    "Friend": record({**_PERSON, "category": (TEXT, "kind: friend, official account or WeChat's own, in Chinese")}),
    "Member": record(_PERSON, meaning="a group member; markname is the nickname"),
    "Group": record({**_GROUP, "member": (listing(ref("Member")), "all members")}),
    "GroupWithoutMembers": record(_GROUP),
    "Sent": record(
        {
            **_DONE,
            "id": (ANYTHING, "id of the message"),
            "media_id": (TEXT, "id with which to send the same content again"),
            **_REASON,
            **_VERDICT,
        },
        ("id", "media_id", "reason", *_VERDICT),
        "result of a send; revoke_message takes its id",
    ),
    "Answered": record(
        {
            **_DONE,
            "id": (maybe(TEXT), "id of the sent message"),
            "reply": (maybe(TEXT), "the reply"),
            "reply_status": (TEXT, "success, or the reason why there is no reply"),
            **_VERDICT,
        },
        ("id", "reply", "reply_status", *_VERDICT),
    ),
    "Media": record(
        {
            **_DONE,
            "media_code": (maybe(TEXT), "kind, as a number"),
            "media_ext": (maybe(TEXT), "extension"),
            "media_id": (maybe(TEXT), "id with which to send it"),
            "media_mime": (maybe(TEXT), "type"),
            "media_mtime": (ANYTHING, "seconds since 1970"),
            "media_name": (maybe(TEXT), "file name"),
            "media_path": (maybe(TEXT), "source of the content"),
            "media_size": (ANYTHING, "size in bytes"),
            "media_type": (maybe(TEXT), "kind"),
        },
        meaning="media uploaded to WeChat; all null if the upload failed",
    ),
    "Report": record(
        {
            "post_type": (
                word("receive_message", "send_message", "event"),
                "subject; the other fields depend on it",
            )
        },
        meaning="a message or an event, as it is posted to post_api",
    ),
    "ClientInfo": record(
        {
            **_PROGRAM,
            "log_level": (TEXT, "log level"),
            "os": (TEXT, "operating system"),
            "queued": (WHOLE, "waiting sends"),
            "state": (TEXT, "state of the login, in the original's terms"),
            "version": (TEXT, "version of the program"),
        }
    ),
    "Stopping": record(_PROGRAM),
    **{f"{name}List": listing(ref(name)) for name in ("Friend", "Group", "GroupWithoutMembers", "Report")},
}

_FRIEND = (
    Parameter("id", "id of the friend"),
    Parameter("account", "account name"),
    Parameter("displayname", "display name"),
    Parameter("markname", "remark"),
)
_GROUP_BY = (Parameter("id", "id of the group"), Parameter("displayname", "display name"))
_MEDIA = (
    Parameter("media_path", "http(s) address, or file below one of media_paths"),
    Parameter("media_data", "the content itself", BINARY),
    Parameter("media_id", "ID:CODE of media that were sent or received; wins over path and data"),
    Parameter("media_name", "file name to show; by default that of the uploaded part"),
    Parameter("media_mime", "type, overrides the detected one"),
    Parameter("media_ext", "extension, overrides the detected one"),
    Parameter("media_size", "size of the content that media_id names", WHOLE),
    Parameter("media_mtime", "seconds since 1970", WHOLE),
    Parameter("media_type", "kind", word("image", "voice", "video", "microvideo", "emoticon", "file")),
    Parameter("media_code", "kind, as a number", word("3", "34", "43", "62", "47", "6")),
)
_SENDING = (
    Parameter("content", "text"),
    *_MEDIA,
    Parameter("async", "1: respond at once; the report contains the result", _SWITCH),
    Parameter("interim", "1: a progress message, which may be dropped; for routes with a reply window", _SWITCH),
    Parameter("urgent", "1: send it before other waiting messages", _SWITCH),
    Parameter(
        "hold", "longest time to hold it on such a route, in seconds, instead of hold_seconds; 0: not at all", WHOLE
    ),
)
_PEOPLE = Parameter("friends", "ids of friends, separated by commas", required=True)


def search(attributes: frozenset[str]) -> tuple[Parameter, ...]:
    return tuple(Parameter(name, "required format") for name in sorted(attributes))


# Name, meaning, answer, parameters: one line for each call.
_CALLS: tuple[tuple[str, str, Schema, tuple[Parameter, ...]], ...] = (
    ("get_user_info", "the account's own profile", either(ref("User"), ref("Reply")), ()),
    ("get_friend_info", "all friends", ref("FriendList"), ()),
    ("get_group_info", "all groups with their members", ref("GroupList"), ()),
    ("get_group_basic_info", "all groups", ref("GroupWithoutMembersList"), ()),
    ("search_friend", "friends by attributes", ref("FriendList"), search(FRIEND_ATTRIBUTES)),
    ("search_group", "groups by attributes", ref("GroupList"), search(GROUP_ATTRIBUTES)),
    ("get_client_info", "status of the account's process", ref("ClientInfo"), ()),
    (
        "check_event",
        "events since the last call, or the next one within 30 s",
        ref("ReportList"),
        (),
    ),
    (
        "send_friend_message",
        "send a text, media or both to a friend",
        ref("Sent"),
        (Parameter("id", "id of the friend, or @all for every friend"), *_FRIEND[1:], *_SENDING),
    ),
    ("send_group_message", "send a text, media or both to a group", ref("Sent"), (*_GROUP_BY, *_SENDING)),
    (
        "consult",
        "send a text to a friend and wait for the reply",
        ref("Answered"),
        (*_FRIEND, *_SENDING, Parameter("timeout", "seconds to wait for the reply", NUMBER)),
    ),
    ("upload_media", "upload media to WeChat, to send them later by their media_id", ref("Media"), _MEDIA),
    (
        "revoke_message",
        "recall a message",
        ref("Sent"),
        (Parameter("id", "id in the response to the send", required=True),),
    ),
    (
        "create_group",
        "create a group",
        ref("Reply"),
        (_PEOPLE, Parameter("displayname", "its name")),
    ),
    ("invite_friend", "add friends to a group", ref("Reply"), (*_GROUP_BY, _PEOPLE)),
    (
        "kick_group_member",
        "remove members from a group",
        ref("Reply"),
        (*_GROUP_BY, Parameter("members", "ids of members, separated by commas", required=True)),
    ),
    (
        "set_group_displayname",
        "rename a group",
        ref("Reply"),
        (*_GROUP_BY, Parameter("new_displayname", "its new name", required=True)),
    ),
    (
        "stick",
        "pin a chat",
        ref("Reply"),
        (Parameter("id", "id of a friend or group", required=True), Parameter("op", "0: unpin", _SWITCH)),
    ),
    (
        "set_markname",
        "set the remark of a friend or member",
        ref("Reply"),
        (
            *_FRIEND,
            Parameter("group_id", "group of the member"),
            Parameter("new_markname", "the remark; without it, the remark is deleted"),
        ),
    ),
    (
        "set_friend_markname",
        "set the remark of a friend",
        ref("Reply"),
        (*_FRIEND, Parameter("new_markname", "the remark; without it, the remark is deleted")),
    ),
    (
        "make_friend",
        "send a friend request to a group member",
        ref("Reply"),
        (Parameter("id", "id of the member", required=True), Parameter("verify", "text of the request")),
    ),
    (
        "accept_friend_request",
        "accept a friend request",
        ref("Reply"),
        tuple(
            Parameter(name, "value from the event friend_request", required=True)
            for name in ("id", "displayname", "ticket")
        ),
    ),
    ("stop_client", "stop the account's process", ref("Stopping"), ()),
)
_CLIENT = Parameter("client", "name of the account", required=True)
# Failures of every call: not UTF-8, refused callers, too slow, too large, packed, too many headers, trouble,
# no space for a large body; and an account that does not answer the controller.
_FAILURES = (400, 403, 408, 413, 415, 431, 500, 502, 503, 504, 505, 507)
# Those that a key makes safe to repeat.
_KEYED = frozenset({"send_friend_message", "send_group_message", "consult", "upload_media"})
_KEY = Parameter(
    "Idempotency-Key", "a key for this request; repeating the request with it has no further effect", place="header"
)
_KEY_PARAMETER = Parameter("idempotency_key", "the same, for scripts that cannot set headers")


def calls() -> tuple[DescribedRoute, ...]:
    """Return all calls, for GET and POST."""
    described_routes: list[DescribedRoute] = []
    for name, meaning, schema, parameters in _CALLS:
        answer = either(schema, ref("Failure"))
        if name in _KEYED:
            described_routes += both(name, meaning, {200: answer}, (*parameters, _KEY_PARAMETER), (_KEY,), (422,))
        else:
            described_routes += both(name, meaning, {200: answer}, parameters)
    picture: Schema = {}
    pictures = dict.fromkeys(("image/jpeg", "image/png", "image/gif", "image/webp", "image/bmp"), picture)
    person = (Parameter("id", "id of the account itself, a friend, a group or a member"), *_FRIEND[1:])
    described_routes += both(
        "get_avatar",
        "a person's picture",
        {200: Content({**pictures, JSON: ref("Sent")}), 503: Content({"text/html": TEXT, JSON: ref("Failure")})},
        (*person, Parameter("group_id", "group of the member")),
    )
    return tuple(described_routes)


def both(
    name: str,
    meaning: str,
    answers: Mapping[int, Answer],
    parameters: tuple[Parameter, ...],
    headers: tuple[Parameter, ...] = (),
    failures: tuple[int, ...] = (),
) -> tuple[DescribedRoute, DescribedRoute]:
    path, first, failed = f"/openwx/{name}", (_CLIENT, *headers), (*_FAILURES, *failures)
    scope = rights.of_call(path).scope
    return (
        DescribedRoute(
            "GET", path, meaning, answers, scope, (*first, *parameters), failures=failed, failure="Failure", tag=TAG
        ),
        DescribedRoute(
            "POST", path, meaning, answers, scope, first, form=parameters, failures=failed, failure="Failure", tag=TAG
        ),
    )
