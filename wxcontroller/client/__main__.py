"""wxclient INSTANCE: what wxclient@INSTANCE.service runs."""

import argparse
import sys

from wxcontroller import __version__
from wxcontroller.core import lean


def main() -> int:
    """Run one account; the exit code tells systemd whether to start it again."""
    parser = argparse.ArgumentParser(
        prog="wxclient",
        description="Run one WeChat account. Started by systemd as wxclient@INSTANCE.service; see wxclient(8).",
    )
    parser.add_argument("--version", action="version", version=f"wxclient {__version__}")
    parser.add_argument("instance", help="instance id of the account, as in wxclient@INSTANCE.service")
    instance = parser.parse_args().instance
    lean.prepare()
    from wxcontroller.client.process import run  # as little as can be, now

    return run(instance)


if __name__ == "__main__":
    sys.exit(main())
