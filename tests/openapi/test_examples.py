"""The examples on the page of the API: calls that there are, with what they take."""

import json
import re
import shlex
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.openapi.validating import Judge
from wxcontroller.controller.page.examples import EXAMPLES, Example
from wxcontroller.controller.v1.described import openapi
from wxcontroller.core.jsontypes import JsonObject, JsonValue, field, items, obj, text

DOCUMENT: JsonObject = json.loads(json.dumps(openapi()))
JUDGE = Judge(DOCUMENT)
BY_ID = {text(JUDGE.operation(*one)["operationId"]): one for one in JUDGE.operations()}


def asked(example: Example) -> tuple[str, str, set[str], JsonValue]:
    """Return method, path, names of parameters and JSON body of the command, as curl takes it."""
    words = shlex.split(example.command)
    address = urlsplit(words[-1])
    names = set(parse_qs(address.query))
    data = [words[at + 1] for at, word in enumerate(words) if word in ("-d", "--data-urlencode")]
    method = words[words.index("-X") + 1] if "-X" in words else "POST" if data and "-G" not in words else "GET"
    if "Content-Type: application/json" in words:
        return method, address.path, names, json.loads(data[0])
    return method, address.path, names | {each.partition("=")[0] for each in data}, None


def named(schema: JsonValue) -> set[str]:
    """Return the fields of an object or of a list's objects that a schema names."""
    found = obj(schema)
    if reference := text(found.get("$ref")):
        return named(obj(obj(DOCUMENT["components"])["schemas"])[reference.rpartition("/")[2]])
    parts = [*items(found.get("anyOf")), *items(found.get("allOf")), *([found["items"]] if "items" in found else [])]
    return set(obj(found.get("properties"))).union(*map(named, parts))


@pytest.mark.parametrize("name", EXAMPLES)
def test_its_call_is_described(name: str) -> None:
    method, path, names, body = asked(EXAMPLES[name])
    described = BY_ID[name]
    pattern = re.sub(r"\{\w+\}", "[^/]+", described[1])
    assert re.fullmatch(pattern, path)
    assert method == described[0] or "post" in obj(JUDGE.paths[described[1]])
    operation = JUDGE.operation(method, described[1])
    known = {text(field(one, "name")) for one in items(operation["parameters"])}
    content = obj(field(operation.get("requestBody"), "content"))
    known |= named(field(next(iter(content.values()), {}), "schema")) if content and body is None else set()
    assert names <= known
    if body is not None:
        place = (
            f"paths/{described[1].replace('/', '~1')}/{method.lower()}/requestBody/content/application~1json/schema"
        )
        JUDGE.fits(body, f"urn:document#/{place}", name)
