"""Any bytes and any text into the old contract's readers: a value or a typed refusal comes out, never an escape."""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from wxcontroller.client.heartbeat import command_of
from wxcontroller.client.sends.replies import Reply, reply_of
from wxcontroller.core.errors import BadOption
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.messages import Text
from wxcontroller.core.model import (
    AppShare,
    Card,
    Contact,
    ContactKind,
    Direction,
    FriendRequest,
    Group,
    Member,
    Message,
    MessageKind,
    MessageMedia,
    Place,
    Sex,
)
from wxcontroller.core.options import OPTIONS, Origin, check_options
from wxcontroller.core.states import LoginState
from wxcontroller.openwx import media, objects, reports
from wxcontroller.openwx.callers import foreign_origin, own_host
from wxcontroller.openwx.formats import shape
from wxcontroller.openwx.parameters import (
    BadParameter,
    form_pairs,
    holds_parameters,
    merged,
    query_of,
    query_pairs,
    text_of,
    values_of,
)
from wxcontroller.openwx.replies import record_reply, reply, to_bytes
from wxcontroller.openwx.statefile import ClientFacts, Moment, render

ANY = st.text()  # all of Unicode but surrogates
# With halves of characters, as they come out of JSON.
ODD = st.text(st.characters(exclude_categories=()))
KINDS = st.one_of(
    st.sampled_from(
        [
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=b",
            'multipart/form-data; boundary="b c"',
            "multipart/form-data; boundary=",
            "application/json",
        ]
    ),
    ODD,
)
# Bytes that look like forms now and then.
BODIES = st.one_of(
    st.binary(),
    st.lists(
        st.sampled_from(
            [
                *(
                    b"--b",
                    b"--b--",
                    b"\r\n",
                    b"\n",
                    b"\r\n\r\n",
                    b"&",
                    b"=",
                    b"%",
                    b"%f",
                    b"+",
                    b"\x00",
                    b"\xff",
                    b"a",
                ),
                b'Content-Disposition: form-data; name="a"',
                b'Content-Disposition: form-data; name="a"; filename="f"',
                b"Content-Disposition: form-data; name*=utf-8''%ff",
            ]
        ),
        max_size=30,
    ).map(b"".join),
)
JSON: "st.SearchStrategy[Any]" = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ODD,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(ODD, children, max_size=4),
    max_leaves=12,
)


@given(ODD, KINDS, BODIES, st.none() | ODD)
@example("", "\ud800", b"", None)
@example("", "multipart/form-data; boundary=\udcff\ud800", b"--\xff", None)
def test_requests_become_pairs_or_a_refusal(target: str, kind: str, body: bytes, only: str | None) -> None:
    query = query_of(target)
    holds_parameters(target, kind)
    readers: list[Callable[[], list[tuple[str, str]]]] = [
        lambda: query_pairs(query),
        lambda: form_pairs(kind, body, only),
        lambda: [(name, text_of(name, value)) for name, value in values_of(query, kind, body)],
    ]
    for read in readers:
        try:
            pairs = read()
        except BadParameter as problem:
            assert problem.message
            assert problem.remedy
        else:
            found = merged(pairs)
            assert all(isinstance(text, str) for pair in found.items() for text in pair)
            to_bytes(found)  # fit for an answer


@given(ODD | st.none(), ODD | st.none(), ODD | st.none(), st.lists(ODD, max_size=3))
@example(":", "", "[", ["://", ":", "[::1", "*"])
def test_callers_are_ours_or_not(origin: str | None, site: str | None, host: str | None, allowed: list[str]) -> None:
    assert foreign_origin(origin, site, host, allowed) in (True, False)
    assert own_host(host, allowed) in (True, False)


@given(ODD)
def test_nobody_is_let_in_by_a_strange_name(host: str) -> None:
    if own_host(host, ()):
        name = host.rpartition(":")[0] or host
        assert name.rstrip(".").lower() in ("localhost", "[::1]") or host.startswith("127.")
        assert not set(host) & set("@/\\?# \n\t")


@given(ODD, ODD, ODD, st.binary())
def test_names_types_and_ids_of_media(name: str, mime: str, key: str, start: bytes) -> None:
    kind = media.split_id(key)[1]
    media.split_id(name)
    found = media.mime_of(name, kind, mime)
    assert "\n" not in found
    assert media.kind_of(found) in media.CODES
    ext = media.extension(name, mime, kind)
    assert ext.isascii()
    assert ext.isalnum()
    assert not set(media.safe_name(name)) & set("/\\\0\n")
    media.sniff(start)


@given(JSON)
def test_any_json_is_written_as_utf_8_and_reads_back(value: JsonValue) -> None:
    written = to_bytes(value)
    assert json.loads(written) == value
    assert b"\n" not in written


@given(st.dictionaries(ODD, ODD), ODD)
def test_answers_keep_their_own_fields(given_parameters: dict[str, str], status: str) -> None:
    answer = record_reply(1, status, given_parameters, pid=4)
    assert (answer["code"], answer["status"], answer["pid"]) == (1, status, 4)
    assert not [key for key in answer if key.startswith("_") or key == "log_head"]
    to_bytes(answer)
    to_bytes(reply(1, status))


@given(ODD, st.integers(1, 65535))
def test_any_redirect_is_a_command_for_oneself_or_none(location: str, port: int) -> None:
    command = command_of(location, port)
    assert command is None or (command.host, command.port, command.user) == ("127.0.0.1", port, None)


REPORTS = st.sampled_from(["receive_message", "send_message", "event", ""])


@given(
    st.fixed_dictionaries({"post_type": REPORTS, "type": JSON, "from": JSON, "sender_id": JSON}),
    st.dictionaries(st.sampled_from(["reply", "media", "code", "format"]), JSON),
)
def test_any_answer_of_a_webhook_is_a_reply_or_none(report: JsonObject, answer: JsonObject) -> None:
    found = reply_of(report, answer)
    assert found is None or isinstance(found, Reply)
    if found:
        found.content.encode()  # what can be sent
        assert found.media == "" or found.media.startswith(("http://", "https://"))


@given(st.sampled_from(sorted(OPTIONS)) | ODD, ODD, st.sampled_from([Origin.REQUEST, Origin.SETTINGS]))
def test_any_option_is_taken_or_refused_in_words(name: str, value: str, by: Origin) -> None:
    try:
        checked = check_options([(name, value)], by)
    except BadOption as problem:
        assert problem.remedy
    else:
        for option, text in checked.given.items():
            assert OPTIONS[option].check(text) == text  # canonical


NUMBERS = st.integers(-(2**63), 2**63)
CONTACTS = st.builds(
    Contact,
    *(ODD, ODD, NUMBERS, ODD, ODD, ODD, ODD, ODD, ODD),
    st.sampled_from(Sex),
    st.sampled_from(ContactKind),
)
MEMBERS = st.builds(Member, ODD, ODD, ODD, NUMBERS, ODD, ODD, ODD, ODD, st.sampled_from(Sex))
GROUPS = st.builds(Group, ODD, ODD, st.lists(MEMBERS, max_size=4).map(tuple), NUMBERS, NUMBERS)
MESSAGES = st.builds(
    Message,
    *(ODD, ODD, st.booleans(), ODD, st.sampled_from(Direction), st.sampled_from(MessageKind), ODD, NUMBERS, ODD),
    media=st.none()
    | st.builds(MessageMedia, st.sampled_from([kind for kind in MessageKind if kind.is_media]), ODD, ODD, NUMBERS),
    app=st.none() | st.builds(AppShare, ODD, ODD, ODD, ODD, ODD, NUMBERS),
    card=st.none() | st.builds(Card, ODD, ODD, ODD, ODD, ODD, st.sampled_from(Sex), ODD),
    place=st.none() | st.builds(Place, ODD, ODD, ODD, ODD),
    revoked=ODD,
)


@given(MESSAGES, CONTACTS, st.none() | CONTACTS, st.none() | GROUPS, st.none() | MEMBERS)
def test_any_message_is_a_report_with_its_fields(
    message: Message, me: Contact, friend: Contact | None, group: Group | None, member: Member | None
) -> None:
    body = reports.received(message, reports.Chat(me, friend, group, member))
    assert {"post_type", "id", "type", "class", "format", "time", "content"} <= set(body)
    assert isinstance(json.loads(to_bytes(body)), dict)
    assert shape(message).format == body["format"]
    assert not [
        key for key, value in body.items() if value == 0 and value is not False and not isinstance(value, str)
    ]


@given(
    st.builds(reports.SendResult, ODD, ODD, ODD, st.booleans(), ODD, NUMBERS, NUMBERS, ODD, st.integers(0, 5)),
    CONTACTS,
    st.none() | CONTACTS,
    st.none() | GROUPS,
)
def test_any_send_is_a_report(
    result: reports.SendResult, me: Contact, friend: Contact | None, group: Group | None
) -> None:
    body = reports.sent(result, reports.Chat(me, friend, group))
    assert (body["code"] == "") == (result.code == 0)
    assert (body["ttl"] == "") == (result.attempts_left == 0)
    to_bytes(body)


@given(CONTACTS, GROUPS, MEMBERS, ODD)
def test_people_always_have_all_their_fields(contact: Contact, group: Group, member: Member, greeting: str) -> None:
    assert set(objects.friend(contact)) == objects.FRIEND_ATTRIBUTES
    assert set(objects.user(contact)) == objects.FRIEND_ATTRIBUTES - {"category"}
    assert set(objects.member(member)) == objects.FRIEND_ATTRIBUTES - {"category"}
    assert set(objects.group(group, contact.id)) == objects.GROUP_ATTRIBUTES | {"member"}
    for thing in (objects.friend(contact), objects.member(member)):
        assert thing["sex"] in ("male", "female", "")
        assert thing["uid"] != 0
    to_bytes(objects.group(group, contact.id))
    to_bytes(reports.friend_request(FriendRequest(contact.id, contact.name, greeting, greeting)))


@given(st.sampled_from(LoginState), st.none() | st.sampled_from(LoginState), ODD, st.dictionaries(ODD, ODD))
def test_any_state_is_a_file(
    state: LoginState, previous: LoginState | None, words: str, options: dict[str, str]
) -> None:
    facts = ClientFacts(words, words, 1, 2, "web", options, options, {"pid_path": words})
    content = render(facts, Moment(state, previous, 3, Text(words), Text(words), words, 1, words, words))
    assert json.loads(to_bytes(content))["state"] == state.word
