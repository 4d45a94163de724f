"""wxclient INSTANCE, the program of wxclient@INSTANCE.service."""

import sys

from wxcontroller import __version__
from wxcontroller.core.process import footprint


def main() -> int:
    """Run one account; the exit code decides whether systemd restarts it."""
    arguments = sys.argv[1:]
    instance = arguments[0] if len(arguments) == 1 and not arguments[0].startswith("-") else parsed()
    footprint.prepare()
    from wxcontroller.client.process import run  # after prepare(): imports are expensive

    return run(instance)


def parsed() -> str:
    """Return the instance, or exit: for --help, --version and mistakes. systemd's call needs none of this."""
    import argparse

    parser = argparse.ArgumentParser(
        prog="wxclient",
        description="Run one WeChat account. Started by systemd as wxclient@INSTANCE.service; see wxclient(8).",
    )
    parser.add_argument("--version", action="version", version=f"wxclient {__version__}")
    parser.add_argument("instance", help="instance id of the account, as in wxclient@INSTANCE.service")
    instance: str = parser.parse_args().instance
    return instance


if __name__ == "__main__":
    sys.exit(main())
