"""A client's process: reads its configuration, runs the client and ends with its exit code."""

import asyncio
import faulthandler
import logging
import os
import signal
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from wxcontroller.client.config import ClientConfig, read_config
from wxcontroller.client.service import Client
from wxcontroller.core.errors import WxError
from wxcontroller.core.paths import Paths
from wxcontroller.core.process.dumps import forbid_dumps
from wxcontroller.core.process.journal import setup_logging
from wxcontroller.drivers import factory_of, without_effect

if TYPE_CHECKING:
    from wxcontroller.client.login.permit import HostPermit

log = logging.getLogger(__name__)


def run(instance: str) -> int:
    """Run an account; return the exit code, which decides whether systemd restarts it."""
    # A stalled loop is aborted by the watchdog; this puts the stalled line into the journal.
    faulthandler.enable()
    forbid_dumps()
    # Twice: errors in the configuration must reach the journal, and the configuration sets the level.
    setup_logging("wxclient", account=instance)
    try:
        config = read_config(instance, os.environ, Paths())
        setup_logging("wxclient", config.options["log_level"], config.name.name)
        permit = None
        if "WXCLIENT_FLEET_SECONDS" in os.environ:
            from wxcontroller.client.login.permit import (
                permit_of,  # few need it, and memory is multiplied by hundreds
            )

            permit = permit_of(config, os.environ, Paths())
            config = replace(config, epoch=permit.epoch)
        asyncio.run(serve(config, permit))
    except WxError as problem:
        log.error("%s", problem)
        return problem.exit_code
    except KeyboardInterrupt:
        return 130


async def serve(config: ClientConfig, permit: "HostPermit | None") -> NoReturn:
    """Run the client until it ends or a signal asks it to, then end the process with its exit code."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    # SIGHUP as well: it would end the process without a stop.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stopping.set)
    route = config.options["driver"]
    if unused := without_effect(route, config.options):
        log.info("options without effect on the %s route: %s", route, ", ".join(unused))
    code = await Client(config, factory_of(route), permit=permit).run(stopping)
    # Everything is closed and written. An unanswered name lookup would delay the interpreter's exit
    # until its thread times out.
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)
