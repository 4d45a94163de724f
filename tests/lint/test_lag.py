"""A Chinese page may lag by a paragraph, and must not be out of date."""

from tests.lint.lag import differences

PAGE = ["section 1: heading of level 2", "section 1: 2 items", "section 1: code word: a", "section 1: link: x"]


def test_a_paragraph_may_be_missing() -> None:
    english = [*PAGE[:3], "section 1: code word: new", PAGE[3]]
    assert differences(english, PAGE) == ([], ["-section 1: code word: new"])
    manual = ["section 2, begins", "section 2, bold: key", "section 2, number: 5"]
    assert differences([*manual, "section 2, number: 80"], manual) == ([], ["-section 2, number: 80"])


def test_what_is_out_of_date_is_wrong() -> None:
    for english in (
        [*PAGE[:2], "section 1: code word: b", PAGE[3]],  # renamed
        [PAGE[0], "section 1: 3 items", *PAGE[2:]],
        PAGE[:2],  # removed
        [*PAGE, "section 2: heading of level 2"],
    ):
        assert differences(english, PAGE)[0], english
