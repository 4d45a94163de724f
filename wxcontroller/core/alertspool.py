"""Queued alerts: one file each, written by the controller and removed by wxcontroller-alert@.service. On disk, so
that they survive restarts; in memory if the disk is full, which is itself worth an alert. systemd starts the
deliverer when there is a file whose name ends in .json (wxcontroller-alert@.path).
"""

import json
import logging
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from wxcontroller.core.alerts import Alert, alert_from
from wxcontroller.core.config.alertsettings import Channel
from wxcontroller.core.files.atomic import read_foreign, replace_file
from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, kept_json, obj, read_json, text
from wxcontroller.core.paths import Paths

log = logging.getLogger(__name__)
# An alert with all the codes to scan that it may have (controller/alerts/alerttext.py) is less than half of it.
ALERT_BYTES = 8 << 20
# Readable by the deliverer, through the directory's group. It may contain a QR code, which starts a login.
_MODE = 0o640
# Other users cannot enter its directory.
_STATE_MODE = 0o644
_STATE = ".state"


@dataclass(frozen=True, slots=True)
class AlertOutcome:
    """The last attempt of a channel: ``error`` is "" if it was delivered. ``time`` in seconds since 1970."""

    id: str
    error: str
    time: int

    def as_json(self) -> JsonObject:
        return {"id": self.id, "error": self.error or None, "time": self.time}


@dataclass(frozen=True, slots=True)
class AlertState:
    """A channel's record: failed tries by alert, and the last outcome."""

    tries: Mapping[str, int] = field(default_factory=dict)
    last: AlertOutcome | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """An alert's file. ``since``: when it was put there, in seconds since 1970."""

    path: Path
    since: float

    @property
    def id(self) -> str:
        return self.path.stem

    def read(self) -> Alert:
        """Read the alert. Raises OSError, and ValueError for anything else."""
        return alert_from(read_json(read_foreign(self.path, ALERT_BYTES)))


@dataclass(frozen=True, slots=True)
class Spool:
    """The alerts of one channel."""

    paths: Paths
    channel: Channel

    def put(self, alert: Alert) -> None:
        """Queue an alert for delivery. Raises OSError when neither disk nor memory accepts it."""
        content = json.dumps(alert.to_json(), ensure_ascii=False).encode("utf-8", "backslashreplace")
        on_disk, in_memory = self._places
        try:
            # Under a name that ends in .json only when it is complete: systemd watches for that.
            replace_file(on_disk / f"{alert.id}.json", content, _MODE, durable=True)
        except OSError:
            replace_file(in_memory / f"{alert.id}.json", content, _MODE)

    def waiting(self) -> list[Waiting]:
        """Return the alerts to deliver, oldest first."""
        alerts: list[Waiting] = []
        for place in self._places:
            try:
                paths = [path for path in place.iterdir() if path.suffix == ".json" and path.name[0] != "."]
            except OSError:
                continue
            for path in paths:
                try:
                    status = path.lstat()
                except OSError:
                    continue
                if stat.S_ISREG(status.st_mode):
                    alerts.append(Waiting(path, status.st_mtime))
        return sorted(alerts, key=lambda each: (each.since, each.id))

    def set_aside_others(self) -> None:
        """Rename anything but a file that is named like an alert: systemd would restart the delivery forever."""
        for place in self._places:
            for path in place.glob("[!.]*.json"):
                with suppress(OSError):
                    if not stat.S_ISREG(path.lstat().st_mode):
                        path.replace(path.with_name(f".{path.name}.unexpected"))
                        log.error("%s is not an alert; renamed to .%s.unexpected", path, path.name)

    def clear(self) -> None:
        """Drop the alerts of a channel that is no longer configured."""
        for alert in self.waiting():
            with suppress(OSError):
                alert.path.unlink()

    def state(self) -> AlertState:
        """Return the deliverer's notes, empty if unreadable."""
        try:
            content = read_foreign(self._state_path, ALERT_BYTES)
        except OSError:
            return AlertState()
        return state_of(content)

    def note(self, state: AlertState) -> None:
        """Store the deliverer's notes. Raises OSError."""
        last: JsonValue = state.last.as_json() if state.last else None
        content = json.dumps({"tries": dict(state.tries), "last": last}).encode()
        replace_file(self._state_path, content, _STATE_MODE)

    @property
    def _places(self) -> tuple[Path, Path]:
        return self.paths.alerts_spool(self.channel), self.paths.alerts_runtime(self.channel)

    @property
    def _state_path(self) -> Path:
        return self.paths.alerts_runtime(self.channel) / _STATE


def state_of(raw: bytes) -> AlertState:
    """Return a deliverer's notes, unchecked."""
    content = kept_json(raw)
    last = obj(content.get("last"))
    return AlertState(
        {key: integer(count) for key, count in obj(content.get("tries")).items()},
        AlertOutcome(text(last.get("id")), text(last.get("error")), integer(last.get("time"))) if last else None,
    )
