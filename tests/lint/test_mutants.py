"""The list of mutants fits the code: a refactoring that moves a text or a test changes the list as well."""

import re

import pytest

from tests.mutants import ROOT, Mutant, listed

MUTANTS, SURVIVORS = listed()


def exists(test: str) -> bool:
    file, _, names = test.partition("::")
    name = names.rpartition("::")[2].partition("[")[0]
    path = ROOT / file
    return path.is_file() and bool(re.search(rf"^ *(async )?def {name}\(", path.read_text(), re.MULTILINE))


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_mutant_fits_the_code(mutant: Mutant) -> None:
    assert mutant.occurrences(ROOT) == 1, f"{mutant.text!r} has to occur once in {mutant.file}"
    assert mutant.replacement != mutant.text
    assert mutant.tests
    assert [test for test in mutant.tests if not exists(test)] == []


def test_list_is_as_long_as_agreed() -> None:
    assert len(MUTANTS) >= 80
    assert SURVIVORS <= 2
    assert len({str(mutant) for mutant in MUTANTS}) == len(MUTANTS)
