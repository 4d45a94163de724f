"""Any input into the readers beside the answers' own: what is stored, what a profile says, what a message becomes."""

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.drivers.kit import Store
from tests.unit.drivers.test_decode import CONTAINER_KEYS, MESSAGE_KEYS, XML_PIECES, XMLS, json_values, whole
from wxcontroller.core.errors import WeChatError
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.model import Contact, Message
from wxcontroller.drivers.base import Restored
from wxcontroller.drivers.line.transport import LineRequest, _part
from wxcontroller.drivers.web.decode import contacts, contents, messages
from wxcontroller.drivers.web.session.saved import Saved
from wxcontroller.drivers.web.wire.calls import WebSession
from wxcontroller.drivers.web.wire.cookies import when
from wxcontroller.openwx import reports
from wxcontroller.openwx.replies import to_bytes

SESSION_KEYS = (
    "version domain uin desktop session cookies seen sid skey pass_ticket me opened sync_key check_key name value "
    "exact path expires secure people"
).split()
ODD = st.text(st.characters(exclude_categories=()), max_size=20)
STORED: "st.SearchStrategy[Any]" = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ODD | st.sampled_from([1, "wx.qq.com", 10**400]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(SESSION_KEYS) | ODD, inner, max_size=8)
    ),
    max_leaves=25,
)
GOOD: JsonObject = {"version": 1, "domain": "wx.qq.com"}
SESSION: JsonObject = {"domain": "wx.qq.com", "sid": "s", "uin": 5, "opened": 10**400, "sync_key": [[1, 2], [1]]}


@given(STORED)
@example({"session": SESSION})
@example({"cookies": [{"name": "a", "value": "b", "domain": "wx.qq.com", "expires": 10**400}]})
async def test_any_stored_session_is_taken_or_left(stored: Any) -> None:
    """It then can be stored again."""
    for content in (stored, {**GOOD, **stored} if isinstance(stored, dict) else stored):
        store = Store(json.dumps(content).encode())
        saved = Saved(store, "wx.qq.com", keep=True)
        saved.load()
        saved.save_now()
        assert json.loads(store.content or b"{}")["version"] == 1


@given(st.binary(max_size=100))
@example(b"[" * 100_000)
@example(b"9" * 10_000)
async def test_any_stored_bytes_are_taken_or_left(content: bytes) -> None:
    Saved(Store(content), "wx.qq.com", keep=True).load()
    saved = Saved(Store(), "wx.qq.com", keep=True)
    saved.memory.session = WebSession("wx.qq.com", 1, "s", "k", "p")
    saved.resume(Restored(content))


@given(st.dictionaries(st.sampled_from(["BitFlag", "NickName", "Signature", "Sex", *CONTAINER_KEYS]), json_values))
def test_any_profile_is_oneself(raw: JsonObject) -> None:
    changed = contacts.profile_changes(raw, Contact("@me", "Me"), emoji_names=True)
    whole(changed)
    assert changed.id == "@me"


@given(ODD)
@example("[" * 100_000)
@example('["@a","b","c","d"]')
@example('["@a","b","c",4]')
def test_any_key_of_a_file_is_one_or_none(key: str) -> None:
    found = contents.file_key(key)
    assert found is None or isinstance(found.name, str)


@given(ODD, st.sampled_from(["", "bytes=0-", "bytes=5-"]))
def test_any_content_range_is_a_part_or_an_error(content_range: str, asked: str) -> None:
    for given_range in (content_range, f"bytes {content_range}", f"bytes 5-9/{content_range}"):
        try:
            start, total = _part(LineRequest("x", "h", "/", headers={"Range": asked}), given_range)
        except WeChatError as problem:
            assert problem.message
        else:
            assert start >= 0
            assert total >= 0


@given(ODD)
def test_any_date_is_a_moment_or_none(date: str) -> None:
    assert when(date) >= 0


KINDS = st.sampled_from([1, 3, 34, 42, 43, 44, 47, 48, 49, 50, 53, 62, 40, 4711, 10000, 10002])
WORDS = st.lists(st.sampled_from([*XML_PIECES, *XMLS]) | st.text(st.characters(), max_size=8), max_size=12)


@given(
    KINDS,
    WORDS.map("".join),
    st.sampled_from(["@me", "@a", "@@g", "newsapp", ""]),
    st.dictionaries(st.sampled_from(MESSAGE_KEYS), json_values, max_size=5),
    st.booleans(),
)
def test_any_message_becomes_a_report(kind: int, content: str, origin: str, more: JsonObject, names: bool) -> None:
    """Whatever a message says and lacks: what is no signal of the service is told, with the fields that all have."""
    raw: JsonObject = {"MsgId": "1", "CreateTime": 1, "Content": content, "OriContent": content, **more}
    found = messages.message_of({**raw, "MsgType": kind, "FromUserName": origin, "ToUserName": "@@g"}, "@me", names)
    assert isinstance(found, Message)
    body = reports.received(found, reports.Chat(Contact("@me", "Me")))
    assert {"post_type", "id", "type", "class", "format", "time", "content"} <= set(body)
    assert (body["class"] == "recv") == (body["post_type"] == "receive_message")
    json.loads(to_bytes(body))
