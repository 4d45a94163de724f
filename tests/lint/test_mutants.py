"""The list of mutants fits the code: a refactoring that moves a text or a test changes the list as well.

So do the random mutations that users cannot notice; and the operators that make random ones work.
"""

import re

import pytest

from tests.mutants import ROOT, Mutant, listed
from tests.mutants_random import Change, Executed, Sources, equivalents
from tests.mutations import compiles, mutations_of

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


# -- random mutations


def test_equivalent_mutations_fit_the_code() -> None:
    known = equivalents()
    assert all(known.values()), "each needs a reason"
    made = set[Change]()
    for file in {change.file for change in known}:
        sources = Sources({file: (ROOT / file).read_bytes()})
        made |= {sources.change(one) for one in mutations_of(file, sources.contents[file])}
    assert [change for change in known if change not in made] == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = a <= b", ["x = a < b"]),
        ("x = a not in (b)", ["x = a in (b)"]),
        ("x = a and b or c", ["x = a or b or c", "x = a and b and c"]),
        ("x = a + 1", ["x = a - 1", "x = a + 0", "x = a + 2"]),
        ("x = not a", ["x =  a"]),
        ("x = y if a else z", ["x = y if not (a) else z"]),
        ("x = '' or 'Text for people'", ["x = '' and 'Text for people'", "x = 'x' or 'Text for people'"]),
        ("f(a, b=c, d=e)", ["f(a, b=c)", "f(a, d=e)", "pass"]),
        ("log.warning('no %s', x == 1)", ["pass"]),
        ("log.debug('no %s', x == 1)\nassert x == 1\nx: Literal['a'] = y", []),
        ("async def f():\n    '''Do it.'''\n    x = await g('ü' or h)\n    return x",
            [
                "    return\n    x = await g('ü' or h)",
                "    x = (await g('ü' or h), None)[1]",
                "    x = await g('ü' and h)",
                "    return None",
            ],
        ),
    ],
)  # fmt: skip
def test_operators_change_only_what_they_are_about(source: str, expected: list[str]) -> None:
    lines = source.encode()
    found = mutations_of("m.py", lines)
    assert all(compiles(one, lines) for one in found)
    before, changed = source.split("\n"), list[str]()
    for one in found:
        after = one.applied(lines).decode().split("\n")
        extra = len(after) - len(before)
        [place, *_] = [number for number, line in enumerate(before) if after[number] != line]
        assert after[place + 1 + extra :] == before[place + 1 :]
        changed.append("\n".join(after[place : place + 1 + extra]))
    assert sorted(changed) == sorted(expected)


def test_a_seed_draws_the_same_mutations_from_all_packages() -> None:
    sources = Sources.read()
    drawn = sources.drawn(40, 7)
    assert drawn == sources.drawn(40, 7) != sources.drawn(40, 8)
    assert {one.file.split("/")[1] for one in drawn} >= {"client", "controller", "core", "cli", "drivers", "fleet"}
    assert not [one for one in drawn if "sandbox" in one.file]


def test_the_tests_that_execute_the_most_of_a_module_come_first() -> None:
    [mutation] = [one for one in mutations_of("m.py", b"def f():\n    g()\n    h(1)\n") if one.replacement == b"2"]
    lines, more = {"m.py": f"{1 << 3:x}"}, {"m.py": f"{3 << 2:x}"}
    tests: dict[str, dict[str, object]] = {
        "a.py::slow": {"seconds": 29.0, "passed": True, "lines": lines},
        "a.py::quick": {"seconds": 1.0, "passed": True, "lines": lines},
        "a.py::related": {"seconds": 2.0, "passed": True, "lines": more},
        "b.py::fails": {"seconds": 1.0, "passed": False, "lines": lines},
        "b.py::elsewhere": {"seconds": 1.0, "passed": True, "lines": {"m.py": f"{1 << 2:x}"}},
    }
    assert Executed(tests).near(mutation, {"b.py": 1}) == ["a.py::related", "a.py::quick"]
    del tests["a.py::quick"], tests["a.py::slow"], tests["a.py::related"], tests["b.py::fails"]
    assert Executed(tests).near(mutation, {"b.py": 1}) == ["b.py::elsewhere"]
