"""The verb target: where other programs' notifications go."""

import click
from click.shell_completion import CompletionItem

from wxcontroller.cli.connection.api import path
from wxcontroller.cli.connection.requests import json_body
from wxcontroller.cli.context import WxctlRun, complete_name
from wxcontroller.cli.language import say, tell
from wxcontroller.cli.verbhelp import verb_group
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import JsonObject, JsonValue, items, obj, objects, text
from wxcontroller.core.text.templates import N_


def complete_target(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the targets there are."""
    session = context.find_object(WxctlRun)
    try:
        found = items(session.api().call("GET", "/v1/targets").get("targets")) if session is not None else []
    except WxError:
        return []
    names = {text(obj(target).get("name")): text(obj(target).get("account")) for target in found}
    return [CompletionItem(name, help=words) for name, words in names.items() if name.startswith(incomplete)]


_target_argument = click.argument("target_name", metavar="TARGET", shell_complete=complete_target)


@verb_group(
    "Manage notification targets.",
    "wxctl target add ops alice filehelper",
    "wxctl target list",
    "wxctl target remove ops",
)
def target() -> None:
    """Manage notification targets: where ntfy, Gotify and webhook clients send their notifications.

    A target is an account, a person or group, and a token that can only notify this target. Notifications are off
    until there is a target.
    """


@target.verb(
    "Add a target and print its token.",
    "wxctl target add ops alice filehelper",
    "wxctl target add family alice 家人 --group",
)
@click.argument("target_name", metavar="TARGET")
@click.argument("account", metavar="NAME", shell_complete=complete_name)
@click.argument("peer")
@click.option("--group", is_flag=True, help="PEER is a group.")
def add(session: WxctlRun, target_name: str, account: str, peer: str, group: bool) -> None:
    """Add a target and print its token, which cannot be shown again.

    PEER is the id of a friend or group, or its exact displayname, remark or name. Use a name on a route whose
    ids change with every login.
    """
    api = session.api()
    body: JsonObject = {"name": target_name, "account": api.resolve(account).name, "peer": peer, "group": group}
    added = api.call("POST", "/v1/targets", json_body(body))
    if session.emitted(added):
        return
    click.echo(text(added.get("token")))
    tell(
        "wxctl: target {target}: {url}/notify/{target}; the token is not shown again",
        err=True,
        target=target_name,
        url=api.shown.rstrip("/"),
    )


@target.verb("List targets.", "wxctl target list --json")
def list_(session: WxctlRun) -> None:
    """List targets with account and peer."""
    rows = objects(session.api().call("GET", "/v1/targets").get("targets"))
    if session.emitted(list[JsonValue](rows)):
        return
    if not rows:
        tell("no notification targets: wxctl target add TARGET NAME PEER", err=True)
        return
    from wxcontroller.cli.output.terminal import print_rows

    titles = (N_("TARGET"), N_("ACCOUNT"), N_("PEER"), N_("TOKEN"), N_("CREATED"), N_("STATE"))
    lines = [
        (
            *(text(row.get(key)) for key in ("name", "account", "peer", "id", "created")),
            say(N_("account removed")) if row.get("removed") else say(N_("active")),
        )
        for row in rows
    ]
    print_rows(titles, lines, wraps="PEER")


@target.verb("Show a target.", "wxctl target show ops")
@_target_argument
def show(session: WxctlRun, target_name: str) -> None:
    """Show a target and the URLs for its clients. Its token is stored only as a hash and is not shown."""
    api = session.api()
    found = api.call("GET", path("targets", target_name))
    if session.emitted(found):
        return
    url = api.shown.rstrip("/")
    for key in ("name", "account", "peer", "group", "driver", "created", "removed", "id"):
        click.echo(f"{key}: {str(found.get(key)).lower() if isinstance(found.get(key), bool) else found.get(key)}")
    click.echo(f"ntfy: {url}/notify/{target_name}")
    click.echo(f"gotify: {url}/notify/{target_name}/")


@target.verb("Remove a target and revoke its token.", "wxctl target remove ops")
@_target_argument
def remove(session: WxctlRun, target_name: str) -> None:
    """Remove a target and revoke its token. Counted repeats that have not been sent are discarded."""
    removed = session.api().call("DELETE", path("targets", target_name))
    if not session.emitted(removed):
        tell("target {target} is removed", target=target_name)
