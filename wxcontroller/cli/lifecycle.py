"""The verbs that change an account: add, start, stop, restart, logout, allow-desktop."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from wxcontroller.cli.account import AccountView, Condition
from wxcontroller.cli.api import Api
from wxcontroller.cli.context import Session, complete_option, global_options, name_argument
from wxcontroller.cli.errors import BadUsage, Declined
from wxcontroller.cli.follow import ALLOW_DESKTOP
from wxcontroller.cli.hints import command
from wxcontroller.cli.language import say, tell
from wxcontroller.cli.systemd import disable, tell_new, without_controller
from wxcontroller.cli.verbs import Verb
from wxcontroller.core.errors import ControllerUnreachable, UnknownAccount, WxError, reason_of
from wxcontroller.core.jsontypes import field, items, one_line
from wxcontroller.core.messages import N_, Text, text_in
from wxcontroller.core.names import AccountName, parse_name

_TIMEOUT = click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=600,
    show_default=True,
    metavar="S",
    help="Stop waiting after S seconds; the account goes on.",
)
_NO_WAIT = click.option("--no-wait", is_flag=True, help="Return when the unit is up; don't follow the login.")


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
    "--post-api", metavar="URL", help="Where reports are posted; short for --option post_api=URL."
)
_DRIVER = click.option("--driver", metavar="WORD", help="Route to WeChat; short for --option driver=WORD.")


@click.command(
    cls=Verb,
    short_help="Register an account, without a start.",
    examples=(
        "wxctl add alice",
        "wxctl add alice --post-api http://127.0.0.1:8080/in",
    ),
)
@name_argument
@_OPTIONS
@_POST_API
@_DRIVER
@global_options
@click.pass_obj
def add(session: Session, name: str, pairs: tuple[str, ...], post_api: str | None, driver: str | None) -> None:
    """Register an account with its options, without starting it. Refused (8) when there is one of that name."""
    added = session.api().add(parse_name(name), _given(pairs, post_api, driver))
    tell_notes(added)
    if session.json:
        session.emit(added.raw)
    else:
        tell(
            "{account} is registered, with port {port}; start it: {command}",
            account=added.name,
            port=added.port,
            command=command("start", added.name),
        )


@click.command(
    cls=Verb,
    short_help="Start an account and follow it until it runs.",
    examples=(
        "wxctl start alice",
        "wxctl start alice --option send_interval=5 --no-wait",
    ),
)
@name_argument
@_OPTIONS
@_POST_API
@_DRIVER
@_NO_WAIT
@_TIMEOUT
@global_options
@click.pass_obj
def start(
    session: Session,
    name: str,
    pairs: tuple[str, ...],
    post_api: str | None,
    driver: str | None,
    no_wait: bool,
    timeout: float,
) -> None:
    """Start an account and follow it until it is running.

    The QR code to scan is shown here. Options given are kept with the account for the starts to come. Ctrl-C ends
    the following, not the account.
    """
    options = _given(pairs, post_api, driver)
    api = session.api()
    try:
        api.probe()
        account = api.resolve(name)
        with _left_alone(account):
            new = _is_new(api, account)
            started = api.start(account, options)
    except ControllerUnreachable as away:
        without_controller(session, api, name, "start", away, options)
        return
    with _left_alone(account):
        if new:
            tell_new(account.name)
        tell_notes(started)
        # Up, but it has given up: that is not what was asked for. One that waits for an answer would only ask again.
        if started.condition is Condition.PARKED and not started.asks:
            started = api.restart(account)
        _finish(session, api, started, account, 0 if no_wait else timeout)


@click.command(cls=Verb, examples=("wxctl stop alice",))
@name_argument
@global_options
@click.pass_obj
def stop(session: Session, name: str) -> None:
    """Stop an account. It stays stopped, also after a reboot, until it is started again; its login is kept.

    If its unit is enabled (systemctl enable), root on the controller's machine disables it; for others a note shows
    the command.
    """
    api = session.api()
    try:
        api.probe()
        account = api.resolve(name)
        disable(api, account)
        stopped = api.stop(account)
    except ControllerUnreachable as away:
        without_controller(session, api, name, "stop", away)
        return
    tell_notes(stopped)
    if session.json:
        session.emit(stopped.raw)
    else:
        tell("{account} is stopped", account=account.name)


@click.command(
    cls=Verb, short_help="Restart an account and follow it until it runs.", examples=("wxctl restart alice",)
)
@name_argument
@_NO_WAIT
@_TIMEOUT
@global_options
@click.pass_obj
def restart(session: Session, name: str, no_wait: bool, timeout: float) -> None:
    """Restart an account, for instance onto new code, and follow it until it is running."""
    api = session.api()
    try:
        api.probe()
        account = api.resolve(name)
        with _left_alone(account):
            restarted = api.restart(account)
    except ControllerUnreachable as away:
        without_controller(session, api, name, "restart", away)
        return
    with _left_alone(account):
        _finish(session, api, restarted, account, 0 if no_wait else timeout)


@click.command(
    cls=Verb,
    short_help="End an account's WeChat session for good, and stop it.",
    examples=("wxctl logout alice --yes",),
)
@name_argument
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@global_options
@click.pass_obj
def logout(session: Session, name: str, yes: bool) -> None:
    """Log an account out at WeChat and stop it. Its options and reports are kept; the next start needs a scan.

    A stop alone keeps the login. The account must run, since only its own program can reach its session.
    """
    api = session.api()
    account = api.resolve(name)
    if not yes:
        kept = Text(N_("{account} is not logged out"), account=account.name)
        confirm(api, account, Text("Log {account} out? It needs a scan then.", account=account.name), kept)
    ended = api.logout(account)
    if session.json:
        session.emit(ended.raw)
    else:
        tell("{account} is logged out and stopped; the next start needs a scan", account=account.name)


@click.command(
    "allow-desktop",
    cls=Verb,
    short_help="Allow an account that WeChat refused to log in as its desktop client.",
    examples=("wxctl allow-desktop alice",),
)
@name_argument
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@global_options
@click.pass_obj
def allow_desktop(session: Session, name: str, yes: bool) -> None:
    """Allow an account that WeChat refused in normal mode to log in as WeChat's desktop client.

    WeChat may warn about this account's safety and bar it from scanning any code for about two weeks. The account
    must run and wait for this decision, which is kept with it; it then shows a code to scan.
    """
    api = session.api()
    account = api.resolve(name)
    if not yes:
        confirm(
            api,
            account,
            Text(
                "Allow {account} to log in in desktop mode, although WeChat may warn about this "
                "account's safety and bar it from scanning any code for about two weeks?",
                account=account.name,
            ),
            Text(N_("{account} is not allowed to use desktop mode"), account=account.name),
        )
    answered = api.answer(account, ALLOW_DESKTOP, "yes")
    if session.json:
        session.emit(answered)
    else:
        tell(
            "{account} may log in in desktop mode; scan its code: {command}",
            account=account.name,
            command=command("qr", account.name),
        )


def _is_new(api: Api, account: AccountName) -> bool:
    try:
        api.options(account)  # its own program need not be asked
    except UnknownAccount:
        return True
    except ControllerUnreachable:
        raise
    except WxError:  # what the start has to say as well
        pass
    return False


def confirm(api: Api, account: AccountName, question: Text, otherwise: Text) -> None:
    """Ask for a yes. ``otherwise`` is how things stay without one.

    Raises UnknownAccount, BadUsage where there is no terminal to ask on, and Declined.
    """
    api.account(account)  # an unknown account is not worth a question
    if not sys.stdin.isatty():
        raise BadUsage(Text(N_("{state}: there is no terminal to ask on"), state=otherwise), N_("add --yes"))
    if not click.confirm(say(question), err=True):
        raise Declined(Text(N_("{state}: you answered no"), state=otherwise))


def _given(pairs: tuple[str, ...], post_api: str | None, driver: str | None) -> dict[str, str]:
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
    """Read ``@FILE`` (``@-``: standard input): what a program is called with is seen by every user of the machine."""
    if not value.startswith("@"):
        return value
    source = value.removeprefix("@")
    try:
        content = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise BadUsage(
            N_("option {key}={value} can't be read: {problem}"),
            N_("name a file of UTF-8 text"),
            key=key,
            value=value,
            problem=reason_of(problem),
        ) from None
    return content.removesuffix("\n")


def tell_ignored(account: AccountView) -> None:
    """Tell which of the options have no effect."""
    ignored = [one_line(name) for name in items(field(account.raw, "ignored"))]
    if ignored:
        tell(
            "wxctl: {account}: without effect: {ignored}", err=True, account=account.name, ignored=", ".join(ignored)
        )


def tell_notes(account: AccountView) -> None:
    """Tell what the controller adds to its success: options without effect, or that count later."""
    tell_ignored(account)
    if note := text_in(account.raw, "note"):
        tell("wxctl: {account}: {note}", err=True, account=account.name, note=note)


@contextmanager
def _left_alone(name: AccountName) -> Iterator[None]:
    """Turn Ctrl-C into the news that the account was not touched."""
    try:
        yield
    except KeyboardInterrupt:
        tell(
            "\n"
            "wxctl: no longer following {account}; the account is left as it is\n"
            "  see it: {command}   stop it: {command2}",
            err=True,
            account=name.name,
            command=command("status", name.name),
            command2=command("stop", name.name),
        )
        raise click.exceptions.Exit(130) from None


def _finish(session: Session, api: Api, account: AccountView, name: AccountName, timeout: float) -> None:
    """Follow the account for ``timeout`` seconds (0: not at all) and say how it ended."""
    if timeout:
        from wxcontroller.cli.follow import follow
        from wxcontroller.cli.progress import display_for
        from wxcontroller.cli.terminal import console

        with display_for(console(stderr=session.json)) as display:
            account = follow(api, name, display, timeout)
    if session.json:
        session.emit(account.raw)
    elif timeout:
        tell(
            Text("{account} is running as {user}", account=name.name, user=account.user)
            if account.user
            else Text("{account} is running", account=name.name)
        )
    else:
        tell("{account}: its unit is up; see: {command}", account=name.name, command=command("status", name.name))
