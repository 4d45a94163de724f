"""Commands of wxsandbox that inject faults, and show protocol violations of clients."""

import click

from wxcontroller.core.jsontypes import JsonObject, JsonValue, field, items
from wxcontroller.sandbox.printing import cell, json_flag, show, table
from wxcontroller.sandbox.scriptclient import Remote


@click.command()
@click.argument("endpoint")
@click.argument("kind")
@click.argument("value", required=False)
@click.option("--count", default=1, show_default=True, help="Number of requests that fail.")
@click.option("--forever", is_flag=True, help="Fail until the fault is cleared.")
@click.option("--uin", type=int, help="Only requests of this account.")
@click.pass_obj
def fault(url: str, endpoint: str, kind: str, value: str | None, count: int, forever: bool, uin: int | None) -> None:
    """Inject a fault into requests to ENDPOINT, or * for all.

    KIND: delay, status, reset, truncate, short, norange, headless, garbage, retcode, moved, drop.
    """
    body: JsonObject = {"endpoint": endpoint, "kind": kind, "count": None if forever else count, "uin": uin}
    if value is not None:
        body["value"] = value if kind == "garbage" else number(value)
    click.echo(cell(field(Remote(url).ask("POST", "faults", body=body), "id")))


def number(value: str) -> JsonValue:
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


@click.command()
@click.option("--clear", is_flag=True, help="Clear all faults.")
@json_flag
@click.pass_obj
def faults(url: str, clear: bool, as_json: bool) -> None:
    """List pending faults, or clear them."""
    if clear:
        click.echo(f"cleared {cell(field(Remote(url).ask('DELETE', 'faults'), 'cleared'))}")
        return
    rows = items(Remote(url).ask("GET", "faults"))
    table(rows, ("id", "endpoint", "kind", "value", "count", "uin", "hits"), as_json)


@click.command()
@click.option("--uin", help="Only requests of this account.")
@click.pass_obj
def requests(url: str, uin: str | None) -> None:
    """Show requests by endpoint and protocol violations.

    Prints them as JSON.
    """
    show(Remote(url).ask("GET", "requests", query={"uin": uin} if uin else None))


TROUBLE = (fault, faults, requests)
