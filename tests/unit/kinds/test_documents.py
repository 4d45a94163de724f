"""The tables of docs/messages.md are those that the tests of this directory go through."""

import re
from pathlib import Path

from tests.unit.kinds.table import INCOMING, OUTGOING, SILENT
from wxcontroller.core.model import Direction, Message, MessageKind
from wxcontroller.openwx.formats import shape, unfetched

PAGE = Path(__file__).parents[3] / "docs" / "messages.md"


def rows(section: str) -> list[tuple[str, ...]]:
    """Return the first three cells of every row of a section's table, without marks."""
    _, _, rest = PAGE.read_text().partition(f"\n## {section}\n")
    lines = [line for line in rest.partition("\n## ")[0].splitlines() if line.startswith("|")]
    return [tuple(cell.strip().strip("`") for cell in line.strip("|").split("|")[:3]) for line in lines[2:]]


def test_what_is_received() -> None:
    assert [row[1:] for row in rows("Received")] == [(one.type, one.format) for one in INCOMING]


def test_what_is_not_told() -> None:
    for kind in SILENT:
        assert f"({kind})" in PAGE.read_text()


def test_fields() -> None:
    told = {
        row[0]: re.findall(r"`((?:media|app|card|location|revoke|raw)_\w+)`", f"`{row[1]}`") for row in rows("Fields")
    }
    real: dict[str, set[str]] = {}
    for kind in MessageKind:
        words = "a transcript" if kind is MessageKind.VOICE else ""
        message = Message("1", "@a", False, "@a", Direction.RECEIVED, kind, words, 1)
        form = shape(message, unfetched(message, "an error") if kind.is_media else None)
        real.setdefault(form.format, set()).update(form.fields)
    assert {name: set(fields) for name, fields in told.items()} == real


def test_what_is_sent() -> None:
    ways = {True: "by reference", False: "by upload"}
    assert rows("Sent") == [
        (one.name, one.kind, "" if one.kind == "text" else ways[one.by_reference]) for one in OUTGOING
    ]
