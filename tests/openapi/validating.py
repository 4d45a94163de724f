"""Check answers against an OpenAPI document."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from wxcontroller.core.jsontypes import JsonObject, obj, text

_METHODS = ("get", "post", "put", "patch", "delete")
_URI = "urn:document"


@dataclass
class Judge:
    """Checks answers against ``document``."""

    document: JsonObject

    def __post_init__(self) -> None:
        resource = Resource.from_contents(self.document, default_specification=DRAFT202012)
        self._registry = Registry().with_resource(_URI, resource)

    @property
    def paths(self) -> JsonObject:
        return obj(self.document["paths"])

    def operations(self) -> Iterator[tuple[str, str]]:
        """Yield method and path of each operation."""
        for path, operations in self.paths.items():
            for method in obj(operations):
                if method in _METHODS:
                    yield method.upper(), path

    def operation(self, method: str, path: str) -> JsonObject:
        return obj(obj(self.paths[path])[method.lower()])

    def judge(self, method: str, path: str, status: int, content_type: str, body: bytes) -> None:
        """Raise AssertionError for an answer that does not match its description or has none."""
        where = f"{method} {path}: {status} {content_type}"
        responses = obj(self.operation(method, path)["responses"])
        assert str(status) in responses, f"{where} is not described"
        kind = content_type.partition(";")[0].strip()
        content = obj(obj(responses[str(status)]).get("content"))
        if not content:
            assert not body, f"{where} is described as empty"
            return
        on_request = text(obj(responses[str(status)]).get("description"))
        assert kind in content or "*/*" in content or kind in on_request, f"{where} is described as {list(content)}"
        if kind == "application/json" and "schema" in obj(content.get(kind)):
            place = "/".join(
                part.replace("~", "~0").replace("/", "~1")
                for part in ("paths", path, method.lower(), "responses", str(status), "content", kind, "schema")
            )
            validator = Draft202012Validator({"$ref": f"{_URI}#/{place}"}, registry=self._registry)
            problem = next(validator.iter_errors(json.loads(body)), None)
            assert problem is None, f"{where}: {problem.message[:500]} at {problem.json_path}" if problem else ""


def plain_path(canonical: str) -> str:
    """Return an aiohttp router's path as OpenAPI writes it: ``{name:pattern}`` without the pattern."""
    return re.sub(r"\{(\w+):[^}]*\}", r"{\1}", text(canonical))
