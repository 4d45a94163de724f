"""docs/reference is what the code's own tables say now."""

import pytest

from tests import reference
from wxcontroller.core.states import LoginState


@pytest.mark.parametrize("name", reference.PAGES)
def test_the_page_is_what_make_docs_would_write(name: str) -> None:
    there = (reference.PLACE / f"{name}.md").read_text(encoding="utf-8")
    assert there == reference.page(name), "out of date: make docs"


@pytest.mark.parametrize("name", reference.WITHIN)
def test_a_list_within_a_page_is_what_make_docs_would_write(name: str) -> None:
    assert (reference.ROOT / name).read_text(encoding="utf-8") == reference.filled(name), "out of date: make docs"


def test_there_is_no_page_that_nothing_makes() -> None:
    assert {path.stem for path in reference.PLACE.glob("*.md")} == set(reference.PAGES)


def test_every_state_is_explained() -> None:
    assert set(reference.comments(LoginState)) == set(LoginState.__members__)
