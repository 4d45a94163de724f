"""Schemas of records for the OpenAPI document, made from their types.

A field's type gives its schema, and a string in its annotation the meaning. Other annotations: an enum or a tuple has
the words of a closed set, a schema replaces the one of the type, and ``Presence`` says what of the type is only
accepted because other versions send it.
"""

from collections.abc import Iterable, Mapping
from enum import EnumMeta
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from msgspec import UnsetType

from wxcontroller.core.records.decoding import Presence, WireRecord
from wxcontroller.core.records.texts import TextData
from wxcontroller.openwx.contract.describing import (
    AS_DATA,
    NUMBER,
    SWITCH,
    TEXT,
    WHOLE,
    Schema,
    both,
    listing,
    maybe,
    record,
    ref,
    word,
)

_SIMPLE: Mapping[object, Schema] = {str: TEXT, bool: SWITCH, int: WHOLE, float: NUMBER, Any: {}}


def schemas_of(*kinds: type[WireRecord]) -> dict[str, Schema]:
    """Return the schemas of records by the names by which others refer to them."""
    return {kind.schema_name: schema_of(kind) for kind in kinds}


def described(kind: type[WireRecord]) -> Schema:
    """Return how others describe a record: by its name, by the name of its base and what it adds, or in full."""
    if "schema_name" in vars(kind):
        return ref(kind.schema_name)
    if not kind.schema_name:
        return schema_of(kind)
    base = next(each for each in kind.__mro__ if issubclass(each, WireRecord) and "schema_name" in vars(each))
    return both(ref(kind.schema_name), schema_of(kind, left_out=base.__struct_fields__))


def schema_of(
    kind: type[WireRecord], optional: Iterable[str] = (), left_out: Iterable[str] = (), **replaced: tuple[Schema, str]
) -> Schema:
    """Return a record's schema; its meaning is the first paragraph of its docstring, if it has a name.

    ``replaced`` are fields with another schema, and additional ones.
    """
    missing, fields = [*optional], dict[str, Schema | tuple[Schema, str]](replaced)
    for name, hint in get_type_hints(kind, include_extras=True).items():
        if name in kind.__struct_fields__ and name not in left_out:
            notes = hint.__metadata__ if get_origin(hint) is Annotated else ()
            if Presence.UNDESCRIBED in notes:
                continue
            meaning = next((note for note in notes if isinstance(note, str)), "")
            fields.setdefault(name, (_described(hint), meaning))
            if UnsetType in _choices(hint) and Presence.ALWAYS not in notes:
                missing.append(name)
    words = (kind.__doc__ or "").partition("\n\n")[0].strip().removesuffix(".").replace("\n    ", " ")
    return record(fields, missing, words[:1].lower() + words[1:] if "schema_name" in vars(kind) else "")


def _choices(hint: Any) -> tuple[Any, ...]:
    if get_origin(hint) is Annotated:
        hint = hint.__origin__
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _described(hint: Any) -> Schema:
    """Return the schema of an annotated type."""
    notes = hint.__metadata__ if get_origin(hint) is Annotated else ()
    for note in notes:
        if isinstance(note, dict):
            return note
    words = [str(each) for note in notes if isinstance(note, tuple | EnumMeta) for each in note]
    choices = [each for each in _choices(hint) if each is not UnsetType]
    kinds = [each for each in choices if each is not NoneType]
    schema = word(*words) if words else NUMBER if float in kinds else _plain(kinds[0])
    if TextData in kinds:
        return AS_DATA
    return maybe(schema) if len(kinds) < len(choices) and Presence.NOT_NULL not in notes else schema


def _plain(hint: Any) -> Schema:
    """Return the schema of a type that is no choice."""
    origin = get_origin(hint)
    if origin is Annotated:
        return _plain(hint.__origin__)
    if origin is Literal:
        return word(*get_args(hint))
    if origin is list:
        return listing(_described(get_args(hint)[0]))
    if origin is dict:
        return {"type": "object"}
    if isinstance(hint, type) and issubclass(hint, WireRecord):
        return described(hint)
    return _SIMPLE[hint]
