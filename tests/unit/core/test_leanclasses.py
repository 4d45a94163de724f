"""Dataclasses that share their methods behave as those of the standard library."""

import copy
import dataclasses
from collections.abc import Callable
from dataclasses import KW_ONLY, InitVar, field
from typing import Any, ClassVar

import pytest

from wxcontroller.core.process import leanclasses


def failure(work: Callable[..., object], *args: object, **named: object) -> str:
    with pytest.raises((TypeError, AttributeError)) as found:
        work(*args, **named)
    return f"{type(found.value).__name__}: {found.value}"


def behavior(dataclass: Callable[..., Any]) -> list[object]:
    """Return what a class with all kinds of fields does, and a frozen one with slots."""

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

    one = Frozen("n", 4)
    return [
        *(repr(Plain("a", 2, [1, 2], more=5)), Plain("b", 1).parts is Plain("b", 1).parts),
        *(Plain("a", 2, hidden=7) == Plain("a", 2), Plain("a", 2) == Plain("c", 2)),
        *(failure(Plain), failure(Plain, "a", 1, [], 1, 2), failure(Frozen, "a", other=1)),
        *(hash(one) == hash(Frozen("n", 4)), one == Frozen("n", 4), Frozen.__match_args__),
        *(copy.copy(one) == one, copy.deepcopy([one])[0] is one, repr(dataclasses.replace(one, size=9))),
        *(failure(setattr, one, "size", 1), failure(delattr, one, "name")),
    ]


def test_records_behave_as_dataclasses_of_the_library() -> None:
    assert behavior(leanclasses.dataclass) == behavior(dataclasses.dataclass)
