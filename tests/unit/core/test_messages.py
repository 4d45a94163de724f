"""Texts as data survive JSON and are translated, whatever their values are."""

from hypothesis import given
from hypothesis import strategies as st

from wxcontroller.core.jsontypes import JsonValue, one_line
from wxcontroller.core.messages import Text, text_from

_GERMAN = {"{account} runs": "{account} läuft", "{n} report waits": "{n} Meldung wartet", "runs": "läuft"}


def _german(template: str, plural: str, number: int) -> str:
    return "{n} Meldungen warten" if plural and number != 1 else _GERMAN.get(template, template)


def test_values_are_not_translated_and_texts_among_them_are() -> None:
    assert Text("{account} runs", account="runs").rendered(_german) == "runs läuft"
    assert Text("{what}!", what=Text("runs")).rendered(_german) == "läuft!"


def test_the_number_chooses_the_form() -> None:
    texts = [Text("{n} report waits", "{n} reports wait", n=n) for n in (1, 2)]
    assert [str(one) for one in texts] == ["1 report waits", "2 reports wait"]
    assert [one.rendered(_german) for one in texts] == ["1 Meldung wartet", "2 Meldungen warten"]


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
