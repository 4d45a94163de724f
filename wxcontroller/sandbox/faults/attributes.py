"""Attributes in JSON: texts, numbers and truth values as they are."""

from collections.abc import Iterable

from wxcontroller.core.jsontypes import JsonObject


def kept(thing: object, names: Iterable[str]) -> JsonObject:
    """Return attributes by their names."""
    return {name: getattr(thing, name) for name in names}
