"""Dataclasses that share their methods behave as those of the standard library."""

import copy
import dataclasses
from collections.abc import Callable
from dataclasses import KW_ONLY, InitVar, field
from typing import Any, ClassVar

import pytest

from wxcontroller.core import records


def classes(dataclass: Callable[..., Any]) -> tuple[type[Any], type[Any]]:
    """Return a class with all kinds of fields, and a frozen one with slots."""

    @dataclass(kw_only=False)
    class Base:
        kind: ClassVar[str] = "base"
        name: str
        scale: InitVar[int]
        parts: list[int] = field(default_factory=list)
        size: int = field(init=False, default=0)
        hidden: int = field(default=1, repr=False, compare=False)

        def __post_init__(self, scale: int) -> None:
            self.size = scale * len(self.parts)

    @dataclass
    class Plain(Base):
        _: KW_ONLY
        more: int = 2

    @dataclass(frozen=True, slots=True)
    class Frozen:
        name: str
        size: int = 3
        tries: int = field(default=4, init=False)

    return Plain, Frozen


@pytest.fixture(name="both")
def _both() -> tuple[tuple[type[Any], type[Any]], ...]:
    return classes(records.dataclass), classes(dataclasses.dataclass)


def failure(work: Callable[..., object], *args: object, **named: object) -> str:
    with pytest.raises((TypeError, AttributeError)) as found:
        work(*args, **named)
    return f"{type(found.value).__name__}: {found.value}"


def test_instances_are_made_as_by_the_library(both: Any) -> None:
    results = []
    for plain, frozen in both:
        given = plain("a", 2, [1, 2], more=5)
        results.append(
            (
                *(repr(given), repr(plain("b", 1)), plain("b", 1).parts is plain("b", 1).parts),
                *(plain("a", 2, hidden=7) == plain("a", 2), plain("a", 2) == plain("c", 2)),
                *(repr(frozen("n")), repr(frozen(size=1, name="m")), plain.kind),
                *(failure(plain), failure(plain, "a", 1, [], 1, 2)),
                failure(frozen, "a", other=1),
            )
        )
    assert results[0] == results[1]


def test_frozen_instances_are_hashed_copied_and_refuse_changes(both: Any) -> None:
    results = []
    for _, frozen in both:
        one = frozen("n", 4)
        results.append(
            (
                *(hash(one) == hash(frozen("n", 4)), one == frozen("n", 4), frozen.__match_args__),
                *(copy.copy(one) == one, copy.deepcopy([one])[0] is one, repr(dataclasses.replace(one, size=9))),
                failure(setattr, one, "size", 1),
                failure(delattr, one, "name"),
            )
        )
    assert results[0] == results[1]
