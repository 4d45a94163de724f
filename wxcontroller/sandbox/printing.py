"""Printing answers of the scripting API: as JSON, as tables, as single values."""

import json
import unicodedata

import click

from wxcontroller.core.jsontypes import JsonValue, field, text


def show(value: JsonValue) -> None:
    """Print JSON."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def table(rows: list[JsonValue], columns: tuple[str, ...], as_json: bool) -> None:
    """Print rows in columns, or all of them as JSON."""
    if as_json:
        show(rows)
        return
    cells = [[cell(field(row, column)) for column in columns] for row in rows]
    widths = [max(_width(line[i]) for line in [columns, *cells]) for i in range(len(columns))]
    for line in [[column.upper() for column in columns], *cells]:
        padded = (cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


def _width(cell: str) -> int:
    """Return how many columns of a terminal a text takes; Chinese takes two each."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in cell)


def cell(value: JsonValue) -> str:
    """Return a value as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return text(value, "-")


json_flag = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
