"""The API as a page to read: the OpenAPI document in words and tables, without any script."""

from dataclasses import dataclass

import jinja2

from wxcontroller.controller.v1.described import openapi
from wxcontroller.core.jsontypes import JsonObject, JsonValue, field, items, obj, text


@dataclass(frozen=True, slots=True)
class Named:
    """A parameter or a field."""

    name: str
    place: str
    required: bool
    meaning: str
    kind: str


@dataclass(frozen=True, slots=True)
class Call:
    """One operation."""

    id: str
    method: str
    path: str
    summary: str
    scope: str
    parameters: tuple[Named, ...]
    body: str
    answers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """One schema."""

    name: str
    meaning: str
    fields: tuple[Named, ...]
    kind: str


def rendered(environment: jinja2.Environment, root: str) -> bytes:
    """Return the page; its assets are under ``root``."""
    document = openapi()
    groups: dict[str, list[Call]] = {}
    for path, operations in obj(document["paths"]).items():
        for method, operation in obj(operations).items():
            tag = text((items(field(operation, "tags")) or ["other"])[0])
            groups.setdefault(tag, []).append(_call(method.upper(), path, obj(operation)))
    schemas = [_shape(name, obj(schema)) for name, schema in obj(obj(document["components"])["schemas"]).items()]
    template = environment.get_template("api.html.j2")
    return template.render(root=root, info=document["info"], groups=groups, schemas=schemas).encode()


def _call(method: str, path: str, operation: JsonObject) -> Call:
    scopes = [
        text(scope) for way in items(operation.get("security")) for each in obj(way).values() for scope in items(each)
    ]
    parameters = [
        Named(
            text(field(one, "name")),
            text(field(one, "in")),
            field(one, "required") is True,
            text(field(one, "description")),
            _kind(field(one, "schema")),
        )
        for one in items(operation.get("parameters"))
    ]
    body = ""
    for content_type, content in obj(field(operation.get("requestBody"), "content")).items():
        schema = obj(field(content, "schema"))
        if content_type == "application/json":
            body = _kind(schema)
        elif not body:
            parameters += _fields(schema, "form")
    answers = tuple((status, _answer(response)) for status, response in obj(operation["responses"]).items())
    return Call(
        text(operation["operationId"]),
        method,
        path,
        text(operation["summary"]),
        scopes[0] if scopes else "",
        tuple(parameters),
        body,
        answers,
    )


def _answer(response: JsonValue) -> str:
    kinds = obj(field(response, "content"))
    shown = [
        _kind(field(content, "schema")) if kind == "application/json" else kind for kind, content in kinds.items()
    ]
    return " or ".join(dict.fromkeys(shown))


def _shape(name: str, schema: JsonObject) -> Shape:
    return Shape(name, text(schema.get("description")), tuple(_fields(schema, "")), _kind(schema))


def _fields(schema: JsonObject, place: str) -> list[Named]:
    required = {text(one) for one in items(schema.get("required"))}
    return [
        Named(name, place, name in required, text(field(one, "description")), _kind(one))
        for name, one in obj(schema.get("properties")).items()
    ]


def _kind(schema: JsonValue) -> str:
    """Say a schema in a few words."""
    found = obj(schema)
    if reference := text(found.get("$ref")):
        return reference.rpartition("/")[2]
    for word, joint in (("anyOf", " or "), ("allOf", " with ")):
        if listed := items(found.get(word)):
            return joint.join(dict.fromkeys(_kind(one) for one in listed))
    if allowed := items(found.get("enum")):
        return " | ".join(text(one) for one in allowed)
    if found.get("type") == "array":
        return f"list of {_kind(found.get('items'))}"
    if fields := obj(found.get("properties")):
        return "{" + ", ".join(fields) + "}"
    return text(found.get("type"), "anything")
