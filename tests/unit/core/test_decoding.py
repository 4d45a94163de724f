"""Answers of accounts and hosts, decoded: what is refused, what is left out, and what is written again."""

import json
import time

import pytest

from wxcontroller.core.records.accountrecords import AccountRow, StatusRecord
from wxcontroller.core.records.decoding import Undecodable, decode, decode_aside, encode
from wxcontroller.core.records.eventrecords import EventRecord
from wxcontroller.core.records.messagerecords import MediaRecord, MessagePage
from wxcontroller.core.records.peoplerecords import ContactPage

FILE = "mojo_weixin_media_20261202010203_0123456789abcdef.jpg"
EVENT = b'{"id":"0badcafe-1","account":"alice","type":"login","seq":1,"stamp":1,"time":1,"report":%b}'


def deep(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "truncated"),
        (b"[]", "Expected `object`"),
        (b'{"pid":"1"}', "$.pid"),
        (b'{"pid":true}', "$.pid"),
        (b'{"pid":1.5}', "$.pid"),
        (b'{"pid":%b}' % (b"1" * 40), "$.pid"),
        (b'{"pid":%b}' % (b"1" * 5000), "$.pid"),
        (b'{"pid":NaN}', "malformed"),
        (b'{"last_sync_time":1e999}', "$.last_sync_time"),
        (b'{"login_state":"<script>"}', "$.login_state"),
        (b'{"login_state":"running\\n"}', "$.login_state"),
        (b'{"status":"\xff"}', "UTF-8"),
        (b'{"other":%b}' % deep(100_000), "deep"),
        (b'{"other":[%b1]}' % (b"1," * 200_000), "too many values"),
        (b'{"status_text":{"template":"x","values":%b}}' % deep(70), "deep"),
        (b'{"status_text":{"template":"x","values":{"n":%b}}}' % (b"1" * 41), "too long"),
    ],
)
def test_answer_of_another_form_is_refused_with_a_short_reason(raw: bytes, reason: str) -> None:
    with pytest.raises(Undecodable) as refused:
        decode(raw, StatusRecord)
    assert reason in str(refused.value)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 300


def test_unknown_fields_end_here() -> None:
    found = decode(b'{"instance":"a","url":"/v1/x","queue":{"held":true,"href":"/"},"pid":1,"pid":2}', StatusRecord)
    assert json.loads(encode(found)) == {"instance": "a", "queue": {"held": True}, "pid": 2}


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        (rb'"\ud800"', "\ufffd"),
        (rb'"\ud83d\ude00"', "😀"),
        (rb'"\udc00\ud800x"', "\ufffd\ufffdx"),
        (rb'"\\ud800"', "\\ud800"),
        (rb'"\\\ud800"', "\\\ufffd"),
    ],
)
def test_halves_of_characters_cost_no_answer(sent: bytes, received: str) -> None:
    event = decode(EVENT % (b'{"text":%b}' % sent), EventRecord)
    assert json.loads(encode(event))["report"] == {"text": received}


async def test_largest_events_pass_and_leave_other_work_running() -> None:
    # All groups with their members.
    report = {"groups": [{"members": [{"id": "@x", "name": "n", "uid": n} for n in range(500)]} for _ in range(140)]}
    raw = EVENT % json.dumps(report).encode()
    event = await decode_aside(raw, EventRecord, 1_000_000)
    assert event.report == report
    with pytest.raises(Undecodable):
        await decode_aside(raw, EventRecord)


@pytest.mark.parametrize("filler", [b"{}", b"[]", b"1", b'""', b'{"a":[{"b":1}]}'])
@pytest.mark.parametrize("kind", [ContactPage, MessagePage])
def test_4_mib_of_anything_are_decoded_or_refused_soon(kind: type, filler: bytes) -> None:
    many = b"[" + b",".join([filler] * ((4 << 20) // (len(filler) + 1))) + b"]"
    for raw in (many, b'{"x":%b}' % many, b'{"messages":%b,"contacts":%b}' % (many, many)):
        began = time.process_time()
        with pytest.raises(Undecodable):
            decode(raw, kind)
        assert time.process_time() - began < 1.0


@pytest.mark.parametrize(
    ("sent", "url"),
    [
        ({"file": FILE}, f"/v1/accounts/a%2Fb/media/{FILE}"),
        ({"url": f"/v1/accounts/bob/media/{FILE}"}, f"/v1/accounts/a%2Fb/media/{FILE}"),
        ({"file": FILE, "url": "/v1/accounts/bob/stop"}, f"/v1/accounts/a%2Fb/media/{FILE}"),
        ({"url": "/v1/accounts/bob/stop"}, None),
        ({"url": f"https://evil/{FILE}?x"}, None),
        ({"file": f"../{FILE}"}, None),
        ({"file": f"{FILE}\n"}, None),
        ({"file": ""}, None),
        ({}, None),
    ],
)
def test_path_of_media_is_made_from_the_accounts_name_and_an_id(sent: dict[str, str], url: str | None) -> None:
    media = {"type": "image", **dict.fromkeys(("name", "mime", "size", "id", "error")), **sent}
    found = decode(json.dumps(media).encode(), MediaRecord)
    found.locate("a/b")
    shown = json.loads(encode(found))
    assert (shown["url"], shown["file"]) == (url, FILE if url else None)


@pytest.mark.parametrize("forged", ["/v1/accounts/bob/stop", "https://evil/", None])
def test_path_of_an_avatar_is_made_from_the_accounts_name_and_an_id(forged: str | None) -> None:
    row = {"name": "bob", "instance": "alice", "user": {"id": "x&client=bob/../", "name": ""}, "avatar": forged}
    found = decode(json.dumps(row).encode(), AccountRow)
    found.locate("alice")
    assert (found.name, found.avatar) == ("alice", "/openwx/get_avatar?client=alice&id=x%26client%3Dbob%2F..%2F")
