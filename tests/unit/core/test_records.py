"""Classes made by core.records behave as those of dataclasses."""

import copy
import dataclasses
import pickle
import re
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

import pytest

from wxcontroller.core import records

Make = Callable[..., Any]
KINDS: Mapping[str, dict[str, bool]] = {
    "plain": {},
    "slots": {"slots": True},
    "frozen": {"frozen": True},
    "frozen slots": {"frozen": True, "slots": True},
    "by identity": {"frozen": True, "slots": True, "eq": False},
    "not shown": {"repr": False},
    "by keyword": {"frozen": True, "kw_only": True},
    "ordered": {"order": True},
}


def classes(make: Make, **kind: bool) -> tuple[Any, ...]:
    @make(**kind)
    class Empty:
        pass

    @make(**kind)
    class One:
        """With one field."""

        x: int

    @make(**kind)
    class Several:
        a: int
        b: str = "b"
        secret: str = field(default="s", repr=False)
        note: list[int] = field(default_factory=list, compare=False)
        label: int = field(default=3, hash=False)

    @make(**kind)
    class Derived(One):
        y: int = 0

    @make(**kind)
    class Own:
        x: int

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Own)

        def __hash__(self) -> int:
            return 7

        def __repr__(self) -> str:
            return "own"

    @make(**kind)
    class Compared:  # noqa: PLW1641  # its hash is what is looked at
        x: int

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Compared)

    @make(**kind)
    class Unhashable:
        x: int
        __hash__ = None  # type: ignore[assignment]

    return Empty, One, Several, Derived, Own, Compared, Unhashable


def outcome(act: Callable[[], object]) -> object:
    try:
        return act()
    except Exception as failure:
        return type(failure)


def described(made: tuple[Any, ...]) -> list[object]:
    """What can be told of instances from outside."""
    empty, one, several, derived, own, compared, unhashable = made
    mine = [
        empty(), one(x=1), one(x=1), one(x=2), several(a=1), several(a=1, note=[1]), several(a=1, secret="t"),
        several(a=1, label=4), derived(x=1), derived(x=1, y=5), own(x=1), own(x=2), compared(x=1), unhashable(x=1),
    ]  # fmt: skip
    found: list[object] = [
        [a == b for a in mine for b in mine],
        [a == 1 for a in mine],
        [a is b for a in mine for b in mine],
    ]
    found.append([outcome(lambda a=a, b=b: hash(a) == hash(b)) for a in mine for b in mine])  # type: ignore[misc]
    found.append([outcome(lambda a=a, b=b: a < b) for a in mine for b in mine])  # type: ignore[misc]
    for each in mine:
        listed = [(part.name, part.default) for part in dataclasses.fields(each)]
        found += [
            repr(each),
            listed,
            outcome(lambda each=each: dataclasses.asdict(each)),  # type: ignore[misc]
            outcome(lambda each=each: copy.copy(each) == each),  # type: ignore[misc]
            # Where there is no such field, a frozen class with slots of dataclasses fails with a TypeError.
            outcome(lambda each=each: setattr(each, "x", 9)) is None,  # type: ignore[misc]
            outcome(lambda each=each: setattr(each, "other", 9)) is None,  # type: ignore[misc]
            outcome(lambda each=each: delattr(each, "x")) is None,  # type: ignore[misc]
            outcome(lambda each=each: dataclasses.replace(each, x=3)),  # type: ignore[misc]
        ]
    return [re.sub(" at 0x[0-9a-f]+", "", str(each)) for each in found]


@pytest.mark.parametrize("kind", KINDS)
def test_classes_behave_as_those_of_dataclasses(kind: str) -> None:
    assert described(classes(records.dataclass, **KINDS[kind])) == described(
        classes(dataclasses.dataclass, **KINDS[kind])
    )


def test_a_plain_subclass_of_a_frozen_class_has_attributes_of_its_own() -> None:
    class Wider(classes(records.dataclass, frozen=True)[1]):  # type: ignore[misc]
        pass

    wider = Wider(1)
    wider.more = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        wider.x = 2
    assert (wider.x, wider.more) == (1, 2)


_record: Any = records.dataclass


@_record(frozen=True, slots=True)
class Kept:
    a: int
    b: "Kept | None" = None


def test_instances_can_be_pickled_and_shown_when_they_hold_themselves() -> None:
    kept = Kept(1, Kept(2))  # type: ignore[call-arg]
    assert pickle.loads(pickle.dumps(kept)) == kept
    object.__setattr__(kept, "b", kept)
    assert repr(kept) == "Kept(a=1, b=...)"
