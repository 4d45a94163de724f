"""wxctl: accounts of wxcontroller from the command line."""

import sys

from wxcontroller.core.process import leanclasses


def main() -> int:
    """Run one command and return its exit code; expected failures are reported on standard error."""
    leanclasses.install()
    from wxcontroller.cli.program import run  # after install(): a command would take a tenth to a fifth more CPU

    return run()


if __name__ == "__main__":
    sys.exit(main())
