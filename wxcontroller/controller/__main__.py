"""wxcontroller, the program of wxcontroller.service."""

import sys

from wxcontroller.core.process import footprint


def main() -> int:
    """Serve until stopped, or check the settings. Return the exit code: 78 for invalid settings."""
    footprint.prepare()
    from wxcontroller.controller.process import run  # after prepare(): imports are expensive

    return run()


if __name__ == "__main__":
    sys.exit(main())
