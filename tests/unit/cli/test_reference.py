"""docs/reference and docs/zh/reference are what the code's own tables say now."""

from types import ModuleType

import pytest

from tests import reference, reference_zh
from tests.reference import Entry, with_entries
from wxcontroller.core.states import LoginState


@pytest.mark.parametrize("language", [reference, reference_zh], ids=["en", "zh"])
@pytest.mark.parametrize("name", reference.PAGES)
def test_the_page_is_what_make_docs_would_write(name: str, language: ModuleType) -> None:
    there = (language.PLACE / f"{name}.md").read_text(encoding="utf-8")
    assert there == language.page(name), "out of date: make docs"


@pytest.mark.parametrize("name", [*reference.WITHIN, *reference_zh.WITHIN])
def test_a_list_within_a_page_is_what_make_docs_would_write(name: str) -> None:
    language = reference if name in reference.WITHIN else reference_zh
    assert (reference.ROOT / name).read_text(encoding="utf-8") == language.filled(name), "out of date: make docs"


def test_a_new_row_of_a_table_gets_its_entry_and_a_changed_default_is_shown() -> None:
    page = "*a* (1)\n\tAt length.\n\n*c* (3)\n\tThe last.\n"
    rows = [Entry("a", "*a* (2)", "Short."), Entry("b", "*b* (0)", "A new one."), Entry("c", "*c* (3)", "")]
    expected = "*a* (2)\n\tAt length.\n\n*b* (0)\n\tA new one.\n\n*c* (3)\n\tThe last.\n"
    assert with_entries(page, rows) == expected
    file = "# At length.\n#a = 1\n\n#c = 3\n"
    rows = [Entry("a", "#a = 2", ""), Entry("b", "#b = 0", "A new one."), Entry("c", "#c = 3", "")]
    assert with_entries(file, rows) == "# At length.\n#a = 2\n\n# A new one.\n#b = 0\n\n#c = 3\n"


@pytest.mark.parametrize("language", [reference, reference_zh], ids=["en", "zh"])
def test_there_is_no_page_that_nothing_makes(language: ModuleType) -> None:
    assert {path.stem for path in language.PLACE.glob("*.md")} == set(reference.PAGES)


def test_every_state_is_explained() -> None:
    assert set(reference.comments(LoginState)) == set(LoginState.__members__)
