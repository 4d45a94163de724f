"""Texts as data survive JSON; texts from outside are read without errors and stay small."""

from hypothesis import given
from hypothesis import strategies as st

from wxcontroller.core.jsontypes import JsonValue, one_line
from wxcontroller.core.messages import Text, text_from

_LINES = st.text().map(one_line)


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), _LINES | st.integers()), _LINES)
def test_text_round_trips_through_json(values: dict[str, str | int], template: str) -> None:
    text = Text(template, **values)
    assert text_from(text.as_json()) == text
    assert str(text_from(Text("{x}", x=text).as_json())) == str(Text("{x}", x=text))


_JSON = st.recursive(
    st.none() | st.booleans() | st.text() | st.integers(),
    lambda inner: (
        st.dictionaries(st.sampled_from(["template", "values", "plural", "n", "x"]), inner) | st.lists(inner)
    ),
)


@given(_JSON)
def test_anything_from_outside_is_read_without_an_error(value: JsonValue) -> None:
    str(text_from(value))


def test_foreign_text_with_repeated_placeholders_stays_small() -> None:
    bomb: JsonValue = "x" * 100
    for _ in range(4):
        bomb = {"template": "{a}" * 300, "values": {"a": bomb}}
    assert len(str(text_from(bomb))) <= 10_000
    assert len(str(text_from({"template": "x" * 1_000_000}))) <= 10_000
