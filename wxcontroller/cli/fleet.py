"""The verb fleet: the other hosts whose accounts the controller shows."""

import click

from wxcontroller.cli.context import WxctlRun
from wxcontroller.cli.language import say, tell
from wxcontroller.cli.verbs import verb
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import JsonObject, integer, items, obj, one_line, text
from wxcontroller.core.messages import N_, Text, text_in


@verb("Show the other hosts and their state.", "wxctl fleet", "wxctl fleet --json")
def fleet(session: WxctlRun) -> None:
    """Show the other hosts of the fleet, accounts that exist on more than one host, and standby bundles.

    Exits with status 1 if a host is not reachable, an account exists twice, or a standby bundle is too old.
    """
    found = session.api().fleet()
    standbys = [obj(each) for each in items(found.get("standbys"))]
    hosts, duplicates = [obj(each) for each in items(found.get("hosts"))], items(found.get("duplicates"))
    if session.json:
        session.emit(found)
    elif found.get("name") is None:
        tell("this host is not part of a fleet; see the table [fleet] in wxcontroller.toml(5)", err=True)
    else:
        tell("this host is {host}", host=one_line(found.get("name")))
        if hosts:
            _print(hosts)
        for each in map(obj, duplicates):
            words = Text(
                N_("account {account} exists on more than one host: {hosts}"),
                account=one_line(each.get("account")),
                hosts=", ".join(map(one_line, items(each.get("hosts")))),
            )
            click.echo(say(words))
        if standbys:
            _print_standbys(standbys)
    is_late = any(each.get("stale") is True for each in standbys)
    if not session.json and (duplicates or is_late or any(host.get("state") != "up" for host in hosts)):
        raise click.exceptions.Exit(WxError.exit_code)


def _print(hosts: list[JsonObject]) -> None:
    from wxcontroller.cli.terminal import ago, print_rows  # much to import, for what is shown to people

    titles = N_("HOST"), N_("STATE"), N_("SINCE"), N_("ACCOUNTS"), N_("VERSION"), N_("URL"), N_("REASON")
    rows = [
        (
            one_line(host.get("name")),
            text(host.get("state")),
            ago(integer(host.get("since"))),
            text(host.get("accounts")),
            one_line(host.get("version")),
            one_line(host.get("url")),
            say(text_in(host, "reason")),
        )
        for host in hosts
    ]
    print_rows(titles, rows, wraps="REASON")


def _print_standbys(standbys: list[JsonObject]) -> None:
    from wxcontroller.cli.terminal import ago, print_rows

    titles = N_("STANDBY OF"), N_("FROM"), N_("TO"), N_("EPOCH"), N_("AGE"), N_("SIZE"), N_("REASON")
    rows: list[tuple[str, ...]] = []
    for each in standbys:
        age = ago(integer(each.get("at"))) or "-"
        rows.append(
            (
                *(one_line(each.get(key)) for key in ("account", "from", "to")),
                text(each.get("epoch")),
                f"{age} !" if each.get("stale") is True else age,
                f"{integer(each.get('bytes')) / (1 << 20):.1f} MB",
                say(text_in(each, "reason")),
            )
        )
    click.echo()
    print_rows(titles, rows, wraps="REASON")
