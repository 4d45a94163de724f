"""``python3 -m tests.unit.cli.hurry`` is wxctl with shorter pauses."""

import sys

from wxcontroller.cli import api, follow, send
from wxcontroller.cli.__main__ import main


def hurry() -> None:
    """Shorten the pauses between looks at an account and tries of a send, and the wait for an absent answer."""
    follow._PAUSE, follow._SETTLED, api._SOON, send._FIRST_PAUSE = 0.05, 0.5, 5.0, 0.05


if __name__ == "__main__":
    hurry()
    sys.argv[0] = "wxctl"
    sys.exit(main())
