"""Promises of this host to hosts that run without etcd: not to claim their accounts for some time.

``fleet/failsafe.py`` has the reasons. Promises are on the boot-time clock and in a file in /run, which outlives the
controller. Without the file, as after a boot, any host may have been given a promise.
"""

import contextlib
import json
import time
from pathlib import Path

from wxcontroller.core.errors import WxError
from wxcontroller.core.files import replace_file
from wxcontroller.core.jsontypes import JsonObject, field, integer, kept_json
from wxcontroller.core.messages import N_
from wxcontroller.fleet.recordcache import RecordCache

# In seconds. Longer than the longest lease, so that a promise covers it.
LONGEST_PROMISE = 600
# Means every host; not a valid name of one.
ANYBODY = "*"


class NotConfirmed(WxError):
    """This host does not confirm that another one runs its accounts without etcd, or not yet."""

    code = "not-confirmed"
    status = 409


class LeaseEnded(NotConfirmed):
    """This host has seen the end of the other one's lease."""

    code = "lease-ended"


class Promises:
    """The promises of this host, kept in a ``file``. If they are unknown, nothing is claimed for ``seconds``."""

    def __init__(self, file: Path, seconds: float) -> None:
        self._file = file
        self._seconds = seconds
        self._stamp = (0, 0)
        self._known = self._unknown()
        if not file.exists():
            with contextlib.suppress(OSError):  # then the next process has no file, either
                self._write(self._known)

    def left(self, host: str | None) -> float:
        """Return for how many seconds accounts of a host, or of any host (None), must not be claimed."""
        found = self._read()
        return max(0.0, *(self._left(found, each) for each in (found if host is None else (host, ANYBODY))))

    def hosts(self) -> dict[str, float]:
        """Return the hosts with promises, and for how many seconds they hold."""
        found = self._read()
        return {host: left for host in sorted(found.keys() - {ANYBODY}) if (left := self._left(found, host)) > 0}

    def lease(self, host: str) -> int:
        """Return the lease for which there is a promise to a host, 0 for none."""
        found = self._read()
        return integer(field(found.get(host), "lease")) if self._left(found, host) > 0 else 0

    def give(self, host: str, lease: int, seconds: float) -> None:
        """Promise not to claim accounts of a host for this time. Raises OSError."""
        promises = self._read()
        held = {each: promise for each, promise in promises.items() if self._left(promises, each) > 0}
        self._write({**held, host: {"lease": lease, "until": _uptime() + seconds}})

    def confirm(self, host: str, lease: int, seconds: int, records: RecordCache) -> None:
        """Give a promise if a host's lease has not ended. Raises NotConfirmed and OSError."""
        # An ended lease exists again in a restored etcd, until it ends once more.
        record = records.hosts.get(host) if records.settled is not None else None
        promised = self.lease(host)
        if not records.was_read and promised != lease:
            raise NotConfirmed(
                N_("host {host} has not reached etcd since its controller began"),
                N_("see: systemctl status wxcontroller-keeper; wxctl fleet"),
                host=records.name,
            )
        if record.entry.lease != lease if record is not None else promised != lease:
            raise LeaseEnded(
                N_("host {host} has seen the end of the lease of {other}"),
                N_("see: systemctl status wxcontroller-keeper; wxctl fleet"),
                host=records.name,
                other=host,
            )
        self.give(host, lease, seconds)

    def _write(self, promises: JsonObject) -> None:
        replace_file(self._file, json.dumps(promises).encode())

    def _read(self) -> JsonObject:
        """Return the content of the file. After a change of the settings, two instances may exist briefly."""
        try:
            status = self._file.stat()
            stamp = status.st_ino, status.st_mtime_ns
            if stamp != self._stamp:
                self._known, self._stamp = kept_json(self._file.read_bytes()) or self._unknown(), stamp
        except FileNotFoundError:
            pass
        except OSError:
            return {**self._known, **self._unknown()}
        return self._known

    def _unknown(self) -> JsonObject:
        return {ANYBODY: {"lease": 0, "until": _uptime() + self._seconds}}

    @staticmethod
    def _left(found: JsonObject, host: str) -> float:
        until = field(found.get(host), "until")
        return min(until - _uptime(), LONGEST_PROMISE) if isinstance(until, int | float) else 0.0


def _uptime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
