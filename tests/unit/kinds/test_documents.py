"""The tables of docs/messages.md are those that the tests of this directory go through."""

from pathlib import Path

from tests.unit.kinds.table import INCOMING, OUTGOING, SILENT

PAGE = Path(__file__).parents[3] / "docs" / "messages.md"


def rows(section: str) -> list[tuple[str, ...]]:
    """Return the first three cells of every row of a section's table, without marks."""
    _, _, rest = PAGE.read_text().partition(f"\n## {section}\n")
    lines = [line for line in rest.partition("\n## ")[0].splitlines() if line.startswith("|")]
    return [tuple(cell.strip().strip("`") for cell in line.strip("|").split("|")[:3]) for line in lines[2:]]


def test_what_is_received() -> None:
    assert rows("Received") == [(one.name, one.type, one.format) for one in INCOMING]


def test_what_is_not_told() -> None:
    for kind in SILENT:
        assert f"({kind})" in PAGE.read_text()


def test_what_is_sent() -> None:
    ways = {True: "by reference", False: "by upload"}
    assert rows("Sent") == [
        (one.name, one.kind, "" if one.kind == "text" else ways[one.by_reference]) for one in OUTGOING
    ]
