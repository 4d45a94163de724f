"""wxcontroller-keeper: what wxcontroller-keeper.service runs."""

import sys

from wxcontroller.core import footprint


def main() -> int:
    """Keep the lease of this host; the exit code tells systemd whether to start it again."""
    footprint.prepare()
    from wxcontroller.fleet.keeper import run  # as little as can be, now

    return run()


if __name__ == "__main__":
    sys.exit(main())
