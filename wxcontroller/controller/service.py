"""The controller's lifecycle: sockets, readiness, watchdog, reload, and a shutdown that loses no request."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from wxcontroller.controller.account_port.ports import AccountPorts
from wxcontroller.controller.accounts.actions import Accounts
from wxcontroller.controller.accounts.units import Units
from wxcontroller.controller.accounts.view import logins_of
from wxcontroller.controller.alerts.alertwatch import AlertWatch
from wxcontroller.controller.app import application
from wxcontroller.controller.callers.authentication import Gate, local_token
from wxcontroller.controller.context import Context
from wxcontroller.controller.edge.certificates import tls_context
from wxcontroller.controller.edge.watchtokens import warnings_of, watch_tokens
from wxcontroller.controller.heartbeat import heartbeat
from wxcontroller.controller.reconcile import BootMark, RestartDelays, Watch, after_boot, summary
from wxcontroller.controller.server import Server
from wxcontroller.core.backoff import Backoff
from wxcontroller.core.config.settings import Loaded, Settings, load_settings
from wxcontroller.core.errors import BadSettings, UnitFailed, WxError, reason_of
from wxcontroller.core.net.addresses import is_local, shown
from wxcontroller.core.paths import Paths
from wxcontroller.core.process.journal import LEVELS, Event, fields
from wxcontroller.core.process.notify import Notifier
from wxcontroller.core.process.watchdog import Deadlines, Watchdog
from wxcontroller.core.text.templates import N_, NOTHING

if TYPE_CHECKING:
    from wxcontroller.controller.hosts.otherhosts import OtherHosts

log = logging.getLogger(__name__)
_BACKLOG = 1024
# Pause between attempts to start accounts that failed after the boot.
_FIRST_PAUSE = 5.0
_LONGEST_PAUSE = 300.0
# systemctl is called a few times, and each call has its own time limit.
_LOOK_STUCK = 120.0


def inherited_sockets() -> list[socket.socket]:
    """Return the listening sockets that systemd passed to this process; none without socket activation."""
    if "LISTEN_FDS" not in os.environ:
        return []
    from systemd.daemon import listen_fds

    # The environment is cleared: child processes must not use the sockets.
    return [socket.socket(fileno=descriptor) for descriptor in listen_fds(True)]


def root_sockets(paths: Paths) -> list[socket.socket]:
    """Listen for root on this machine, who is served while all places at the other addresses are taken.

    Returns no socket if that fails; wxctl then uses the others.
    """
    path, made = paths.root_socket, paths.root_socket.with_suffix(".new")
    listening = socket.socket(socket.AF_UNIX)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        made.unlink(missing_ok=True)
        # By a descriptor: a path in a socket's address has 107 bytes at most.
        directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            listening.bind(f"/proc/self/fd/{directory}/{made.name}")
        finally:
            os.close(directory)
        made.chmod(0o600)  # before it listens
        listening.listen(_BACKLOG)
        made.rename(path)
    except OSError as problem:
        listening.close()
        log.error("cannot listen for root at %s: %s", path, reason_of(problem))
        return []
    return [listening]


def own_sockets(settings: Settings) -> list[socket.socket]:
    """Bind the addresses of the settings. Raises WxError naming the address."""
    bound: list[socket.socket] = []
    for listen in settings.listen:
        family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
        try:
            bound.append(socket.create_server((listen.host, listen.port), family=family, backlog=_BACKLOG))
        except OSError as problem:
            for each in bound:
                each.close()
            raise WxError(
                N_("cannot listen on {host} port {port}: {reason}"),
                N_("another program may have it (ss -ltnp); or change `listen` in the settings"),
                host=listen.host,
                port=listen.port,
                reason=reason_of(problem),
            ) from None
    return bound


class Service:
    """Everything that runs in the process, wired together."""

    def __init__(self, paths: Paths, loaded: Loaded, sockets: Sequence[socket.socket], units: Units) -> None:
        self._paths = paths
        self._loaded = loaded
        self._sockets = sockets
        self._units = units
        self._notifier = Notifier()
        self._deadlines = Deadlines()
        self._complaint = ""
        self._fleet_task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then drain.

        Raises BadSettings when the certificate cannot be used, or when other machines reach a socket without a token.
        """
        tls = tls_context(self._loaded.settings)
        gate = self._gate()
        async with contextlib.AsyncExitStack() as stack:
            accounts = await stack.enter_async_context(Accounts(self._paths, self._loaded.settings, self._units))
            ports = await stack.enter_async_context(AccountPorts(accounts.registry, lambda: accounts.settings))
            mark = BootMark(self._paths)
            alerts = AlertWatch(accounts, ports, mark, self._deadlines)
            shared = Context(accounts, ports, gate, tls, notices=self._loaded.notices, alerts=alerts)
            self._warn(shared)
            fleet = fleet_of(shared, self._paths, self._loaded.settings)
            accounts.ownership = None if fleet is None else fleet.ownership  # from the first request on
            server = Server(application(shared), [*self._sockets, *root_sockets(self._paths)])
            ending, asked = asyncio.Event(), asyncio.Event()
            with signals(ending.set, asked.set):
                # Before READY, after which systemd starts units that are ordered after this one.
                await server.start()
                await accounts.apply_settings()
                self._notifier.ready()
                log.info("serving on %s", ", ".join(shown(socket) for socket in self._sockets))
                async with asyncio.TaskGroup() as group:
                    self._set_fleet(shared, fleet, group)
                    tasks = [
                        group.create_task(self._watchdog(), name="watchdog"),
                        group.create_task(self._supervise(shared, mark, alerts), name="looks"),
                        group.create_task(alerts.look_seldom(), name="seldom looks"),
                        group.create_task(self._reloads(asked, shared, group), name="reloads"),
                        group.create_task(heartbeat(lambda: shared.settings), name="heartbeat"),
                        group.create_task(watch_tokens(self._paths, gate, accounts), name="tokens"),
                    ]
                    await ending.wait()
                    self._notifier.stopping()
                    self._notifier.status(f"ending, {server.connections} connections to serve first")
                    # While the tasks still run: it may take drain_timeout, and the watchdog has to be fed meanwhile.
                    await server.drain()
                    self._set_fleet(shared, None, group)
                    for task in tasks:
                        task.cancel()
        log.info("ended")

    def _gate(self) -> Gate:
        """Return the authentication of callers. Raises BadSettings."""
        others = [socket for socket in self._sockets if not is_local(socket)]
        addresses: list[object] = [socket.getsockname() for socket in self._sockets]
        try:
            local = local_token(self._paths, addresses)
        except OSError as problem:
            log.error("cannot write root's token, so wxctl needs another token for root: %s", problem)
            local = ""
        gate = Gate(self._paths, bool(others), local, self._loaded.settings.limits.token_failures)
        if others and not gate.tokens.required:
            raise BadSettings(
                N_("{others}: other machines reach this address, and no token exists"),
                N_(
                    "create one: wxctl token create NAME --scope admin; or listen on 127.0.0.1 and ::1 "
                    "only: see the head of wxcontroller.socket"
                ),
                others=", ".join(map(shown, others)),
            )
        return gate

    def _warn(self, shared: Context) -> None:
        shared.warnings = warnings_of(shared.gate, shared.settings, shared.tls)
        for warning in shared.warnings:
            log.warning("%s", warning)

    async def _supervise(self, shared: Context, mark: BootMark, alerts: AlertWatch) -> None:
        """Start the desired accounts once per boot; then poll all units and keep the status line up to date."""
        accounts = shared.accounts
        async with asyncio.TaskGroup() as group:
            pauses = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
            starting = after_boot(accounts, mark, pauses, lambda: shared.fleet)
            _ = group.create_task(starting, name="after boot")
            watch, delays = Watch(), RestartDelays(accounts.units, time.monotonic())
            while True:
                try:
                    with self._deadlines.within(_LOOK_STUCK, "a look at all accounts"):
                        views = await accounts.views()
                        await delays.look(views, time.monotonic())
                except (UnitFailed, OSError) as problem:
                    self._notifier.status(f"cannot read the accounts: {problem}")
                    log.error("%s", problem)
                    await alerts.look((), str(problem))
                else:
                    watch.look(views)
                    await accounts.look_for_port_users(views)
                    instances = {view.instance for view in views}
                    await asyncio.to_thread(accounts.logins.look, logins_of(views), instances)
                    with self._deadlines.within(_LOOK_STUCK, "a look for alerts"):
                        await alerts.look(views)
                    sentence = summary(views)
                    log.debug("%s", sentence)
                    self._set_status(sentence)
                await asyncio.sleep(accounts.settings.check_interval)

    async def _watchdog(self) -> None:
        """Tell systemd that the event loop runs and nothing hangs; otherwise it kills and restarts this process."""
        seconds, watchdog = self._notifier.watchdog_seconds, Watchdog(self._notifier, self._deadlines)
        while seconds is not None:
            watchdog.feed()
            await asyncio.sleep(seconds / 3)

    def _set_fleet(self, shared: Context, fleet: "OtherHosts | None", group: asyncio.TaskGroup) -> None:
        """Use these other hosts from now on."""
        if fleet is shared.fleet:
            return
        if self._fleet_task is not None:
            self._fleet_task.cancel()
        shared.fleet = fleet
        shared.accounts.ownership = None if fleet is None else fleet.ownership
        if fleet is None:
            shared.accounts.host, shared.accounts.duplicates = "", {}
        if shared.accounts.ownership is None:
            shared.accounts.unclaimed, shared.accounts.halted = {}, None
        if shared.alerts is not None:
            shared.alerts.hosts = None if fleet is None else fleet.unreachable
            shared.alerts.standbys = None if fleet is None else fleet.standbys.late
        self._fleet_task = None if fleet is None else group.create_task(fleet.run(), name="other hosts")

    async def _reloads(self, asked: asyncio.Event, shared: Context, group: asyncio.TaskGroup) -> None:
        while True:
            await asked.wait()
            asked.clear()
            await self._reload(shared, group)

    async def _reload(self, shared: Context, group: asyncio.TaskGroup) -> None:
        """Read the settings again; invalid ones change nothing."""
        self._notifier.reloading()
        try:
            loaded = load_settings(self._paths)
            tls = tls_context(loaded.settings)  # also the same files: a renewed certificate
            fleet = fleet_of(shared, self._paths, loaded.settings)
        except BadSettings as problem:
            self._complaint = f"settings not reloaded: {problem}"
            shared.settings_error = problem.full_text
            log.error(
                "settings not reloaded, the previous ones remain in use: %s", problem, extra=fields(Event.SETTINGS)
            )
        else:
            shared.accounts.settings = loaded.settings
            shared.gate.set_token_failures(loaded.settings.limits.token_failures)
            shared.notices = loaded.notices
            shared.tls = tls
            self._set_fleet(shared, fleet, group)
            self._warn(shared)
            shared.settings_read, shared.settings_error = time.time(), NOTHING
            self._complaint = ""
            logging.getLogger().setLevel(LEVELS[loaded.settings.log_level])
            for notice in loaded.notices:
                log.warning("%s", notice)
            await shared.accounts.apply_settings()
            log.info("settings reloaded", extra=fields(Event.SETTINGS))
        self._set_status("")
        self._notifier.ready()
        if shared.alerts is not None:
            await shared.alerts.set_delivering()

    def _set_status(self, words: str) -> None:
        line = "; ".join(each for each in (self._complaint, words) if each)
        if line:
            self._notifier.status(line)


def fleet_of(shared: Context, paths: Paths, settings: Settings) -> "OtherHosts | None":
    """Return the other hosts of the settings, those of ``shared`` if they are the same. Raises BadSettings."""
    if settings.fleet is None:
        return None
    from wxcontroller.controller.hosts.otherhosts import other_hosts  # a machine without a fleet loads none of it

    return other_hosts(shared, paths, settings.fleet)


@contextlib.contextmanager
def signals(end: Callable[[], None], reload: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, end)
    loop.add_signal_handler(signal.SIGINT, end)
    loop.add_signal_handler(signal.SIGHUP, reload)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)
