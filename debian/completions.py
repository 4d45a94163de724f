"""Print the file that lets a shell complete wxctl's arguments: debian/completions.py bash|zsh|fish."""

import sys

from click import Command
from click.shell_completion import BashComplete, get_completion_class


class _Bash(BashComplete):
    # It would look at the version of the shell here, which is not the one that reads the file.
    @staticmethod
    def _check_version() -> None:
        return


kind = _Bash if sys.argv[1] == "bash" else get_completion_class(sys.argv[1])
if kind is None:
    sys.exit(f"no shell that click knows: {sys.argv[1]}")
sys.stdout.write(kind(Command("wxctl"), {}, "wxctl", "_WXCTL_COMPLETE").source())
