"""Attributes in JSON: texts, numbers and truth values as they are."""

from collections.abc import Callable, Iterable, Mapping

from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, text


def number(value: JsonValue) -> float:
    """Return a stored time. Raises ValueError."""
    if not isinstance(value, int | float):
        raise ValueError("a time is not a number")
    return float(value)


_READERS: Mapping[type, Callable[[JsonValue], object]] = {
    bool: lambda value: value is True,
    **{int: integer, str: text, float: number},
}


def kept(thing: object, names: Iterable[str]) -> JsonObject:
    """Return attributes by their names."""
    return {name: getattr(thing, name) for name in names}


def restore(thing: object, stored: JsonObject, names: Iterable[str]) -> None:
    """Set attributes to their stored values, which must have the same types. Raises KeyError and ValueError."""
    for name in names:
        setattr(thing, name, _READERS[type(getattr(thing, name))](stored[name]))
