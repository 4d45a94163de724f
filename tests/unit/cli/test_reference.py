"""docs/reference and docs/zh/reference are up to date with the tables in the code."""

from types import ModuleType

import pytest

from tests import reference, reference_zh


@pytest.mark.parametrize("language", [reference, reference_zh], ids=["en", "zh"])
@pytest.mark.parametrize("name", reference.PAGES)
def test_generated_pages_are_up_to_date(name: str, language: ModuleType) -> None:
    there = (language.PLACE / f"{name}.md").read_text(encoding="utf-8")
    assert there == language.page(name), "out of date: make docs"


@pytest.mark.parametrize("name", [*reference.WITHIN, *reference_zh.WITHIN])
def test_generated_lists_are_up_to_date(name: str) -> None:
    language = reference if name in reference.WITHIN else reference_zh
    assert (reference.ROOT / name).read_text(encoding="utf-8") == language.filled(name), "out of date: make docs"
