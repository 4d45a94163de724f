"""wxcontroller-keeper, the program of wxcontroller-keeper.service."""

import sys

from wxcontroller.core.process import footprint


def main() -> int:
    """Keep the lease of this host; the exit code tells systemd whether to start it again."""
    footprint.prepare()
    from wxcontroller.fleet.keeper import run  # after prepare(): imports are expensive

    return run()


if __name__ == "__main__":
    sys.exit(main())
