"""wxctl: accounts of wxcontroller from the command line."""

import os
import sys
from importlib import import_module
from itertools import takewhile

import click
from click.utils import PacifyFlushWrapper

from wxcontroller import __version__
from wxcontroller.cli import tokens
from wxcontroller.cli.alert import alert
from wxcontroller.cli.answer import answer
from wxcontroller.cli.configcheck import config
from wxcontroller.cli.context import WxctlRun, global_options
from wxcontroller.cli.deliveries import deliveries
from wxcontroller.cli.doctor import doctor
from wxcontroller.cli.events import events
from wxcontroller.cli.exits import INTERRUPTED, short
from wxcontroller.cli.fleet import fleet
from wxcontroller.cli.ilink import ilink
from wxcontroller.cli.language import speak, tell
from wxcontroller.cli.lifecycle import add, logout, restart, start, stop
from wxcontroller.cli.loginlink import login_link
from wxcontroller.cli.logs import logs
from wxcontroller.cli.messages import messages
from wxcontroller.cli.options import set_, show
from wxcontroller.cli.qr import qr
from wxcontroller.cli.remark import remark
from wxcontroller.cli.remove import remove
from wxcontroller.cli.send import send
from wxcontroller.cli.sends import sends
from wxcontroller.cli.show import list_, status
from wxcontroller.cli.target import target
from wxcontroller.cli.transfer import claim, export, import_, move
from wxcontroller.cli.verbs import VerbGroup
from wxcontroller.core.errors import WxError
from wxcontroller.core.usage import bad_usage

_COMPLETE = "_WXCTL_COMPLETE"  # how a shell asks for completions

_EXAMPLES = (
    "wxctl start alice",
    "wxctl start alice --option send_interval=5 --post-api http://127.0.0.1:8080/in",
    "wxctl list --trouble",
    "wxctl logs alice -f",
    "wxctl send alice filehelper hello",
    "wxctl events alice",
    "wxctl deliveries list alice",
    "wxctl restart 'shop-*'",
    "wxctl doctor",
)


@click.group(
    cls=VerbGroup,
    epilog=f"\b\nExit codes: {short()}",
    examples=_EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name="wxctl", message="%(prog)s %(version)s")
def cli() -> None:
    """Run WeChat accounts on this machine: start, watch and stop them, and send messages."""


cli.params[:0] = global_options()
for _verb in (
    *(
        add,
        start,
        stop,
        restart,
        list_,
        status,
        qr,
        login_link,
        show,
        set_,
        logs,
        send,
        sends,
        messages,
        remark,
        events,
    ),
    *(deliveries, alert, ilink),
    *(answer, logout, remove, export, import_, move, claim, tokens.token, target, fleet, config, doctor),
):
    cli.add_command(_verb)


def main() -> int:
    """Run one command and return its exit code; expected failures are reported on standard error."""
    code = run()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has closed the pipe. Without this, the interpreter would report an error at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def run() -> int:
    session = WxctlRun(json="--json" in takewhile(lambda word: word != "--", sys.argv[1:]))
    if not session.json:  # JSON is for programs, and English
        speak(cli)
    if _COMPLETE in os.environ:
        import_module("wxcontroller.cli.completion")  # registers itself with click
    colour = False if os.environ.get("NO_COLOR") else None  # None: on a terminal
    try:
        result = cli.main(prog_name="wxctl", complete_var=_COMPLETE, standalone_mode=False, obj=session, color=colour)
    except WxError as problem:
        session.report(problem)
        return problem.exit_code
    except click.ClickException as problem:
        session.report(bad_usage(problem, "wxctl"))
        return problem.exit_code
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except (click.Abort, KeyboardInterrupt):
        tell("\nwxctl: interrupted; nothing more was done", err=True)
        return INTERRUPTED
    except SystemExit:
        if isinstance(sys.stdout, PacifyFlushWrapper):  # how click reports a closed pipe
            return 0
        raise
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    sys.exit(main())
