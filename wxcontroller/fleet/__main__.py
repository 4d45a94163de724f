"""wxcontroller-keeper: what wxcontroller-keeper.service runs."""

import sys

from wxcontroller.core import lean


def main() -> int:
    """Keep the lease of this host; the exit code tells systemd whether to start it again."""
    lean.prepare()
    from wxcontroller.fleet.keeper import run  # as little as can be, now

    return run()


if __name__ == "__main__":
    sys.exit(main())
