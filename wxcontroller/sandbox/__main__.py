"""The command wxsandbox: runs the servers, and prepares a machine for clients with fixed host names."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from wxcontroller import __version__
from wxcontroller.core.errors import BadOption, WxError
from wxcontroller.core.usage import bad_usage
from wxcontroller.sandbox import authority
from wxcontroller.sandbox.hosts import HOSTS
from wxcontroller.sandbox.sandbox import Options, Sandbox
from wxcontroller.sandbox.serve import Tls, parse_address, serve_until_signal

_F = TypeVar("_F", bound=Callable[..., object])
_NOT_NEGATIVE, _ONE_OR_MORE = click.FloatRange(0), click.FloatRange(1)
# Name, type, metavar and meaning.
_BEHAVIOR: tuple[tuple[str, click.ParamType, str | None, str], ...] = (
    ("poll_hold", _NOT_NEGATIVE, "S", "Seconds a login poll waits."),
    ("sync_hold", _NOT_NEGATIVE, "S", "Seconds synccheck waits."),
    ("uuid_life", _ONE_OR_MORE, "S", "Seconds a code is valid."),
    ("code_life", _ONE_OR_MORE, "S", "Seconds an iLink code is valid."),
    ("updates_hold", _NOT_NEGATIVE, "S", "Seconds getupdates waits."),
    ("takeover", _NOT_NEGATIVE, "S", "Seconds until a bot learns that its user has confirmed another login."),
    ("contact_page", click.IntRange(1), None, "Contacts in one answer."),
    ("sync_page", click.IntRange(1), None, "Events in one webwxsync."),
    ("batch_rate", _NOT_NEGATIVE, None, "Sustained webwxbatchgetcontact requests per second; 0 = any."),
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="wxsandbox")
def cli() -> None:
    """Local WeChat servers for trying out and testing clients.

    The phone is a page at http://127.0.0.1:2100/; scripts use the API under /sandbox/.
    """


def behavior_options(command: _F) -> _F:
    """Add the options that are numbers of ``Options``, with its defaults."""
    for name, kind, metavar, meaning in reversed(_BEHAVIOR):
        flag, usual = f"--{name.replace('_', '-')}", getattr(Options(), name)
        option = click.option(flag, default=usual, show_default=True, type=kind, metavar=metavar, help=meaning)
        command = option(command)
    return command


@cli.command()
@click.option("--listen", default="127.0.0.1:2100", show_default=True, metavar="IP:PORT", help="Address for HTTP.")
@click.option("--tls-listen", metavar="IP:PORT", help="Address for TLS under the real host names.")
@click.option("--tls-dir", type=click.Path(path_type=Path), help="Certificates for --tls-listen; created if missing.")
@click.option("--accounts", default=3, show_default=True, type=click.IntRange(0, 10_000), help="Create this many.")
@behavior_options
@click.option("--strict", is_flag=True, help="Refuse every protocol violation, not only those that WeChat refuses.")
@click.option("--no-resend", is_flag=True, help="Never resend events that a client has acknowledged.")
@click.option("--i-know-this-is-public", is_flag=True, help="Allow addresses that others can reach.")
def serve(
    listen: str,
    tls_listen: str | None,
    tls_dir: Path | None,
    accounts: int,
    no_resend: bool,
    i_know_this_is_public: bool,
    **behavior: Any,
) -> None:
    """Run the servers, the phone page and the scripting API."""
    address = parse_address(listen)
    encrypted = parse_address(tls_listen) if tls_listen else None
    for asked in (address, encrypted):
        if asked is not None and not asked.is_loopback and not i_know_this_is_public:
            raise BadOption(
                f"{asked} can be reached by others, and the sandbox asks nobody who they are",
                "listen on 127.0.0.1 or [::1], or add --i-know-this-is-public",
            )
    secure = None
    if encrypted is not None:
        if tls_dir is None:
            raise BadOption("--tls-listen needs --tls-dir", "name a directory for the certificates")
        authority.make_ca(tls_dir)
        secure = Tls(encrypted, authority.server_context(tls_dir))
    # All other options have the names of Options.
    sandbox = Sandbox(Options(**behavior, resend=not no_resend))
    for _ in range(accounts):
        sandbox.add_account()
    try:
        asyncio.run(serve_until_signal(sandbox, address, secure))
    except BaseExceptionGroup as group:
        expected, rest = group.split(WxError)
        if rest is not None or expected is None:
            raise
        raise expected.exceptions[0] from None


@cli.command("make-ca")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
def make_ca(directory: Path) -> None:
    """Create a CA and a certificate in DIRECTORY.

    They cover all real host names. Valid ones are kept.
    """
    made = authority.make_ca(directory)
    click.echo(f"{'made' if made else 'kept'} {directory / 'ca.crt'} and {directory / 'server.crt'}")
    if made:
        click.echo(
            "To trust it on a test machine: copy ca.crt to /usr/local/share/ca-certificates/wxsandbox.crt, run"
            " update-ca-certificates, and append what wxsandbox names prints to /etc/hosts."
        )


@cli.command()
def names() -> None:
    """Print the line of /etc/hosts for the real host names."""
    click.echo("127.0.0.1 " + " ".join(sorted(HOSTS)))


def main() -> int:
    """Run the command; returns its exit code (wxsandbox(1))."""
    try:
        cli(prog_name="wxsandbox", standalone_mode=False)
    except click.ClickException as error:
        return report(bad_usage(error, "wxsandbox"))
    except click.Abort:
        return 130
    except WxError as error:
        return report(error)
    return 0


def report(problem: WxError) -> int:
    """Write an error and its remedy to standard error, as wxctl does; return the exit code."""
    click.echo(f"wxsandbox: {problem.message}" + (f"\n  {problem.remedy}" if problem.remedy else ""), err=True)
    return problem.exit_code


if __name__ == "__main__":
    sys.exit(main())
