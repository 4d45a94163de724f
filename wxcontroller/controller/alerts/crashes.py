"""Accounts whose processes crash repeatedly, by systemd's restart counters. The counts survive restarts of the
controller: a crash loop does not end because it is not observed. Time without a controller does not count.
"""

import logging
from collections import deque
from collections.abc import Iterable
from itertools import pairwise

from wxcontroller.controller.accounts.units import Units
from wxcontroller.controller.accounts.view import View
from wxcontroller.core.condition.facts import LastEnd
from wxcontroller.core.errors import UnitFailed
from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, items

log = logging.getLogger(__name__)
# This many restarts in this many seconds. A single one needs no alert: systemd handles it.
_MANY = 3
_WINDOW = 600.0
# A loop is over when a process has lived for this long, and for twice as long as those of the loop.
_QUIET = 60.0


class Crashes:
    """Counts restarts. Only accounts with a new process are queried."""

    def __init__(self, units: Units) -> None:
        self._units = units
        self._pids: dict[str, int] = {}
        self._counts: dict[str, deque[tuple[float, int]]] = {}
        self.ends: dict[str, LastEnd] = {}  # of the last processes, as far as known

    async def look(self, views: Iterable[View], now: float) -> set[str]:
        """Return the instances that loop; ``now`` in monotonic seconds."""
        changed, ended = [], set()
        for view in views:
            pid = view.pid or 0
            if view.unit.sub.startswith("auto-restart") or self._pids.get(view.instance) != pid:
                changed.append(view.instance)
            self._pids[view.instance] = pid
            if view.has_ended:
                ended.add(view.instance)
        try:
            counts = await self._units.restarts(changed)
        except UnitFailed as problem:
            log.warning("%s", problem)
            counts = {}
        for instance, restarts in counts.items():
            count = restarts.count
            if restarts.end or instance in ended:
                self.ends[instance] = LastEnd(restarts.since, restarts.end)
            history = self._counts.setdefault(instance, deque())
            if history and count < history[-1][1]:
                history.clear()  # started again by hand
            history.append((now, count))
        return {instance for instance, history in self._counts.items() if is_crash_loop(history, now)}

    def forget(self, instances: Iterable[str]) -> None:
        """Drop all accounts but these."""
        for gone in (self._pids.keys() | self._counts.keys() | self.ends.keys()) - set(instances):
            self._pids.pop(gone, None)
            self.ends.pop(gone, None)
            self._counts.pop(gone, None)

    @property
    def counted(self) -> bool:
        """Whether there are counts to store."""
        return any(len(history) > 1 for history in self._counts.values())

    def as_json(self, now: float) -> JsonObject:
        """Return the state to store: by instance, how many seconds ago which count was seen."""
        found: JsonObject = {}
        for instance, history in self._counts.items():
            if len(history) > 1:  # a single count is no evidence
                seen: list[JsonValue] = [[round(now - moment), count] for moment, count in history]
                found[instance] = seen
        return found

    def load(self, kept: JsonObject, now: float) -> None:
        """Restore the result of an earlier controller's ``as_json``; anything else counts as empty."""
        for instance, seen in kept.items():
            pairs = [pair for each in items(seen) if len(pair := items(each)) == 2]
            # Ages beyond the window are all the same; a moment in the future does not count.
            ages = [(min(max(integer(age), 0), 2 * _WINDOW), integer(count)) for age, count in pairs]
            if ages:
                self._counts[instance] = deque((now - age, count) for age, count in ages)


def is_crash_loop(history: deque[tuple[float, int]], now: float) -> bool:
    # The last count before the window is the baseline.
    while len(history) > 1 and history[1][0] < now - _WINDOW:
        history.popleft()
    lives = [after - before for (before, count), (after, next_) in pairwise(history) if next_ > count]
    quiet = min(max(_QUIET, 2 * max(lives, default=0.0)), _WINDOW)
    return history[-1][0] >= now - quiet and history[-1][1] - history[0][1] >= _MANY
