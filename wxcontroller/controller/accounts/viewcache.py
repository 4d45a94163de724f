"""All accounts' views, rebuilt only when a file, the unit or the time changes them.

Files are watched (``core.files.directorywatch``); units are compared with those of the last query; and a view knows
until when time alone leaves it valid. Until something changes, the same tuple is returned, so that anything derived
from it can be cached, too.
"""

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping

from wxcontroller.controller.accounts import statefiles
from wxcontroller.controller.accounts.registry import Registry
from wxcontroller.controller.accounts.units import UnitRecord, absent
from wxcontroller.controller.accounts.view import View
from wxcontroller.core.files.directorywatch import Directories
from wxcontroller.core.names import is_instance
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry.account import Account

log = logging.getLogger(__name__)
# All files are checked this often, watched or not, for changes without notification, as on a network file system.
SWEEP_SECONDS = 5.0


class Changes:
    """Tracks which accounts' files may have changed."""

    def __init__(self, paths: Paths) -> None:
        self._runtime = str(paths.client_runtime)
        self._files = (str(paths.accounts), str(paths.overrides))
        self._directories: Directories | None = None
        self._unwatched: set[str] = set()
        self._swept = float("-inf")
        self._complaint = ""

    def take(self) -> set[str] | None:
        """Return the instances whose files may have changed since the last call, None for any."""
        now = time.monotonic()
        is_sweep = now - self._swept > SWEEP_SECONDS
        try:
            found = self._take(is_sweep)
        except OSError as problem:
            self._complain(problem)
            found = None
        if found is None or is_sweep:
            self._swept = now
            return None
        return found

    def close(self) -> None:
        if self._directories is not None:
            self._directories.close()
            self._directories = None

    def _take(self, is_sweep: bool) -> set[str] | None:
        directories = self._directories
        if directories is None:
            directories = self._directories = Directories()
        changes = directories.changes()
        if changes is None:
            self.close()
            return None
        found: set[str] = set()
        # What changed in a directory before it was watched is unknown: everything is read then.
        is_all = self._watch_parents(directories, is_sweep)
        for path, name in changes:
            instance = path.rpartition("/")[2]
            if path == self._runtime:
                instance = name
                if name:  # not the directory itself, whose mode was set
                    self._unwatched.add(name)
            elif path in self._files:
                instance = name.removesuffix(".env")
            elif not name:
                self._unwatched.add(instance)
            is_all = is_all or not instance
            found.add(instance)
        # Also those that are watched from now on: they may have changed since the last look.
        found |= self._unwatched
        for instance in list(self._unwatched):
            self._watch(directories, instance)
        return None if is_all else found

    def _watch_parents(self, directories: Directories, is_sweep: bool) -> bool:
        """Watch the shared directories as soon as they exist. Return whether something changed. ``is_sweep``: also
        detect a file system mounted over one, for which there is no event.
        """
        is_new = False
        for path in (*self._files, self._runtime):
            if (path in directories and not is_sweep) or not os.access(path, os.F_OK):
                continue
            with contextlib.suppress(FileNotFoundError):
                if not directories.watch(path):
                    continue
                is_new = True
                if path == self._runtime:
                    self._unwatched.update(os.listdir(path))  # noqa: PTH208 - names only
        return is_new

    def _watch(self, directories: Directories, instance: str) -> None:
        """Watch an account's runtime directory. If that is not possible, it is read each time."""
        try:
            directories.watch(f"{self._runtime}/{instance}")
        except (FileNotFoundError, NotADirectoryError):  # its parent's watch reports its creation
            self._unwatched.discard(instance)
        except PermissionError:  # systemd has just created it, and sets its group next
            return
        except OSError as problem:
            self._complain(problem)
        else:
            self._unwatched.discard(instance)

    def _complain(self, problem: OSError) -> None:
        if str(problem) != self._complaint:
            self._complaint = str(problem)
            log.warning("cannot watch the accounts' files, reading them at each request instead: %s", problem)


class Views:
    """The views. ``make`` builds one; ``registry`` provides the accounts whose files changed."""

    def __init__(self, paths: Paths, registry: Registry, make: Callable[[Account, UnitRecord], View]) -> None:
        self._registry = registry
        self._make = make
        self._changes = Changes(paths)
        self._views: dict[str, View] = {}
        self._all: tuple[View, ...] = ()
        self._units: Mapping[str, UnitRecord] = {}
        self._others: object = None
        self._due: dict[str, float] = {}  # when a view is to be made again
        self._next_due = float("inf")
        self.fresh: dict[str, View] = {}  # those made since the caller cleared it

    def close(self) -> None:
        self._changes.close()

    def of(self, instance: str) -> View | None:
        """Return a view of the last ``current``."""
        return self._views.get(instance)

    def current(self, units: Mapping[str, UnitRecord], others: object) -> tuple[View, ...]:
        """Return the views of this moment, by id. Raises OSError.

        ``others`` identifies the other inputs of ``make``: a different value rebuilds all.
        """
        changed = self._changes.take()
        now = statefiles.uptime()
        views = self._views
        if changed is None or others != self._others:
            self._registry.forget_all()
            views = {instance: self._view(account, units) for instance, account in self._registry.all().items()}
        else:
            if self._next_due <= now:
                changed |= {instance for instance, due in self._due.items() if due <= now}
            if units is not self._units:
                changed |= {view for view in views if units.get(view) != self._units.get(view)}
            if changed:
                views = self._with(changed, units)
        self._units, self._others = units, others
        if views is not self._views:
            earlier, self._views = self._views, views
            fresh = {instance: view for instance, view in views.items() if earlier.get(instance) is not view}
            self.fresh.update(fresh)
            for gone in self._due.keys() - views.keys():
                del self._due[gone]
            self._next_due = min(self._due.values(), default=float("inf"))
            if fresh or len(views) != len(earlier):
                self._all = tuple(views.values())
        return self._all

    def _with(self, changed: Iterable[str], units: Mapping[str, UnitRecord]) -> dict[str, View]:
        views = dict(self._views)
        for instance in changed:
            self._registry.forget(instance)
            account = self._registry.get(instance) if is_instance(instance) else None
            if account is None:
                views.pop(instance, None)
            else:
                views[instance] = self._view(account, units)
        # Sorted by id, which only a new one can disturb.
        return views if views.keys() <= self._views.keys() else dict(sorted(views.items()))

    def _view(self, account: Account, units: Mapping[str, UnitRecord]) -> View:
        """Return an account's view; the cached one if nothing has changed."""
        instance = account.name.instance
        made, earlier = self._make(account, units.get(instance) or absent(instance)), self._views.get(instance)
        self._due[instance] = made.until
        return earlier if earlier == made else made
