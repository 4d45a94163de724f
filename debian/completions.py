"""Print the file that lets a shell complete wxctl's arguments: debian/completions.py bash|zsh|fish."""

import sys

from click import Command
from click.shell_completion import get_completion_class

import wxcontroller.cli.verbs.host.completion  # noqa: F401 - makes them known

kind = get_completion_class(sys.argv[1])
if kind is None:
    sys.exit(f"no shell that is known: {sys.argv[1]}")
sys.stdout.write(kind(Command("wxctl"), {}, "wxctl", "_WXCTL_COMPLETE").source())
