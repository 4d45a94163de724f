"""Dataclasses that share their methods.

``dataclasses.dataclass`` compiles methods for each class that compare, hash, show and freeze its instances: 8 KiB a
class besides ``__init__``. Here all classes have the same functions for that, and behave alike. ``__init__`` is
compiled for the first instance: an account that starts makes instances of a third of its 200 classes.
"""

import dataclasses
from collections.abc import Callable
from operator import attrgetter
from reprlib import recursive_repr
from typing import Any

_make: Any = dataclasses.dataclass


def install() -> None:
    """Have all dataclasses that are defined from now on made here."""
    dataclasses.dataclass = dataclass  # type: ignore[assignment]


_RARE = frozenset(("order", "unsafe_hash"))


def dataclass(
    cls: type | None = None,
    /,
    *,
    init: bool = True,
    eq: bool = True,
    repr: bool = True,  # noqa: A002
    frozen: bool = False,
    **more: bool,
) -> type | Callable[[type], type]:
    """Make a dataclass, instead of ``dataclasses.dataclass``, which is still used for rare kinds."""

    def decorate(cls: type) -> type:
        if more.keys() & _RARE:
            made: type = _make(cls, init=init, eq=eq, repr=repr, frozen=frozen, **more)
            return made
        own = vars(cls)
        shown, compared = repr and "__repr__" not in own, eq and "__eq__" not in own
        hashed = eq and ("__hash__" not in own or (own["__hash__"] is None and "__eq__" in own))
        if not cls.__doc__:  # otherwise generated from the signature, which imports the large module inspect
            cls.__doc__ = cls.__name__
        later = init and "__init__" not in own
        # Not frozen: that would compile what is replaced here.
        made = _make(cls, init=False, eq=False, repr=False, **more)
        for name, method in _methods(made, shown, compared, hashed, frozen):
            setattr(made, name, method)
        if later:
            made.__init__ = _init_of(made, frozen, more.get("slots", False))  # type: ignore[misc]
        return made

    return decorate if cls is None else decorate(cls)


def _methods(
    made: type, shown: bool, compared: bool, hashed: bool, frozen: bool
) -> list[tuple[str, Callable[..., object] | None]]:
    fields, methods = dataclasses.fields(made), list[tuple[str, Callable[..., object] | None]]()
    if shown:
        methods.append(("__repr__", _repr))
    if compared:
        methods += ("__eq__", _eq), ("_record_compared", values([field.name for field in fields if field.compare]))
    if hashed:
        names = [field.name for field in fields if (field.compare if field.hash is None else field.hash)]
        methods += ("__hash__", _hash if frozen else None), ("_record_hashed", values(names))
    if frozen:
        methods += ("__setattr__", _set), ("__delattr__", delete)
        methods += ("__getstate__", _state), ("__setstate__", _set_state)
    return methods


def _init_of(made: Any, frozen: bool, slots: bool) -> Callable[..., None]:
    """Return an ``__init__`` that compiles the real one and replaces itself when it is first called. With ``slots``
    it also sets defaults of fields that are no parameters, because they are not class attributes.
    """

    def init(self: object, *args: object, **named: object) -> None:
        # Making a class with the same fields is the documented way to get the compiled method.
        parts = dict(made.__dataclass_fields__)
        parts["__annotations__"] = {name: field.type for name, field in parts.items()}
        for name in ("__module__", "__qualname__", "__doc__", "__post_init__"):
            if hasattr(made, name):
                parts[name] = getattr(made, name)
        like = _make(type(made.__name__, (), parts), eq=False, repr=False, frozen=frozen, slots=slots)
        made.__init__ = like.__init__
        made.__init__(self, *args, **named)

    return init


def values(names: list[str]) -> Callable[[object], object]:
    return attrgetter(*names) if names else staticmethod(no_values)


def no_values(_: object) -> tuple[()]:
    return ()


@recursive_repr()
def _repr(self: Any) -> str:
    shown = ", ".join(
        f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self) if field.repr
    )
    return f"{type(self).__qualname__}({shown})"


def _eq(self: Any, other: Any) -> bool:
    if type(self) is not type(other):
        return NotImplemented  # type: ignore[no-any-return]
    equal: bool = self._record_compared(self) == self._record_compared(other)
    return equal


def _hash(self: Any) -> int:
    return hash(self._record_hashed(self))


def _set(self: Any, name: str, value: object) -> None:
    refuse(self, name, "assign to")
    object.__setattr__(self, name, value)


def _state(self: Any) -> list[object]:
    return [getattr(self, field.name) for field in dataclasses.fields(self)]


def _set_state(self: Any, state: list[object]) -> None:
    for field, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)


def delete(self: Any, name: str) -> None:
    refuse(self, name, "delete")
    object.__delattr__(self, name)


def refuse(self: Any, name: str, verb: str) -> None:
    """Refuse changes of fields; a plain subclass may have its own attributes."""
    if "__dataclass_fields__" in vars(type(self)) or name in self.__dataclass_fields__:
        raise dataclasses.FrozenInstanceError(f"cannot {verb} field {name!r}")
