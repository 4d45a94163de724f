"""The calls of an account under /openwx, described: their parameters and answers (openwx-api 2).

They are answered at the account's own port, and by the controller for the account that ``client`` names.
"""

from collections.abc import Mapping

from wxcontroller.openwx.described_sends import VERDICT
from wxcontroller.openwx.describing import (
    BINARY,
    JSON,
    NUMBER,
    TEXT,
    WHOLE,
    Answer,
    Content,
    DescribedRoute,
    Parameter,
    Schema,
    either,
    listing,
    listing_or,
    maybe,
    record,
    ref,
    word,
)
from wxcontroller.openwx.objects import FRIEND_ATTRIBUTES, GROUP_ATTRIBUTES

TAG = "an account"
_UID = either(WHOLE, TEXT)
_SWITCH = word("0", "1")
_PERSON: Mapping[str, Schema] = {
    **dict.fromkeys(sorted(FRIEND_ATTRIBUTES - {"category", "uid", "sex"}), TEXT),
    "uid": _UID,
    "sex": word("male", "female", ""),
}
_GROUP: Mapping[str, Schema] = {
    "id": TEXT,
    "uid": _UID,
    "owner_uid": _UID,
    "name": TEXT,
    "displayname": TEXT,
}
SCHEMAS: Mapping[str, Schema] = {
    "Reply": record(
        {"code": WHOLE, "status": TEXT, "reason": TEXT},
        ("reason",),
        "0 when it was done; else why not, in words, and sometimes a reason more",
    ),
    "Failure": record({"code": WHOLE, "status": TEXT}, meaning="why a request was not taken"),
    "User": record(_PERSON, meaning="oneself"),
    "Friend": record({**_PERSON, "category": TEXT}),
    "Member": record(_PERSON, meaning="somebody in a group; markname is the nickname"),
    "Group": record({**_GROUP, "member": listing(ref("Member"))}),
    "GroupWithoutMembers": record(_GROUP),
    "Sent": record(
        {
            "id": either(TEXT, WHOLE, {"type": "null"}),
            "code": WHOLE,
            "status": TEXT,
            "media_id": TEXT,
            "reason": TEXT,
            **VERDICT,
        },
        ("id", "media_id", "reason", *VERDICT),
        "how a send ended; id is good for revoke_message",
    ),
    "Answered": record(
        {"id": maybe(TEXT), "code": WHOLE, "status": TEXT, "reply": maybe(TEXT), "reply_status": TEXT, **VERDICT},
        ("id", "reply", "reply_status", *VERDICT),
    ),
    "Media": record(
        {
            **{f"media_{name}": maybe(TEXT) for name in ("code", "ext", "id", "mime", "name", "path", "type")},
            "media_size": either(WHOLE, TEXT, {"type": "null"}),
            "media_mtime": either(WHOLE, TEXT, {"type": "null"}),
            "code": WHOLE,
            "status": TEXT,
        },
        meaning="media that WeChat holds now; all null when it does not",
    ),
    "Report": record(
        {"post_type": word("receive_message", "send_message", "event")},
        meaning="a message or an event, as it is posted to post_api",
    ),
    "ClientInfo": record(
        {
            **dict.fromkeys(("status", "account", "os", "version", "log_level", "state"), TEXT),
            **dict.fromkeys(("code", "pid", "starttime", "runtime", "queued"), WHOLE),
        }
    ),
    "Stopping": record(
        {
            **dict.fromkeys(("status", "account"), TEXT),
            **dict.fromkeys(("code", "pid", "starttime", "runtime"), WHOLE),
        }
    ),
}

_FRIEND = (
    Parameter("id", "id of the friend"),
    Parameter("account", "its account name"),
    Parameter("displayname", "its shown name"),
    Parameter("markname", "its remark"),
)
_GROUP_BY = (Parameter("id", "id of the group"), Parameter("displayname", "its shown name"))
_MEDIA = (
    Parameter("media_path", "http(s) address, or file below one of media_paths"),
    Parameter("media_data", "the content itself", BINARY),
    Parameter("media_id", "ID:CODE of media that were sent or received; wins over path and data"),
    Parameter("media_name", "file name to show"),
    Parameter("media_mime", "type, instead of what it looks like"),
    Parameter("media_ext", "extension, instead of what it looks like"),
    Parameter("media_size", "size of what media_id names", WHOLE),
    Parameter("media_mtime", "seconds since 1970", WHOLE),
    Parameter("media_type", "kind", word("image", "voice", "video", "microvideo", "emoticon", "file")),
    Parameter("media_code", "kind by its number", word("3", "34", "43", "62", "47", "6")),
)
_SENDING = (
    Parameter("content", "text"),
    *_MEDIA,
    Parameter("async", "1: answer at once, the report tells how it ended", _SWITCH),
    Parameter("interim", "1: progress, which may be dropped; on routes with a reply window", _SWITCH),
    Parameter("urgent", "1: send it before other waiting messages", _SWITCH),
    Parameter("hold", "seconds that it may be held on such a route, instead of hold_seconds; 0: not at all", WHOLE),
)
_PEOPLE = Parameter("friends", "ids of friends, separated by commas", required=True)


def search(attributes: frozenset[str]) -> tuple[Parameter, ...]:
    return tuple(Parameter(name, "what it has to be, exactly") for name in sorted(attributes))


def list_or_reply(name: str) -> Schema:
    """A list of the schema's objects, or the reason why there is none."""
    return listing_or(ref(name), record({"code": WHOLE, "status": TEXT}))


# Name, meaning, answer, parameters: one line for each call.
_CALLS: tuple[tuple[str, str, Schema, tuple[Parameter, ...]], ...] = (
    ("get_user_info", "the account's own profile", either(ref("User"), ref("Reply")), ()),
    ("get_friend_info", "all friends", list_or_reply("Friend"), ()),
    ("get_group_info", "all groups with their members", list_or_reply("Group"), ()),
    ("get_group_basic_info", "all groups", list_or_reply("GroupWithoutMembers"), ()),
    ("search_friend", "friends by what they are", list_or_reply("Friend"), search(FRIEND_ATTRIBUTES)),
    ("search_group", "groups by what they are", list_or_reply("Group"), search(GROUP_ATTRIBUTES)),
    ("get_client_info", "status of the account's process", ref("ClientInfo"), ()),
    (
        "check_event",
        "what has happened since it was asked last, or the next thing within 30 s",
        list_or_reply("Report"),
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
        "send a text to a friend and wait for the answer",
        ref("Answered"),
        (*_FRIEND, *_SENDING, Parameter("timeout", "seconds to wait for it", NUMBER)),
    ),
    ("upload_media", "give WeChat media to send later, by their media_id", ref("Media"), _MEDIA),
    (
        "revoke_message",
        "take back a message",
        ref("Sent"),
        (Parameter("id", "as the send answered it", required=True),),
    ),
    (
        "create_group",
        "make a group",
        ref("Reply"),
        (_PEOPLE, Parameter("displayname", "its name")),
    ),
    ("invite_friend", "bring friends into a group", ref("Reply"), (*_GROUP_BY, _PEOPLE)),
    (
        "kick_group_member",
        "put members out of a group",
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
        "put a chat on top",
        ref("Reply"),
        (Parameter("id", "id of a friend or group", required=True), Parameter("op", "0: no longer", _SWITCH)),
    ),
    (
        "set_markname",
        "set the remark of a friend or member",
        ref("Reply"),
        (
            *_FRIEND,
            Parameter("group_id", "group of the member"),
            Parameter("new_markname", "the remark; none: no remark"),
        ),
    ),
    (
        "set_friend_markname",
        "set the remark of a friend",
        ref("Reply"),
        (*_FRIEND, Parameter("new_markname", "the remark; none: no remark")),
    ),
    (
        "make_friend",
        "ask a member of a group to be a friend",
        ref("Reply"),
        (Parameter("id", "id of the member", required=True), Parameter("verify", "what to say")),
    ),
    (
        "accept_friend_request",
        "accept who asks to be a friend",
        ref("Reply"),
        tuple(
            Parameter(name, "as friend_request brought it", required=True) for name in ("id", "displayname", "ticket")
        ),
    ),
    ("stop_client", "stop the account's process", ref("Stopping"), ()),
)
# Failures of every call: not UTF-8, refused callers, too slow, too large, packed, too many headers, trouble,
# no space for a large body.
_FAILURES = (400, 403, 408, 413, 415, 431, 500, 503, 505, 507)
# Those that a key makes safe to repeat.
_KEYED = frozenset({"send_friend_message", "send_group_message", "consult", "upload_media"})
_KEY = Parameter(
    "Idempotency-Key", "a key for this request; repeating the request with it has no further effect", place="header"
)
_KEY_PARAMETER = Parameter("idempotency_key", "the same, for scripts that can't set headers")


def calls(first: tuple[Parameter, ...] = (), failures: tuple[int, ...] = ()) -> tuple[DescribedRoute, ...]:
    """Return all calls, for GET and POST.

    ``first`` are parameters that stand in the query of each, and say whom it is for: it may be nobody.
    """
    found: list[DescribedRoute] = []
    for name, meaning, schema, parameters in _CALLS:
        answer = either(schema, ref("Failure")) if first and "items" not in schema else schema
        known = (*first, _KEY) if name in _KEYED else first
        given = (*parameters, _KEY_PARAMETER) if name in _KEYED else parameters
        refused = (422,) if name in _KEYED else ()
        found += both(name, meaning, {200: answer}, known, given, (*_FAILURES, *refused, *failures))
    picture: Schema = {}
    pictures = dict.fromkeys(("image/jpeg", "image/png", "image/gif", "image/webp", "image/bmp"), picture)
    person = (Parameter("id", "id of oneself, a friend, a group or a member"), *_FRIEND[1:])
    found += both(
        "get_avatar",
        "somebody's picture",
        {200: Content({**pictures, JSON: ref("Sent")}), 503: Content({"text/html": TEXT, JSON: ref("Failure")})},
        first,
        (*person, Parameter("group_id", "group of the member")),
        (*_FAILURES, *failures),
    )
    return tuple(found)


def both(
    name: str,
    meaning: str,
    answers: Mapping[int, Answer],
    first: tuple[Parameter, ...],
    parameters: tuple[Parameter, ...],
    failures: tuple[int, ...],
) -> tuple[DescribedRoute, DescribedRoute]:
    path = f"/openwx/{name}"
    return (
        DescribedRoute(
            "GET", path, meaning, answers, (*first, *parameters), failures=failures, failure="Failure", tag=TAG
        ),
        DescribedRoute(
            "POST", path, meaning, answers, first, form=parameters, failures=failures, failure="Failure", tag=TAG
        ),
    )
