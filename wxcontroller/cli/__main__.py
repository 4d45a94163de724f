"""wxctl: accounts of wxcontroller from the command line."""

import sys

import click

from wxcontroller import __version__
from wxcontroller.cli import tokens
from wxcontroller.cli.context import DEFAULT_URL, Session
from wxcontroller.cli.deliveries import deliveries
from wxcontroller.cli.lifecycle import remove, restart, start, stop
from wxcontroller.cli.logs import logs
from wxcontroller.cli.qr import qr
from wxcontroller.cli.send import send
from wxcontroller.cli.show import list_, status
from wxcontroller.core.errors import WxError


class _InOrder(click.Group):
    """A group that lists its verbs as they were added: by use, not by alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


_EXAMPLES = """
\b
Examples:
  wxctl start alice                     start, show the QR code, wait until running
  wxctl start alice --option send_interval=5 --post-api http://127.0.0.1:8080/in
  wxctl list                            all accounts
  wxctl logs alice -f                   its journal, as it comes
  wxctl send alice filehelper hello     a message
  wxctl deliveries list alice           reports that its webhook did not take
  wxctl stop alice                      stop it; it stays stopped

\b
Exit codes: 0 done, 1 failed, 2 wrong arguments, 3 controller not reachable, 4 no such account,
  5 its unit failed, 6 it has given up and needs a human, 7 not allowed, 130 interrupted.
"""


@click.group(
    cls=_InOrder,
    epilog=_EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.option(
    "--url",
    envvar="WXCTL_URL",
    default=DEFAULT_URL,
    show_default=True,
    metavar="URL",
    help="The controller; also $WXCTL_URL.",
)
@click.option("--token", metavar="TOKEN", help="The API's token, or @FILE; also $WXCTL_TOKEN.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.version_option(__version__, prog_name="wxctl", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context, url: str, token: str | None, as_json: bool) -> None:
    """Run WeChat accounts on this machine: start, watch and stop them, and send messages."""
    context.obj = Session(url, as_json, token)


for _verb in (start, stop, restart, list_, status, qr, logs, send, deliveries, remove, tokens.token):
    cli.add_command(_verb)


def main() -> int:
    """Run one command and return its exit code; expected failures are told in words on standard error."""
    try:
        result = cli.main(prog_name="wxctl", standalone_mode=False)
    except WxError as problem:
        click.echo(f"wxctl: {problem.message}", err=True)
        if problem.remedy:
            click.echo(f"  {problem.remedy}", err=True)
        return problem.exit_code
    except click.ClickException as problem:
        problem.show()
        return problem.exit_code
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("\nwxctl: interrupted; nothing more was done", err=True)
        return 130
    except BrokenPipeError:
        # The reader has seen enough; the interpreter must not complain about it when it ends.
        sys.stdout = None
        return 0
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    sys.exit(main())
