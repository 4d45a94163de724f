"""``python3 -m tests.unit.cli.hurry`` is wxctl, which pauses for less: a test need not wait as a person may."""

import sys

from wxcontroller.cli import api, follow
from wxcontroller.cli.__main__ import main


def hurry() -> None:
    """Shorten the pauses between looks at an account, and the wait for an answer that does not come."""
    follow._PAUSE, follow._SETTLED, api._SOON = 0.05, 0.5, 5.0


if __name__ == "__main__":
    hurry()
    sys.argv[0] = "wxctl"
    sys.exit(main())
