"""The API reference: the OpenAPI document as text and tables, in both languages.

It can be read without scripts. With them (``static/reference*.js``) it has a search, and at each operation a form to
call it and snippets of the same call; they take parameters and schemas from /v1/openapi.json.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeAlias

from wxcontroller import __version__
from wxcontroller.controller.apis.v1.v1described import openapi
from wxcontroller.controller.page.examples import EXAMPLES, Example
from wxcontroller.controller.page.render import environment
from wxcontroller.core.access.rights import LADDER, MEANINGS
from wxcontroller.core.text.catalog import translations

# The document or a part of it. It is our own, and is not narrowed like JSON from outside.
OwnJson: TypeAlias = Any
# The sections of /v1's calls, by the prefix of their path; the template has the titles.
_PARTS = (
    ("/v1/accounts/{name}/deliveries", "events"),
    ("/v1/accounts/{name}/events", "events"),
    ("/v1/accounts/{name}/media", "events"),
    *(
        (f"/v1/accounts/{{name}}/{call}", "messages")
        for call in ("messages", "chats", "contacts", "groups", "sends", "typing")
    ),
    ("/v1/deliveries", "events"),
    ("/v1/events", "events"),
    ("/v1/accounts", "accounts"),
    ("/v1/ilink", "accounts"),
    ("/v1/alerts", "alerts"),
    ("/v1", "controller"),
    ("/openwx", "original"),
)
# First words that may be capitalized; not names of parameters.
_COMMON_WORD = re.compile(r"^[a-z](?=[a-z']*([ ;,:]|$))")
# Calls that the form confirms first, in addition to every DELETE: they end, revoke or discard something.
_DESTRUCTIVE = ("logout", "stop", "restart", "purge", "ack", "stop_client", "revoke_message", "kick_group_member")
_ORDER = ("accounts", "messages", "events", "alerts", "controller", "original")


@dataclass(frozen=True, slots=True)
class ValueKind:
    """The type of a value: a named schema, one of several or all of them, a list, an object, or a simple type."""

    name: str = ""
    joint: str = ""
    parts: tuple["ValueKind", ...] = ()
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Named:
    """A parameter or a field."""

    name: str
    place: str
    required: bool
    meaning: str
    kind: ValueKind


@dataclass(frozen=True, slots=True)
class DocumentedStatuses:
    """The HTTP statuses that bring the same."""

    statuses: tuple[str, ...]
    kinds: tuple[ValueKind, ...]

    @property
    def good(self) -> bool:
        return self.statuses[0] < "400"


@dataclass(frozen=True, slots=True)
class DocumentedCall:
    """The operations of a path, by one method or several equivalent ones; ``ids`` are its anchors."""

    ids: tuple[str, ...]
    methods: tuple[str, ...]
    path: str
    summary: str
    scope: str
    parameters: tuple[Named, ...]
    body: ValueKind | None
    answers: tuple[DocumentedStatuses, ...]

    @property
    def destructive(self) -> bool:
        return "DELETE" in self.methods or self.path.rpartition("/")[2] in _DESTRUCTIVE

    @property
    def example(self) -> Example | None:
        return next((EXAMPLES[each] for each in self.ids if each in EXAMPLES), None)


@dataclass(frozen=True, slots=True)
class ValueShape:
    """One schema."""

    name: str
    meaning: str
    fields: tuple[Named, ...]
    kind: ValueKind

    @property
    def explained(self) -> bool:
        return any(field.meaning for field in self.fields)


def rendered(language: str, theme: str, root: str) -> bytes:
    """Return the page; its assets are under ``root``."""
    calls, catalog = _calls(), translations(language)

    def say(words: str) -> str:
        translated = catalog.gettext(words) if words else ""
        return translated if catalog.info() else _COMMON_WORD.sub(lambda first: first[0].upper(), translated)

    return (
        environment(language)
        .get_template("api.html.j2")
        .render(
            language=language,
            theme=theme,
            root=root,
            version=__version__,
            groups={part: [call for call in calls if _part(call.path) == part] for part in _ORDER},
            schemas=shapes(),
            scopes={scope: MEANINGS[scope] for scope in LADDER},
            say=say,
        )
        .encode()
    )


def meanings() -> set[str]:
    """Return the document's texts that the page shows."""
    named: list[Named] = []
    found = set(MEANINGS.values())
    for call in _calls():
        found.add(call.summary)
        named += call.parameters
    for shape in shapes():
        found.add(shape.meaning)
        named += shape.fields
    return (found | {each.meaning for each in named}) - {""}


@cache
def _calls() -> tuple[DocumentedCall, ...]:
    found: dict[tuple[str, str], DocumentedCall] = {}
    document: OwnJson = openapi()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            call = _call(method.upper(), path, operation)
            before = found.get((path, call.summary))
            if before:  # the original's calls can be posted, too: with the same parameters as a form
                call = replace(before, ids=before.ids + call.ids, methods=before.methods + call.methods)
            found[path, call.summary] = call
    return tuple(found.values())


@cache
def shapes() -> tuple[ValueShape, ...]:
    document: OwnJson = openapi()
    return tuple(
        ValueShape(name, schema.get("description", ""), tuple(_fields(schema, "")), _kind(schema))
        for name, schema in sorted(document["components"]["schemas"].items())
    )


def _part(path: str) -> str:
    return next(part for beginning, part in _PARTS if path.startswith(beginning))


def _call(method: str, path: str, operation: OwnJson) -> DocumentedCall:
    scopes = [scope for way in operation["security"] for listed in way.values() for scope in listed]
    parameters = [
        Named(
            parameter["name"],
            parameter["in"],
            parameter["required"],
            parameter["description"],
            _kind(parameter["schema"]),
        )
        for parameter in operation["parameters"]
    ]
    body = None
    for content_type, content in operation.get("requestBody", {}).get("content", {}).items():
        if content_type == "application/json":
            body = _kind(content["schema"])
        elif body is None:
            parameters += _fields(content["schema"], "form")
    return DocumentedCall(
        (operation["operationId"],),
        (method,),
        path,
        operation["summary"],
        scopes[0] if scopes else "",
        tuple(parameters),
        body,
        tuple(_answers(operation["responses"])),
    )


def _answers(responses: OwnJson) -> Iterator[DocumentedStatuses]:
    by_kind: dict[tuple[ValueKind, ...], list[str]] = {}
    for status, response in responses.items():
        by_kind.setdefault(tuple(dict.fromkeys(contents(response))), []).append(status)
    for kinds, statuses in by_kind.items():
        yield DocumentedStatuses(tuple(statuses), kinds)


def contents(response: OwnJson) -> Iterator[ValueKind]:
    for content_type, content in response["content"].items():
        is_json = content_type == "application/json"
        yield _kind(content.get("schema", {})) if is_json else ValueKind(words=(content_type,))


def _fields(schema: OwnJson, place: str) -> Iterator[Named]:
    for name, inner in schema.get("properties", {}).items():
        yield Named(name, place, name in schema.get("required", ()), inner.get("description", ""), _kind(inner))


def _kind(schema: OwnJson) -> ValueKind:
    """Describe a schema briefly."""
    if reference := schema.get("$ref"):
        return ValueKind(name=reference.rpartition("/")[2])
    for word, joint in (("anyOf", "or"), ("allOf", "with")):
        if listed := schema.get(word):
            parts = tuple(dict.fromkeys(map(_kind, listed)))
            return ValueKind(joint=joint, parts=parts) if len(parts) > 1 else parts[0]
    if allowed := schema.get("enum"):
        return ValueKind(joint="words", words=tuple(each or str(each) for each in allowed))
    if schema.get("type") == "array":
        return ValueKind(joint="list", parts=(_kind(schema["items"]),))
    if fields := schema.get("properties"):
        return ValueKind(joint="fields", words=tuple(fields), parts=tuple(map(_kind, fields.values())))
    return ValueKind(words=(schema.get("type", ""),))
