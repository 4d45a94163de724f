"""The verbs about deliveries: list undelivered reports and dead letters, send them again, or discard them."""

import json
import time
from collections.abc import Callable, Container
from pathlib import Path
from typing import TypeVar

import click

from wxcontroller.cli.clierrors import BadUsage
from wxcontroller.cli.connection.api import Api
from wxcontroller.cli.context import WxctlRun, json_option, name_argument, optional_name_argument, printable
from wxcontroller.cli.language import padded, say, tell
from wxcontroller.cli.localtime import local_time
from wxcontroller.cli.verbhelp import verb_group
from wxcontroller.core.condition.facts import Condition
from wxcontroller.core.jsontypes import JsonObject, JsonValue, field, integer, items, obj, objects, one_line, text
from wxcontroller.core.names import AccountName, parse_name
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry.webhooksecrets import standard_form, webhook_secrets
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import N_, NP_, Text, text_in

_STATES = ("held", "pending", "dead", "delivered", "kept", "purged")
# Numbers that show trouble, or reports that are still on their way.
_WORTH_A_ROW = ("error", "pending", "held", "dead", "dropped", "retrying", "trouble")
_SHOWN = (
    *(N_("id"), N_("delivery"), N_("time"), N_("type"), N_("state"), N_("lane"), N_("attempts")),
    *(N_("last_error"), N_("last_status")),
)
_REPLAYED = NP_("{n} report of {account} will be sent again", "{n} reports of {account} will be sent again")
_PURGED = NP_("{n} report of {account} purged", "{n} reports of {account} purged")
_ACKNOWLEDGED = NP_("{n} dead letter of {account} acknowledged", "{n} dead letters of {account} acknowledged")
_F = TypeVar("_F", bound=Callable[..., object])


@verb_group(
    "List, replay, purge and acknowledge webhook reports.",
    "wxctl deliveries list",
    "wxctl deliveries list alice --state dead",
    "wxctl deliveries replay alice --dead",
    "wxctl deliveries purge alice 5f3a9c01-17",
    "wxctl deliveries ack alice",
)
def deliveries() -> None:
    """Manage reports queued for an account's webhook (post_api).

    A report is pending until the webhook accepts it. It becomes a dead letter if the webhook rejects it
    permanently or is down for days. If the webhook answers with an error, the report moves to the retry lane and
    later reports do not wait for it. Dead letters are kept (dead_keep_days); replay sends them again in their
    original order.
    """


@deliveries.verb(
    "Show the secrets that sign reports, for Standard Webhooks.", "wxctl deliveries secret alice", options=json_option
)
@name_argument
@click.option("--root", type=click.Path(path_type=Path), default=Path("/"), hidden=True)
def secret(session: WxctlRun, name: str, root: Path) -> None:
    """Print the account's webhook secrets in the form whsec_…, which libraries of Standard Webhooks take.

    Run as root on the account's machine. While a secret is being replaced there are two, the new one first.
    """
    forms = [standard_form(value) for value in webhook_secrets(Paths(root), parse_name(name))]
    if session.emitted(list[JsonValue](forms)):
        return
    if not forms:
        tell("{account} has no webhook secret; its reports are not signed", err=True, account=name)
    for form in forms:
        click.echo(form)


@deliveries.verb(
    "List undelivered reports and dead letters.", "wxctl deliveries list", "wxctl deliveries list alice --state dead"
)
@optional_name_argument
@click.option(
    "--state",
    "states",
    type=click.Choice(_STATES),
    multiple=True,
    help="Only reports in this state; may be repeated [default: held, pending, dead].",
)
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="Show at most this many.")
@click.option("--after", type=click.IntRange(0), default=0, help="Show reports after this number.")
@click.option(
    "--all", "all_", is_flag=True, help="Without NAME: include accounts without undelivered or lost reports."
)
def list_(session: WxctlRun, name: str | None, states: tuple[str, ...], limit: int, after: int, all_: bool) -> None:
    """List an account's undelivered reports and dead letters; without NAME, show the counts of all accounts."""
    api = session.api()
    if name is None:
        overview(session, api, all_)
        return
    account = api.resolve(name)
    query = {"limit": str(limit), "after": str(after), "state": ",".join(states or ("held", "pending", "dead"))}
    found = api.ask("GET", account, "deliveries", query=query)
    if session.emitted(items(found.get("deliveries"))):
        return
    describe(account, found)
    rows = objects(found.get("deliveries"))
    if rows:
        from wxcontroller.cli.output.terminal import print_rows

        print_rows(
            (N_("ID"), N_("WHEN"), N_("TYPE"), N_("STATE"), N_("LANE"), N_("TRIES"), N_("NEXT"), N_("LAST ERROR")),
            [
                (
                    text(row.get("id")),
                    when(row.get("time")),
                    text(row.get("type")),
                    say(text(row.get("state"))),
                    say(text(row.get("lane"))),
                    text(row.get("attempts")),
                    _in(row.get("next_at")),
                    say(text_in(row, "last_error")),
                )
                for row in rows
            ],
            wraps="LAST ERROR",
        )
    if following := found.get("next"):
        tell("more: {command}", command=command("deliveries list", account.name, "--after", one_line(following)))


@deliveries.verb("Show a delivery and its report.", "wxctl deliveries show alice 5f3a9c01-17")
@name_argument
@click.argument("delivery_id", metavar="ID")
def show(session: WxctlRun, name: str, delivery_id: str) -> None:
    """Show a delivery with the report as it is posted: message texts included."""
    api, account = session.account(name)
    found = api.ask("GET", account, "deliveries", delivery_id)
    if session.emitted(found):
        return
    for key in _SHOWN:
        value = found.get(key)
        if key == "last_error":
            shown = say(text_in(found, key))
        elif key in ("state", "lane"):
            shown = say(text(value))
        else:
            shown = when(value) if key == "time" else "-" if value is None else text(value)
        click.echo(f"{padded(key, 12)}: {one_line(shown)}")
    click.echo(printable(json.dumps(found.get("report"), ensure_ascii=False, indent=2, sort_keys=True)))


def with_selection(verb: _F) -> _F:
    """Add IDs and the switches that select many to a verb."""
    for option in (
        click.argument("ids", nargs=-1, metavar="[ID]..."),
        click.option("--dead", is_flag=True, help="All dead letters."),
    ):
        verb = option(verb)
    return verb


@deliveries.verb(
    "Replay reports.", "wxctl deliveries replay alice --dead", "wxctl deliveries replay alice 5f3a9c01-17 --delivered"
)
@name_argument
@with_selection
@click.option("--delivered", is_flag=True, help="With IDs: also reports that were already delivered.")
def replay(session: WxctlRun, name: str, ids: tuple[str, ...], dead: bool, delivered: bool) -> None:
    """Send the reports with these IDs again, or all dead letters.

    They are sent before undelivered reports, in their original order and with their original ids.
    """
    states = ["dead", "purged", *(["delivered", "kept"] if delivered else [])]
    chosen: JsonObject = {"state": "dead"} if dead and not ids else {"ids": list(ids), "state": ",".join(states)}
    require_selection(ids, dead, "wxctl deliveries replay NAME --dead sends all dead letters again")
    change_deliveries(session, name, "replay", chosen, "replayed", _REPLAYED)


@deliveries.verb("Purge reports.", "wxctl deliveries purge alice --dead", "wxctl deliveries purge alice 5f3a9c01-17")
@name_argument
@with_selection
@click.option("--pending", is_flag=True, help="All undelivered reports.")
def purge(session: WxctlRun, name: str, ids: tuple[str, ...], dead: bool, pending: bool) -> None:
    """Purge the reports with these IDs, all dead letters, or all undelivered reports. Purged ones are not delivered.

    They stay in the account's event log (event_keep_days) and can be replayed from there.
    """
    states = [word for word, wanted in (("dead", dead), ("pending", pending)) if wanted]
    chosen: JsonObject = {"ids": list(ids)} if ids else {"state": ",".join(states)}
    require_selection(ids, dead or pending, "wxctl deliveries purge NAME --dead gives up all dead letters")
    change_deliveries(session, name, "purge", chosen, "purged", _PURGED)


@deliveries.verb(
    "Acknowledge dead letters.", "wxctl deliveries ack alice", "wxctl deliveries ack alice 5f3a9c01-17", name="ack"
)
@name_argument
@click.argument("ids", nargs=-1, metavar="[ID]...")
def acknowledge(session: WxctlRun, name: str, ids: tuple[str, ...]) -> None:
    """Acknowledge the dead letters with these IDs, or all.

    They are kept and can be replayed, but no longer count as a problem.
    """
    chosen: JsonObject = {"ids": list(ids), "state": "dead"} if ids else {"state": "dead"}
    change_deliveries(session, name, "ack", chosen, "acknowledged", _ACKNOWLEDGED)


def require_selection(ids: tuple[str, ...], many: bool, remedy: str) -> None:
    if ids and many:
        raise BadUsage(N_("IDs cannot be combined with an option that selects several"), N_("use one of them"))
    if not ids and not many:
        raise BadUsage(N_("give IDs or an option that selects several"), remedy)


def change_deliveries(
    session: WxctlRun, name: str, verb: str, chosen: JsonObject, key: str, words: tuple[str, str]
) -> None:
    api, account = session.account(name)
    answer = api.ask("POST", account, "deliveries", verb, body=chosen)
    if session.emitted(answer):
        return
    number = integer(answer.get(key))
    tell(*words, account=account.name, n=number)
    waiting, dead = integer(answer.get("pending")), integer(answer.get("dead"))
    tell("now {waiting} undelivered, {dead} dead", waiting=waiting, dead=dead)


def overview(session: WxctlRun, api: Api, all_: bool) -> None:
    accounts = items(api.call("GET", "/v1/deliveries").get("accounts"))
    found = sorted(accounts, key=lambda row: text(field(row, "account")))
    if session.emitted(found):
        return
    if not found:
        tell("no accounts yet; begin with: wxctl start NAME", err=True)
        return
    stopped = {view.name for view in api.accounts() if view.condition is Condition.STOPPED}
    rows = [row for row in map(obj, found) if all_ or _is_worth_a_row(row, stopped)]
    hidden = len(found) - len(rows)
    if hidden:
        note = Text(
            "{n} account has no undelivered, dead or lost reports; --all shows it",
            "{n} accounts have no undelivered, dead or lost reports; --all shows them",
            n=hidden,
        )
        tell(note, err=True)
    if not rows:
        return
    from wxcontroller.cli.output.terminal import print_rows

    counts = N_("UNDELIVERED"), N_("DEAD"), N_("LOST"), N_("RETRYING")
    print_rows(
        (N_("ACCOUNT"), *counts, N_("OLDEST"), N_("TO"), N_("LAST ERROR")),
        [
            (text(row.get("account")), "-", "-", "-", "-", "", "", say(text_in(row, "error")))
            if row.get("error")
            else (
                text(row.get("account")),
                str(integer(row.get("pending")) + integer(row.get("held"))),
                text(row.get("dead")),
                text(row.get("dropped")),
                str(integer(row.get("retrying"))),
                when(row.get("oldest_since")),
                text(row.get("to")) or say("none"),
                say(text_in(row, "trouble") or text_in(row, "last_error")),
            )
            for row in rows
        ],
        wraps="LAST ERROR",
    )


def _is_worth_a_row(row: JsonObject, stopped: Container[str]) -> bool:
    """Return whether an account's counts show trouble. A stopped account that does not answer is no trouble."""
    if row.get("error") and text(row.get("account")) in stopped:
        return False
    return any(row.get(key) for key in _WORTH_A_ROW)


def describe(name: AccountName, found: JsonObject) -> None:
    to = one_line(found.get("to"))
    tell(
        "{account} → {to}: {pending} undelivered, {dead} dead, {lost} lost",
        account=name.name,
        to=to or Text("none (no post_api)"),
        pending=integer(found.get("pending")),
        dead=integer(found.get("dead")),
        lost=integer(found.get("dropped")),
    )
    for key in ("trouble", "last_error"):
        if words := text_in(found, key):
            tell("  {words}", words=words)


def when(moment: JsonValue) -> str:
    return local_time(moment) if moment else ""


def _in(moment: JsonValue) -> str:
    if not isinstance(moment, int | float) or not moment:
        return ""
    return say("{seconds} s", seconds=f"{max(0, moment - time.time()):.0f}")
