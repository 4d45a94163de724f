"""The program of wxcontroller-keeper.service: it keeps this host's lease in etcd, on which ownership of accounts
depends.

Accounts are bound to the unit (BindsTo=): systemd stops them when it ends, for whatever reason. The watchdog is fed
only after a renewal, and each renewal moves the permit: a moment on the boot-time clock after which accounts send
nothing to WeChat. All times are parts of the unit's ``WatchdogSec=``; with the 15 s of the package:

- Each 5 s the lease is renewed. Other hosts may claim the accounts 30 s after the last renewal was sent.
- 20 s after that the permit ends. What the kernel has not sent by 28 s is dropped (TCP_USER_TIMEOUT of the accounts).
- 15 s after the last renewal succeeded, at most 20 s after it was sent, systemd kills the keeper and stops the
  accounts, which have 5 s: until 25 s.

The key ``hosts/NAME`` exists as long as the lease, so that two hosts cannot have the same name. After a crash within
one boot the new process ends the old lease, as no account runs then; a host that has rebooted waits for its end.

Nothing stands in for etcd: a host that does not reach it cannot tell whether others do, and take its accounts. So a
lost quorum stops all accounts within the lease.

An etcd that was restored from a snapshot may know the lease, and give accounts of this host to others. It is noticed
because its present cannot follow its past (``EtcdMoment``): then the keeper ends, and the next one takes no lease
until all earlier leases have ended.
"""

import asyncio
import contextlib
import errno
import json
import logging
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from wxcontroller import __version__
from wxcontroller.core.config.fleetsettings import FleetSettings
from wxcontroller.core.config.settings import Settings, load_settings
from wxcontroller.core.errors import BadSettings, WxError, file_failed
from wxcontroller.core.files.atomic import replace_file
from wxcontroller.core.jsontypes import JsonObject, kept_json
from wxcontroller.core.paths import Paths
from wxcontroller.core.process.dumps import forbid_dumps
from wxcontroller.core.process.journal import setup_logging
from wxcontroller.core.process.notify import Notifier
from wxcontroller.core.text.templates import N_
from wxcontroller.fleet.credentials import connection_reason, credentials_of
from wxcontroller.fleet.etcd import Compacted, Etcd, EtcdEntry, EtcdFailure, EtcdGuard, EtcdMoment, Put

log = logging.getLogger(__name__)
# Without systemd's; in seconds.
_WATCHDOG_SECONDS = 15.0
_LOOK_SECONDS = 0.1
# Readable for the accounts, which check them.
_MODE = 0o644
# File with the last known revision of etcd.
MOMENT = "etcd"


class HostNameTaken(WxError):
    """Another living host has this host's name."""

    exit_code = 78  # trying again does not help


class LeaseLost(WxError):
    """etcd has ended the lease."""


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds: between renewals and after a failed one, for a request, and the validity of lease and permit."""

    watchdog: float

    @property
    def renewal(self) -> float:
        return self.watchdog / 3

    @property
    def pause(self) -> float:
        return self.watchdog / 15

    @property
    def request(self) -> float:
        return self.watchdog * 2 / 15

    @property
    def lease(self) -> int:
        return round(self.watchdog * 2)

    @property
    def permit(self) -> float:
        return self.watchdog * 4 / 3


class Keeper:
    """Keeps the lease of one host. ``boot`` identifies this boot of the machine."""

    def __init__(
        self, settings: Settings, fleet: FleetSettings, etcd: Etcd, times: Times, boot: str, paths: Paths
    ) -> None:
        self._host = fleet.name
        self._etcd = etcd
        self._times = times
        self._files = paths.fleet_runtime
        self._boot = boot
        content: JsonObject = {
            **{"boot": boot, "version": __version__, "labels": list(fleet.labels)},
            **{"capacity": settings.max_clients, "egress": fleet.egress},
        }
        self._value = json.dumps(content).encode()
        prefix = fleet.etcd.prefix if fleet.etcd else ""
        self._key = f"{prefix}hosts/{fleet.name}"
        self._notifier = Notifier()
        self._is_ready = False

    async def run(self) -> None:
        """Keep a lease until cancelled. Raises HostNameTaken, LeaseLost and OSError."""
        self._withdraw()  # remains of a killed process
        # Then no account of this host is connected to WeChat, whatever happened to the former lease.
        await until_no_account_runs()
        lease = await self._join()
        try:
            await self._maintain(lease)
        except asyncio.CancelledError:  # systemd has stopped the accounts before
            self._notifier.stopping()
            self._withdraw()
            await until_no_account_runs()
            with contextlib.suppress(EtcdFailure):  # then it ends without renewals
                await self._etcd.revoke(lease)
            return
        finally:
            # In every case: without the files, no process of an account connects to WeChat.
            self._withdraw()
        raise LeaseLost(
            N_("the lease of host {host} has ended, and its accounts are stopped"),
            N_("check the members: etcdctl endpoint status --cluster; journalctl -u etcd"),
            host=self._host,
        )

    async def _join(self) -> int:
        """Take the name of the host; return its lease. Raises HostNameTaken and OSError."""
        since: dict[int, float] = {}
        words = ""
        while True:
            try:
                if await self._read() is None:
                    self._notifier.status("etcd was restored: waiting for the end of all leases of before")
                    await self._rest(self._times.lease)
                    (self._files / MOMENT).unlink()
                # Taken before the request: etcd may count from any moment after this.
                sent = uptime()
                lease = await self._etcd.grant(self._times.lease)
                if await self._enter(lease):
                    # The permit before the lease: accounts look for the lease first, and must then find a permit.
                    self._allow(sent)
                    content: JsonObject = {"host": self._host, "lease": lease}
                    replace_file(self._files / "lease", json.dumps(content).encode(), _MODE)
                    (self._files / "trouble").unlink(missing_ok=True)
                    return lease
                await self._etcd.revoke(lease)
                await self._check_holder(since)
            except EtcdFailure as problem:
                if str(problem) != words:
                    words = str(problem)
                    log.warning("%s", words)
                    self._notifier.status(words)
                    replace_file(self._files / "trouble", f"{words}\n".encode(), _MODE)
                    # Accounts that are being started no longer wait for this unit, and fail with this message.
                    self._be_ready()
            await self._rest(self._times.pause)

    async def _enter(self, lease: int) -> bool:
        """Write this host's key; return whether it is there. Raises EtcdFailure."""
        # Only if there is no such key: a living host of this name keeps it.
        guard = EtcdGuard(self._key, 0)
        return await self._etcd.commit((guard,), (Put(self._key, self._value, lease),)) is not None

    async def _rest(self, seconds: float) -> None:
        """Wait without a lease, which is no reason for the watchdog to end this process."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._is_ready:
                self._notifier.watchdog()
            await asyncio.sleep(min(left, self._times.pause))

    def _be_ready(self) -> None:
        if not self._is_ready:
            self._notifier.ready()
            self._is_ready = True

    async def _check_holder(self, since: dict[int, float]) -> None:
        """End the lease that has the name if it is ours. Raises HostNameTaken if it is renewed; EtcdFailure.

        ``since`` is when each lease was first seen.
        """
        for entry in (await self._etcd.read(self._key)).entries:
            if entry.key != self._key:
                continue
            if self._boot and kept_json(entry.value).get("boot") == self._boot:
                await self._etcd.revoke(entry.lease)
            # An unrenewed lease would have ended, so its holder is alive.
            elif time.monotonic() - since.setdefault(entry.lease, time.monotonic()) > self._times.lease + 1:
                raise HostNameTaken(
                    N_("another running host of the fleet is named {host}"),
                    N_("give one of them another name in [fleet]; see wxcontroller.toml(5)"),
                    host=self._host,
                )
            else:
                self._notifier.status(f"waiting for the end of the lease that host {self._host} had before")

    async def _maintain(self, lease: int) -> None:
        """Renew the lease until it or the key of the host no longer exists. Raises OSError."""
        log.info("host %s has lease %x", self._host, lease)
        self._be_ready()
        changed = asyncio.Event()
        watching = asyncio.ensure_future(self._watch(changed))
        try:
            await self._renew(lease, changed)
        finally:
            watching.cancel()

    async def _renew(self, lease: int, changed: asyncio.Event) -> None:
        failed = False
        while True:
            begun = time.monotonic()
            changed.clear()
            try:
                # The watchdog counts from the answer, the lease from the request, so hanging members must not delay
                # it one after the other. The next attempt begins with the first member that was not tried.
                async with asyncio.timeout(self._times.renewal):
                    found, sent = await self._read(), uptime()
                    is_held = found is not None and (self._key, lease) in {(e.key, e.lease) for e in found}
                    left = await self._etcd.renew(lease) if is_held else 0
            except (EtcdFailure, TimeoutError) as problem:
                words = problem if isinstance(problem, EtcdFailure) else connection_reason(problem)
                if not failed:
                    log.warning("the lease of host %s cannot be renewed: %s", self._host, words)
                failed = True
                self._notifier.status(f"the lease cannot be renewed: {words}")
                await asyncio.sleep(self._times.pause)
                continue
            if not left:
                return
            # The permit before the watchdog: both are counted from this renewal.
            self._allow(sent)
            # Only now: the watchdog must stop a host that cannot renew its lease, even if this loop still runs.
            self._notifier.watchdog()
            if failed:
                log.info("the lease of host %s is renewed again", self._host)
            failed = False
            self._notifier.status(f"host {self._host} has lease {lease:x}")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(begun + self._times.renewal - time.monotonic()):
                    await changed.wait()

    async def _watch(self, changed: asyncio.Event) -> None:
        """Report changes of the host's key until cancelled. A lease that is revoked, or ended while this machine was
        paused, must be noticed before the next renewal.
        """
        while True:
            with contextlib.suppress(EtcdFailure, Compacted):
                revision = (await self._etcd.read(self._key)).revision
                changed.set()
                async for _ in self._etcd.watch(self._key, revision):
                    changed.set()
            await asyncio.sleep(self._times.renewal)

    async def _read(self) -> tuple[EtcdEntry, ...] | None:
        """Return the host's key, None if etcd was restored since it was last read. Raises EtcdFailure and OSError.

        Only reads show this: a member answers a renewal with its own revision, which may lag behind that of another.
        """
        file = self._files / MOMENT
        earlier, found = EtcdMoment.read(file), await self._etcd.read(self._key)
        if not found.moment.follows(earlier):
            log.error("etcd was restored or rebuilt: it was at %s, and is at %s", earlier, found.moment)
            return None
        if found.moment != earlier:
            replace_file(file, json.dumps(found.moment.as_json()).encode(), _MODE)
        return found.entries

    def _allow(self, sent: float) -> None:
        """Extend the permit after a renewal that was sent at this time. Raises OSError."""
        replace_file(self._files / "permit", b"%.3f\n" % (sent + self._times.permit), _MODE)

    def _withdraw(self) -> None:
        for name in ("permit", "lease"):
            (self._files / name).unlink(missing_ok=True)


def uptime() -> float:
    """Return the seconds since boot, those of a suspension included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


async def until_no_account_runs() -> None:
    """Wait until no account runs, which systemd has ensured before. Raises OSError if that cannot be determined."""
    while accounts_run():  # noqa: ASYNC110 - the kernel tells
        await asyncio.sleep(_LOOK_SECONDS)


def accounts_run(root: Path = Path("/")) -> bool:
    """Return whether the slice of the accounts has a process. Raises OSError if that cannot be determined."""
    own = (root / "proc/self/cgroup").read_text("ascii").rpartition("::")[2].strip("/\n")
    if "/" not in own:
        return False  # not in a slice: this process is no unit, and no account is bound to it
    events = (root / "sys/fs/cgroup" / own).parents[1] / "wxclient.slice/cgroup.events"
    try:
        return "populated 1" in events.read_text("ascii")
    except OSError as problem:
        # The slice is made for the first account, and may go away while it is read.
        if problem.errno not in (errno.ENOENT, errno.ENODEV):
            raise
        return False


async def serve(paths: Paths) -> None:
    """Keep this host's lease until SIGTERM. Raises WxError and OSError."""
    settings = load_settings(paths).settings
    fleet = settings.fleet
    if fleet is None or fleet.etcd is None:
        raise BadSettings(
            N_("the settings have no table [fleet.etcd]"),
            N_(
                "add it, or disable the keeper: systemctl disable --now wxcontroller-keeper; see wxcontroller.toml(5)"
            ),
        )
    times = Times(Notifier().watchdog_seconds or _WATCHDOG_SECONDS)
    async with contextlib.AsyncExitStack() as stack:
        etcd = await stack.enter_async_context(Etcd(fleet.etcd, credentials_of(fleet.etcd), times.request))
        boot = os.environ.get("WXCONTROLLER_BOOT", "")
        keeping = asyncio.ensure_future(Keeper(settings, fleet, etcd, times, boot, paths).run())
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, keeping.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await keeping


def run() -> int:
    """Keep this host's lease; return the exit code."""
    forbid_dumps()
    setup_logging("wxcontroller-keeper")
    try:
        asyncio.run(serve(Paths()))
    except WxError as problem:
        log.error("%s", problem)
        return problem.exit_code
    except OSError as problem:
        log.error("%s", file_failed(problem))
        return 1
    return 0
