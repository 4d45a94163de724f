"""The controller's process: serves until stopped, or checks the settings."""

import argparse
import asyncio
import faulthandler
import logging
import sys
from pathlib import Path

from wxcontroller import __version__
from wxcontroller.controller.accounts.units import Systemd
from wxcontroller.controller.edge.certificates import tls_context
from wxcontroller.controller.event_loop import EventLoop
from wxcontroller.controller.service import Service, inherited_sockets, own_sockets
from wxcontroller.core.access.tokenfile import token_book
from wxcontroller.core.config.settings import Loaded, load_settings
from wxcontroller.core.errors import BadSettings, WxError
from wxcontroller.core.names import parse_name
from wxcontroller.core.net.addresses import is_loopback
from wxcontroller.core.paths import Paths
from wxcontroller.core.process.dumps import forbid_dumps
from wxcontroller.core.process.journal import setup_logging
from wxcontroller.core.registry.account import Account
from wxcontroller.core.registry.rendering import render_account

log = logging.getLogger(__name__)


def run() -> int:
    """Serve until stopped, or check the settings. Return the exit code: 78 for invalid settings."""
    arguments = _parser().parse_args()
    paths = Paths(arguments.root)
    if arguments.check_config:
        return check(paths)
    # Writes the Python stack to the journal when the watchdog kills a process whose event loop is stuck.
    faulthandler.enable()
    forbid_dumps()
    setup_logging("wxcontroller")
    try:
        loaded = load_settings(paths)
        setup_logging("wxcontroller", loaded.settings.log_level)
        for notice in loaded.notices:
            log.warning("%s", notice)
        # A proxied request costs a third less CPU than on asyncio's own loop (bench/proxy.py).
        with asyncio.Runner(loop_factory=EventLoop) as runner:
            runner.run(serve(paths, loaded))
    except WxError as problem:
        log.error("%s", problem)
        return problem.exit_code
    return 0


async def serve(paths: Paths, loaded: Loaded) -> None:
    sockets = inherited_sockets() or own_sockets(loaded.settings)
    async with Systemd() as units:
        await Service(paths, loaded, sockets, units).run()


# Ports on which wxclient.slice allows accounts to listen.
SLICE_PORTS = (3000, 4999)


def check(paths: Paths) -> int:
    out, err = sys.stdout, sys.stderr
    try:
        loaded = load_settings(paths)
    except WxError as problem:
        err.write(f"{problem.message}\n{problem.remedy}\n")
        return problem.exit_code
    for file in loaded.files:
        out.write(f"read {file}\n")
    if not loaded.files:
        out.write(f"no settings file at {paths.settings_file}, using the defaults\n")
    for notice in loaded.notices:
        out.write(f"note: {notice}\n")
    first, last = loaded.settings.backend_start_port, loaded.settings.backend_end_port
    if first < SLICE_PORTS[0] or last > SLICE_PORTS[1]:
        out.write(f"note: wxclient.slice as shipped allows the ports {SLICE_PORTS[0]} to {SLICE_PORTS[1]}; ")
        out.write("allow yours there too: systemctl edit wxclient.slice, SocketBindAllow=\n")
    try:
        tls_context(loaded.settings)
        if loaded.settings.fleet is not None:
            from wxcontroller.fleet.credentials import credentials_of  # not loaded on machines without a fleet

            for host in loaded.settings.fleet.hosts:
                credentials_of(host)
            if (etcd := loaded.settings.fleet.etcd) is not None:
                credentials_of(etcd)
        example = Account(parse_name("example"), first, options=loaded.settings.client)
        render_account(example, paths, loaded.settings.template_path)
    except WxError as problem:
        err.write(f"{problem.message}\n{problem.remedy}\n")
        return problem.exit_code
    tokens = token_book(paths.tokens_file).current()
    if tokens.broken:
        err.write(f"the tokens file cannot be used, all requests except root's would be refused: {tokens.broken}\n")
        return BadSettings.exit_code
    if not tokens.required and any(not is_loopback((each.host, each.port)) for each in loaded.settings.listen):
        out.write("note: listen contains addresses that other machines can reach; to start on them, create a token: ")
        out.write("wxctl token create NAME --scope admin\n")
    out.write("the settings are valid\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wxcontroller",
        description="Serve the HTTP API and dashboard for all accounts. Started by systemd: wxcontroller.socket.",
        epilog="See wxcontroller(8) and wxcontroller.toml(5).",
    )
    parser.add_argument("--check-config", action="store_true", help="check the settings and exit")
    parser.add_argument("--version", action="version", version=f"wxcontroller {__version__}")
    # For tests, and to check a copy of a system.
    parser.add_argument("--root", type=Path, default=Path("/"), help=argparse.SUPPRESS)
    return parser
