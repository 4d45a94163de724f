"""The list of mutants fits the code: a refactoring that moves a text or a test changes the list as well."""

import ast
from functools import cache

import pytest

from tests.mutants import ROOT, Mutant, listed

MUTANTS, SURVIVORS = listed()


@cache
def functions(file: str) -> frozenset[str]:
    """Return the names of a file's tests, those of classes with the class before."""
    tree = ast.parse((ROOT / file).read_text())
    found = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {
                f"{node.name}::{one.name}"
                for one in node.body
                if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
            }
    return frozenset(found)


def exists(test: str) -> bool:
    file, _, name = test.partition("::")
    return (ROOT / file).is_file() and name.partition("[")[0] in functions(file)


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
