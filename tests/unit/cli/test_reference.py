"""docs/reference and docs/zh/reference are what the code's own tables say now."""

from types import ModuleType

import pytest

from tests import reference, reference_zh
from wxcontroller.core.states import LoginState


@pytest.mark.parametrize("language", [reference, reference_zh], ids=["en", "zh"])
@pytest.mark.parametrize("name", reference.PAGES)
def test_the_page_is_what_make_docs_would_write(name: str, language: ModuleType) -> None:
    there = (language.PLACE / f"{name}.md").read_text(encoding="utf-8")
    assert there == language.page(name), "out of date: make docs"


@pytest.mark.parametrize("name", reference.WITHIN)
def test_a_list_within_a_page_is_what_make_docs_would_write(name: str) -> None:
    assert (reference.ROOT / name).read_text(encoding="utf-8") == reference.filled(name), "out of date: make docs"


@pytest.mark.parametrize("language", [reference, reference_zh], ids=["en", "zh"])
def test_there_is_no_page_that_nothing_makes(language: ModuleType) -> None:
    assert {path.stem for path in language.PLACE.glob("*.md")} == set(reference.PAGES)


def test_every_state_is_explained() -> None:
    assert set(reference.comments(LoginState)) == set(LoginState.__members__)
