"""The program wxctl: its verbs, and one run of it.

A run imports the module of its verb alone: with all verbs, most commands would take longer to start than to run.
"""

import os
import sys
from importlib import import_module
from itertools import takewhile

import click
from click.utils import PacifyFlushWrapper

from wxcontroller import __version__
from wxcontroller.cli.context import WxctlRun, global_options
from wxcontroller.cli.exits import INTERRUPTED, short
from wxcontroller.cli.language import speak, tell
from wxcontroller.cli.verbhelp import VerbGroup
from wxcontroller.cli.verbtable import VerbTable
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
# The modules of the verbs, in the order of wxctl --help.
cli.commands = VerbTable(
    "wxcontroller.cli",
    {
        **dict.fromkeys(("add", "start", "stop", "restart"), "verbs.account.lifecycle"),
        **dict.fromkeys(("list", "status"), "verbs.account.show"),
        **{"qr": "verbs.account.qr", "login-link": "verbs.account.loginlink"},
        **dict.fromkeys(("show", "set"), "verbs.account.options"),
        "logs": "verbs.account.logs",
        **{name: f"verbs.traffic.{name}" for name in ("send", "sends", "messages", "remark", "events", "deliveries")},
        **{"alert": "verbs.host.alert", "ilink": "verbs.traffic.ilink", "answer": "verbs.account.answer"},
        **{"logout": "verbs.account.lifecycle", "remove": "verbs.account.remove"},
        **dict.fromkeys(("export", "import", "move", "claim"), "transfer"),
        **{
            "token": "verbs.host.tokens",
            "target": "verbs.traffic.target",
            "fleet": "verbs.host.fleet",
            "config": "verbs.host.configcheck",
            "doctor": "doctor",
        },
    },
)


def run() -> int:
    """Run one command and return its exit code; expected failures are reported on standard error."""
    code = _run()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has closed the pipe. Without this, the interpreter would report an error at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _run() -> int:
    session = WxctlRun(json="--json" in takewhile(lambda word: word != "--", sys.argv[1:]))
    if not session.json:  # JSON is for programs, and English
        speak(cli)
    if _COMPLETE in os.environ:
        import_module("wxcontroller.cli.verbs.host.completion")  # registers itself with click
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
