"""The program of wxclient-prepare@.service: create the account's environment file if it is missing."""

import argparse
import logging
import sys

from wxcontroller.core.config.settings import load_settings
from wxcontroller.core.errors import WxError, file_failed
from wxcontroller.core.paths import Paths
from wxcontroller.core.process.journal import setup_logging
from wxcontroller.core.registry.materialise import Materialiser

log = logging.getLogger(__name__)


def main() -> int:
    """Materialise the account named by the first argument; the exit code reports the result to systemd."""
    parser = argparse.ArgumentParser(
        prog="wxclient-prepare", description="Write the environment file of an account when there is none."
    )
    parser.add_argument("instance", help="instance id, as in wxclient@INSTANCE.service")
    instance = parser.parse_args().instance
    setup_logging("wxclient-prepare", account=instance)
    paths = Paths()
    try:
        account = Materialiser(paths, load_settings(paths).settings).prepare(instance)
    except WxError as problem:
        log.error("account %s cannot be started: %s", instance, problem)
        return problem.exit_code
    except OSError as problem:
        log.error("account %s cannot be started: %s", instance, file_failed(problem))
        return 74
    log.info("account %s is registered with port %d", account.name, account.port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
