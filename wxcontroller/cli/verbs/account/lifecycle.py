"""The verbs that change an account: add, start, stop, restart, logout."""

import sys
from collections.abc import Callable, Container, Iterator
from pathlib import Path

import click

from wxcontroller.cli.clierrors import BadUsage, Declined, file_problems
from wxcontroller.cli.connection.account import AccountView, account_view
from wxcontroller.cli.connection.api import PATIENCE, Api
from wxcontroller.cli.connection.systemd import disable
from wxcontroller.cli.context import WxctlRun, complete_option, name_argument, names_argument
from wxcontroller.cli.language import behind, say, tell
from wxcontroller.cli.verbhelp import verb
from wxcontroller.cli.verbs.account.answer import can_ask
from wxcontroller.cli.work import ActionWatch, Following, Work, is_several, run
from wxcontroller.core.config.routechoice import BY_DRIVER, ROUTES
from wxcontroller.core.errors import ControllerUnreachable, UnknownAccount, WxError
from wxcontroller.core.jsontypes import JsonObject, field, items, one_line
from wxcontroller.core.names import AccountName, parse_name
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import N_, Text, text_in

_TIMEOUT = click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=600,
    show_default=True,
    metavar="S",
    help="Stop waiting after S seconds; the account keeps running.",
)
_WAIT = click.option(
    "--wait/--no-wait",
    default=None,
    help="Wait until the QR code is scanned, or return when the unit is up. By default, a start without a terminal, "
    "or of several accounts, ends with status 10 when a code has to be scanned.",
)


_OPTIONS = click.option(
    "-o",
    "--option",
    "pairs",
    multiple=True,
    metavar="KEY=VALUE",
    shell_complete=complete_option,
    help="An account option, see wxclient(8); may be repeated. KEY=@FILE: the value is in FILE, or - for stdin.",
)
_POST_API = click.option(
    "--post-api", metavar="URL", help="URL to which reports are posted; short for --option post_api=URL."
)
_DRIVER = click.option("--driver", metavar="WORD", help="Route to WeChat; short for --option driver=WORD.")


@verb(
    "Register an account without starting it.",
    "wxctl add alice",
    "wxctl add alice --post-api http://127.0.0.1:8080/in",
)
@name_argument
@_OPTIONS
@_POST_API
@_DRIVER
def add(session: WxctlRun, name: str, pairs: tuple[str, ...], post_api: str | None, driver: str | None) -> None:
    """Register an account with its options, without starting it. Refused (8) if an account of that name exists."""
    added = session.api().add(parse_name(name), chosen_route(session, start_options(pairs, post_api, driver)))
    for note in notes(added):
        tell(note, err=True)
    if not session.emitted(added.raw):
        tell(
            "{account} is registered, with port {port}; start it: {command}",
            account=added.name,
            port=added.port,
            command=command("start", added.name),
        )


@verb(
    "Start accounts and follow them until they run.",
    "wxctl start alice",
    "wxctl start alice --option send_interval=5 --no-wait",
    "wxctl start 'shop-*'",
)
@names_argument
@_OPTIONS
@_POST_API
@_DRIVER
@_WAIT
@_TIMEOUT
def start(
    session: WxctlRun,
    names: tuple[str, ...],
    pairs: tuple[str, ...],
    post_api: str | None,
    driver: str | None,
    wait: bool | None,
    timeout: float,
) -> None:
    """Start accounts and follow them until they are running. A NAME like 'shop-*' matches accounts.

    The QR code of a single account is shown here. Without a terminal, or for several accounts, the command ends with
    status 10 when a code has to be scanned, and names the command that shows it. Options are stored with the account
    and apply to later starts. Ctrl-C stops following; the account keeps running.
    """
    options = start_options(pairs, post_api, driver)
    if not is_several(names) and can_ask(session) and is_new(session.api(), parse_name(names[0])):
        options = chosen_route(session, options)
    following, fresh = Following(0 if wait is False else timeout, wait), set[str]()

    def act(api: Api, account: AccountName, watch: ActionWatch) -> AccountView:
        new = is_new(api, account)
        started = api.start(account, options)
        if new:
            fresh.add(account.name)
            watch.note(new_account(account.name))
            if "driver" not in options:
                watch.note(default_route(started))
        for note in notes(started):
            watch.note(note)
        return watch.follow(account, started, following)

    run(session, names, Work(act, start_outcome(following.seconds, fresh)))


@verb("Stop accounts.", "wxctl stop alice", "wxctl stop alice bob 'shop-*'")
@names_argument
def stop(session: WxctlRun, names: tuple[str, ...]) -> None:
    """Stop accounts. They stay stopped, also after a reboot, until they are started again; logins are kept.

    A NAME like 'shop-*' matches accounts. If a unit is enabled (systemctl enable), root on the controller's machine
    disables it; for others a note shows the command.
    """

    def act(api: Api, account: AccountName, watch: ActionWatch) -> AccountView:
        disable(api, account)
        stopped = api.stop(account)
        for note in notes(stopped):
            watch.note(note)
        return stopped

    def finish(account: AccountName, stopped: AccountView) -> tuple[JsonObject, Text]:
        return stopped.raw, Text(N_("{account} is stopped"), account=account.name)

    run(session, names, Work(act, finish))


@verb("Restart accounts and follow them until they run.", "wxctl restart alice", "wxctl restart 'shop-*'")
@names_argument
@_WAIT
@_TIMEOUT
def restart(session: WxctlRun, names: tuple[str, ...], wait: bool | None, timeout: float) -> None:
    """Restart accounts, for instance after an upgrade, and follow them until they are running.

    A NAME like 'shop-*' matches accounts that are not stopped.
    """
    following = Following(0 if wait is False else timeout, wait)

    def act(api: Api, account: AccountName, watch: ActionWatch) -> AccountView:
        return watch.follow(account, account_view(api.ask("POST", account, "restart", wait=PATIENCE)), following)

    # A pattern must not start accounts that were stopped on purpose.
    run(session, names, Work(act, start_outcome(following.seconds), stopped_too=False))


@verb("Log an account out of WeChat and stop it.", "wxctl logout alice --yes")
@name_argument
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
def logout(session: WxctlRun, name: str, yes: bool) -> None:
    """Log an account out at WeChat and stop it. Its options and reports are kept; the next start needs a scan.

    wxctl stop keeps the login. If the account is stopped, WeChat is not notified: only the login here is deleted.
    """
    api, account = session.account(name)
    if not yes:
        kept = Text(N_("{account} is not logged out"), account=account.name)
        confirm(api, [account], Text("Log {account} out? The next login needs a scan.", account=account.name), kept)
    ended = account_view(api.ask("POST", account, "logout", wait=PATIENCE))
    if not session.emitted(ended.raw):
        tell("{account} is logged out and stopped; the next start needs a scan", account=account.name)
        for note in notes(ended):
            tell(note, err=True)


def chosen_route(session: WxctlRun, options: dict[str, str]) -> dict[str, str]:
    """Return the options of a new account with its route: unless it is given, a terminal asks for it, once."""
    if "driver" in options or not can_ask(session):
        return options
    tell("Routes to WeChat:", err=True)
    for route in ROUTES:
        head = f"  {route.driver:10}  "
        click.echo(behind(head, f"{say(route.name)}. {say(route.meaning)}"), err=True)
    words = click.Choice([route.driver for route in ROUTES])
    driver = click.prompt(say(N_("Route")), type=words, default=ROUTES[0].driver, show_choices=False, err=True)
    return {**options, "driver": str(driver)}


def new_account(name: str) -> Text:
    """Report that a start has created an account: its name may be a typo."""
    return Text(
        N_("wxctl: {account} is a new account; if the name is a typo: {command}"),
        account=name,
        command=command("remove", name),
    )


def default_route(account: AccountView) -> Text:
    """Report the route of a new account for which none was chosen."""
    return Text(
        N_("wxctl: {account} uses the route {route}, the default; choose another one with --driver"),
        account=account.name,
        route=account.driver,
    )


def is_new(api: Api, account: AccountName) -> bool:
    try:
        api.options(account)  # its process need not be queried
    except UnknownAccount:
        return True
    except ControllerUnreachable:
        raise
    except WxError:  # the start's own message
        pass
    return False


def confirm(api: Api, accounts: list[AccountName], question: Text, otherwise: Text) -> None:
    """Ask for confirmation. ``otherwise`` is the result without it.

    Raises UnknownAccount, BadUsage without a terminal to ask on, and Declined.
    """
    for account in accounts:
        api.account(account)  # an unknown account is not worth a question
    if not sys.stdin.isatty():
        raise BadUsage(Text(N_("{state}: no terminal to ask on"), state=otherwise), N_("add --yes"))
    if not click.confirm(say(question), err=True):
        raise Declined(Text(N_("{state}: you answered no"), state=otherwise))


def start_options(pairs: tuple[str, ...], post_api: str | None, driver: str | None) -> dict[str, str]:
    options = option_pairs(pairs)
    if post_api is not None:
        options["post_api"] = post_api
    if driver is not None:
        options["driver"] = driver
    return options


def option_pairs(pairs: tuple[str, ...]) -> dict[str, str]:
    """Read KEY=VALUE, KEY=@FILE. Raises BadUsage."""
    options: dict[str, str] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise BadUsage(
                N_("option {pair} has no value"), N_("write it as KEY=VALUE; wxclient(8) lists them"), pair=pair
            )
        options[key] = _value(key, value)
    return options


def _value(key: str, value: str) -> str:
    """Read ``@FILE`` (``@-``: standard input): a program's arguments are visible to every user of the machine."""
    if not value.startswith("@"):
        return value
    source, unreadable = value.removeprefix("@"), N_("option {key}={value} cannot be read: {reason}")
    with file_problems(unreadable, N_("name a file of UTF-8 text"), key=key, value=value):
        content = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
        return content.removesuffix("\n")


def ignored(account: AccountView) -> Iterator[Text]:
    """Yield which of the options have no effect, if any."""
    names = [one_line(name) for name in items(field(account.raw, "ignored"))]
    if names:
        yield Text(N_("wxctl: {account}: without effect: {names}"), account=account.name, names=", ".join(names))


def notes(account: AccountView) -> Iterator[Text]:
    """Yield notes of the controller on a success: options without effect, or that apply later."""
    yield from ignored(account)
    if note := text_in(account.raw, "note"):
        yield Text(N_("wxctl: {account}: {note}"), account=account.name, note=note)


def start_outcome(
    followed: float, fresh: Container[str] = ()
) -> Callable[[AccountName, AccountView], tuple[JsonObject, Text]]:
    """Return a start's result as JSON and text; ``followed``: for this long, 0 for not at all.

    Of ``fresh`` accounts, the text has the first step after the login.
    """

    def finish(account: AccountName, view: AccountView) -> tuple[JsonObject, Text]:
        if not followed:
            see = command("status", account.name)
            return view.raw, Text(N_("{account}: its unit is up; see: {command}"), account=account.name, command=see)
        state = Text(N_("{account} is running"), account=account.name)
        if view.user:
            state = Text(N_("{account} is running as {user}"), account=account.name, user=view.user)
        route = BY_DRIVER.get(view.driver)
        if route is None or account.name not in fresh:
            return view.raw, state
        return view.raw, Text(N_("{state}. {then}"), state=state, then=Text(route.then))

    return finish
