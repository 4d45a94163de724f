"""Long answers that are read an entry at a time: the same comes out as when they are read at once."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wxcontroller.core.errors import WeChatError
from wxcontroller.core.jsontypes import JsonValue
from wxcontroller.drivers.line.failures import UnreadableResponse
from wxcontroller.drivers.line.transport import LineResponse
from wxcontroller.drivers.web.decode.listing import batch_of, contact_page_of

OK = '"BaseResponse":{"Ret":0,"ErrMsg":""}'
VALUES: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def answer(content: str) -> LineResponse:
    return LineResponse("call", 200, content.encode("utf-8", "surrogatepass"))


@given(
    st.dictionaries(st.text() | st.sampled_from(["Seq", "Count"]), VALUES, max_size=4),
    st.lists(VALUES, max_size=5),
    st.sampled_from([None, 1, "\t"]),
    st.booleans(),
)
def test_what_comes_out_is_what_is_in_there(
    others: dict[str, JsonValue], entries: list[JsonValue], indent: int | str | None, first: bool
) -> None:
    base: dict[str, JsonValue] = {"BaseResponse": {"Ret": 0}}
    listed: dict[str, JsonValue] = {"MemberList": entries}
    whole = {**listed, **others, **base} if first else {**base, **others, **listed}
    page = contact_page_of(answer(json.dumps(whole, indent=indent)))
    assert list(page) == [entry for entry in whole["MemberList"] if isinstance(entry, dict)]  # type: ignore[union-attr]
    assert page.count == sum(isinstance(entry, dict) for entry in entries)


def test_the_seq_may_come_before_or_after() -> None:
    for content in (f'{{{OK},"Seq":7,"MemberList":[{{}}]}}', f' {{ {OK} , "MemberList" : [ {{}} ] , "Seq":"7" }} '):
        page = contact_page_of(answer(content))
        assert [*page] == [{}]
        assert (page.seq, page.count) == (7, 1)


@pytest.mark.parametrize("list_of", ["null", "{}", '"x"', "[]", "[1,null,[]]"])
def test_a_list_that_is_none(list_of: str) -> None:
    page = batch_of(answer(f'{{{OK},"ContactList":{list_of}}}'))
    assert ([*page], page.count) == ([], 0)


def test_a_refusal_is_told_before_its_entries() -> None:
    entries = iter(batch_of(answer('{"BaseResponse":{"Ret":1205},"ContactList":[{}]}')))
    with pytest.raises(WeChatError) as refused:
        next(entries)
    assert refused.value.ret == 1205
    with pytest.raises(WeChatError) as late:
        list(batch_of(answer('{"ContactList":[{}],"BaseResponse":{"Ret":-1}}')))
    assert late.value.ret == -1


@pytest.mark.parametrize(
    "content",
    [
        "",
        "null",
        "[]",
        "{",
        f"{{{OK}",
        f'{{{OK},"ContactList":[',
        f'{{{OK},"ContactList":[{{}}',
        f'{{{OK},"ContactList":[{{}},]}}',
        f'{{{OK},"ContactList":[{{}} {{}}]}}',
        f'{{{OK},"ContactList":[{{}}],}}',
        f'{{{OK},"ContactList":[{{}}]}}x',
        f'{{{OK} "ContactList":[{{}}]}}',
        f'{{{OK},"ContactList" [{{}}]}}',
        f"{{{OK},1:2}}",
        '{"ContactList":[{}]}',
        f'{{{OK},"ContactList":[' + "[" * 100_000,
    ],
)
def test_what_is_damaged_is_unreadable(content: str) -> None:
    with pytest.raises(UnreadableResponse):
        list(batch_of(answer(content)))


def test_an_error_status_is_no_answer() -> None:
    with pytest.raises(UnreadableResponse, match="503"):
        list(batch_of(LineResponse("call", 503, b"")))
