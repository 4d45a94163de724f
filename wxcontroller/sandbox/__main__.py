"""The command wxsandbox."""

import asyncio
import sys

import click

from wxcontroller.core.errors import BadOption, WxError
from wxcontroller.sandbox.sandbox import Options, Sandbox
from wxcontroller.sandbox.serve import parse_address, serve_until_told


@click.group()
def cli() -> None:
    """WeChat servers of your own, for trying out and testing."""


@cli.command()
@click.option("--listen", default="127.0.0.1:2100", show_default=True, metavar="IP:PORT", help="Where to serve HTTP.")
@click.option(
    "--accounts", default=3, show_default=True, type=click.IntRange(0, 10_000), help="Accounts to begin with."
)
@click.option(
    "--poll-hold", default=25.0, show_default=True, type=click.FloatRange(0), help="Seconds a login poll waits."
)
@click.option(
    "--sync-hold", default=25.0, show_default=True, type=click.FloatRange(0), help="Seconds synccheck waits."
)
def serve(listen: str, accounts: int, poll_hold: float, sync_hold: float) -> None:
    """Run the servers, the phone page and the scripting API."""
    address = parse_address(listen)
    if not address.is_loopback:
        raise BadOption(f"{listen} can be reached from elsewhere", "listen on 127.0.0.1")
    sandbox = Sandbox(Options(poll_hold=poll_hold, sync_hold=sync_hold))
    for _ in range(accounts):
        sandbox.add_account()
    asyncio.run(serve_until_told(sandbox, address))


def main() -> int:
    """Run the command; returns its exit code."""
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return 130
    except WxError as error:
        click.echo(f"wxsandbox: {error}", err=True)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
