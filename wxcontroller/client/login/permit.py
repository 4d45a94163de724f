"""Checks of an account in a fleet with etcd (package wxcontroller-fleet): its owner, and the permit of its host.
Before it connects to WeChat, this host's controller must have claimed it under the keeper's present lease. It may use
WeChat until the permit expires, which the keeper extends with each renewal of the lease.

Imported only in such a fleet: the drop-in of wxclient@.service for it sets ``WXCLIENT_FLEET_SECONDS``.
"""

import asyncio
import logging
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from wxcontroller.client.config import ClientConfig
from wxcontroller.core.errors import BadSettings, WxError
from wxcontroller.core.jsontypes import JsonObject, integer, kept_json, one_line
from wxcontroller.core.paths import Paths
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import N_
from wxcontroller.drivers.connection.fence import Fence

log = logging.getLogger(__name__)
VARIABLE = "WXCLIENT_FLEET_SECONDS"
# The controller of this host claims an account that systemctl has started, which takes a second if etcd answers.
_OWNER_SECONDS, _LOOK_SECONDS = 10.0, 0.05


class NotOwned(WxError, exit_code=78):  # systemd must not try again
    """This host does not own the account."""


class HostPermit:
    """The permit of this host. ``epoch`` is that in which this host owns the account. ``adopter`` is the host that
    has adopted the account while this one was away, "" for none; then the remaining reports and sends may only be
    settled (settling.py).
    """

    def __init__(self, paths: Paths, epoch: int, seconds: float, adopter: str = "") -> None:
        self.epoch = epoch
        self.adopter = adopter
        self.fence = Fence(self.left, seconds)
        # Of the account's process: systemd tries again after a permit that has ended, unless it stops the account.
        self.exit_code = 0
        self._file = paths.fleet_runtime / "permit"

    def left(self) -> float:
        """Return for how many seconds the account may talk to WeChat."""
        return self._until() - uptime()

    async def watch(self, stopping: asyncio.Event) -> None:
        """Cut all connections when the permit ends, and have the account stopped."""
        while (until := self._until()) > uptime():
            await _sleep_until(until)
        self.exit_code = 75  # EX_TEMPFAIL
        self.fence.cut()
        log.error("the lease of this host was not renewed in time; the account stops")
        stopping.set()

    def _until(self) -> float:
        try:
            return float(self._file.read_text("ascii"))
        except (OSError, ValueError):
            return 0.0  # the keeper takes it away when it ends


def uptime() -> float:
    """Return the seconds since boot, those of a suspension included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def permit_of(config: ClientConfig, environ: Mapping[str, str], paths: Paths) -> HostPermit:
    """Wait until this host owns the account; return its permit. Raises NotOwned and BadSettings."""
    try:
        seconds = float(environ[VARIABLE])
    except ValueError:
        raise BadSettings(
            N_("account {account}: {name} is not a number of seconds"),
            N_("correct the drop-in of wxclient@.service that sets it"),
            account=config.name.name,
            name=VARIABLE,
        ) from None
    end = time.monotonic() + _OWNER_SECONDS
    while True:
        keeper = _read(paths.fleet_runtime / "lease")
        owner = _read(paths.owner_file(config.name.instance))
        lease, host = integer(owner.get("lease")), one_line(owner.get("host"))
        if lease and lease == integer(keeper.get("lease")):
            return HostPermit(paths, integer(owner.get("epoch"), config.epoch), seconds)
        if host and owner.get("settle") is True:
            return HostPermit(paths, config.epoch, seconds, host)
        if host and not lease:
            raise NotOwned(
                N_("account {account} is owned by {host}"),
                N_("start it there, or move it: {command}; if that host is off for good: {claim}"),
                account=config.name.name,
                host=host,
                claim=command("claim", config.name.name),
                command=command("move", config.name.name, one_line(keeper.get("host"))),
            )
        if time.monotonic() > end:
            raise NotOwned(
                N_("account {account} has no owner: the controller of this host has not claimed it"),
                N_("see: wxctl fleet; systemctl status wxcontroller"),
                account=config.name.name,
            )
        time.sleep(_LOOK_SECONDS)


def _read(path: Path) -> JsonObject:
    try:
        return kept_json(path.read_bytes())
    except OSError:
        return {}


async def _sleep_until(moment: float) -> None:
    """Wait for a moment of the boot-time clock, which also counts while the machine is suspended."""
    if sys.version_info >= (3, 13):
        timer = os.timerfd_create(time.CLOCK_BOOTTIME, flags=os.TFD_NONBLOCK | os.TFD_CLOEXEC)
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        try:
            os.timerfd_settime(timer, flags=os.TFD_TIMER_ABSTIME, initial=moment)
            loop.add_reader(timer, over.set)
            await over.wait()
        finally:
            loop.remove_reader(timer)
            os.close(timer)
    else:
        await asyncio.sleep(min(2.0, max(0.0, moment - uptime())))
