"""The verbs list and status."""

from collections import Counter
from collections.abc import Callable, Mapping

import click

from wxcontroller.cli.connection.account import AccountView
from wxcontroller.cli.connection.follow import exit_code, titled
from wxcontroller.cli.context import WxctlRun, optional_name_argument
from wxcontroller.cli.language import behind, left_aligned, padded, say, tell
from wxcontroller.cli.verbhelp import verb
from wxcontroller.core.condition.facts import Condition
from wxcontroller.core.jsontypes import field, items, one_line
from wxcontroller.core.text.templates import N_, Text, text_from, text_in, verbatim

_SORTING: Mapping[str, Callable[[AccountView], tuple[str | int, ...]]] = {
    "name": lambda account: (account.name,),
    "state": lambda account: (account.condition.value, account.name),
    "since": lambda account: (-account.since, account.name),
    "severity": lambda account: (-account.assessment.severity.rank, account.condition.value, account.name),
}


@verb(
    "List accounts.",
    "wxctl list",
    "wxctl list --trouble",
    "wxctl list --state scanning --state parked --sort since",
    "wxctl list --json | jq -r '.[].name'",
)
@click.option("--trouble", is_flag=True, help="Only accounts with problems.")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([condition.value for condition in Condition]),
    metavar="STATE",
    help="Only accounts in this state; may be repeated.",
)
@click.option(
    "--sort",
    type=click.Choice(list(_SORTING)),
    help="Sort by name, by state, by the latest change of state, or with the worst first, as --trouble does.",
)
def list_(session: WxctlRun, trouble: bool, states: tuple[str, ...], sort: str | None) -> None:
    """List accounts with their state and since when, port, user and status text."""
    api = session.api()
    api.probe()
    accounts = api.accounts()
    shown = [
        account
        for account in sorted(accounts, key=_SORTING[sort or ("severity" if trouble else "name")])
        if (not states or account.condition.value in states)
        and (not trouble or account.assessment.severity.is_trouble)
    ]
    if session.emitted([account.raw for account in shown]):
        return
    if not accounts:
        tell("no accounts yet; begin with: wxctl start NAME", err=True)
    elif not shown:
        tell(N_("no account matches"), err=True)
    else:
        from wxcontroller.cli.output.terminal import account_table, console, print_table

        target = console()
        print_table(account_table(shown, target.width if target.is_terminal else None), target)


@verb(
    "Show the status of an account or of the controller.",
    "wxctl status alice",
    "wxctl status alice --json",
    "wxctl status",
)
@optional_name_argument
def status(session: WxctlRun, name: str | None) -> None:
    """Show the status of an account, or without NAME of the controller and all accounts.

    Exit status: 0 all well, 1 it runs but something is wrong, 5 not running although it should be, 6 somebody has to
    scan, confirm, decide or start it again, 3 the controller does not respond.
    """
    if name is None:
        overview(session)
        return
    api = session.api()
    api.probe()
    account = api.account(api.resolve(name))
    if not session.emitted(account.raw):
        describe(account)
    if code := exit_code(account):
        raise click.exceptions.Exit(code)


def overview(session: WxctlRun) -> None:
    api = session.api()
    api.probe()
    # In this order: the answer about the accounts reports it if systemd does not respond.
    accounts, health = api.accounts(), api.health()
    if session.emitted({"health": health, "accounts": [account.raw for account in accounts]}):
        return
    version = one_line(field(health, "version"))
    answers = say("responds at {url}", url=api.shown)
    if version:
        answers = say("responds at {url}, version {version}", url=api.shown, version=version)
    texts = items(field(health, "notices_text"))
    notices = [*map(text_from, texts)] if texts else [*map(verbatim, map(one_line, items(field(health, "notices"))))]
    if error := text_in(field(health, "settings"), "error"):
        notices.append(Text("not reloaded; the previous settings remain in use: {error}", error=error))
    counts = Counter(account.condition.value for account in accounts)
    several = say(", ").join(f"{count} {say(word)}" for word, count in counts.most_common())
    for title, words in (
        (N_("controller:"), answers),
        *((N_("settings:"), say(notice)) for notice in notices),
        (N_("accounts:"), f"{len(accounts)}" + (f" ({several})" if several else "")),
    ):
        click.echo(behind(left_aligned(title, 11) + " ", words))
    for account in accounts:
        for issue in account.assessment.issues:
            if issue.severity.is_trouble:
                click.echo(behind("  ", say(titled(account.name, issue))))
                click.echo(behind("    ", say(issue.remedy)))


def describe(account: AccountView) -> None:
    from rich.text import Text

    from wxcontroller.cli.output.statustext import lines
    from wxcontroller.cli.output.terminal import console, moment

    target = console()
    condition = account.condition
    heading = Text(account.name, "bold")
    if account.name != account.instance:
        heading.append(f" ({account.instance})", "dim")
    heading.append(say(" is ")).append(say(condition.value), account.style)
    target.print(heading)
    # A reason is shown once: by the issue that it explains, else in the status that contains it.
    status = account.status, account.status.values.get("reason")
    issues = [issue.headline.values.get("reason") for issue in account.assessment.issues]
    login = account.login_state.value if account.login_state else "-"
    for title, value in (
        (N_("status"), "" if any(each and each in issues for each in status) else say(account.status) or "-"),
        (N_("reason"), "" if account.reason in (*status, *issues) else say(account.reason)),
        (N_("login"), say(login)),
        (N_("since"), moment(account.since)),
        (N_("user"), account.user or "-"),
        (
            N_("unit"),
            # systemd's states, as systemctl shows them.
            f"{account.unit}: {account.unit_state.value}" + (f" ({account.unit_sub})" if account.unit_sub else ""),
        ),
        (N_("desired"), say(account.desired.value) if account.desired else "-"),
        (N_("pid"), str(account.pid or "-")),
        (N_("port"), str(account.port or "-")),
        (N_("route"), account.driver or "-"),
        (N_("reports"), account.post_api or say("none (no post_api)")),
        (N_("proxy"), account.proxy),
        *lines(account.raw),
        *((str(issue.severity), say(issue.full_text)) for issue in account.assessment.issues),
    ):
        if value:
            click.echo(behind(f"{padded(title, 11)}: ", value))
