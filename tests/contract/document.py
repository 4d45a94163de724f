"""The machine-readable contract, and how an answer is compared with an example of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from pathlib import Path

from wxcontroller.core.jsontypes import JsonValue, field, items, obj

CONTRACT: JsonValue = json.loads((Path(__file__).parent / "openwx-endpoints.json").read_text())
ENDPOINTS = [obj(each) for each in items(field(CONTRACT, "endpoints"))]
# The original has numbers or null in some of these: uid if WeChat tells it, log_encoding, the code of consult.
LOOSE = frozenset({"uid", "owner_uid", "log_encoding", "code", "status", "http_debug"})


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a call."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = dataclass_field(default_factory=dict, compare=False)

    @property
    def json(self) -> JsonValue:
        content: JsonValue = json.loads(self.body)
        return content


def shape(value: JsonValue) -> JsonValue:
    """Return the kind of a value: its type, and the kinds of its parts."""
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    return "number" if isinstance(value, int) else type(value).__name__


def covers(answer: JsonValue, example: JsonValue, path: str = "") -> None:
    """Check that every field of the example is in the answer, with the same type. Raises AssertionError."""
    if isinstance(example, list) and example:
        assert isinstance(answer, list), path
        assert answer, path
        covers(answer[0], example[0], f"{path}[0]")
    elif isinstance(example, dict):
        assert isinstance(answer, dict), path
        assert set(example) <= set(answer), (path, set(example) - set(answer))
        for key, value in example.items():
            if key not in LOOSE:
                covers(answer[key], value, f"{path}.{key}")
    else:
        assert type(answer) is type(example), (path, answer, example)
