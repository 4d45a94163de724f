"""Describing an HTTP API: one entry for each route, and an OpenAPI 3.1 document made of them.

Schemas are JSON Schema as JSON objects. They are open: a field that is not named may be there. A field of an object
is declared as its schema, or as a pair of its schema and its meaning.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from wxcontroller.core.access.rights import Scope
from wxcontroller.core.jsontypes import JsonObject, JsonValue, items
from wxcontroller.openwx.contract.samples import sampled, sampled_fields

Schema: TypeAlias = JsonObject
Fields: TypeAlias = Mapping[str, Schema | tuple[Schema, str]]
JSON = "application/json"
STREAM = "text/event-stream"
_MULTIPART = "multipart/form-data"
BINARY: JsonObject = {"type": "string", "format": "binary"}
TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
SWITCH: Schema = {"type": "boolean"}
ANYTHING: Schema = {}


def ref(name: str) -> Schema:
    """Return a reference to one of the document's schemas."""
    return {"$ref": f"#/components/schemas/{name}"}


def word(*allowed: str) -> Schema:
    return {"type": "string", "enum": list[JsonValue](allowed)}


def maybe(schema: Schema) -> Schema:
    """Return the schema of a nullable value."""
    return either(schema, {"type": "null"})


def either(*schemas: Schema) -> Schema:
    """Return the schema of a choice of these, which may be choices themselves.

    A list among objects must be a named schema: openapi-generator makes no usable name for a nameless one. The same
    for a list of types, which would be shorter.
    """
    return {"anyOf": [choice for schema in schemas for choice in (items(schema.get("anyOf")) or [schema])]}


def both(*schemas: Schema) -> Schema:
    """Return the schema of values that match all of these."""
    return {"allOf": list(schemas)}


def listing(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def explained(schema: Schema, meaning: str) -> Schema:
    """Return a schema with its meaning, "" for none."""
    return {**schema, "description": meaning} if meaning else schema


def record(fields: Fields, optional: Iterable[str] = (), meaning: str = "") -> Schema:
    """Return the schema of an object that has these fields, all but the ``optional`` always."""
    properties: JsonObject = {
        name: explained(*field) if isinstance(field, tuple) else field for name, field in fields.items()
    }
    required = list[JsonValue](sorted(fields.keys() - set(optional)))
    return explained({"type": "object", "properties": properties, "required": required}, meaning)


AS_DATA = explained(maybe(ref("Text")), "the same as data, to be shown in another language")


def texts(*names: str, **meanings: str) -> Fields:
    """Return the members of ``messages.text_fields``: each text in English, and as data for other languages."""
    found: dict[str, Schema | tuple[Schema, str]] = {}
    for name, meaning in {**dict.fromkeys(names, ""), **meanings}.items():
        found |= {name: (TEXT, meaning), f"{name}_text": AS_DATA}
    return found


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter in the query, or with ``place`` path or header elsewhere."""

    name: str
    meaning: str
    schema: Schema = field(default_factory=lambda: TEXT)
    required: bool = False
    place: str = "query"


@dataclass(frozen=True, slots=True)
class Content:
    """An answer that is not (only) JSON: schemas by media type."""

    kinds: Mapping[str, Schema]


@dataclass(frozen=True, slots=True)
class OnRequest:
    """A JSON answer that a request can have as one of the media types ``others`` instead.

    They are named only in the description, because generated clients would make every answer a union with them.
    """

    schema: Schema
    others: tuple[str, ...]


Answer: TypeAlias = Schema | Content | OnRequest


@dataclass(frozen=True, slots=True)
class DescribedRoute:
    """One route, as its callers see it.

    ``scope`` is the one that its callers need, None for none. ``answers`` are by status. ``failures`` are statuses
    whose answer is ``failure``, a schema. ``body`` is the schema of a JSON body, ``upload`` that of an alternative
    form; ``form`` are parameters of the original's API in the body.
    """

    method: str
    path: str
    meaning: str
    answers: Mapping[int, Answer]
    scope: Scope | None
    parameters: tuple[Parameter, ...] = ()
    body: Schema | None = None
    form: tuple[Parameter, ...] = ()
    failures: tuple[int, ...] = ()
    failure: str = "Error"
    tag: str = ""
    upload: Schema | None = None


# Places of a token. The last one: without any tokens, programs on the machine need none.
SCHEMES: Mapping[str, JsonObject] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "Authorization: Bearer TOKEN"},
    "header": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
    "parameter": {
        **{"type": "apiKey", "in": "query", "name": "token"},
        "description": "for scripts that cannot set headers; also in a form, or in JSON sent to /openwx",
    },
}


def document(
    title: str, version: str, about: str, routes: Iterable[DescribedRoute], schemas: Mapping[str, Schema]
) -> JsonObject:
    """Return an OpenAPI document. ``schemas`` are those that ``ref`` names."""
    paths: dict[str, JsonValue] = {}
    for route in routes:
        operations = paths.setdefault(route.path, {})
        assert isinstance(operations, dict)
        operations[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": about},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": dict(schemas),
            "securitySchemes": dict(SCHEMES),
        },
    }


def _operation(route: DescribedRoute) -> JsonObject:
    scope = route.scope
    responses: dict[str, JsonValue] = {str(status): response(answer) for status, answer in route.answers.items()}
    refusals = () if scope is None else (401, 403, 429) if route.path.startswith("/v1/") else (403, 429)
    for status in (*route.failures, *refusals):
        responses.setdefault(str(status), response(ref(route.failure), "the reason"))
    operation: JsonObject = {
        "operationId": re.sub(r"\W+", "_", f"{route.method.lower()}{route.path}").strip("_"),
        "summary": route.meaning,
        "tags": [route.tag] if route.tag else [],
        "parameters": [parameter(each) for each in route.parameters],
        "responses": dict(sorted(responses.items())),
        "security": [] if scope is None else shown_tokens(scope),
    }
    if route.body is not None:
        kinds = {JSON: route.body, **({_MULTIPART: route.upload} if route.upload else {})}
        content: JsonObject = {kind: {"schema": sampled_fields(schema)} for kind, schema in kinds.items()}
        operation["requestBody"] = {"required": False, "content": content}
    if route.form:
        schema = record(
            {each.name: (each.schema, each.meaning) for each in route.form},
            [each.name for each in route.form if not each.required],
        )
        # All calls take JSON and both kinds of forms. One is described: code generators cannot choose.
        kind = _MULTIPART if any(each.schema is BINARY for each in route.form) else JSON
        required = any(each.required for each in route.form)
        operation["requestBody"] = {"required": required, "content": {kind: {"schema": sampled_fields(schema)}}}
    return operation


def shown_tokens(scope: Scope) -> list[JsonValue]:
    ways: list[JsonValue] = [{name: [scope.value]} for name in SCHEMES]
    return [*ways, {}]


def parameter(described: Parameter) -> JsonObject:
    required = described.required or described.place == "path"
    return {
        "name": described.name,
        "in": described.place,
        "description": described.meaning,
        "required": required,
        "schema": sampled(described.name, described.schema),
    }


def response(answer: Answer, words: str = "the answer") -> JsonObject:
    if isinstance(answer, OnRequest):
        return response(answer.schema, f"{words}; {', '.join(answer.others)} on request")
    kinds = answer.kinds if isinstance(answer, Content) else {JSON: answer}
    content: JsonObject = {kind: {"schema": schema} if schema else {} for kind, schema in kinds.items()}
    return {"description": words, "content": content}
