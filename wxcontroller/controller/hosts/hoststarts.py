"""Starts of the wanted accounts under each new lease, as after a boot: accounts end with the lease of their host.

An account is *due* under a new lease until it runs, or its start was tried. The pass under a lease is over when no
account is due; a file in /run remembers that, so that a restarted controller does not start what an admin has stopped
meanwhile. Accounts whose start has failed are tried again, after growing pauses.
"""

import asyncio
import logging
import time

from wxcontroller.controller.context import Context
from wxcontroller.controller.reconcile import BootMark, one_pass
from wxcontroller.core.backoff import Backoff
from wxcontroller.core.errors import WxError
from wxcontroller.core.files.atomic import replace_file
from wxcontroller.core.jsontypes import integer

log = logging.getLogger(__name__)
# Pause between attempts to start accounts that a lost lease has stopped.
_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 60.0


class HostStarts:
    """The starts under the present lease. ``passed`` is the last lease whose pass is over."""

    def __init__(self, shared: Context) -> None:
        self._shared = shared
        self._file = shared.accounts.paths.controller_runtime / "lease-started"
        self._mark = BootMark(shared.accounts.paths)
        self._pauses = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
        self._lease = 0
        self.passed = self._last_passed()
        self.due: set[str] = set()
        self._failed: frozenset[str] = frozenset()
        self._trying: asyncio.Task[None] | None = None
        self._try_at = 0.0

    def begin(self, lease: int, wanted: set[str]) -> None:
        """Make all wanted accounts due, and only these, if the lease is a new one."""
        if lease not in (self.passed, self._lease):
            # After a boot, desired accounts are started anyway.
            self.due, self._try_at = wanted if self._mark.is_set() else set(), 0.0
        self.due, self._lease = self.due & wanted, lease

    def has(self, instance: str) -> bool:
        """Return whether an account is to be started: it is due, or its start has failed."""
        return instance in self.due or instance in self._failed

    def runs(self, instance: str) -> None:
        """Note that an account runs under the present lease."""
        self.due.discard(instance)

    def go_on(self, group: asyncio.TaskGroup, down: set[str], has_etcd: bool) -> None:
        """Try to start accounts that are down; end the pass if none is due. Raises OSError."""
        if down and has_etcd and self._trying is None and time.monotonic() >= self._try_at:
            self._trying = group.create_task(self._try(frozenset(down), self._lease), name="starts under a new lease")
        elif not down:
            self._pauses.reset()
        if not self.due and self._trying is None and self.passed != self._lease:
            # In memory first: if the file cannot be written, only a restart of the controller starts them once more.
            self.passed = self._lease
            replace_file(self._file, f"{self._lease}\n".encode(), 0o644)

    async def _try(self, instances: frozenset[str], lease: int) -> None:
        """Start accounts, and note which are to be tried again. Raises nothing."""
        try:
            done = await one_pass(self._shared.accounts, instances, self._shared.fleet, "under the present lease")
            log.info("%s", done.sentence)
            self._failed = done.failed
            if self._lease == lease:
                self.due -= done.tried
        except (WxError, OSError) as problem:
            log.error("cannot read which accounts should run: %s", problem)
        finally:
            self._trying, self._try_at = None, time.monotonic() + self._pauses.next()

    def _last_passed(self) -> int:
        try:
            return integer(self._file.read_text("ascii").strip())
        except (OSError, ValueError):
            return 0
