"""Example values of parameters and fields of bodies, by name: readers see them, and forms begin with them."""

from collections.abc import Mapping

from wxcontroller.core.jsontypes import JsonObject, JsonValue, obj

_SAMPLES: Mapping[str, JsonValue] = {
    "name": "alice",
    "client": "alice",
    "id": "@2b1f0c7e",
    "content": "你好",
    "displayname": "小明",
    "markname": "小明",
    "new_displayname": "周末爬山",
    "new_markname": "小明（客户）",
    "friends": "@2b1f0c7e,@9d04aa31",
    "members": "@2b1f0c7e,@9d04aa31",
    "group_id": "@@6a5c1e08",
    "verify": "我是小李",
    "post_api": "http://127.0.0.1:8000/hook",
    "Idempotency-Key": "order-4711",
}


def sampled(name: str, schema: JsonObject) -> JsonObject:
    """Return the schema of the value called ``name`` with an example, where it is a plain text without one."""
    if schema.get("type") != "string" or schema.keys() & {"examples", "enum", "format"} or name not in _SAMPLES:
        return schema
    return {**schema, "examples": [_SAMPLES[name]]}


def sampled_fields(schema: JsonObject) -> JsonObject:
    """Return the schema of a body whose fields have examples."""
    fields = obj(schema.get("properties"))
    if not fields:
        return schema
    return {**schema, "properties": {name: sampled(name, obj(inner)) for name, inner in fields.items()}}
