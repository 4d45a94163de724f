"""The commands of wxsandbox that only the iLink route has."""

import json

import click

from wxcontroller.core.errors import BadUsage
from wxcontroller.core.jsontypes import JsonObject, JsonValue, field, items
from wxcontroller.sandbox.printing import json_flag, show, table
from wxcontroller.sandbox.scriptclient import Remote


@click.command()
@click.argument("uin")
@click.option(
    "--set", "changes", multiple=True, metavar="NAME=VALUE", help="A setting, session, throttle or window_open."
)
@click.pass_obj
def ilink(url: str, uin: str, changes: tuple[str, ...]) -> None:
    """Show the iLink bot of account UIN, or set its settings.

    Prints the bot, its windows and its settings as JSON; with --set changes them first.
    """
    body: JsonObject = {}
    for pair in changes:
        name, equals, value = pair.partition("=")
        if not equals:
            raise BadUsage(f"--set {pair} has no value", "write it as NAME=VALUE")
        body[name] = _value(value)
    show(Remote(url).ask("POST" if body else "GET", "accounts", uin, "ilink", body=body or None))


def _value(text: str) -> JsonValue:
    """Parse a number, true or false; anything else is a string."""
    try:
        value: JsonValue = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float) else text


@click.command("ilink-sent")
@click.argument("uin")
@click.option("--after", default=0, metavar="SEQ", help="Only entries after this number.")
@click.option("--wait", default=0.0, metavar="SECONDS", help="Wait for an entry.")
@json_flag
@click.pass_obj
def ilink_sent(url: str, uin: str, after: int, wait: float, as_json: bool) -> None:
    """Show what bots sent to account UIN, and any problem."""
    query = {"after": str(after), "wait": str(wait)}
    rows = items(Remote(url).ask("GET", "accounts", uin, "ilink", "sent", query=query))
    table(rows, ("seq", "kind", "name", "size", "text", "problem"), as_json)


@click.command("ilink-requests")
@click.option("--uin", help="Only requests of this account.")
@click.option("--endpoint", help="Only requests to this endpoint, for example sendmessage.")
@click.option("--after", default=0, metavar="SEQ", help="Only entries after this number.")
@click.option("--wait", default=0.0, metavar="SECONDS", help="Wait for an entry.")
@click.pass_obj
def ilink_requests(url: str, uin: str | None, endpoint: str | None, after: int, wait: float) -> None:
    """Show the requests of iLink clients.

    Prints headers, bodies and answers as JSON.
    """
    params = {"uin": uin, "endpoint": endpoint, "after": str(after), "wait": str(wait)}
    query = {key: value for key, value in params.items() if value is not None}
    show(Remote(url).ask("GET", "ilink", "requests", query=query))


@click.command()
@click.option("--forward", type=click.FloatRange(0), metavar="SECONDS", help="Advance the time.")
@click.pass_obj
def clock(url: str, forward: float | None) -> None:
    """Show the sandbox's time and its offset, or advance it."""
    remote = Remote(url)
    answer = remote.ask("GET", "clock") if forward is None else remote.ask("POST", "clock", body={"forward": forward})
    click.echo(f"{field(answer, 'time')} ahead by {field(answer, 'offset')} s")


ILINK = (ilink, ilink_sent, ilink_requests, clock)
